package main

import (
	"github.com/spf13/cobra"
	"k8s.io/component-base/logs"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

var newKubelet = kubelet.NewKubeletCommand

func run(command *cobra.Command) int {
	logs.InitLogs()
	defer logs.FlushLogs()
	if command.Execute() != nil {
		return 1
	}
	return 0
}
