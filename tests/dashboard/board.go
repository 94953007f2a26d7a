package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// board is a dashboard of Grafana, as far as it is drawn.
type board struct {
	Title  string  `json:"title"`
	Panels []panel `json:"panels"`
}

type panel struct {
	ID      int    `json:"id"`
	Title   string `json:"title"`
	Type    string `json:"type"`
	GridPos struct {
		H, W, X, Y int
	} `json:"gridPos"`
	FieldConfig struct {
		Defaults struct {
			Unit       string `json:"unit"`
			Thresholds struct {
				Steps []step `json:"steps"`
			} `json:"thresholds"`
			Mappings []struct {
				Options map[string]struct {
					Text string `json:"text"`
				} `json:"options"`
			} `json:"mappings"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []target `json:"targets"`
}

type step struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"`
}

type target struct {
	Expr         string `json:"expr"`
	LegendFormat string `json:"legendFormat"`
}

func readBoard(path string) (*board, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var read board
	if err := json.Unmarshal(text, &read); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(read.Panels) == 0 {
		return nil, fmt.Errorf("%s: no panels", path)
	}
	for _, panel := range read.Panels {
		if panel.Type != "stat" && panel.Type != "timeseries" {
			return nil, fmt.Errorf("the panel %q is a %s, which can't be drawn", panel.Title, panel.Type)
		}
		if len(panel.Targets) == 0 {
			return nil, fmt.Errorf("the panel %q has no query", panel.Title)
		}
	}
	return &read, nil
}

// color is the one of the last threshold that the value reaches; empty where there is none.
func (p *panel) color(value float64) string {
	color := ""
	for _, step := range p.FieldConfig.Defaults.Thresholds.Steps {
		if step.Value == nil || value >= *step.Value {
			color = step.Color
		}
	}
	return color
}

// queries are those of the panel as they stand in the dashboard.
func (p *panel) queries() string {
	var all []string
	for _, target := range p.Targets {
		all = append(all, target.Expr)
	}
	return strings.Join(all, "\n")
}
