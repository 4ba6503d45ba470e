package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	observerPeriod = 200 * time.Millisecond
	probeTimeout   = time.Second
	beatPeriod     = time.Second
)

// up answers and is well, unhealthy answers and says that it is not, down does not answer; unknown was not asked.
type state string

const (
	up        state = "up"
	unhealthy state = "unhealthy"
	down      state = "down"
	unknown   state = "unknown"
)

// target is one etcd member or one API server.
type target struct {
	service, address, port, path string
	material                     *source
	// fresh asks for a handshake at each probe; otherwise a connection is kept while it works.
	fresh     bool
	judge     func(status int, body string) state
	transport *http.Transport
	used      *material
	// shaken says that the transport has made a TLS handshake.
	shaken *atomic.Bool
}

type observer struct {
	record  *recorder
	targets []*target
	mutex   sync.Mutex
	states  map[*target]state
}

func newObserver(record *recorder, addresses []string, files, config *source) *observer {
	o := &observer{record: record, states: map[*target]state{}}
	for _, address := range addresses {
		o.targets = append(o.targets,
			&target{service: "etcd", address: address, port: "2379", path: "/health", material: files, fresh: true, judge: etcdState},
			&target{service: "api", address: address, port: "6443", path: "/readyz", material: config, judge: apiState})
	}
	for _, t := range o.targets {
		o.states[t] = unknown
	}
	return o
}

// An etcd member without a leader answers, but says that it is not healthy: that is not a member down.
func etcdState(status int, body string) state {
	if status == http.StatusOK && strings.Contains(body, `"health":"true"`) {
		return up
	}
	return unhealthy
}

// An API server that says that it is not ready, because it drains or starts, is out of service. One that holds nothing
// against itself but etcd still serves: it asks etcd at most once a second and repeats the last answer until then, so
// one question that met a change of leader is "etcd failed" for a second, on every API server that asked at that moment.
func apiState(status int, body string) state {
	if status == http.StatusOK {
		return up
	}
	failed := failedChecks(body)
	if len(failed) > 0 && !slices.ContainsFunc(failed, func(check string) bool { return check != "etcd" && check != "etcd-readiness" }) {
		return unhealthy
	}
	return down
}

// failedChecks are the names in lines as "[-]etcd failed: reason withheld".
func failedChecks(body string) []string {
	var failed []string
	for line := range strings.Lines(body) {
		if rest, found := strings.CutPrefix(line, "[-]"); found {
			failed = append(failed, strings.Fields(rest + " ?")[0])
		}
	}
	return failed
}

func (o *observer) run(done <-chan struct{}) {
	var probes sync.WaitGroup
	for _, t := range o.targets {
		probes.Go(func() { o.follow(t, done) })
	}
	ticker := time.NewTicker(beatPeriod)
	defer ticker.Stop()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-ticker.C:
		}
		o.beat()
	}
	probes.Wait()
}

// follow records each change with the two moments that bound it: the begin of the last probe that saw the old state
// and the begin of the probe that saw the new one.
func (o *observer) follow(t *target, done <-chan struct{}) {
	ticker := time.NewTicker(observerPeriod)
	defer ticker.Stop()
	previous, last := unknown, o.record.at(time.Now())
	for {
		begin := o.record.at(time.Now())
		now, reason := t.probe()
		if now != previous {
			o.mutex.Lock()
			o.states[t] = now
			o.mutex.Unlock()
			o.record.add("state", map[string]any{
				"service": t.service, "master": t.address, "from": previous, "state": now, "begin": begin, "lastBegin": last, "reason": reason,
			})
		}
		previous, last = now, begin
		select {
		case <-done:
			return
		case <-ticker.C:
		}
	}
}

func (o *observer) beat() {
	states := map[string]map[string]state{"etcd": {}, "api": {}}
	o.mutex.Lock()
	for t, now := range o.states {
		states[t.service][t.address] = now
	}
	o.mutex.Unlock()
	o.record.add("beat", map[string]any{"etcd": states["etcd"], "api": states["api"]})
}

func (t *target) probe() (state, string) {
	now, err := t.material.load()
	if err != nil {
		// Nothing was asked, so nothing is known.
		return unknown, err.Error()
	}
	if t.transport == nil || t.fresh || t.used != now {
		t.reset()
		t.connect(now)
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	found, reason := t.ask(ctx)
	if t.fresh || found != up {
		t.reset()
	}
	return found, reason
}

// ask tells a server that does not answer from one whose answer is not in time after a good handshake.
func (t *target) ask(ctx context.Context) (state, string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+net.JoinHostPort(t.address, t.port)+t.path, nil)
	if err != nil {
		return unknown, err.Error()
	}
	answer, err := t.transport.RoundTrip(request)
	if err != nil {
		if t.shaken.Load() && ctx.Err() != nil {
			return unhealthy, err.Error()
		}
		return down, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maximumReply))
	if err != nil {
		return down, err.Error()
	}
	found := t.judge(answer.StatusCode, string(body))
	if found == up {
		return up, ""
	}
	return found, strings.TrimSpace(answer.Status + ": " + firstLines(string(body)))
}

func (t *target) connect(now *material) {
	shaken := &atomic.Bool{}
	dialer := &tls.Dialer{Config: now.tlsConfig(t.address)}
	t.used, t.shaken = now, shaken
	t.transport = &http.Transport{
		MaxIdleConns: 1,
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			connection, err := dialer.DialContext(ctx, network, address)
			shaken.Store(err == nil)
			return connection, err
		},
	}
}

func (t *target) reset() {
	if t.transport != nil {
		t.transport.CloseIdleConnections()
		t.transport = nil
	}
}

func firstLines(text string) string {
	if len(text) > 300 {
		return text[:300]
	}
	return text
}
