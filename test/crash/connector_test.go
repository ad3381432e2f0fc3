//go:build integration

package crash

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/test/services"
)

// connector is the program under test.
type connector struct {
	*services.Connector
	admin         *kadm.Client
	transactional []string          // the transactional ids of a process
	killed        *services.Process // the last one
}

// portalID is hubspottest's default.
const portalID = 4242

func build(t *testing.T, s *services.Services, l *life, prefix string) *connector {
	t.Helper()
	c := &connector{admin: s.Admin, transactional: []string{sink.TransactionalID(prefix, portalID)}}
	c.Connector = s.Build(t, l.url, prefix, "HUBSPOT_OBJECTS="+strings.Join(l.objects, ","),
		"SYNC_LEADING_INTERVAL=200ms", "SYNC_TRAILING_LAG=3s,12s", "SYNC_TRAILING_INTERVAL=500ms", "SYNC_ARCHIVE_INTERVAL=500ms")
	t.Cleanup(func() {
		if t.Failed() && c.killed != nil {
			t.Logf("end of the log of the last that was killed:\n%s", c.killed.Tail())
		}
	})
	return c
}

func (c *connector) kill(t *testing.T, p *services.Process) {
	t.Helper()
	c.killed = p
	p.Kill(t)
}

// What a process's log says of its role.
const (
	streaming  = "msg=streaming"
	standingBy = "msg=\"standing by"
)

// stopInTransaction lets a process run until it has a transaction open, for at
// most limit, and freezes it there for the kill that follows. Without the freeze
// the transaction would mostly be over before the kill arrives: it takes some
// milliseconds, as long as asking whether it is open.
func (c *connector) stopInTransaction(t *testing.T, p *services.Process, limit time.Duration) {
	t.Helper()
	for began := time.Now(); time.Since(began) < limit; {
		if c.transactionOpen(t, p) {
			p.Signal(t, syscall.SIGSTOP)
			p.Sleep(t, answered)
			if c.transactionOpen(t, p) {
				return
			}
			p.Signal(t, syscall.SIGCONT)
		}
		p.Sleep(t, time.Millisecond)
	}
}

// answered is long enough for the broker to act on what the process had sent.
const answered = 20 * time.Millisecond

// transactionOpen asks the broker whether a process has a transaction under way,
// or had one when it was killed. A transaction that began earlier was left by a
// predecessor and has not been aborted yet.
func (c *connector) transactionOpen(t *testing.T, p *services.Process) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	described, err := c.admin.DescribeTransactions(ctx, c.transactional...)
	if err != nil {
		t.Fatalf("describe transactions: %v", err)
	}
	for _, tx := range described {
		switch tx.State {
		case "Ongoing", "PrepareCommit", "PrepareAbort":
			if tx.Err == nil && tx.StartTimestamp >= p.Began.UnixMilli() {
				return true
			}
		}
	}
	return false
}

// waitFor lets a process run until cond holds. A process that takes too long
// shows where its goroutines are.
func waitFor(t *testing.T, p *services.Process, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !cond() {
		if time.Now().After(deadline) {
			p.Signal(t, syscall.SIGQUIT)
			t.Fatal("not within a minute")
		}
		p.Sleep(t, 100*time.Millisecond)
	}
}
