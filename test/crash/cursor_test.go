//go:build integration

package crash

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc/cdctest"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/test/services"
)

// TestACursorMovedByKcatIsObeyed (docs/contract.md section 4): the index hides a
// change from every tier. The leading cursor is moved back with kcat while the
// connector is stopped. The first search then begins there, and the change is
// published.
func TestACursorMovedByKcatIsObeyed(t *testing.T) {
	kcat, err := exec.LookPath("kcat")
	if err != nil {
		t.Skipf("kcat is needed to move the cursor: %v", err)
	}
	here := services.Start(t)
	searches := &searchLog{}
	portal := hubspottest.New(hubspottest.Options{
		Types: []string{"contacts"}, Limits: hubspottest.Limits{Off: true},
		// The leading tier looks fifteen seconds back, the trailing one two: they miss
		// a change that the index shows after twenty.
		Index:     hubspottest.Index{Min: 20 * time.Second, Max: 20 * time.Second},
		OnRequest: searches.note,
	})
	ids := portal.Seed("contacts", 20)
	server := httptest.NewServer(portal)
	t.Cleanup(server.Close)
	prefix := fmt.Sprintf("moved-%d", time.Now().UnixMilli())
	consumer := consume(t, here, []string{"contacts"}, prefix)
	connector := build(t, here, &life{url: server.URL, objects: []string{"contacts"}}, prefix)
	connector.Environ = append(connector.Environ, "SYNC_TRAILING_LAG=2s", "SYNC_CENSUS_INTERVAL=1h")
	lost := func() int {
		return len(cdctest.Lost(cdctest.HistoryOf(portal, "contacts"), consumer.events(t, prefix)))
	}

	p := connector.Start(t)
	waitFor(t, p, func() bool { return len(consumer.events(t, prefix)) >= len(ids) })
	before := time.Now()
	p.Sleep(t, time.Second)
	portal.Update("contacts", ids[3], map[string]string{"firstname": "Hidden"})
	p.Sleep(t, 26*time.Second)
	if lost() != 1 {
		t.Fatal("the change was not hidden, so the test shows nothing")
	}
	p.Terminate(t)

	key := `{"portal":4242,"object":"contacts","stream":"leading"}`
	run := func(stdin string, args ...string) string {
		cmd := exec.Command(kcat, append([]string{"-b", here.Brokers, "-t", offsets.CursorTopic(prefix)}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		return services.Output(t, cmd)
	}
	t.Logf("cursors before, by kcat:\n%s", run("", "-C", "-o", "beginning", "-e", "-q", "-f", "%k\t%s\n"))
	run(fmt.Sprintf("%s|{\"at\":%q,\"v\":1}\n", key, before.UTC().Format("2006-01-02T15:04:05.000Z")), "-P", "-K", "|")

	searches.reset()
	p = connector.Start(t)
	waitFor(t, p, func() bool { return lost() == 0 })
	if got, want := searches.earliest(), before.UnixMilli(); got != want {
		t.Errorf("the earliest search after the start begins at %d, want the moved cursor %d", got, want)
	}
	p.Terminate(t)
	consumer.drain(t)
	if r := cdctest.Check(cdctest.HistoryOf(portal, "contacts"), consumer.events(t, prefix)); !r.Clean() {
		t.Errorf("promises were broken:\n%s", r.Findings())
	}
}

// searchLog remembers where searches began.
type searchLog struct {
	mu    sync.Mutex
	since []int64
}

func (l *searchLog) note(r hubspottest.Request) {
	if r.Endpoint != hubspottest.EndpointSearch {
		return
	}
	var body struct {
		FilterGroups []struct {
			Filters []struct{ PropertyName, Operator, Value string }
		}
	}
	if json.Unmarshal(r.Body, &body) != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range body.FilterGroups {
		for _, f := range g.Filters {
			if ms, err := strconv.ParseInt(f.Value, 10, 64); err == nil && f.Operator == "GTE" {
				l.since = append(l.since, ms)
			}
		}
	}
}

func (l *searchLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = nil
}

func (l *searchLog) earliest() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var first int64
	for _, ms := range l.since {
		if first == 0 || ms < first {
			first = ms
		}
	}
	return first
}
