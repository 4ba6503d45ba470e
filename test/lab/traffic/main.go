// Command traffic writes to etcd, watches it, uses the API through its load balancer and observes every master, and
// records all of it as JSON lines, until SIGTERM or SIGINT.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

type options struct {
	masters, out, cert, key, authorities, api, kubeconfig string
	withParent                                            bool
}

func main() {
	var o options
	flag.StringVar(&o.masters, "masters", "", "addresses of the masters, comma-separated")
	flag.StringVar(&o.out, "out", "", "file that the record is appended to")
	flag.StringVar(&o.cert, "cert", "", "client certificate for etcd, read anew for each connection")
	flag.StringVar(&o.key, "key", "", "its key")
	flag.StringVar(&o.authorities, "cacert", "", "trust file for etcd")
	flag.StringVar(&o.api, "api", "", "https://host:port of the load balancer in front of the API servers")
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig with embedded certificates")
	flag.BoolVar(&o.withParent, "with-parent", false, "stop when the parent process is gone")
	flag.Parse()
	base, err := o.check()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if err := run(o, base); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (o options) check() (*url.URL, error) {
	for name, value := range map[string]string{
		"masters": o.masters, "out": o.out, "cert": o.cert, "key": o.key, "cacert": o.authorities, "api": o.api, "kubeconfig": o.kubeconfig,
	} {
		if value == "" {
			return nil, fmt.Errorf("Cannot start: --%s is missing", name)
		}
	}
	base, err := url.Parse(o.api)
	if err != nil || base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("Cannot start: --api is %q; expected https://host:port", o.api)
	}
	return base, nil
}

func run(o options, base *url.URL) error {
	record, err := openRecorder(o.out)
	if err != nil {
		return fmt.Errorf("Cannot open the record: %w", err)
	}
	addresses := strings.Split(o.masters, ",")
	files, config := fileSource(o.cert, o.key, o.authorities), kubeconfigSource(o.kubeconfig)
	record.add("start", map[string]any{"masters": addresses, "api": o.api, "pid": os.Getpid()})

	done := make(chan struct{})
	var traffic, observing sync.WaitGroup
	first := make(chan int64, 1)
	write := &writer{record: record, files: files, addresses: addresses, first: first}
	watch := &watcher{record: record, files: files, addresses: addresses, seen: make(chan int64, 1)}
	client := &apiClient{record: record, config: config, base: base}
	watchContext, stopWatch := context.WithCancel(context.Background())
	observed := make(chan struct{})
	traffic.Go(func() { write.run(done) })
	traffic.Go(func() { client.run("read", client.get, done) })
	traffic.Go(func() { client.run("write", client.put, done) })
	observing.Go(func() { newObserver(record, addresses, files, config).run(observed) })
	observing.Go(func() { watch.run(watchContext, first) })

	waitForEnd(o.withParent)
	stopped := record.at(time.Now())
	close(done)
	traffic.Wait()
	watch.waitFor(write.acknowledged)
	stopWatch()
	close(observed)
	observing.Wait()
	record.add("end", map[string]any{"stopped": stopped})
	return record.close()
}

func waitForEnd(withParent bool) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	parent := os.Getppid()
	for {
		select {
		case <-signals:
			return
		case <-ticker.C:
			if withParent && os.Getppid() != parent {
				return
			}
		}
	}
}
