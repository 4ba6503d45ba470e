package main

import kubelet "k8s.io/kubernetes/cmd/kubelet/app"

var newKubelet = kubelet.NewKubeletCommand
