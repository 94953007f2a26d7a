// Asks the real kstatus library, which Flux and Helm 4 use, for its verdict on every state that the Rust tests write down,
// and compares it with the verdict of the port in tests/it/packaging/gitops/consumers.rs.
//
//	cargo test --test it gitops::verdicts
//	cd tests/kstatus-check && go run .   # or with the file as its argument
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type state struct {
	Name    string                    `json:"name"`
	Object  unstructured.Unstructured `json:"object"`
	Kstatus string                    `json:"kstatus"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	file := filepath.Join("..", "..", "target", "tmp", "states.json")
	if len(arguments) > 0 {
		file = arguments[0]
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var states []state
	if err := json.Unmarshal(text, &states); err != nil {
		return err
	}
	if len(states) == 0 {
		return fmt.Errorf("no states")
	}
	verdicts, differences := map[status.Status]int{}, 0
	for _, state := range states {
		result, err := status.Compute(&state.Object)
		if err != nil {
			return fmt.Errorf("%s: %w", state.Name, err)
		}
		verdicts[result.Status]++
		if result.Status.String() != state.Kstatus {
			differences++
			fmt.Printf("%s: kstatus says %s (%s), the port %s\n", state.Name, result.Status, result.Message, state.Kstatus)
		}
	}
	fmt.Printf("%d states, %d differences: %v\n", len(states), differences, verdicts)
	if differences > 0 {
		return fmt.Errorf("the port is wrong")
	}
	return nil
}
