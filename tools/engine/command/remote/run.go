package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	provider "github.com/pulumi/pulumi-go-provider"
	"golang.org/x/crypto/ssh"
)

// run executes the command, if there is one, and records what it printed, byte for byte; what is
// shown of it, and the error, are printable. When the context ends the
// connection does; what has begun on the host goes on without it.
func (outputs *CommandOutputs) run(ctx context.Context, command *string) (err error) {
	if command == nil {
		return nil
	}
	ctx, end := context.WithCancelCause(ctx)
	defer func() {
		if err != nil {
			err = errors.New(printable(err.Error()))
			if ctx.Err() != nil {
				err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
			}
		}
		end(nil)
	}()
	client, err := dial(ctx, end, outputs.Connection)
	if err != nil {
		return err
	}
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
	show := func(line string) { logger.InfoStatus(printable(line)) }
	shownStdout, shownStderr := &lineWriter{show: show}, &lineWriter{show: show}
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
