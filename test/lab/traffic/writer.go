package main

import (
	"context"
	"net"
	"strconv"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

const (
	writerKey       = "/traffic/writer"
	writerPeriod    = 100 * time.Millisecond
	endpointTimeout = 2 * time.Second
)

// attempt is one put through one endpoint. Every attempt has a number of its own: a put that timed out may still
// be applied, and must be told from the one that followed it.
type attempt struct {
	Number   int64   `json:"number"`
	Endpoint string  `json:"endpoint"`
	Ms       float64 `json:"ms"`
	Ok       bool    `json:"ok"`
	Revision int64   `json:"revision,omitempty"`
	Error    string  `json:"error,omitempty"`
}

type writer struct {
	record    *recorder
	files     *source
	addresses []string
	// first gets the revision of the first acknowledged write.
	first        chan<- int64
	number       int64
	acknowledged int64
}

// run makes rounds until done is closed, and finishes the round that it is in.
func (w *writer) run(done <-chan struct{}) {
	ticker := time.NewTicker(writerPeriod)
	defer ticker.Stop()
	for round := 0; ; round++ {
		select {
		case <-done:
			return
		case <-ticker.C:
			w.round(round)
		}
	}
}

// round tries each endpoint at most once, the starting endpoint rotates.
func (w *writer) round(round int) {
	begin := time.Now()
	var attempts []attempt
	for i := range w.addresses {
		made := w.put(w.addresses[(round+i)%len(w.addresses)])
		attempts = append(attempts, made)
		if made.Ok {
			break
		}
	}
	last := attempts[len(attempts)-1]
	if last.Ok {
		if w.acknowledged == 0 {
			w.first <- last.Revision
		}
		w.acknowledged = last.Number
	}
	w.record.add("write", map[string]any{
		"round": round, "ok": last.Ok, "endpoint": last.Endpoint, "failovers": len(attempts) - 1,
		"ms": milliseconds(time.Since(begin)), "attempts": attempts,
	})
}

func (w *writer) put(address string) attempt {
	begin := time.Now()
	w.number++
	made := attempt{Number: w.number, Endpoint: address}
	revision, err := w.putOnFreshConnection(address, strconv.FormatInt(w.number, 10))
	made.Ms, made.Ok, made.Revision = milliseconds(time.Since(begin)), err == nil, revision
	if err != nil {
		made.Error = err.Error()
	}
	return made
}

func (w *writer) putOnFreshConnection(address, value string) (int64, error) {
	now, err := w.files.load()
	if err != nil {
		return 0, err
	}
	// Plain gRPC, because clientv3 waits for a refused connection to come back instead of failing at once.
	connection, err := grpc.NewClient("passthrough:///"+etcdHostPort(address), grpc.WithTransportCredentials(credentials.NewTLS(now.tlsConfig(address))))
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), endpointTimeout)
	defer cancel()
	answer, err := etcdserverpb.NewKVClient(connection).Put(ctx, &etcdserverpb.PutRequest{Key: []byte(writerKey), Value: []byte(value)})
	if err != nil {
		return 0, err
	}
	return answer.Header.Revision, nil
}

func etcdHostPort(address string) string { return net.JoinHostPort(address, "2379") }

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
