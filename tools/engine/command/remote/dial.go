package remote

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	provider "github.com/pulumi/pulumi-go-provider"
	"golang.org/x/crypto/ssh"
)

const (
	firstDelay  = 100 * time.Millisecond
	delayFactor = 1.5
	longestWait = 5 * time.Second
)

// connectTCP opens the byte stream that one SSH connection runs over.
type connectTCP func(ctx context.Context, address string) (net.Conn, error)

// dial connects to the host, through its proxy when there is one. The function that it returns
// closes all that was opened.
func dial(ctx context.Context, connection *Connection) (*ssh.Client, func(), error) {
	if connection.Proxy == nil {
		return dialEndpoint(ctx, "Dial", &connection.endpoint, dialTCP)
	}
	bastion, closeBastion, err := dialEndpoint(ctx, "Dial proxy", &connection.Proxy.endpoint, dialTCP)
	if err != nil {
		return nil, nil, fmt.Errorf("proxy: %w", err)
	}
	throughBastion := func(ctx context.Context, address string) (net.Conn, error) {
		return bastion.DialContext(ctx, "tcp", address)
	}
	client, closeClient, err := dialEndpoint(ctx, "Dial from proxy", &connection.endpoint, throughBastion)
	if err != nil {
		closeBastion()
		return nil, nil, fmt.Errorf("proxy: %w", err)
	}
	return client, func() { closeClient(); closeBastion() }, nil
}

func dialTCP(ctx context.Context, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// dialEndpoint tries until it is connected and logged in, the limit of errors is passed or the
// context ends. Wrong keys count as errors too.
func dialEndpoint(
	ctx context.Context, what string, target *endpoint, connect connectTCP,
) (*ssh.Client, func(), error) {
	access, err := newLogin(target)
	if err != nil {
		return nil, nil, err
	}
	limit := valueOr(target.DialErrorLimit, defaultDialErrorLimit)
	delay := firstDelay
	for failures := 1; ; failures++ {
		client, err := dialOnce(ctx, target, access.config, connect)
		if err == nil {
			return client, func() { _ = client.Close(); access.close() }, nil
		}
		if limit > unlimitedDialErrors && failures > limit {
			access.close()
			return nil, nil, fmt.Errorf("after %d failed attempts: %w", failures-1, err)
		}
		provider.GetLogger(ctx).InfoStatusf("%s %d/%s failed: retrying", what, failures, limitText(limit))
		select {
		case <-ctx.Done():
			access.close()
			return nil, nil, ctx.Err()
		case <-time.After(delay):
		}
		delay = min(time.Duration(float64(delay)*delayFactor), longestWait)
	}
}

// dialOnce bounds the whole attempt, the handshake included: a server that accepts and stays silent
// must not hold a rollout for ever.
func dialOnce(
	ctx context.Context, target *endpoint, config *ssh.ClientConfig, connect connectTCP,
) (*ssh.Client, error) {
	if seconds := valueOr(target.PerDialTimeout, defaultPerDialTimeout); seconds > 0 {
		bounded, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second)
		defer cancel()
		ctx = bounded
	}
	port := strconv.Itoa(int(valueOr(target.Port, defaultPort)))
	address := net.JoinHostPort(valueOr(target.Host, ""), port)
	stream, err := connect(ctx, address)
	if err != nil {
		return nil, err
	}
	release := context.AfterFunc(ctx, func() { _ = stream.Close() })
	connection, channels, requests, err := ssh.NewClientConn(stream, address, config)
	if !release() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = stream.Close()
		return nil, err
	}
	return ssh.NewClient(connection, channels, requests), nil
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
