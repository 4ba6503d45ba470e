package remote

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	provider "github.com/pulumi/pulumi-go-provider"
	"golang.org/x/crypto/ssh"
)

// sshd drops connections while more than its MaxStartups are logging in (sshd_config(5)).
const (
	firstDelay  = 300 * time.Millisecond
	delayFactor = 2
	longestWait = 5 * time.Second
)

// connectTCP opens the byte stream that one SSH connection runs over.
type connectTCP func(ctx context.Context, address string) (net.Conn, error)

// dial connects to the host, through its proxy when there is one. All that it opens lives until the
// context ends, which a server that falls silent brings about by end.
func dial(ctx context.Context, end context.CancelCauseFunc, connection *Connection) (*ssh.Client, error) {
	if connection.Proxy == nil {
		return dialEndpoint(ctx, end, "Dial", &connection.endpoint, dialTCP)
	}
	bastion, err := dialEndpoint(ctx, end, "Dial proxy", &connection.Proxy.endpoint, dialTCP)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	throughBastion := func(ctx context.Context, address string) (net.Conn, error) {
		return bastion.DialContext(ctx, "tcp", address)
	}
	client, err := dialEndpoint(ctx, end, "Dial from proxy", &connection.endpoint, throughBastion)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return client, nil
}

func dialTCP(ctx context.Context, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// dialEndpoint tries until it is connected and logged in, the limit of errors is passed or the
// context ends. Wrong keys count as errors too.
func dialEndpoint(
	ctx context.Context, end context.CancelCauseFunc, what string, target *endpoint, connect connectTCP,
) (*ssh.Client, error) {
	access, err := newLogin(target)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, access.close)
	limit := valueOr(target.DialErrorLimit, defaultDialErrorLimit)
	delay := firstDelay
	for failures := 1; ; failures++ {
		client, err := dialOnce(ctx, target, access, connect)
		if err == nil {
			context.AfterFunc(ctx, func() { _ = client.Close() })
			go keepAlive(ctx, end, client, target.address())
			return client, nil
		}
		if limit > unlimitedDialErrors && failures > limit {
			return nil, fmt.Errorf("after %d failed attempts: %w", failures-1, err)
		}
		provider.GetLogger(ctx).InfoStatusf("%s %d/%s failed: retrying", what, failures, limitText(limit))
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(delay/2 + rand.N(delay/2)): // not all steps at the same time again
		}
		delay = min(delay*delayFactor, longestWait)
	}
}

// dialOnce bounds the whole attempt, the handshake and the agent's answers included: a server that
// accepts and stays silent must not hold a rollout for ever.
func dialOnce(ctx context.Context, target *endpoint, access login, connect connectTCP) (*ssh.Client, error) {
	if seconds := valueOr(target.PerDialTimeout, defaultPerDialTimeout); seconds > 0 {
		bounded, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second)
		defer cancel()
		ctx = bounded
	}
	stream, err := connect(ctx, target.address())
	if err != nil {
		return nil, err
	}
	release := context.AfterFunc(ctx, func() { _ = stream.Close(); access.close() })
	connection, channels, requests, err := ssh.NewClientConn(stream, target.address(), access.config)
	if !release() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = stream.Close()
		return nil, asMismatch(err)
	}
	return ssh.NewClient(connection, channels, requests), nil
}

// asMismatch names what it is when the server has no key of the expected one's type.
func asMismatch(err error) error {
	var negotiation *ssh.AlgorithmNegotiationError
	if errors.As(err, &negotiation) && negotiation.What == "host key" {
		return fmt.Errorf("ssh: host key mismatch: %w", err)
	}
	return err
}

func limitText(limit int) string {
	if limit == unlimitedDialErrors {
		return "inf"
	}
	return strconv.Itoa(limit)
}

func valueOr[T any](value *T, fallback T) T {
	if value == nil {
		return fallback
	}
	return *value
}
