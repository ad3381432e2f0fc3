package connector_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	depl "github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

var recordsPerType = flag.Int("records", 2000, "records of each type in TestIdleDay and TestBusyDay")

// twenty are the object types of a portal that uses much of HubSpot.
var twenty = []string{
	"contacts", "companies", "deals", "tickets", "products", "line_items", "quotes", "calls", "emails", "notes",
	"tasks", "meetings", "communications", "postal_mail", "leads", "orders", "carts", "invoices", "subscriptions", "users",
}

// tenPairs are the pairs that have links.
var tenPairs = strings.Split("contacts:companies,contacts:deals,contacts:tickets,companies:deals,companies:tickets,deals:tickets,deals:line_items,deals:quotes,contacts:calls,contacts:emails", ",")

// dayOf runs a connector with its defaults over a portal of so many types, and calls
// f when the backfill is over and the clock of the portal shows midnight.
func dayOf(t *testing.T, types, records int, opt hubspottest.Options, f func(w *world, p *process, ids map[string][]uint64)) {
	t.Helper()
	opt.Types, opt.NoHistory, opt.TimeZone = twenty[:types], true, "UTC"
	opt.Latency = hubspottest.Span{Min: 150 * time.Millisecond, Max: 300 * time.Millisecond}
	pairs := slices.DeleteFunc(slices.Clone(tenPairs), func(pair string) bool {
		from, to, _ := strings.Cut(pair, ":")
		return !slices.Contains(opt.Types, from) || !slices.Contains(opt.Types, to)
	})
	settings := []string{"SYNC_CENSUS_INTERVAL=5m", "SYNC_ARCHIVE_INTERVAL=30m", "HUBSPOT_ASSOCIATIONS=" + strings.Join(pairs, ",")}
	inWorld(t, opt, settings, func(w *world) {
		ids := map[string][]uint64{}
		for _, object := range opt.Types {
			for i := range records {
				ids[object] = append(ids[object], w.Portal.CreateAt(object, time.Now().Add(-48*time.Hour-time.Duration(i)*time.Second), nil))
			}
		}
		for _, pair := range pairs {
			from, to, _ := strings.Cut(pair, ":")
			for i := range min(records, 50) {
				w.Portal.Associate(from, ids[from][i], to, ids[to][i], "", 0)
			}
		}
		time.Sleep(time.Minute)
		p := w.start()
		w.SleepUntil(8*time.Hour, func() bool { return p.backfilled(records, opt.Types) })
		time.Sleep(time.Until(time.Now().Truncate(24 * time.Hour).Add(24 * time.Hour)))
		w.Portal.ResetStats()
		f(w, p, ids)
		p.Stop()
	})
}

// spent is how many calls reached the portal, and which.
func spent(w *world) (sum int, table string) {
	calls := w.Portal.Stats().Calls
	var b strings.Builder
	for _, endpoint := range slices.Sorted(maps.Keys(calls)) {
		sum += calls[endpoint]
		fmt.Fprintf(&b, "\n%-16v %8d", endpoint, calls[endpoint])
	}
	fmt.Fprintf(&b, "\n%-16s %8d", "all", sum)
	return sum, b.String()
}

// found waits for the event of a change made now, and returns how long it took.
func (w *world) found(object string, id uint64, limit time.Duration) time.Duration {
	w.T.Helper()
	began := time.Now()
	w.Portal.Touch(object, id)
	w.ReadUntil(limit, func() bool { return len(w.committed(object, began)) > 0 })
	return slices.Max(slices.Collect(maps.Values(w.committed(object, began)))).Sub(began)
}

// committed is when the first event after a time was produced, by key.
func (w *world) committed(object string, after time.Time) map[string]laterTime {
	out := map[string]laterTime{}
	for _, r := range w.Records("hubspot." + object) {
		if _, there := out[string(r.Key)]; !there && r.Timestamp.After(after) {
			out[string(r.Key)] = laterTime(r.Timestamp.UnixMilli())
		}
	}
	return out
}

type laterTime int64

// Sub is time.Time.Sub.
func (l laterTime) Sub(t time.Time) time.Duration {
	return time.Duration(int64(l)-t.UnixMilli()) * time.Millisecond
}

// TestIdleDay: a day on which nothing changes costs at most HUBSPOT_IDLE_SHARE of the
// day's limit, whatever there is, and the change after a quiet night is found within
// two minutes (docs/contract.md section 3).
func TestIdleDay(t *testing.T) {
	t.Parallel()
	types, records, hours := 20, *recordsPerType, 24
	if testing.Short() {
		types, records, hours = 6, 50, 12
	}
	const day = 250_000
	dayOf(t, types, records, hubspottest.Options{Seed: 3, Limits: hubspottest.Limits{Daily: day}}, func(w *world, p *process, ids map[string][]uint64) {
		time.Sleep(time.Duration(hours) * time.Hour)
		sum, table := spent(w)
		t.Logf("%d types of %d records, %d hours: %d calls%s", types, records, hours, sum, table)
		if most := day / 5 * hours / 24; sum > most {
			t.Errorf("%d calls in %d idle hours, want at most %d", sum, hours, most)
		}
		for _, object := range twenty[:min(types, 5)] {
			took := w.found(object, ids[object][0], 5*time.Minute)
			t.Logf("a change of %s is committed after %v", object, took)
			if took > 2*time.Minute {
				t.Errorf("a change of %s after a quiet day was committed after %v, want at most 2m", object, took)
			}
			time.Sleep(3 * time.Hour)
		}
	})
}

// spread says how changes are distributed over the types.
type spread struct {
	name   string
	weight func(i int) float64 // of the i-th type
	burst  int                 // changes that come together, on average
}

// TestBusyDay: two thousand changes between 8 and 18 h at a day of 650,000 calls
// (docs/contract.md section 3).
func TestBusyDay(t *testing.T) {
	depl.Long(t)
	for _, s := range []spread{
		{"uneven in bursts", func(i int) float64 { return 1 / float64(1+i) / float64(1+i) }, 5},
		{"uneven", func(i int) float64 { return 1 / float64(1+i) / float64(1+i) }, 1},
		{"even in bursts", func(int) float64 { return 1 }, 5},
		{"even", func(int) float64 { return 1 }, 1},
	} {
		t.Run(s.name, func(t *testing.T) { busyDay(t, s) })
	}
}

func busyDay(t *testing.T, s spread) {
	const day, changes = 650_000, 2000
	opt := hubspottest.Options{Seed: 4, Limits: hubspottest.Limits{Daily: day}, Index: hubspottest.Index{Immediate: true}}
	dayOf(t, len(twenty), *recordsPerType, opt, func(w *world, p *process, ids map[string][]uint64) {
		for n := range 2 { // a day without knowledge of the rhythm, and the next one
			midnight := time.Now()
			w.Portal.ResetStats()
			type change struct {
				at     time.Time
				object string
				id     uint64
			}
			rng := rand.New(rand.NewPCG(1, uint64(n)))
			var made []change
			next := map[string]int{}
			for len(made) < changes {
				at := midnight.Add(8*time.Hour + time.Duration(rng.Int64N(int64(10*time.Hour))))
				object := s.draw(rng)
				for range 1 + rng.IntN(2*s.burst-1) {
					i := n*changes + next[object]
					next[object]++
					made = append(made, change{at, object, ids[object][i%len(ids[object])]})
					at = at.Add(time.Duration(2+rng.IntN(40)) * time.Second)
				}
			}
			slices.SortFunc(made, func(a, b change) int { return a.at.Compare(b.at) })
			byType := map[string]int{}
			for _, c := range made {
				time.Sleep(time.Until(c.at))
				w.Portal.Touch(c.object, c.id)
				byType[c.object]++
			}
			time.Sleep(time.Until(midnight.Add(24 * time.Hour)))
			sum, table := spent(w)
			var took []time.Duration
			for object := range byType {
				events := w.committed(object, midnight)
				for _, c := range made {
					if at, there := events[idText(c.id)]; c.object == object && there {
						took = append(took, at.Sub(c.at))
					}
				}
			}
			slices.Sort(took)
			share := float64(sum) / day
			p50, p99 := took[len(took)/2], took[len(took)*99/100]
			t.Logf("day %d, %d changes, by type %v: committed after p50 %v, p90 %v, p99 %v; %d calls, %.1f %% of the day%s",
				n+1, len(took), slices.Sorted(maps.Values(byType)), p50, took[len(took)*9/10], p99, sum, 100*share, table)
			if len(took) != len(made) {
				t.Errorf("%d of %d changes were committed", len(took), len(made))
			}
		}
	})
}

func (s spread) draw(rng *rand.Rand) string {
	sum := 0.0
	for i := range twenty {
		sum += s.weight(i)
	}
	at := rng.Float64() * sum
	for i, object := range twenty {
		if at -= s.weight(i); at < 0 {
			return object
		}
	}
	return twenty[0]
}
