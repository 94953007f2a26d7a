// Asks the library of the Operator Lifecycle Manager for its verdict on a bundle: the folder in its argument. Warnings count.
//
//	go -C tests/olm-check run . ../../olm
package main

import (
	"fmt"
	"os"

	"github.com/operator-framework/api/pkg/manifests"
	"github.com/operator-framework/api/pkg/validation"
	interfaces "github.com/operator-framework/api/pkg/validation/interfaces"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 1 {
		return fmt.Errorf("usage: go run . FOLDER")
	}
	bundle, err := manifests.GetBundleFromDir(arguments[0])
	if err != nil {
		return fmt.Errorf("%s is no bundle: %w", arguments[0], err)
	}
	// All of them but those of lists of packages and of a catalogue of OpenShift's, which this is no part of.
	validators := interfaces.Validators{
		validation.ClusterServiceVersionValidator,
		validation.CustomResourceDefinitionValidator,
		validation.BundleValidator,
		validation.OperatorHubValidator,
		validation.ObjectValidator,
	}
	verdicts, found := 0, 0
	for _, result := range validators.Validate(bundle.ObjectsToValidate()...) {
		verdicts++
		for _, problem := range append(result.Errors, result.Warnings...) {
			fmt.Fprintln(os.Stderr, problem.Error())
			found++
		}
	}
	if found > 0 {
		return fmt.Errorf("%s: %d problems", bundle.Name, found)
	}
	if verdicts == 0 || bundle.CSV == nil || len(bundle.V1CRDs) != 2 {
		return fmt.Errorf("%s: the validators saw no bundle", arguments[0])
	}
	fmt.Printf("%s: %d verdicts, nothing to complain about\n", bundle.CSV.Name, verdicts)
	return nil
}
