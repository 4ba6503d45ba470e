package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// catchUp is how long the watcher waits at the end for the last acknowledged write.
const catchUp = 5 * time.Second

// watcher holds one client for the whole run and resumes after the last revision it saw.
type watcher struct {
	record    *recorder
	files     *source
	addresses []string
	seen      chan int64
}

// run watches from the first acknowledged revision on, until ctx is cancelled.
func (w *watcher) run(ctx context.Context, first <-chan int64) {
	var next int64
	select {
	case <-ctx.Done():
		return
	case next = <-first:
	}
	var endpoints []string
	for _, address := range w.addresses {
		endpoints = append(endpoints, "https://"+etcdHostPort(address))
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: endpoints, TLS: liveTLSConfig(w.files, w.addresses), Logger: zap.NewNop(),
		// gRPC allows no keepalive below 10 s.
		DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 2 * time.Second,
	})
	if err != nil {
		fmt.Fprintf(os.Stderr, "Cannot start the watcher: %v\n", err)
		os.Exit(1)
	}
	defer client.Close()
	for ctx.Err() == nil {
		next = w.watch(ctx, client, next)
		pause(ctx, 100*time.Millisecond)
	}
}

// watch follows one watch until it breaks, and returns the revision to resume from.
func (w *watcher) watch(parent context.Context, client *clientv3.Client, next int64) int64 {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(parent))
	defer cancel()
	for response := range client.Watch(ctx, writerKey, clientv3.WithRev(next)) {
		for _, event := range response.Events {
			number, err := strconv.ParseInt(string(event.Kv.Value), 10, 64)
			if err != nil {
				w.fail(fmt.Errorf("value %q is no number", event.Kv.Value))
			}
			w.record.add("watch", map[string]any{"revision": event.Kv.ModRevision, "number": number})
			next = event.Kv.ModRevision + 1
			w.tell(number)
		}
		if err := response.Err(); err != nil && parent.Err() == nil {
			w.fail(err)
			if errors.Is(err, rpctypes.ErrCompacted) {
				// What was compacted away is lost, and the judge will say so.
				return response.CompactRevision
			}
		}
	}
	return next
}

func (w *watcher) fail(err error) { w.record.add("watch-error", map[string]any{"error": err.Error()}) }

// tell keeps only the newest number, so that nobody has to listen.
func (w *watcher) tell(number int64) {
	select {
	case <-w.seen:
	default:
	}
	w.seen <- number
}

// waitFor returns when the number was seen or the time to catch up is over.
func (w *watcher) waitFor(number int64) {
	limit := time.After(catchUp)
	for number > 0 {
		select {
		case seen := <-w.seen:
			if seen >= number {
				return
			}
		case <-limit:
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
