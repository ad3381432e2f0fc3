#!/usr/bin/env bash
# Finding: kfake (franz-go's Kafka for tests) begins a group member's session with
# the answer to its JoinGroup, and only if that answer can be written. A member that
# dies while it waits for the answer may stay in the group for as long as the broker
# runs, once the leader has synced; it may be given partitions, which then have no
# owner. Kafka begins the session whether or not the answer arrives, and removes the
# member a session later.
#
# Needs Go and the Go module proxy; takes half a minute. Exits 0 while the behaviour
# is as described. With the address of a broker it asks that one in kfake's place,
# and exits 0 if the member that died is gone.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >main.go <<'GO'
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

const session = 6 * time.Second

// member joins a group, and dies when it is told to.
func member(broker, group string) (die func()) {
	var mu sync.Mutex
	var conns []net.Conn
	dead := false
	_, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumerGroup(group), kgo.ConsumeTopics(group),
		kgo.SessionTimeout(session), kgo.RebalanceTimeout(session), kgo.HeartbeatInterval(session/4),
		kgo.Dialer(func(ctx context.Context, network, address string) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			if dead {
				return nil, errors.New("dead")
			}
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil {
				conns = append(conns, conn)
			}
			return conn, err
		}))
	if err != nil {
		panic(err)
	}
	return func() {
		mu.Lock()
		defer mu.Unlock()
		dead = true
		for _, conn := range conns {
			_ = conn.Close()
		}
	}
}

func main() {
	var broker string
	if len(os.Args) > 1 {
		broker = os.Args[1]
	} else {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			panic(err)
		}
		broker = cluster.ListenAddrs()[0]
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		panic(err)
	}
	admin := kadm.NewClient(cl)
	// Which of its members kfake takes for the leader is chance, and a leader that died
	// is missed. So forty groups are asked at once.
	var groups []string
	for i := range 40 {
		groups = append(groups, fmt.Sprintf("finding-%d-%d", time.Now().UnixNano(), i))
	}
	if _, err := admin.CreateTopics(context.Background(), 1, 1, nil, groups...); err != nil {
		panic(err)
	}
	var all sync.WaitGroup
	for _, group := range groups {
		all.Go(func() {
			// The first one dies as a member, so the joins of the other two wait until its
			// session is over. The second one dies while it waits.
			first := member(broker, group)
			time.Sleep(2 * session) // longer than Kafka waits for the first members of a group
			first()
			second := member(broker, group)
			time.Sleep(session / 4)
			second()
			member(broker, group)
			time.Sleep(4 * session)
		})
	}
	all.Wait()
	described, err := admin.DescribeGroups(context.Background(), groups...)
	if err != nil {
		panic(err)
	}
	haunted := 0
	for _, group := range groups {
		if len(described[group].Members) > 1 {
			haunted++
		}
	}
	fmt.Printf("of %d groups with one live member, %d still have one that died while it joined\n", len(groups), haunted)
	if kept := haunted > 0; kept == (len(os.Args) > 1) {
		os.Exit(1)
	}
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/twmb/franz-go@v1.22.3 github.com/twmb/franz-go/pkg/kadm@v1.19.0 \
  github.com/twmb/franz-go/pkg/kfake@v0.0.0-20260918054303-01f206a7e32c >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
echo "github.com/twmb/franz-go v1.22.3, kfake v0.0.0-20260918054303-01f206a7e32c"
go run . "$@"
