package main

import (
	"k8s.io/component-base/cli"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

var (
	newKubelet = kubelet.NewKubeletCommand
	run        = cli.Run
)
