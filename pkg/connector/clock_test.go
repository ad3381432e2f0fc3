package connector_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	depl "github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestR21_AWrongDateMovesNothing: HubSpot's Date is wrong, once, for ten minutes or
// for good, from the start or later. Every change is published in its usual time, by
// the stream that always finds it, and no delete is false.
func TestR21_AWrongDateMovesNothing(t *testing.T) {
	long(t)
	t.Parallel()
	const forGood = 1000 * time.Hour
	for _, shift := range []time.Duration{-72 * time.Hour, -time.Hour, -time.Minute, time.Minute, time.Hour, 72 * time.Hour} {
		for _, lasting := range []time.Duration{0, 10 * time.Minute, forGood} {
			for _, from := range []time.Duration{0, 7 * time.Minute} {
				t.Run(fmt.Sprintf("%v, for %v, after %v", shift, lasting, from), func(t *testing.T) {
					inWorld(t, hubspottest.Options{Seed: 31, Index: hubspottest.Index{Min: 100 * time.Millisecond, Max: 300 * time.Millisecond}}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=3s"}, func(w *world) {
						fault := hubspottest.Fault{Kind: hubspottest.FaultDate, Shift: shift, From: time.Now().Add(from), Until: time.Now().Add(from + lasting)}
						if lasting == 0 {
							fault.Count, fault.Until = 1, time.Time{}
						}
						wrongDate(w, fault)
					})
				})
			}
		}
	}
}

func wrongDate(w *world, fault hubspottest.Fault) {
	w.T.Helper()
	const object = "contacts"
	ids := w.Portal.Seed(object, 150)
	time.Sleep(time.Minute)
	fault.From = fault.From.Add(time.Minute)
	if !fault.Until.IsZero() {
		fault.Until = fault.Until.Add(time.Minute)
	}
	w.Portal.Inject(fault)
	p := w.start()
	w.SleepUntil(time.Minute, func() bool { return p.backfilled(150, []string{object}) })
	time.Sleep(30 * time.Second) // the first changes are the leading tier's too
	changed, gone := map[string]time.Time{}, map[string]time.Time{}
	for i := range 50 {
		w.Portal.Update(object, ids[i], map[string]string{"firstname": fmt.Sprint("Changed ", i)})
		changed[idText(ids[i])] = time.Now()
		if i%10 == 5 {
			w.Portal.Purge(object, ids[100+i])
			w.Portal.Archive(object, ids[101+i])
			gone[idText(ids[100+i])], gone[idText(ids[101+i])] = time.Now(), time.Now()
		}
		time.Sleep(25 * time.Second)
	}
	time.Sleep(10 * time.Minute)
	p.Stop()
	w.check(object)
	for _, r := range w.Records("hubspot." + object) {
		key, at, usual := string(r.Key), time.Time{}, time.Duration(0)
		switch op := w.opOf(r); op {
		case "u":
			at, usual = changed[key], 10*time.Second
			delete(changed, key)
		case "d":
			at, usual = gone[key], 8*time.Minute
			delete(gone, key)
		default:
			continue
		}
		if late := r.Timestamp.Sub(at); at.IsZero() || late > usual {
			w.T.Errorf("the change of %s is published after %v", key, late)
		}
	}
	if len(changed)+len(gone) > 0 {
		w.T.Errorf("not published: %v %v", changed, gone)
	}
	off := fault.Shift.Abs() > 5*time.Minute && fault.Count == 0
	if said := strings.Count(p.Log.String(), "Check the time of this machine"); off && said != 1 || said > 1 {
		w.T.Errorf("it was said %d times", said)
	}
}

func (w *world) opOf(r *kgo.Record) string {
	if r.Value == nil {
		return ""
	}
	return fmt.Sprint(w.Decode(r.Value)["op"])
}

// TestR21_ACursorAheadOfTimeLosesNothing: the cursors of a run whose time was wrong
// are moved back. What happened meanwhile is published, and the log says so.
func TestR21_ACursorAheadOfTimeLosesNothing(t *testing.T) {
	long(t)
	t.Parallel()
	for _, ahead := range []time.Duration{time.Hour, 72 * time.Hour} {
		for _, streams := range [][]string{{"leading"}, {"leading", "trailing-5m", "trailing-1h"}, {"backfill", "reconcile", "archive"}} {
			inWorld(t, hubspottest.Options{Seed: 32}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_CENSUS_INTERVAL=1000h", "SYNC_RECONCILE_INTERVAL=1h"}, func(w *world) {
				ids := w.Ran(120)
				later := time.Now().Add(ahead).UTC().Format("2006-01-02T15:04:05.000Z")
				for _, stream := range streams {
					value := `{"at":"` + later + `","t0":"` + later + `","id":"7","v":1}`
					switch stream {
					case "backfill", "reconcile":
						value = `{"ranges":[],"started":"` + later + `","completed":"` + later + `","done":true,"v":1}`
					case "archive":
						value = `{"after":"","started":"` + later + `","completed":"` + later + `","v":1}`
					}
					w.Produce("hubspot.offsets", strings.Replace(depl.LeadingKey, "leading", stream, 1), value)
				}
				for _, id := range ids[:20] {
					w.Portal.Update("contacts", id, map[string]string{"firstname": "Meanwhile"})
				}
				w.Portal.Purge("contacts", ids[50])
				time.Sleep(2 * time.Hour)
				p := w.start()
				time.Sleep(10 * time.Minute)
				w.Portal.Update("contacts", ids[60], map[string]string{"firstname": "Later"})
				time.Sleep(2 * time.Hour) // the reconcile finds purges here: there is no census
				p.Stop()
				w.check("contacts")
				want := len(streams)
				if ahead < 2*time.Hour { // they are no longer ahead
					want = 0
				}
				if n := p.said("a cursor lies ahead of HubSpot's time; it is moved back, and what it may have missed is read again"); n != want {
					t.Errorf("%v ahead, %v: said %d times, want %d", ahead, streams, n, want)
				}
			})
		}
	}
}

// TestR21_AClockThatIsPutRightShortensNoWait: a run that began while all of HubSpot's
// servers told a wrong time learns the right one. Between two answers that come short,
// a second apart, three days seem to have passed. No link and no record goes for that.
func TestR21_AClockThatIsPutRightShortensNoWait(t *testing.T) {
	t.Parallel()
	for _, shift := range []time.Duration{-72 * time.Hour, time.Hour} {
		for lost := hubspottest.Loss(1); lost <= 3; lost++ {
			env := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies", "SYNC_ASSOCIATIONS_INTERVAL=1s", "SYNC_RECONCILE_INTERVAL=720h"}
			inWorld(t, hubspottest.Options{Seed: 33, Types: []string{"contacts", "companies"}}, env, func(w *world) {
				people, firms := w.Portal.Seed("contacts", 30), w.Portal.Seed("companies", 5)
				for i, id := range people {
					for j := range 1 + i%3 {
						w.Portal.Associate("contacts", id, "companies", firms[(i+j)%len(firms)], "", 0)
					}
				}
				right := time.Now().Add(3 * time.Minute)
				w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultDate, Shift: shift, Until: right})
				w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultShort, Lost: lost, Endpoint: hubspottest.EndpointLinks, From: right.Add(-10 * time.Second), Until: right.Add(15 * time.Second)})
				p := w.start()
				time.Sleep(10 * time.Minute)
				p.Stop()
				for _, e := range w.seenLinks(toCompanies) {
					if e.Op == "d" {
						t.Fatalf("shift %v, loss %d: a link that is there is deleted: %s", shift, lost, e.Key)
					}
				}
				w.checkLinks(toCompanies)
				w.check("contacts", "companies")
				if n := strings.Count(p.Log.String(), "HubSpot's time is another one"); n != 1 {
					t.Errorf("shift %v, loss %d: the log says %d times that the clock was wrong", shift, lost, n)
				}
			})
		}
	}
}
