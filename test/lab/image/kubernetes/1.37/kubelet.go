package main

import (
	"context"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

var run = cli.Run

func newKubelet() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }
