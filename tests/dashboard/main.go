// Draws the dashboard of the chart as a picture, from recorded metrics: its panels where Grafana puts them, with what the engine of
// Prometheus answers to their queries. It is not Grafana, and looks a bit different.
//
//	cd tests/dashboard && go run .           # writes docs/images/dashboard.svg
//	cd tests/dashboard && go run . --check   # says whether that is what it would write
//
// A query that fails, or that finds nothing in the recording, is an error: then the panel is wrong, or the recording too poor.
// recording.txt has the recording; its head says how it is made anew.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

var (
	root      = filepath.Join("..", "..")
	dashboard = filepath.Join(root, "charts", "upstream-params-operator", "files", "dashboard", "upstream-params-operator.json")
	picture   = filepath.Join(root, "docs", "images", "dashboard.svg")
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	check := len(arguments) == 1 && arguments[0] == "--check"
	if len(arguments) > 0 && !check {
		return errors.New("usage: go run . [--check]")
	}
	drawn, err := drawAll(dashboard, "recording.txt")
	if err != nil {
		return err
	}
	if !check {
		return os.WriteFile(picture, drawn, 0o644)
	}
	there, err := os.ReadFile(picture)
	if err != nil {
		return err
	}
	if !bytes.Equal(there, drawn) {
		return fmt.Errorf("%s is not what is drawn now; draw it anew: cd tests/dashboard && go run .", picture)
	}
	fmt.Println("the picture is what is drawn now, and every query found something")
	return nil
}

// drawAll answers every query of the dashboard from the recording, and draws what comes of it.
func drawAll(dashboard, recording string) ([]byte, error) {
	board, err := readBoard(dashboard)
	if err != nil {
		return nil, err
	}
	recorded, err := readRecording(recording)
	if err != nil {
		return nil, err
	}
	answered, problems := recorded.answer(board)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return draw(board, answered, recorded), nil
}
