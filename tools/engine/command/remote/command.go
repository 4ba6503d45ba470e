// Package remote is the remote module of the command plug-in. The package's name and the names of
// its types become resource tokens.
package remote

import (
	"context"

	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Command is a command on a remote host, run when the resource is created, changed or deleted.
type Command struct{}

var (
	_ infer.CustomResource[CommandInputs, CommandOutputs] = (*Command)(nil)
	_ infer.CustomUpdate[CommandInputs, CommandOutputs]   = (*Command)(nil)
	_ infer.CustomDelete[CommandOutputs]                  = (*Command)(nil)
)

// CommandInputs are what a program sets.
type CommandInputs struct {
	Triggers               *[]any            `pulumi:"triggers,optional" provider:"replaceOnChanges"`
	Create                 *string           `pulumi:"create,optional"`
	Update                 *string           `pulumi:"update,optional"`
	Delete                 *string           `pulumi:"delete,optional"`
	Stdin                  *string           `pulumi:"stdin,optional"`
	Logging                *Logging          `pulumi:"logging,optional"`
	Connection             *Connection       `pulumi:"connection"              provider:"secret"`
	Environment            map[string]string `pulumi:"environment,optional"`
	AddPreviousOutputInEnv *bool             `pulumi:"addPreviousOutputInEnv,optional"`
}

// Annotate sets the defaults that the plug-in fills in by itself.
func (inputs *CommandInputs) Annotate(annotator infer.Annotator) {
	annotator.SetDefault(&inputs.AddPreviousOutputInEnv, true)
}

// CommandOutputs are the inputs and what the last command printed, without the last line's end.
type CommandOutputs struct {
	CommandInputs
	Stdout string `pulumi:"stdout"`
	Stderr string `pulumi:"stderr"`
}

// Create runs the create command.
func (*Command) Create(
	ctx context.Context, request infer.CreateRequest[CommandInputs],
) (infer.CreateResponse[CommandOutputs], error) {
	response := infer.CreateResponse[CommandOutputs]{Output: CommandOutputs{CommandInputs: request.Inputs}}
	id, err := resource.NewUniqueHex(request.Name, 8, 0)
	if err != nil {
		return response, err
	}
	response.ID = id
	if request.DryRun {
		return response, nil
	}
	err = response.Output.run(ctx, request.Inputs.Create)
	return response, err
}

// Update runs the update command, or the create command when there is none.
func (*Command) Update(
	ctx context.Context, request infer.UpdateRequest[CommandInputs, CommandOutputs],
) (infer.UpdateResponse[CommandOutputs], error) {
	response := infer.UpdateResponse[CommandOutputs]{Output: CommandOutputs{
		CommandInputs: request.Inputs,
		Stdout:        request.State.Stdout,
		Stderr:        request.State.Stderr,
	}}
	if request.DryRun {
		return response, nil
	}
	command := request.Inputs.Update
	if command == nil {
		command = request.Inputs.Create
	}
	err := response.Output.run(ctx, command)
	return response, err
}

// Delete runs the delete command as the state has it, over the state's connection.
func (*Command) Delete(
	ctx context.Context, request infer.DeleteRequest[CommandOutputs],
) (infer.DeleteResponse, error) {
	return infer.DeleteResponse{}, request.State.run(ctx, request.State.Delete)
}
