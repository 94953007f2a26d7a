package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The board and the recording of a case, as files.
func files(t *testing.T, board, recording string) (string, string) {
	t.Helper()
	paths := [2]string{}
	for i, text := range []string{board, recording} {
		paths[i] = filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(paths[i], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return paths[0], paths[1]
}

func panelOf(kind, expr string) string {
	return `{"title": "t", "panels": [{"id": 7, "title": "A & B", "type": "` + kind + `", "gridPos": {"h": 8, "w": 12, "x": 0, "y": 0},
		"fieldConfig": {"defaults": {"unit": "s", "thresholds": {"steps": [{"color": "green", "value": null}, {"color": "red", "value": 5}]}}},
		"targets": [{"expr": "` + expr + `", "legendFormat": "at {{ pod }}"}]}]}`
}

const steady = "load 10s\nc{pod=\"a\"} 0+5x60\ng{pod=\"b\"} 3x20 stale _x10 7x20\n"

func TestAPanelShowsWhatItsQueryFinds(t *testing.T) {
	for _, c := range []struct {
		kind, expr string
		wanted     []string
	}{
		{"stat", `g`, []string{">7 s<", `class="red"`, "at b", "<title>A &amp; B</title>", `<g id="panel-7">`, "<desc>g</desc>"}},
		{"stat", `rate(c[$__rate_interval])`, []string{">500 ms<", `class="green"`, "at a"}},
		{"stat", `g{pod=~\"$tenant\"}`, []string{">7 s<"}},
		{"timeseries", `c`, []string{`class="line l0" d="M`, "at a", ">0 s<"}},
	} {
		drawn, err := drawAll(files(t, panelOf(c.kind, c.expr), steady))
		if err != nil {
			t.Fatal(c.expr, err)
		}
		for _, wanted := range c.wanted {
			if !strings.Contains(string(drawn), wanted) {
				t.Errorf("%s: no %s in\n%s", c.expr, wanted, drawn)
			}
		}
	}
	drawn, err := drawAll(files(t, panelOf("timeseries", "g"), steady))
	if err != nil {
		t.Fatal(err)
	}
	path := strings.Split(strings.Split(string(drawn), `class="line l0" d="`)[1], `"`)[0]
	if strings.Count(path, "M") != 2 {
		t.Errorf("a gap in a series is none in its line: %s", path)
	}
}

func TestAQueryThatFindsNothingOrCannotBeReadIsAnError(t *testing.T) {
	for expr, wanted := range map[string]string{
		`absent_here`:      "finds nothing",
		`sum(c`:            "parse error",
		`c / 0 - c / 0`:    "finds nothing",
		`c{pod=\"other\"}`: "finds nothing",
	} {
		_, err := drawAll(files(t, panelOf("stat", expr), steady))
		if err == nil || !strings.Contains(err.Error(), wanted) || !strings.Contains(err.Error(), `the panel "A & B"`) {
			t.Errorf("%s: %v", expr, err)
		}
	}
	for _, recording := range []string{"", "load 10s\n", "load 10s\nc{ 1\n"} {
		if _, err := drawAll(files(t, panelOf("stat", "c"), recording)); err == nil {
			t.Errorf("%q was taken", recording)
		}
	}
	if _, err := drawAll(files(t, panelOf("gauge", "c"), steady)); err == nil {
		t.Error("a panel that can't be drawn was taken")
	}
}
