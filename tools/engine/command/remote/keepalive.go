package remote

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"
)

// A server that has stopped is noticed within a minute, whatever TCP makes of it.
const (
	keepAliveInterval = 15 * time.Second
	longestSilence    = 45 * time.Second
)

// keepAlive asks the server for a sign of life until the context ends, and ends it when there is none.
func keepAlive(ctx context.Context, end context.CancelCauseFunc, connection ssh.Conn, address string) {
	for {
		silence := time.AfterFunc(longestSilence, func() {
			end(fmt.Errorf("no answer from %s for %s; what has begun there goes on", address, longestSilence))
		})
		// every server answers, if only that it does not know the request (RFC 4254 section 4)
		_, _, err := connection.SendRequest("keepalive@openssh.com", true, nil)
		silence.Stop()
		if err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(keepAliveInterval):
		}
	}
}
