package remote

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

// answering is a connection whose server answers a request for each answer that there is.
type answering struct {
	ssh.Conn
	answers chan struct{}
}

func (server answering) SendRequest(string, bool, []byte) (bool, []byte, error) {
	<-server.answers
	return false, nil, nil
}

func TestAServerThatAnswersIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := answering{answers: make(chan struct{})}
		close(server.answers)
		ctx, end := context.WithCancelCause(t.Context())
		go keepAlive(ctx, end, server, "here")
		time.Sleep(24 * time.Hour)
		if ctx.Err() != nil {
			t.Fatalf("ended: %v", context.Cause(ctx))
		}
		end(nil)
	})
}

func TestAServerThatFallsSilentIsNoticedWithinAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := answering{answers: make(chan struct{})}
		defer close(server.answers)
		ctx, end := context.WithCancelCause(t.Context())
		go keepAlive(ctx, end, server, "here")
		server.answers <- struct{}{}
		silent := time.Now()
		<-ctx.Done()
		if after := time.Since(silent); after > time.Minute {
			t.Errorf("noticed after %s", after)
		}
		if cause := context.Cause(ctx); !strings.HasPrefix(cause.Error(), "no answer from here for 45s") {
			t.Errorf("ended by %v", cause)
		}
	})
}
