package connector_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/connector/page"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// estimate is what /status said of a pass, and when.
type estimate struct {
	at            time.Time
	percent, left float64
}

// estimates follows the passes of a stream until it has seen none for a while.
func (p *process) estimates(every time.Duration, pass func(page.Status) map[string]estimate) (said map[string][]estimate, ended map[string]time.Time) {
	said, ended = map[string][]estimate{}, map[string]time.Time{}
	for len(said) == 0 || len(ended) < len(said) {
		now := pass(p.status())
		for name, e := range now {
			e.at = time.Now()
			said[name] = append(said[name], e)
			delete(ended, name)
		}
		for name := range said {
			if _, goesOn := now[name]; !goesOn && ended[name].IsZero() {
				ended[name] = time.Now()
			}
		}
		time.Sleep(every)
	}
	return said, ended
}

// rightAfterATenth fails unless every estimate after the first tenth was right within
// a part, or the coarseness of a look.
func (p *process) rightAfterATenth(name string, within float64, said []estimate, end time.Time, coarse time.Duration) {
	t := p.w.T
	t.Helper()
	checked, worst := 0, 0.0
	for _, e := range said {
		if e.percent < 10 || math.IsInf(e.left, 0) && e.percent < 40 { // of a few pages, the first tells nothing
			continue
		}
		checked++
		really := end.Sub(e.at).Seconds()
		off := math.Max(0, math.Abs(e.left-really)-coarse.Seconds()) / really
		if worst = max(worst, off); off > within || math.IsInf(e.left, 0) {
			t.Errorf("%s: at %.1f %% it said %.0f s, and took %.0f s", name, e.percent, e.left, really)
		}
	}
	t.Logf("%s: %d estimates, off by %.0f %% at most", name, checked, 100*worst)
	if checked < 3 {
		t.Errorf("%s: only %d estimates of %d came after the first tenth", name, checked, len(said))
	}
}

// byObject are the estimates of each object's pass of a stream.
func byObject(name string) func(page.Status) map[string]estimate {
	return func(s page.Status) map[string]estimate {
		out := map[string]estimate{}
		for i := range s.Objects {
			for _, pass := range s.Objects[i].Passes {
				if pass.Stream == name {
					out[pass.Object] = newEstimate(pass.Percent, pass.Left)
				}
			}
		}
		return out
	}
}

func newEstimate(percent, left *float64) estimate {
	e := estimate{left: math.Inf(1)}
	if percent != nil {
		e.percent = *percent
	}
	if left != nil {
		e.left = *left
	}
	return e
}

// TestProgress_TheTimeLeftIsRight: of a backfill of types of different sizes, of all of
// them together and of each. The log says it once a minute, and the sums at the end.
func TestProgress_TheTimeLeftIsRight(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it needs so many records that a tenth of them takes longer than the readers need to get going")
	}
	opt := hubspottest.Options{
		Seed: 5, Types: []string{"contacts", "companies", "deals"}, NoHistory: true,
		Latency: hubspottest.Span{Min: 100 * time.Millisecond, Max: 300 * time.Millisecond},
	}
	inWorld(t, opt, []string{"HUBSPOT_ASSOCIATIONS=contacts:companies", "HUBSPOT_RATE_10S=100"}, func(w *world) {
		const n = 9_000
		w.Portal.Seed("contacts", 5*n)
		w.Portal.Seed("companies", 3*n)
		w.Portal.Seed("deals", n)
		p := w.start()
		said, ended := p.estimates(time.Second/4, func(s page.Status) map[string]estimate {
			out := byObject("backfill")(s)
			if s.Backfill != nil {
				out["all"] = newEstimate(s.Backfill.Percent, s.Backfill.Left)
			}
			return out
		})
		if len(ended) != 4 {
			t.Errorf("there are estimates of %v", ended)
		}
		for name, end := range ended {
			p.rightAfterATenth(name, 0.3, said[name], end, 3*time.Second)
		}
		w.SleepUntil(time.Hour, func() bool { return p.Backfilled("contacts:companies") })
		time.Sleep(time.Second)
		if got := strings.Count(p.Log.String(), `msg="everything is read for the first time"`); got != 1 || !strings.Contains(p.Log.String(), fmt.Sprintf(" records=%d links=0 took=", 9*n)) {
			t.Errorf("the log has the sums %d times", got)
		}
		took := ended["all"].Sub(said["all"][0].at)
		if got, want := strings.Count(p.Log.String(), `msg="backfill under way"`), int(took.Minutes()); got != want {
			t.Errorf("the log says %d times how far the backfill is, in %v", got, took)
		}
		p.Stop()
	})
}

// TestProgress_GoesOnAfterAKill where it was, and ends with all records.
func TestProgress_GoesOnAfterAKill(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 6, Types: []string{"contacts"}, NoHistory: true}, []string{"HUBSPOT_RATE_10S=100"}, func(w *world) {
		const n = 5_000
		w.Portal.Seed("contacts", n)
		records := func(p *process) int {
			if b := p.status().Backfill; b != nil {
				return b.Records
			}
			return 0
		}
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return records(p) > n/2 })
		before := records(p)
		p.Kill()
		w.Brokers.Mend()
		p = w.start()
		w.SleepUntil(time.Minute, func() bool { return records(p) > 0 })
		if now := records(p); now < before || now > before+n/5 {
			t.Errorf("%d records before the kill, %d after it", before, now)
		}
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
		for _, name := range []string{"backfill_records", "backfill_expected"} {
			if !p.shows(fmt.Sprintf(`hubspot_cdc_%s{object="contacts"} %d`, name, n)) {
				t.Errorf("%s is not %d", name, n)
			}
		}
		p.Stop()
	})
}

// TestProgress_OfSweepsAndSnapshots: a reconcile, a sweep of associations and a snapshot
// say how far they are.
func TestProgress_OfSweepsAndSnapshots(t *testing.T) {
	t.Parallel()
	settings := []string{"HUBSPOT_ASSOCIATIONS=contacts:companies", "SYNC_RECONCILE_INTERVAL=5m", "SYNC_ASSOCIATIONS_INTERVAL=5m"}
	inWorld(t, hubspottest.Options{Seed: 7, Types: []string{"contacts", "companies"}, NoHistory: true}, settings, func(w *world) {
		w.Portal.Seed("contacts", shorter(6_000, 3_000))
		p := w.start()
		w.SleepUntil(10*time.Minute, func() bool { return p.Backfilled("contacts", "companies", "contacts:companies") })
		for stream, object := range map[string]string{"reconcile": "contacts", "associations": "contacts:companies"} {
			said, ended := p.estimates(5*time.Second, func(s page.Status) map[string]estimate {
				all := byObject(stream)(s)
				for name := range all {
					if name != object {
						delete(all, name)
					}
				}
				return all
			})
			p.rightAfterATenth(stream, 0.3, said[object], ended[object], 15*time.Second)
		}
		w.signal(`{"id":"again","type":"execute-snapshot","data":{"data-collections":["contacts"],"type":"incremental"}}`)
		said, _ := p.estimates(100*time.Millisecond, byObject("signals"))
		last := said["contacts"][len(said["contacts"])-1]
		if last.percent < 50 || math.IsInf(last.left, 0) {
			t.Errorf("of the snapshot: %+v", said)
		}
		p.Stop()
	})
}
