package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

const (
	apiPeriod    = 200 * time.Millisecond
	apiTimeout   = 15 * time.Second
	apiRetry     = time.Second
	apiInFlight  = 200
	configMaps   = "/api/v1/namespaces/default/configmaps"
	configMap    = configMaps + "/traffic"
	maximumReply = 1 << 16
)

// apiTry is one request on a connection of its own.
type apiTry struct {
	Ok     bool    `json:"ok"`
	Ms     float64 `json:"ms"`
	Status int     `json:"status,omitempty"`
	Error  string  `json:"error,omitempty"`
}

type apiClient struct {
	record *recorder
	config *source
	base   *url.URL
	// written tells the reader that from now on the ConfigMap has to be there.
	written atomic.Bool
}

// run starts a round at every tick, whether or not earlier rounds have ended: a slow answer must not thin out the
// rounds that would have failed behind it.
func (a *apiClient) run(role string, once func(round int) apiTry, done <-chan struct{}) {
	ticker := time.NewTicker(apiPeriod)
	defer ticker.Stop()
	slots := make(chan struct{}, apiInFlight)
	var rounds sync.WaitGroup
	defer rounds.Wait()
	for round := 0; ; round++ {
		select {
		case <-done:
			return
		case <-ticker.C:
		}
		select {
		case slots <- struct{}{}:
		case <-done:
			return
		}
		rounds.Go(func() {
			a.round(role, round, once)
			<-slots
		})
	}
}

func (a *apiClient) round(role string, round int, once func(round int) apiTry) {
	first := once(round)
	entry := map[string]any{"role": role, "round": round, "ok": first.Ok, "first": first}
	if !first.Ok {
		time.Sleep(apiRetry)
		retry := once(round)
		entry["ok"], entry["retry"] = retry.Ok, retry
	}
	a.record.add("api", entry)
}

func (a *apiClient) get(int) apiTry {
	mustExist := a.written.Load()
	made := a.timed(func(ctx context.Context) (int, error) { return a.request(ctx, http.MethodGet, configMap, nil) })
	made.Ok = made.Status == http.StatusOK || (made.Status == http.StatusNotFound && !mustExist)
	return made
}

// put updates without a condition, and creates the ConfigMap when it is not there.
func (a *apiClient) put(round int) apiTry {
	body := fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"traffic","namespace":"default"},"data":{"round":"%d"}}`, round)
	made := a.timed(func(ctx context.Context) (int, error) {
		status, err := a.request(ctx, http.MethodPut, configMap, body)
		if status == http.StatusNotFound {
			status, err = a.request(ctx, http.MethodPost, configMaps, body)
		}
		if status == http.StatusConflict {
			// Two first rounds created it at once.
			status, err = a.request(ctx, http.MethodPut, configMap, body)
		}
		return status, err
	})
	made.Ok = made.Status == http.StatusOK || made.Status == http.StatusCreated
	if made.Ok {
		a.written.Store(true)
	}
	return made
}

func (a *apiClient) timed(do func(context.Context) (int, error)) apiTry {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), apiTimeout)
	defer cancel()
	status, err := do(ctx)
	made := apiTry{Ms: milliseconds(time.Since(begin)), Status: status}
	if err != nil {
		made.Error = err.Error()
	}
	return made
}

// request returns a status only for an answer that came completely; an unexpected status is an error too.
func (a *apiClient) request(ctx context.Context, method, path string, body []byte) (int, error) {
	now, err := a.config.load()
	if err != nil {
		return 0, err
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: now.tlsConfig(a.base.Hostname())}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, method, a.base.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maximumReply))
	if err != nil {
		return 0, err
	}
	if answer.StatusCode >= 300 {
		return answer.StatusCode, fmt.Errorf("%s %s: %s: %.200s", method, path, answer.Status, text)
	}
	return answer.StatusCode, nil
}
