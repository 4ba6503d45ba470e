package remote

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

const password = "a password"

// serve starts an SSH server on loopback that logs in with config.
func serve(t *testing.T, config *ssh.ServerConfig, hostKeys ...any) *endpoint {
	t.Helper()
	return serveCommands(t, func() {}, config, hostKeys...)
}

// serveCommands is told when a command begins; none ends.
func serveCommands(t *testing.T, began func(), config *ssh.ServerConfig, hostKeys ...any) *endpoint {
	t.Helper()
	for _, key := range hostKeys {
		signer, err := ssh.NewSignerFromKey(key)
		if err != nil {
			t.Fatal(err)
		}
		config.AddHostKey(signer)
	}
	listener := listen(t)
	go func() {
		for {
			stream, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				connection, channels, requests, err := ssh.NewServerConn(stream, config)
				if err != nil {
					return
				}
				defer func() { _ = connection.Close() }()
				go ssh.DiscardRequests(requests)
				for channel := range channels {
					_, asked, err := channel.Accept()
					if err != nil {
						return
					}
					go func() {
						for request := range asked {
							_ = request.Reply(true, nil)
							began()
						}
					}()
				}
			}()
		}
	}()
	return target(listener)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

func target(listener net.Listener) *endpoint {
	host, port, limit := "127.0.0.1", float64(listener.Addr().(*net.TCPAddr).Port), 0
	return &endpoint{Host: &host, Port: &port, DialErrorLimit: &limit}
}

func tryDial(t *testing.T, to *endpoint) error {
	t.Helper()
	// an agent that is not asked for, and gone
	t.Setenv("SSH_AUTH_SOCK", filepath.Join(t.TempDir(), "agent"))
	ctx, end := context.WithCancelCause(context.Background())
	defer end(nil)
	_, err := dial(ctx, end, &Connection{endpoint: *to})
	return err
}

func newHostKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func passwordServer() *ssh.ServerConfig {
	return &ssh.ServerConfig{PasswordCallback: func(_ ssh.ConnMetadata, given []byte) (*ssh.Permissions, error) {
		if string(given) != password {
			return nil, errors.New("wrong password")
		}
		return nil, nil
	}}
}

func questionServer() *ssh.ServerConfig {
	return &ssh.ServerConfig{KeyboardInteractiveCallback: func(
		_ ssh.ConnMetadata, challenge ssh.KeyboardInteractiveChallenge,
	) (*ssh.Permissions, error) {
		answers, err := challenge("", "", []string{"Password:", "Again:"}, []bool{false, false})
		if err != nil || len(answers) != 2 || answers[0] != password || answers[1] != password {
			return nil, errors.New("wrong answers")
		}
		return nil, nil
	}}
}

func TestPasswordLogsIn(t *testing.T) {
	for name, config := range map[string]func() *ssh.ServerConfig{
		"password": passwordServer, "keyboard-interactive": questionServer,
	} {
		t.Run(name, func(t *testing.T) {
			to := serve(t, config(), newHostKey(t))
			right, wrong := password, "another"
			to.Password = &right
			if err := tryDial(t, to); err != nil {
				t.Fatalf("the right password: %v", err)
			}
			to.Password = &wrong
			if err := tryDial(t, to); err == nil {
				t.Fatal("the wrong password was accepted")
			}
		})
	}
}

func TestAPinnedHostKeyIsAskedForAmongSeveral(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edKey := newHostKey(t)
	to := serve(t, &ssh.ServerConfig{NoClientAuth: true}, rsaKey, edKey)
	for name, key := range map[string]any{"rsa": rsaKey.Public(), "ed25519": edKey.Public()} {
		public, err := ssh.NewPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		line := string(ssh.MarshalAuthorizedKey(public))
		to.HostKey = &line
		if err := tryDial(t, to); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	stranger, err := ssh.NewPublicKey(newHostKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	line := string(ssh.MarshalAuthorizedKey(stranger))
	onlyRSA := serve(t, &ssh.ServerConfig{NoClientAuth: true}, rsaKey)
	for name, other := range map[string]*endpoint{"another key": to, "no key of that type": onlyRSA} {
		other.HostKey = &line
		if err := tryDial(t, other); err == nil || !strings.Contains(err.Error(), "host key mismatch") {
			t.Errorf("%s: got %v; expected a mismatch", name, err)
		}
	}
}

// ends fails when work takes longer than any bound that it is about.
func ends(t *testing.T, work func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case err := <-done:
		return err
	case <-time.After(30 * time.Second):
		t.Fatal("it did not end")
		return nil
	}
}

func TestASilentServerEndsTheAttempt(t *testing.T) {
	to := target(listen(t))
	seconds := 1
	to.PerDialTimeout = &seconds
	if err := ends(t, func() error { return tryDial(t, to) }); err == nil {
		t.Fatal("connected to a server that says nothing")
	}
}

func TestASilentAgentEndsTheAttempt(t *testing.T) {
	to := serve(t, &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
		return nil, errors.New("nobody")
	}}, newHostKey(t))
	socket, seconds := filepath.Join(t.TempDir(), "agent"), 1
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	to.AgentSocketPath, to.PerDialTimeout = &socket, &seconds
	if err := ends(t, func() error { return tryDial(t, to) }); err == nil {
		t.Fatal("logged in by an agent that says nothing")
	}
}

func TestACancelledContextEndsTheTries(t *testing.T) {
	listener := listen(t)
	to := target(listener)
	_ = listener.Close()
	limit := unlimitedDialErrors
	to.DialErrorLimit = &limit
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := ends(t, func() error { return runOn(ctx, to) }); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v; expected %v", err, context.Canceled)
	}
}

// runOn runs a command there.
func runOn(ctx context.Context, to *endpoint) error {
	command := "true"
	outputs := CommandOutputs{CommandInputs: CommandInputs{Connection: &Connection{endpoint: *to}}}
	return outputs.run(ctx, &command)
}

func TestACancelledContextEndsACommand(t *testing.T) {
	began := make(chan struct{})
	to := serveCommands(t, func() { close(began) }, &ssh.ServerConfig{NoClientAuth: true}, newHostKey(t))
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-began; cancel() }()
	if err := ends(t, func() error { return runOn(ctx, to) }); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v; expected %v", err, context.Canceled)
	}
}
