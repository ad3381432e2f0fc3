package stream

import (
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// auditing is an audit of contacts and of their links to companies.
type auditing struct {
	*Audit
	t   *testing.T
	reg *prometheus.Registry
}

var contactsCompanies = cdc.Pair{From: "contacts", To: "companies"}

func inAudit(t *testing.T, f func(a auditing)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		a := auditing{NewAudit(NewMetrics(reg), 10*time.Minute), t, reg}
		a.follow("contacts", []string{"0-1"}, recordFinders...)
		a.follow(contactsCompanies.String(), []string{"0-1", "0-2"}, offsets.JournalStream)
		f(a)
	})
}

func millis() hubspot.Millis { return hubspot.Millis(time.Now().UnixMilli()) }

// change publishes an update that HubSpot made at a time.
func (a auditing) change(stream string, id hubspot.ID, at hubspot.Millis) {
	a.records("contacts", []cdc.Change{{
		ID: id, Row: cdc.Row{Version: at, Live: true},
		Event: &cdc.Event{Op: cdc.Update, SourceMs: at, Stream: stream},
	}}, millis())
}

// delete publishes a delete that HubSpot's answer dates.
func (a auditing) delete(stream string, id hubspot.ID) {
	a.records("contacts", []cdc.Change{{ID: id, Event: &cdc.Event{Op: cdc.Delete, SourceMs: millis(), Stream: stream}}}, millis())
}

// counted is a counter of an object.
func (a auditing) counted(metric, object string) float64 {
	a.t.Helper()
	return testkit.Metric(a.t, a.reg, "hubspot_cdc_"+metric+"_total", object)
}

func (a auditing) missedIs(object string, want float64) {
	a.t.Helper()
	a.Whole(millis())
	if got := a.counted("journal_missed", object); got != want {
		a.t.Errorf("%v changes of %s missed by the journal, want %v", got, object, want)
	}
}

// TestR16_MissedByTheJournal: what polling publishes counts as missed where the
// journal does not name it within ten minutes, however late, doubled or out of order
// its events are, and an event of the record's next change does not make up for one
// that was lost.
func TestR16_MissedByTheJournal(t *testing.T) {
	for name, test := range map[string]struct {
		play func(a auditing)
		want float64
	}{
		"never named": {func(a auditing) { a.change("leading", 1, millis()) }, 1},
		"named before": {func(a auditing) {
			a.Named("contacts", 1, millis(), false)
			a.change("leading", 1, millis())
		}, 0},
		"named nine minutes later, twice": {func(a auditing) {
			at := millis()
			a.change("leading", 1, at)
			time.Sleep(9 * time.Minute)
			a.Named("contacts", 1, at, false)
			a.Named("contacts", 1, at, false)
		}, 0},
		"another record named": {func(a auditing) {
			a.change("leading", 1, millis())
			a.Named("contacts", 2, millis(), false)
		}, 1},
		"only the next change named": {func(a auditing) {
			a.change("leading", 1, millis())
			time.Sleep(20 * time.Second)
			a.Named("contacts", 1, millis(), false)
			a.change(offsets.JournalStream, 1, millis())
		}, 1},
		"only the change before named": {func(a auditing) {
			a.Named("contacts", 1, millis(), false)
			a.change(offsets.JournalStream, 1, millis())
			time.Sleep(20 * time.Second)
			a.change("trailing-5m", 1, millis())
		}, 1},
		"two changes published as one": {func(a auditing) {
			first := millis()
			time.Sleep(2 * time.Second)
			a.change("leading", 1, millis())
			a.Named("contacts", 1, millis(), false)
			a.Named("contacts", 1, first, false)
		}, 0},
		"two changes named in the wrong order": {func(a auditing) {
			first := millis()
			a.change("leading", 1, first)
			time.Sleep(5 * time.Second)
			a.change("leading", 1, millis())
			a.Named("contacts", 1, millis(), false)
			time.Sleep(time.Minute)
			a.Named("contacts", 1, first, false)
		}, 0},
		"an event without a time": {func(a auditing) {
			a.change("leading", 1, millis())
			a.Named("contacts", 1, 0, false)
		}, 0},
		"purged, and found minutes later": {func(a auditing) {
			at := millis()
			time.Sleep(4 * time.Minute)
			a.delete(CensusStream, 1)
			a.Named("contacts", 1, at, true)
		}, 0},
		"purged after a change that was named": {func(a auditing) {
			a.Named("contacts", 1, millis(), false)
			a.change(offsets.JournalStream, 1, millis())
			time.Sleep(time.Minute)
			a.delete(CensusStream, 1)
		}, 1},
		"before the journal began": {func(a auditing) { a.change("leading", 1, millis()-60_000) }, 0},
		"archived before the journal began": {func(a auditing) {
			a.records("contacts", []cdc.Change{{ID: 1, Event: &cdc.Event{Op: cdc.Delete, SourceMs: millis() - 60_000, Stream: offsets.ArchiveStream}}}, millis())
		}, 0},
		"archived since the journal began": {func(a auditing) {
			a.records("contacts", []cdc.Change{{ID: 1, Event: &cdc.Event{Op: cdc.Delete, SourceMs: millis(), Stream: offsets.ArchiveStream}}}, millis())
		}, 1},
		"found by the journal": {func(a auditing) { a.change(offsets.JournalStream, 1, millis()) }, 0},
		"a calculated property": {func(a auditing) {
			a.records("contacts", []cdc.Change{{
				ID: 1, Row: cdc.Row{Version: millis() - 1000, Live: true},
				Event: &cdc.Event{Op: cdc.Update, SourceMs: millis(), Stream: offsets.ReconcileStream},
			}}, millis())
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inAudit(t, func(a auditing) {
				a.Whole(millis())
				time.Sleep(time.Second)
				test.play(a)
				time.Sleep(9 * time.Minute)
				a.Whole(millis())
				time.Sleep(2 * time.Minute)
				a.missedIs("contacts", test.want)
			})
		})
	}
}

// TestR16_NothingIsMissedBeforeTheJournalRuns: a journal that is refused misses
// nothing.
func TestR16_NothingIsMissedBeforeTheJournalRuns(t *testing.T) {
	inAudit(t, func(a auditing) {
		a.change("leading", 1, millis())
		a.Broken()
		time.Sleep(time.Hour)
		a.change("leading", 2, millis())
		a.missedIs("contacts", 0)
	})
}

// TestR16_LinksOfARecordThatWentAreNamed: the journal tells the end of a record, and
// its links go with it without a word. Any other record's do not.
func TestR16_LinksOfARecordThatWentAreNamed(t *testing.T) {
	inAudit(t, func(a auditing) {
		a.Whole(millis())
		time.Sleep(time.Second)
		gone := func(from, to hubspot.ID) cdc.LinkChange {
			return cdc.LinkChange{Key: cdc.LinkKey{From: from, To: to}, Op: cdc.Delete, Stream: offsets.AssociationsStream, SourceMs: millis()}
		}
		a.Named("companies", 7, millis(), true)
		a.Named("contacts", 3, millis(), false)
		time.Sleep(time.Minute)
		a.links(contactsCompanies, []cdc.LinkChange{gone(1, 7), gone(2, 8), gone(3, 9)}, millis())
		time.Sleep(11 * time.Minute)
		a.missedIs(contactsCompanies.String(), 2)
	})
}

// TestR16_LinksAreNamedEachForItself: an event of a link between two records tells of
// all between them, and of no other of the same record.
func TestR16_LinksAreNamedEachForItself(t *testing.T) {
	made := func(stream string, to hubspot.ID, typeID int) cdc.LinkChange {
		return cdc.LinkChange{Key: cdc.LinkKey{From: 1, To: to, Category: "USER_DEFINED", TypeID: typeID}, Op: cdc.Create, Stream: stream, SourceMs: millis()}
	}
	pair := contactsCompanies.String()
	for name, test := range map[string]struct {
		play func(a auditing)
		want float64
	}{
		"a second label, before the first one is published": {func(a auditing) {
			a.NamedLink(pair, 1, 7, millis())
			time.Sleep(2 * time.Second)
			a.NamedLink(pair, 1, 7, millis())
			time.Sleep(time.Second)
			a.links(contactsCompanies, []cdc.LinkChange{made(offsets.JournalStream, 7, 36)}, millis())
			time.Sleep(5 * time.Second)
			a.links(contactsCompanies, []cdc.LinkChange{made(offsets.AssociationsStream, 7, 38)}, millis())
		}, 0},
		"links of one record, found together": {func(a auditing) {
			for to := range hubspot.ID(3) {
				a.NamedLink(pair, 1, 7+to, millis())
				time.Sleep(time.Second)
			}
			a.links(contactsCompanies, []cdc.LinkChange{
				made(offsets.AssociationsStream, 7, 36), made(offsets.AssociationsStream, 8, 36), made(offsets.AssociationsStream, 9, 36),
			}, millis())
		}, 0},
		"one named, and another not": {func(a auditing) {
			a.NamedLink(pair, 1, 7, millis())
			a.links(contactsCompanies, []cdc.LinkChange{made(offsets.AssociationsStream, 7, 36), made(offsets.AssociationsStream, 8, 36)}, millis())
		}, 1},
		"made, removed and made again, once named": {func(a auditing) {
			a.NamedLink(pair, 1, 7, millis())
			a.links(contactsCompanies, []cdc.LinkChange{made(offsets.JournalStream, 7, 36)}, millis())
			time.Sleep(5 * time.Second)
			a.links(contactsCompanies, []cdc.LinkChange{made(offsets.AssociationsStream, 7, 36)}, millis())
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inAudit(t, func(a auditing) {
				a.Whole(millis())
				time.Sleep(time.Second)
				test.play(a)
				time.Sleep(11 * time.Minute)
				a.missedIs(pair, test.want)
			})
		})
	}
}

// TestR16_HowManyTheJournalLost: at 20 changes a second of 2,000 records, and a journal
// that loses a tenth of its events and tells others doubled, out of order and minutes
// late, the count is right within 5 %.
func TestR16_HowManyTheJournalLost(t *testing.T) {
	inAudit(t, func(a auditing) {
		rng := rand.New(rand.NewPCG(1, 2))
		a.Whole(millis())
		lost := 0
		const n = 20 * 60 * 30
		for range n {
			time.Sleep(50 * time.Millisecond)
			id, at := hubspot.ID(1+rng.IntN(2000)), millis()
			told := time.Duration(1000+rng.IntN(2000)) * time.Millisecond
			if rng.IntN(20) == 0 {
				told = time.Minute + time.Duration(rng.IntN(480))*time.Second
			}
			polled := 500*time.Millisecond + time.Duration(rng.IntN(3000))*time.Millisecond
			if rng.IntN(10) == 0 {
				lost++
				time.AfterFunc(polled, func() { a.change("leading", id, at) })
				continue
			}
			time.AfterFunc(told, func() { a.Named("contacts", id, at, false) })
			if rng.IntN(20) == 0 {
				time.AfterFunc(told+time.Minute, func() { a.Named("contacts", id, at, false) })
			}
			stream := offsets.JournalStream
			if polled < told {
				stream = "leading"
			}
			time.AfterFunc(min(polled, told+300*time.Millisecond), func() { a.change(stream, id, at) })
		}
		time.Sleep(11 * time.Minute)
		a.Whole(millis())
		got := a.counted("journal_missed", "contacts")
		t.Logf("%d changes, %d events lost, %.0f changes missed", n, lost, got)
		if math.Abs(got-float64(lost)) > 0.05*float64(lost) {
			t.Errorf("%.0f changes missed by the journal, %d events were lost", got, lost)
		}
		time.Sleep(time.Hour)
		a.Whole(millis())
		if len(a.keys)+len(a.kept)+len(a.wait) > 0 {
			t.Errorf("an hour later %d records are remembered", len(a.keys))
		}
	})
}

// TestR16_AnImportIsBounded: what is remembered of many changes at once has a bound.
func TestR16_AnImportIsBounded(t *testing.T) {
	inAudit(t, func(a auditing) {
		a.Whole(millis())
		for id := range hubspot.ID(auditMost + 1000) {
			a.change("leading", id+1, millis())
		}
		if len(a.kept) > auditMost || len(a.keys) > auditMost {
			t.Errorf("%d changes are remembered", len(a.kept))
		}
		time.Sleep(11 * time.Minute)
		a.missedIs("contacts", auditMost)
	})
}

// TestR16_WhenTheJournalIsReliedOn: after an hour in which it was whole, not for a day
// after polling found what it lacked, and not for types that it does not carry. What
// the journal never carries, or lacks while it is away, changes nothing.
func TestR16_WhenTheJournalIsReliedOn(t *testing.T) {
	inAudit(t, func(a auditing) {
		is := func(why string, want bool) {
			t.Helper()
			if got := a.Relied("contacts"); got != want {
				t.Errorf("%s: relied on %v, want %v", why, got, want)
			}
		}
		pass := func(d time.Duration) {
			for range int(d / time.Minute) {
				time.Sleep(time.Minute)
				a.Whole(millis())
			}
		}
		is("at first", false)
		a.Whole(millis())
		pass(59 * time.Minute)
		is("before an hour", false)
		pass(time.Minute)
		is("after an hour", true)
		a.Broken()
		is("broken", false)
		pass(59 * time.Minute)
		is("59 minutes after it was broken", false)
		pass(2 * time.Minute)
		is("an hour after it was broken", true)

		a.Lacks([]string{"0-2"})
		is("of another type", true)
		if a.Relied(contactsCompanies.String()) {
			t.Error("a pair is relied on of which the journal lacks a side")
		}
		a.Lacks(nil)

		a.records("contacts", []cdc.Change{{
			ID: 1, Row: cdc.Row{Version: millis() - 1000, Live: true},
			Event: &cdc.Event{Op: cdc.Update, SourceMs: millis(), Stream: offsets.ReconcileStream},
		}}, millis())
		pass(11 * time.Minute)
		a.missedIs("contacts", 1)
		is("after a calculated property changed", true)

		a.Broken()
		a.change("leading", 2, millis())
		pass(2 * time.Hour)
		a.missedIs("contacts", 2)
		is("after a change while the journal was away", true)

		a.Lacks([]string{"0-1"})
		a.change("leading", 4, millis())
		pass(11 * time.Minute)
		a.missedIs("contacts", 3)
		a.Lacks(nil)
		is("after a change of a type that it does not carry", true)

		a.change("leading", 3, millis())
		pass(11 * time.Minute)
		a.missedIs("contacts", 4)
		is("after a change that it lacked", false)
		a.Begin()
		a.Whole(millis())
		pass(23 * time.Hour)
		is("for a day, over runs", false)
		pass(2 * time.Hour)
		is("after that day", true)
	})
}

// TestR16_MissedByPolling: what no search shows before the longest lag is over counts
// once, unless the record is gone.
func TestR16_MissedByPolling(t *testing.T) {
	inAudit(t, func(a auditing) {
		a.Whole(millis())
		at := millis()
		for id := range hubspot.ID(4) {
			a.change(offsets.JournalStream, id+1, at)
		}
		a.change("leading", 5, at)
		a.shown("contacts", []hubspot.SearchRow{{ID: 1, Updated: at}, {ID: 2, Updated: at - 1}})
		a.delete(offsets.JournalStream, 3)
		a.passed("contacts", at)
		is := func(want float64) {
			t.Helper()
			if got := a.counted("polling_missed", "contacts"); got != want {
				t.Errorf("%v changes missed by polling, want %v", got, want)
			}
		}
		is(0)
		a.passed("contacts", at+1)
		is(2)
		a.passed("contacts", at+2)
		is(2)
	})
}
