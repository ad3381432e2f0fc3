//go:build integration

package crash

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// life is a portal in use: 30 single changes a second, and every two seconds a
// job that changes many records in one millisecond, more than one page of any
// endpoint. It leaves out what takes minutes to show: merges, purges, deletes of
// custom objects, changes of calculated properties alone, restores that leave no
// trace. The random lives of pkg/connector have these, in virtual time.
type life struct {
	portal   *hubspottest.Portal
	objects  []string // all types
	standard []string // types whose archived records can be listed
	custom   string
	url      string
	users
}

func newLife(seed uint64) *life {
	l := &life{
		standard: []string{"contacts", "companies", "deals"},
		users:    users{rng: rand.New(rand.NewPCG(seed, 1))},
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
	l.url = serve(t, l.portal)
	l.work(t, l.step, l.job)
}

func (l *life) step() {
	if l.rng.IntN(100) < 16 {
		l.portal.Step(l.rng, hubspottest.Life{Types: []string{l.custom}, Create: 20, Update: 75, Touch: 5})
		return
	}
	l.change(l.portal, l.standard)
}

func (l *life) job() int {
	if l.rng.IntN(3) == 0 {
		return l.bulk(l.portal, l.custom, "model", 250)
	}
	return l.bulk(l.portal, "contacts", "jobtitle", 250)
}

// serve serves simulated portals on a port.
func serve(t *testing.T, portals http.Handler) (url string) {
	t.Helper()
	server := httptest.NewServer(portals)
	t.Cleanup(server.Close)
	return server.URL
}

// users work in portals.
type users struct {
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

// work makes single changes, and every two seconds a job that tells how many records it
// has changed, until the users are stopped.
func (u *users) work(t *testing.T, step func(), job func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	u.cancel, u.began = cancel, time.Now()
	u.ended.Go(func() {
		bulk := time.Now()
		for ctx.Err() == nil {
			pause(ctx, time.Duration(u.rng.ExpFloat64()/singleChanges*float64(time.Second)))
			u.changes.Add(1)
			step()
			if time.Since(bulk) > bulkEvery {
				bulk = bulk.Add(bulkEvery)
				u.changes.Add(int64(job()))
			}
		}
	})
	t.Cleanup(func() { u.stop() })
}

// change changes one record of standard types.
func (u *users) change(p *hubspottest.Portal, standard []string) {
	if u.rng.IntN(20) > 0 {
		p.Step(u.rng, hubspottest.Life{Types: standard, Create: 20, Update: 60, Touch: 5, Archive: 15})
		return
	}
	object := standard[u.rng.IntN(len(standard))]
	if bin := p.Archived(object); len(bin) > 0 {
		p.Restore(object, bin[u.rng.IntN(len(bin))].ID, true)
	}
}

// bulk changes up to so many neighbours within one millisecond.
func (u *users) bulk(p *hubspottest.Portal, object, property string, most int) int {
	ids := p.IDs(object)
	n := min(1+u.rng.IntN(most), len(ids))
	from := u.rng.IntN(len(ids) - n + 1)
	return p.BulkUpdate(object, ids[from:from+n], map[string]string{property: time.Now().Format(time.TimeOnly)})
}

// stop ends the users' work and reports how much of it there was.
func (u *users) stop() (changes int, perSecond float64) {
	u.cancel()
	u.ended.Wait()
	n := u.changes.Load()
	return int(n), float64(n) / time.Since(u.began).Seconds()
}
