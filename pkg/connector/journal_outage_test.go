package connector_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// journalKey is the key of the journal's cursor.
const journalKey = `{"portal":4242,"stream":"journal"}`

// firms is the pair that these tests follow.
var firms = cdc.Pair{From: "contacts", To: "companies"}

// journalWorld is a deployment with an app for the journal.
func journalWorld(t *testing.T, seed uint64, mode string, f func(w *world, contacts, companies []uint64)) {
	t.Helper()
	opt := hubspottest.Options{
		Seed: seed, Types: []string{"contacts", "companies"},
		Latency: hubspottest.Span{Min: 150 * time.Millisecond, Max: 300 * time.Millisecond},
		Journal: hubspottest.Journal{App: journalApp, Labels: true, RecordLinks: true},
	}
	settings := append(slices.Clone(withJournal), "HUBSPOT_JOURNAL="+mode, "HUBSPOT_ASSOCIATIONS="+firms.String(), "SYNC_ASSOCIATIONS_INTERVAL=24h")
	inWorld(t, opt, settings, func(w *world) {
		contacts, companies := w.Portal.Seed("contacts", 60), w.Portal.Seed("companies", 20)
		for i, id := range companies {
			w.Portal.Associate("contacts", contacts[i], "companies", id, "HUBSPOT_DEFINED", 279)
		}
		time.Sleep(time.Minute)
		f(w, contacts, companies)
		w.check("contacts", "companies")
		w.checkLinks(firms)
	})
}

// streaming waits until everything that these tests follow is read.
func (p *process) streaming() {
	p.w.T.Helper()
	p.w.SleepUntil(time.Hour, func() bool { return p.Backfilled("contacts", "companies", firms.String()) })
	time.Sleep(2 * time.Minute)
}

// rename gives a contact another name and waits until somebody has found that.
func (w *world) rename(id uint64, limit time.Duration) {
	w.T.Helper()
	name := fmt.Sprint("renamed ", time.Now().UnixMilli())
	w.Portal.Update("contacts", id, map[string]string{"firstname": name})
	w.ReadUntil(limit, func() bool { return w.FirstName(id) == name })
}

// link links two records, which nobody but the journal finds soon, and waits until
// that is published.
func (w *world) link(contact, company uint64, limit time.Duration) {
	w.T.Helper()
	w.Portal.Associate("contacts", contact, "companies", company, "HUBSPOT_DEFINED", 279)
	key := fmt.Sprintf("%d:%d:HUBSPOT_DEFINED:279", contact, company)
	w.ReadUntil(limit, func() bool {
		for _, r := range w.Records(offsets.PairTopic("hubspot", firms)) {
			if string(r.Key) == key && r.Value != nil {
				source, _ := w.Decode(r.Value)["source"].(map[string]any)
				return source["stream"] == "journal"
			}
		}
		return false
	})
}

// stirred changes some of everything, so that every finder has something to find.
func (w *world) stirred(rng *rand.Rand) {
	life := hubspottest.Life{
		Create: 10, Update: 30, Archive: 5, Restore: 3, Merge: 2, Purge: 2, Associate: 15, Dissociate: 10,
		Pairs: [][2]string{{firms.From, firms.To}},
	}
	w.Portal.Step(rng, life)
}

// TestR16_APlaceThatTheJournalNoLongerHas: a connector that was down for longer than
// HubSpot keeps the journal says so once, reads what there still is from the earliest
// file on, and reads every type and every pair again, whatever their intervals say.
func TestR16_APlaceThatTheJournalNoLongerHas(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ kept, down time.Duration }{
		"down for four days":           {72 * time.Hour, 96 * time.Hour},
		"kept for less than they wait": {time.Hour, 4 * time.Hour}, // neither reconcile nor sweep is due
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			journalWorld(t, 161, "auto", func(w *world, contacts, companies []uint64) {
				t := w.T
				w.Portal.SetJournal(hubspottest.Journal{App: journalApp, Retention: c.kept})
				p := w.start()
				p.streaming()
				w.link(contacts[40], companies[0], time.Minute)
				p.Stop()
				rng := rand.New(rand.NewPCG(161, 0))
				for range 96 {
					time.Sleep(c.down / 96)
					w.stirred(rng)
				}
				w.Portal.ResetStats()
				p = w.start()
				w.SleepUntil(2*time.Hour, func() bool { return p.Log.Has("everything was read again since the journal's place was lost") })
				time.Sleep(10 * time.Minute)
				p.Stop()
				if n := p.Log.Count("the journal no longer has the place where it was left"); n != 1 {
					t.Errorf("the lost place is in the log %d times", n)
				}
				if calls := w.Portal.Stats().Calls; calls[hubspottest.EndpointJournalEarliest] == 0 || calls[hubspottest.EndpointJournalLatest] > 0 {
					t.Errorf("asked for the earliest file %d times, for the latest %d times", calls[hubspottest.EndpointJournalEarliest], calls[hubspottest.EndpointJournalLatest])
				}
				place, err := offsets.ParseJournal([]byte(w.Cursors()[journalKey]))
				if err != nil || place.Lost != 0 || place.Offset == "" {
					t.Errorf("the cursor is %+v, %v", place, err)
				}
				w.sweptSince(p)
			})
		})
	}
}

// sweptSince checks that a process has read every type and every pair from one end to
// the other.
func (w *world) sweptSince(p *process) {
	w.T.Helper()
	lists := w.Portal.Stats().Records
	if n := lists[hubspottest.EndpointList]; n < 70 {
		w.T.Errorf("%d records were listed", n)
	}
	if n := lists[hubspottest.EndpointLinks]; n < 50 {
		w.T.Errorf("the links of %d records were read", n)
	}
}

// TestR16_ALostPlaceWaitsForWhatIsFollowedLater: while HubSpot does not answer about a
// type or a pair that was published, a loss is not made good. It is once that is read too.
func TestR16_ALostPlaceWaitsForWhatIsFollowedLater(t *testing.T) {
	t.Parallel()
	for what, fault := range map[string]hubspottest.Fault{
		"a type's properties": {Endpoint: hubspottest.EndpointProperties, Object: "companies"},
		"a pair's labels":     {Endpoint: hubspottest.EndpointLabels, Object: "contacts"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			journalWorld(t, 161, "auto", func(w *world, contacts, companies []uint64) {
				t := w.T
				w.Set("HUBSPOT_ASSOCIATIONS=" + firms.String() + ",companies:companies")
				w.Portal.SetJournal(hubspottest.Journal{App: journalApp, Retention: time.Hour})
				w.Portal.AddProperty("companies", hubspottest.Property{Name: "score", Type: "number", Calculated: true})
				p := w.start()
				p.streaming()
				w.link(contacts[40], companies[0], time.Minute)
				p.Stop()
				time.Sleep(2 * time.Hour)
				w.Portal.Dissociate("contacts", contacts[3], "companies", companies[3], "HUBSPOT_DEFINED", 279)
				w.Portal.UpdateCalculated("companies", companies[3], map[string]string{"score": "7"})
				time.Sleep(2 * time.Hour)
				fault.Kind, fault.Status = hubspottest.FaultStatus, 503
				w.Portal.Inject(fault)
				p = w.start()
				time.Sleep(15 * time.Minute)
				if place, err := offsets.ParseJournal([]byte(w.Cursors()[journalKey])); err != nil || place.Lost == 0 {
					t.Errorf("the cursor is %+v, %v: everything counts as read again, and not everything was", place, err)
				}
				w.Portal.ClearFaults()
				w.SleepUntil(24*time.Hour, func() bool { return p.Log.Has("everything was read again since the journal's place was lost") })
				time.Sleep(10 * time.Minute)
				p.Stop()
			})
		})
	}
}

// TestR16_WhatIsRefusedIsReadAgain: the journal names a record and a link whose topics
// cannot be written, and goes on. Both are published once they can be, also where the
// connector was killed meanwhile. Then nothing is wrong any more.
func TestR16_WhatIsRefusedIsReadAgain(t *testing.T) {
	t.Parallel()
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprint("killed: ", killed), func(t *testing.T) {
			t.Parallel()
			journalWorld(t, 166, "auto", func(w *world, contacts, companies []uint64) {
				w.Set("SYNC_SCHEMA_INTERVAL=1m")
				p := w.start()
				p.streaming()
				w.Portal.Archive("contacts", contacts[50])
				time.Sleep(10 * time.Minute)
				p.Stop()
				accepting := w.Registry.Turn(nil)
				w.Registry.Turn(hiding{to: hiding{to: accepting, subjects: "hubspot.contacts-value"}, subjects: offsets.PairTopic("hubspot", firms) + "-value"})
				p = w.start()
				time.Sleep(15 * time.Minute)
				w.Portal.Restore("contacts", contacts[50], false)
				w.Portal.Associate("contacts", contacts[40], "companies", companies[0], "HUBSPOT_DEFINED", 279)
				time.Sleep(5 * time.Minute)
				if killed {
					p.Kill()
					w.Brokers.Mend()
					p = w.start()
					time.Sleep(time.Minute)
				}
				w.Registry.Turn(accepting)
				w.SleepUntil(15*time.Minute, func() bool {
					return p.live("contacts") == 60 && p.live(firms.String()) == 21 && len(p.ready().Problems) == 0
				})
				p.Stop()
			})
		})
	}
}

// TestR16_KilledInTheMiddleOfAFile: the cursor resumes after the last file that was
// read whole. What of the next one was published is not published again.
func TestR16_KilledInTheMiddleOfAFile(t *testing.T) {
	t.Parallel()
	journalWorld(t, 162, "on", func(w *world, contacts, _ []uint64) {
		t := w.T
		w.Set("SYNC_ASSOCIATIONS_INTERVAL=10m") // for the labels, which the journal does not tell
		w.Portal.SetJournal(hubspottest.Journal{App: journalApp, Delay: hubspottest.Span{Min: time.Second, Max: 8 * time.Second}})
		contacts = append(contacts, w.Portal.Seed("contacts", shorter(3000, 1000))...)
		p := w.start()
		p.streaming()
		rng := rand.New(rand.NewPCG(162, 0))
		for i := range shorter(20, 5) {
			w.Portal.BulkUpdate("contacts", contacts[60:], map[string]string{"firstname": fmt.Sprint(i)})
			for end := time.Now().Add(time.Duration(2000+rng.IntN(9000)) * time.Millisecond); time.Now().Before(end); {
				w.stirred(rng)
				time.Sleep(100 * time.Millisecond)
			}
			p.Kill()
			w.Brokers.Mend()
			p = w.start()
			w.SleepUntil(5*time.Minute, p.streams)
		}
		time.Sleep(20 * time.Minute)
		p.Stop()
		if w.Log.Has("the journal no longer has the place") || w.Log.Has("cannot be read or understood") {
			t.Error("a place was lost")
		}
		if n := w.Portal.Stats().Calls[hubspottest.EndpointJournalLatest]; n > 2 {
			t.Errorf("the journal began %d times", n)
		}
		var places []string
		for _, r := range w.Records("hubspot.offsets") {
			if string(r.Key) == journalKey && r.Value != nil {
				place, err := offsets.ParseJournal(r.Value)
				if err != nil {
					t.Fatal(err)
				}
				places = append(places, place.Offset)
			}
		}
		if !slices.IsSortedFunc(places, cmp.Compare[string]) || len(places) < 5 {
			t.Errorf("the cursor went back: %v", places)
		}
		found := 0
		for _, e := range w.Events("contacts") {
			if e.Source["stream"] == "journal" {
				found++
			}
		}
		t.Logf("%d places, %d events by the journal", len(places), found)
		if found < 500 {
			t.Errorf("%d events were found by the journal", found)
		}
	})
}

// TestR16_NothingChangesForDays: HubSpot drops the file of the place, and nothing was
// lost with it. A restart finds the journal as empty as it was.
func TestR16_NothingChangesForDays(t *testing.T) {
	long(t)
	t.Parallel()
	journalWorld(t, 166, "on", func(w *world, contacts, companies []uint64) {
		w.Set("SYNC_LEADING_INTERVAL=5m")
		p := w.start()
		p.streaming()
		w.link(contacts[40], companies[0], time.Minute)
		for range 2 {
			time.Sleep(80 * time.Hour)
			p.Stop()
			p = w.start()
			p.streaming()
		}
		w.link(contacts[41], companies[1], time.Minute)
		p.Stop()
		if w.Log.Has("the journal no longer has") || w.Log.Has("may have come and gone") {
			w.T.Error("a place was lost")
		}
	})
}
