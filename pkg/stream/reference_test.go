package stream

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// entriesCommitted is a Committer that keeps the entries and cursors of each batch.
type entriesCommitted struct{ tale []string }

func (c *entriesCommitted) Commit(_ context.Context, b *cdc.Batch) error {
	for _, e := range b.Entries {
		c.tale = append(c.tale, strings.TrimSpace(string(rune(e.Op))+" "+e.Key.String()+" "+e.Reason.String()))
	}
	for _, cursor := range b.Cursors {
		c.tale = append(c.tale, "cursor of "+cursor.Object)
	}
	return nil
}

// answers is a HubSpot that answers its n-th request with answer(n).
type answers struct {
	asked  []string
	answer func(n int) string
}

func (a *answers) respond(r *http.Request) (status int, body string) {
	a.asked = append(a.asked, r.URL.RequestURI())
	return http.StatusOK, a.answer(len(a.asked))
}

func newOwners(t *testing.T, hs *answers, out cdc.Committer) *Owners {
	t.Helper()
	client := answering(hs.respond).client(t)
	return &Owners{
		Reference: Reference{
			Client: client, Status: NewStatus(client.Now), Metrics: NewMetrics(prometheus.NewRegistry()),
			Log: slog.New(slog.DiscardHandler), Pace: NewPace(func() Budget { return Budget{IdleShare: 1} }, 0, alone).Patient("", "", func() Demand { return Demand{Calls: 1, Least: time.Minute, Fixed: true} }),
		},
		List: ReferenceList{Lane: cdc.NewReferenceLane(cdc.ReferenceLaneConfig{Reference: ReferenceOwners, Patience: cdc.Patience{Second: 30 * time.Second, Repeat: time.Hour}, Committer: out})},
	}
}

const owner = `{"id":"%","updatedAt":"2026-01-01T00:00:00Z"}`

const archivedOwner = `{"id":"2","updatedAt":"2026-01-01T00:00:00Z","archived":true}`

func page(after string, ids ...string) string {
	var owners []string
	for _, id := range ids {
		owners = append(owners, strings.ReplaceAll(owner, "%", id))
	}
	paging := ""
	if after != "" {
		paging = `,"paging":{"next":{"after":"` + after + `"}}`
	}
	return `{"results":[` + strings.Join(owners, ",") + `]` + paging + `}`
}

// TestPromise4_OwnersOfHalfAListAreNoEvidence: pages that lead in a circle are not a
// complete list; the last page completes it.
func TestPromise4_OwnersOfHalfAListAreNoEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &entriesCommitted{}
		script := []string{
			page("2", "1"), page("", "2"), // both
			page("2", "1"), page("2", "1"), // in a circle
			page("", "1"), page("", "3"), archivedOwner, // 2 is missing, and not among the archived
			page("2", "1"), page("", "2"), // and back
			page("", "1"), page("7", "9"), page("", "2"), // archived
		}
		hs := &answers{answer: func(n int) string { return script[n-1] }}
		o := newOwners(t, hs, out)
		var soon []time.Duration
		for len(hs.asked) < len(script) {
			again, err := o.pass(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			soon = append(soon, again)
			if problems := o.Status.Problems(); (len(problems) > 0) != (len(hs.asked) == 4) {
				t.Errorf("after %d calls: problems %v", len(hs.asked), problems)
			}
			time.Sleep(time.Minute)
		}
		if want := []string{"r 1", "r 2", "cursor of owners", "cursor of owners", "cursor of owners", "d 2 archived", "cursor of owners"}; !slices.Equal(out.tale, want) {
			t.Errorf("got %q, want %q", out.tale, want)
		}
		if want := []time.Duration{0, 0, 30 * time.Second, 0, 0}; !slices.Equal(soon, want) {
			t.Errorf("the next pass is due after %v, want %v", soon, want)
		}
		var archived int
		for _, uri := range hs.asked {
			if strings.Contains(uri, "archived=true") {
				archived++
			}
		}
		if archived != 3 {
			t.Errorf("the archived list was asked for %d times, want 3: only if an owner is missing", archived)
		}
	})
}

// TestOwnerEntry_TeamsInAnotherOrderAreNoChange: but they are published in the order
// in which they came.
func TestOwnerEntry_TeamsInAnotherOrderAreNoChange(t *testing.T) {
	entry := func(teams string) cdc.Entry {
		return (&Owners{}).entry(&hubspot.Owner{ID: "1", Teams: json.RawMessage(teams)})
	}
	a, b := entry(`[{"id":"1","name":"<A>"}, {"name":"B","id":"2"}]`), entry(`[{"id":"2","name":"B"},{"id":"1","name":"<A>"}]`)
	if a.Hash != b.Hash || a.Values["teams"] != `[{"id":"1","name":"<A>"},{"id":"2","name":"B"}]` || b.Values["teams"] != `[{"id":"2","name":"B"},{"id":"1","name":"<A>"}]` {
		t.Errorf("got %v and %v, want one hash and the teams as they came", a, b)
	}
	for _, teams := range []string{`[{"id":"1","name":"<A>"}]`, `[]`, `null`, ``} {
		if entry(teams).Hash == a.Hash {
			t.Errorf("teams %q hash like two teams", teams)
		}
	}
}

func TestCompactJSON(t *testing.T) {
	for raw, want := range map[string]string{
		``: "", `null`: "", `{ }`: "{}", `{"b":"<&>", "a":0.10, "big":12345678901234567890}`: `{"a":0.10,"b":"<&>","big":12345678901234567890}`,
	} {
		if got := compactJSON(json.RawMessage(raw)); got != want {
			t.Errorf("%s: got %s, want %s", raw, got, want)
		}
	}
}
