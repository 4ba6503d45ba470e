// Command pulumi-resource-command runs commands over SSH: the remote.Command resource of Pulumi's
// command package 1.2.1, with the same inputs, outputs and behaviour.
package main

import (
	"context"
	"fmt"
	"os"

	provider "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"

	"etcd-rotation/engine/command/remote"
)

const version = "1.2.1"

func main() {
	command := infer.Provider(infer.Options{
		Resources: []infer.InferredResource{infer.Resource(&remote.Command{})},
	})
	if err := provider.RunProvider(context.Background(), "command", version, command); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
