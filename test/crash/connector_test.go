//go:build integration

package crash

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/hubspot-cdc/connector/pkg/sink"
)

// connector is the program under test, ready to be started any number of times.
type connector struct {
	binary        string
	environ       []string
	logs          string // folder, a file for each process
	starts        int
	admin         *kadm.Client
	transactional string // its id
}

// portalID is what hubspottest gives a portal that asks for none.
const portalID = 4242

func buildConnector(t *testing.T, s *kafka, l *life, prefix string) *connector {
	t.Helper()
	dir := t.TempDir()
	c := &connector{
		binary:        filepath.Join(dir, "connector"),
		logs:          dir,
		admin:         s.admin,
		transactional: sink.TransactionalID(prefix, portalID),
		environ: []string{
			"HUBSPOT_ACCESS_TOKEN=pat-crash",
			"HUBSPOT_BASE_URL=" + l.url,
			"HUBSPOT_OBJECTS=" + strings.Join(l.objects, ","),
			"HUBSPOT_RATE_10S=100000", "HUBSPOT_RATE_SEARCH=1000", "HUBSPOT_RATE_DAILY=10000000",
			"KAFKA_BROKERS=" + s.Brokers, "KAFKA_TOPIC_PREFIX=" + prefix, "KAFKA_PARTITIONS=3",
			"SCHEMA_REGISTRY_URL=" + s.Registry,
			"SYNC_LEADING_INTERVAL=200ms", "SYNC_TRAILING_LAG=3s,12s", "SYNC_TRAILING_INTERVAL=500ms",
			"SYNC_ARCHIVE_INTERVAL=500ms",
			"HTTP_ADDR=127.0.0.1:0", "LOG_LEVEL=info", "LOG_FORMAT=text",
		},
	}
	build := exec.Command("go", "build", "-o", c.binary, "./cmd/connector")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build ./cmd/connector: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of the connector's log:\n%s", c.logTail())
		}
	})
	return c
}

// logTail gives the last lines of the last processes' logs.
func (c *connector) logTail() string {
	const lines, processes = 40, 2
	var all []byte
	for n := max(1, c.starts-processes+1); n <= c.starts; n++ {
		b, err := os.ReadFile(c.logFile(n))
		if err != nil {
			return err.Error()
		}
		own := bytes.SplitAfter(b, []byte("\n"))
		all = fmt.Appendf(all, "process %d:\n%s", n, bytes.Join(own[max(0, len(own)-lines):], nil))
	}
	return string(all)
}

func (c *connector) logFile(n int) string { return filepath.Join(c.logs, fmt.Sprintf("%d.log", n)) }

// process is one start of the connector.
type process struct {
	connector *connector
	cmd       *exec.Cmd
	log       string // file
	began     time.Time
	exited    chan struct{} // closed after cmd.Wait
}

func (c *connector) start(t *testing.T) *process {
	t.Helper()
	c.starts++
	p := &process{
		connector: c, cmd: exec.Command(c.binary, "run"), log: c.logFile(c.starts),
		began: time.Now(), exited: make(chan struct{}),
	}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = c.environ, log, log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // its outcome is in cmd.ProcessState
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // a process that ended is no longer there
		<-p.exited
	})
	return p
}

// says tells whether a message stands in the process's log.
func (p *process) says(t *testing.T, message string) bool {
	t.Helper()
	b, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(b, []byte(message))
}

// untilSays lets the process run until a message stands in its log.
func (p *process) untilSays(t *testing.T, within time.Duration, message string) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !p.says(t, message) {
		if time.Now().After(deadline) {
			t.Fatalf("the log does not say %q within %v", message, within)
		}
		p.sleep(t, 10*time.Millisecond)
	}
}

// What the log says of a process.
const (
	streaming  = "msg=streaming"
	standingBy = "msg=\"standing by"
)

// sleep lets the process run; it must not end by itself.
func (p *process) sleep(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-p.exited:
		t.Fatalf("the connector ended by itself after %v: %v", time.Since(p.began), p.cmd.ProcessState)
	}
}

// stopInTransaction lets the process run until it has a transaction open, and
// freezes it there for the kill that follows; or for as long as limit.
// Without the freeze the transaction would mostly be over before the kill
// arrives: it takes some milliseconds, as the question whether it is open does.
func (p *process) stopInTransaction(t *testing.T, limit time.Duration) {
	t.Helper()
	for began := time.Now(); time.Since(began) < limit; {
		if p.transactionOpen(t) {
			p.signal(t, syscall.SIGSTOP)
			p.sleep(t, answered)
			if p.transactionOpen(t) {
				return
			}
			p.signal(t, syscall.SIGCONT)
		}
		p.sleep(t, time.Millisecond)
	}
}

// answered is time enough for the broker to act on what the process had sent.
const answered = 20 * time.Millisecond

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("%v: %v", s, err)
	}
}

// transactionOpen asks the broker whether the process has, or had when it was
// killed, a transaction under way. One that began earlier was left by a
// predecessor and has not been aborted yet.
func (p *process) transactionOpen(t *testing.T) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	described, err := p.connector.admin.DescribeTransactions(ctx, p.connector.transactional)
	if err != nil {
		t.Fatalf("describe transactions: %v", err)
	}
	tx := described[p.connector.transactional]
	switch tx.State {
	case "Ongoing", "PrepareCommit", "PrepareAbort":
		return tx.Err == nil && tx.StartTimestamp >= p.began.UnixMilli()
	}
	return false
}

// kill is kill -9.
func (p *process) kill(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGKILL)
	<-p.exited
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("the connector ended by itself before it was killed: %v", p.cmd.ProcessState)
	}
}

// terminate is what service managers do first; the process has to follow it.
func (p *process) terminate(t *testing.T, within time.Duration) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(within):
		t.Fatalf("the connector still runs %v after SIGTERM", within)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0: %v", code, p.cmd.ProcessState)
	}
}
