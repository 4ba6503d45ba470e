package remote

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	provider "github.com/pulumi/pulumi-go-provider"
	"golang.org/x/crypto/ssh"
)

// run executes the command, if there is one, and records what it printed. Once the command has
// started it runs to its end: stopping a half-done change on a host would leave it half done.
func (outputs *CommandOutputs) run(ctx context.Context, command *string) error {
	if command == nil {
		return nil
	}
	client, closeClient, err := dial(ctx, outputs.Connection)
	if err != nil {
		return err
	}
	defer closeClient()
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	defer func() { _ = session.Close() }()
	if err := outputs.setEnvironment(ctx, session); err != nil {
		return err
	}
	if outputs.Stdin != nil && *outputs.Stdin != "" {
		session.Stdin = strings.NewReader(*outputs.Stdin)
	}

	logger := provider.GetLogger(ctx)
	var stdout, stderr, both bytes.Buffer
	mixed := &lockedWriter{target: &both}
	shownStdout, shownStderr := &lineWriter{show: logger.InfoStatus}, &lineWriter{show: logger.InfoStatus}
	session.Stdout = io.MultiWriter(&stdout, mixed)
	if outputs.Logging.showsStdout() {
		session.Stdout = io.MultiWriter(&stdout, mixed, shownStdout)
	}
	session.Stderr = io.MultiWriter(&stderr, mixed)
	if outputs.Logging.showsStderr() {
		session.Stderr = io.MultiWriter(&stderr, mixed, shownStderr)
	}
	err = session.Run(*command)
	shownStdout.flush()
	shownStderr.flush()
	if err != nil {
		return fmt.Errorf("%w: running %q:\n%s", err, *command, both.String())
	}
	outputs.Stdout = strings.TrimSuffix(stdout.String(), "\n")
	outputs.Stderr = strings.TrimSuffix(stderr.String(), "\n")
	return nil
}

// acceptEnvHint tells why a server refuses variables and what to do instead.
const acceptEnvHint = "Unable to set '%s'. This only works if your SSH server is configured to accept " +
	"these variables via AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote " +
	"host, you could prefix the command itself with the variables in the form 'VAR=value command'"

// setEnvironment fails on a refused variable of the program's, and only warns about the two that
// carry the previous command's output.
func (outputs *CommandOutputs) setEnvironment(ctx context.Context, session *ssh.Session) error {
	logger := provider.GetLogger(ctx)
	for name, value := range outputs.Environment {
		if err := session.Setenv(name, value); err != nil {
			logger.Errorf(acceptEnvHint, name)
			return fmt.Errorf("could not set environment variable %q: %w", name, err)
		}
	}
	if !valueOr(outputs.AddPreviousOutputInEnv, true) {
		return nil
	}
	previous := []struct{ name, value string }{
		{"PULUMI_COMMAND_STDOUT", outputs.Stdout},
		{"PULUMI_COMMAND_STDERR", outputs.Stderr},
	}
	for _, variable := range previous {
		if variable.value == "" {
			continue
		}
		if err := session.Setenv(variable.name, variable.value); err != nil {
			logger.Warningf(acceptEnvHint, variable.name)
		}
	}
	return nil
}
