package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

// clock gives milliseconds since the start of the program, from the monotonic clock.
type clock struct{ start time.Time }

func (c clock) at(moment time.Time) float64 {
	return float64(moment.Sub(c.start).Microseconds()) / 1000
}

// recorder appends one JSON line per entry, each by a single write, so that a kill loses at most the last line.
type recorder struct {
	clock
	mutex sync.Mutex
	file  *os.File
}

func openRecorder(path string) (*recorder, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &recorder{clock: clock{time.Now()}, file: file}, nil
}

// add stamps the entry with its kind, the milliseconds since start and the wall time.
func (r *recorder) add(kind string, entry map[string]any) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	now := time.Now()
	entry["kind"], entry["t"], entry["wall"] = kind, r.at(now), now.UTC().Format("2006-01-02T15:04:05.000Z")
	line, err := json.Marshal(entry)
	if err == nil {
		_, err = r.file.Write(append(line, '\n'))
	}
	if err != nil {
		// Without a record the run proves nothing.
		fmt.Fprintf(os.Stderr, "Cannot write the record: %v\n", err)
		os.Exit(1)
	}
}

func (r *recorder) close() error {
	if err := r.file.Sync(); err != nil {
		return err
	}
	return r.file.Close()
}
