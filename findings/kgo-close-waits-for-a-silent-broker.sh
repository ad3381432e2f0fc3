#!/usr/bin/env bash
# Finding: Close of a kgo (franz-go) client waits for brokers, also where nothing is to
# be flushed and there is no group. It waits up to a second for the last push of the
# client's metrics (KIP-714, on by default, where the broker takes them), and then up to
# a second for the answers that end its fetch sessions, if it consumes. Its documentation
# speaks of waiting only for a group to be left, and calls Close immediate otherwise.
# Where a broker is silent (overloaded, paused, cut off without a reset), a program that
# closes many clients one after the other, or closes one while it holds a lock, stands
# still for that long.
#
# Needs Go and the Go module proxy; takes half a minute. Exits 0 while the behaviour
# is as described.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// silent is a connection whose answers stop arriving when told so.
type silent struct {
	net.Conn
	stopped *atomic.Bool
}

func (s silent) Write(b []byte) (int, error) {
	if s.stopped.Load() {
		return len(b), nil // it never arrives, and nobody says so
	}
	return s.Conn.Write(b)
}

func closing(c *kfake.Cluster, consume, metrics bool) time.Duration {
	var stopped atomic.Bool
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("t"), kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.Dialer(func(ctx context.Context, network, host string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, host)
			return silent{conn, &stopped}, err
		}),
	}
	if consume {
		opts = append(opts, kgo.ConsumeTopics("t"))
	}
	if !metrics {
		opts = append(opts, kgo.DisableClientMetrics())
	}
	cl, err := kgo.NewClient(opts...)
	check(err)
	check(cl.ProduceSync(context.Background(), kgo.StringRecord("x")).FirstErr())
	if consume {
		check(cl.PollFetches(context.Background()).Err())
		time.Sleep(500 * time.Millisecond) // it has a fetch session now
	}
	stopped.Store(true)
	began := time.Now()
	cl.Close()
	return time.Since(began)
}

func check(err error) {
	if err != nil && err != io.EOF {
		fmt.Println(err)
		os.Exit(1)
	}
}

func main() {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	check(err)
	defer c.Close()
	for _, is := range []struct {
		consumes, metrics bool
		seconds           float64
	}{{false, false, 0}, {true, false, 1}, {false, true, 1}, {true, true, 2}} {
		took := closing(c, is.consumes, is.metrics)
		fmt.Printf("consumes without a group: %-5v  client metrics: %-5v  Close took %.1f s\n", is.consumes, is.metrics, took.Seconds())
		if off := took.Seconds() - is.seconds; off < -0.2 || off > 0.5 {
			fmt.Printf("the behaviour has changed: it took %.0f s\n", is.seconds)
			os.Exit(1)
		}
	}
}
GO
cat >go.mod <<'MOD'
module finding

go 1.25
MOD
go get github.com/twmb/franz-go@v1.22.3 github.com/twmb/franz-go/pkg/kfake@v0.0.0-20260918054303-01f206a7e32c >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
grep -E 'franz-go( |/pkg/kfake )' go.mod
go run .
