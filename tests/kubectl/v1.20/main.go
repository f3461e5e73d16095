// Command kubectl is kubectl of the version that go.mod pins, for the tests.
package main

import (
	"flag"
	"os"

	"k8s.io/component-base/logs"
	kubectl "k8s.io/kubectl/pkg/cmd"
)

func main() {
	logs.InitLogs()
	defer logs.FlushLogs()
	command := kubectl.NewDefaultKubectlCommand()
	command.PersistentFlags().AddGoFlag(flag.Lookup("v"))
	if command.Execute() != nil {
		os.Exit(1)
	}
}
