//go:build integration

package crash

import (
	"context"
	"math/rand/v2"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// life is a portal in use: 30 single changes a second, and every two seconds a
// job that changes many records in one millisecond. It leaves out what takes
// minutes to show: merges, purges, deletes of custom objects, changes of
// calculated properties alone, restores that leave no trace. The random lives of
// pkg/connector have these, in virtual time.
type life struct {
	portal   *hubspottest.Portal
	objects  []string // all types
	standard []string // types whose archived records can be listed
	custom   string
	url      string

	rng     *rand.Rand
	changes atomic.Int64
	began   time.Time
	cancel  context.CancelFunc
	ended   sync.WaitGroup
}

const (
	singleChanges = 30 // a second
	bulkEvery     = 2 * time.Second
)

func newLife(seed uint64) *life {
	l := &life{
		standard: []string{"contacts", "companies", "deals"},
		rng:      rand.New(rand.NewPCG(seed, 1)),
		portal: hubspottest.New(hubspottest.Options{
			Seed:       seed,
			Latency:    hubspottest.Span{Min: 2 * time.Millisecond, Max: 30 * time.Millisecond},
			WriteDelay: 300 * time.Millisecond,
			Limits:     hubspottest.Limits{SearchPerSecond: 1000, TenSecondly: 100_000, Daily: 10_000_000},
			LowIDs:     0.05,
			Index: hubspottest.Index{
				Min: 20 * time.Millisecond, Max: 1500 * time.Millisecond,
				Tail: 0.02, TailMax: 8 * time.Second, // for the trailing tier of 12 s
				Fresh: 0.2,
			},
		}),
	}
	l.custom = l.portal.AddCustomType("car",
		hubspottest.Property{Name: "model"}, hubspottest.Property{Name: "price", Type: "number"},
		hubspottest.Property{Name: "sold", Type: "bool"}).FullyQualifiedName
	l.objects = append([]string{l.custom}, l.standard...)
	l.portal.AddProperty("contacts", hubspottest.Property{Name: "2021_revenue", Type: "number"})
	l.portal.AddProperty("contacts", hubspottest.Property{Name: "last-call", Type: "datetime"})
	for object, n := range map[string]int{"contacts": 1500, "companies": 600, "deals": 400, l.custom: 250} {
		l.portal.Seed(object, n)
	}
	return l
}

// start serves the portal on a port and makes its users work.
func (l *life) start(t *testing.T) {
	t.Helper()
	server := httptest.NewServer(l.portal)
	t.Cleanup(server.Close)
	l.url = server.URL
	ctx, cancel := context.WithCancel(t.Context())
	l.cancel, l.began = cancel, time.Now()
	l.ended.Go(func() { l.live(ctx) })
	t.Cleanup(func() { l.stop() })
}

func (l *life) live(ctx context.Context) {
	bulk := time.Now()
	for ctx.Err() == nil {
		pause(ctx, time.Duration(l.rng.ExpFloat64()/singleChanges*float64(time.Second)))
		l.step()
		if time.Since(bulk) > bulkEvery {
			bulk = bulk.Add(bulkEvery)
			l.changes.Add(int64(l.job()))
		}
	}
}

func (l *life) step() {
	l.changes.Add(1)
	switch what := l.rng.IntN(100); {
	case what < 4:
		object := l.standard[l.rng.IntN(len(l.standard))]
		if bin := l.portal.Archived(object); len(bin) > 0 {
			l.portal.Restore(object, bin[l.rng.IntN(len(bin))].ID, true)
		}
	case what < 20:
		l.portal.Step(l.rng, hubspottest.Life{Types: []string{l.custom}, Create: 20, Update: 75, Touch: 5})
	default:
		l.portal.Step(l.rng, hubspottest.Life{Types: l.standard, Create: 20, Update: 60, Touch: 5, Archive: 15})
	}
}

// job changes up to 250 neighbours within one millisecond: more than one page of
// any endpoint.
func (l *life) job() int {
	object, property := "contacts", "jobtitle"
	if l.rng.IntN(3) == 0 {
		object, property = l.custom, "model"
	}
	ids := l.portal.IDs(object)
	n := min(1+l.rng.IntN(250), len(ids))
	from := l.rng.IntN(len(ids) - n + 1)
	return l.portal.BulkUpdate(object, ids[from:from+n], map[string]string{property: time.Now().Format(time.TimeOnly)})
}

// stop ends the portal's life and reports how much of it there was.
func (l *life) stop() (changes int, perSecond float64) {
	l.cancel()
	l.ended.Wait()
	n := l.changes.Load()
	return int(n), float64(n) / time.Since(l.began).Seconds()
}
