package connector_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

const pausedKey = `{"portal":4242,"stream":"paused"}`

// signalOf is a signal of any type.
func signalOf(kind string, collections ...string) string {
	data := map[string]any{}
	if len(collections) > 0 {
		data["data-collections"] = collections
	}
	text, _ := json.Marshal(map[string]any{"id": kind, "type": kind, "data": data})
	return string(text)
}

// paused lists what /readyz shows as paused.
func (p *process) paused() (names []string) {
	for _, problem := range p.ready().Problems {
		if problem.Stream == "paused" {
			if !strings.Contains(problem.Action, "send resume") {
				p.w.T.Errorf("no cure: %+v", problem)
			}
			names = append(names, problem.Object)
		}
	}
	return names
}

// TestSignals_APauseLosesNothing: while an object type and a pair are paused,
// nothing of them is published and all else is, over a restart too. After the
// resume everything that happened meanwhile is published, once, deletes and links
// too, with a journal and without (docs/contract.md section 4).
func TestSignals_APauseLosesNothing(t *testing.T) {
	t.Parallel()
	for name, journal := range map[string]bool{"polling": false, "journal": true} {
		t.Run(name, func(t *testing.T) {
			if !journal {
				long(t)
			}
			t.Parallel()
			env := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies"}
			if journal {
				env = append(env, withJournal...)
			}
			inWorld(t, hubspottest.Options{Seed: 51, Types: []string{"contacts", "companies"}}, env, func(w *world) { w.pauses(journal) })
		})
	}
}

func (w *world) pauses(journal bool) {
	t := w.T
	if journal {
		w.Portal.SetJournal(hubspottest.Journal{App: journalApp})
	}
	rng := rand.New(rand.NewPCG(51, 51))
	contacts, companies := w.Portal.Seed("contacts", 300), w.Portal.Seed("companies", 60)
	for i, id := range contacts[:200] {
		w.Portal.Associate("contacts", id, "companies", companies[i%60], "", 0)
	}
	p := w.start()
	w.synced(p, toCompanies)
	time.Sleep(3 * time.Minute)
	w.signal(signalOf("pause", "contacts", "hubspot.associations.contacts.companies"))
	w.SleepUntil(time.Minute, func() bool { return len(p.paused()) == 2 })
	time.Sleep(20 * time.Second) // what was on its way
	events := func() [3]int {
		return [3]int{len(w.Events("contacts")), len(w.seenLinks(toCompanies)), len(w.Events("companies"))}
	}
	before := events()
	life := hubspottest.Life{Create: 10, Update: 40, Archive: 10, Restore: 5, Merge: 3, Purge: 5}
	change := func() {
		for range 30 {
			w.Portal.Step(rng, life)
			time.Sleep(time.Second)
		}
		w.Portal.UpdateCalculated("contacts", contacts[250], map[string]string{"firstname": time.Now().String()})
		w.Portal.Associate("contacts", contacts[rng.IntN(200)], "companies", companies[rng.IntN(60)], "", 0)
		w.Portal.Dissociate("contacts", contacts[7], "companies", companies[7], "HUBSPOT_DEFINED", 279)
	}
	change()
	p.Stop()
	p = w.start()
	w.SleepUntil(time.Minute, func() bool { return p.ready().Ready })
	change()
	time.Sleep(map[bool]time.Duration{true: 30 * time.Minute, false: 4 * time.Minute}[journal]) // longer than the audit remembers
	if got := p.paused(); !slices.Equal(got, []string{"contacts", "contacts:companies"}) {
		t.Errorf("/readyz shows as paused after a restart: %v", got)
	}
	if r := p.ready(); !r.Ready {
		t.Errorf("a pause is no reason not to be ready: %+v", r.Problems)
	}
	during := events()
	if during[0] != before[0] || during[1] != before[1] || during[2] == before[2] {
		t.Errorf("events of the paused type, the paused pair and another type: %v, then %v", before, during)
	}
	w.signal(signalOf("resume"))
	w.SleepUntil(time.Minute, func() bool { return len(p.paused()) == 0 })
	time.Sleep(20 * time.Minute) // far less than until the next reconcile and the next sweep
	for _, object := range []string{"contacts", "contacts:companies"} {
		if journal && !p.shows(fmt.Sprintf("hubspot_cdc_journal_missed_total{object=%q} 0", object)) {
			t.Errorf("the journal is blamed for what it named of %s during the pause", object)
		}
	}
	if after := events(); after[0] == during[0] || after[1] == during[1] {
		t.Errorf("nothing came after the resume: %v", after)
	}
	p.Stop()
	w.check("contacts", "companies")
	w.checkLinks(toCompanies)
	for key, want := range map[string]string{pausedKey: `{"offset":2,"objects":{},"snapshots":null,"v":1}`} {
		if got := w.Cursors()[key]; got != want {
			t.Errorf("cursor %s, want %s", got, want)
		}
	}
	got := slices.DeleteFunc(w.noticedOf(stream.NoticeProblem), func(text string) bool { return !strings.Contains(text, "stream=paused") })
	if len(got) != 4 {
		t.Errorf("told of the pause: %q", got)
	}
	w.wantClear()
}

// TestSignals_APauseIsOfWhatItNames: the links of a pair that is not paused are swept
// while its from type is, over a restart too.
func TestSignals_APauseIsOfWhatItNames(t *testing.T) {
	t.Parallel()
	env := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies", "SYNC_ASSOCIATIONS_INTERVAL=10m"}
	inWorld(t, hubspottest.Options{Seed: 52, Types: []string{"contacts", "companies"}}, env, func(w *world) {
		contacts, companies := w.Portal.Seed("contacts", 30), w.Portal.Seed("companies", 5)
		p := w.start()
		w.synced(p, toCompanies)
		w.signal(signalOf("pause", "contacts"))
		w.SleepUntil(time.Minute, func() bool { return len(p.paused()) == 1 })
		for i := range 2 {
			w.Portal.Associate("contacts", contacts[i], "companies", companies[i], "", 0)
			time.Sleep(15 * time.Minute)
			if n := len(w.seenLinks(toCompanies)); n != i+1 {
				t.Errorf("%d links are published after %d restarts, want %d", n, i, i+1)
			}
			p.Stop()
			p = w.start()
			w.SleepUntil(time.Minute, func() bool { return p.ready().Ready })
		}
		w.Portal.Update("contacts", contacts[9], map[string]string{"firstname": "Paused"})
		time.Sleep(10 * time.Minute)
		if w.FirstName(contacts[9]) == "Paused" {
			t.Error("a paused type is published")
		}
		p.Stop()
		w.checkLinks(toCompanies)
	})
}

// TestSignals_PausesAtAnyTime: pauses that come at random, in the middle of a
// backfill in several ranges, of sweeps, of a snapshot and of kills, cost nothing and
// double nothing.
func TestSignals_PausesAtAnyTime(t *testing.T) {
	t.Parallel()
	records, rounds := shorter(3_000, 800), shorter(60, 20)
	env := []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_RECONCILE_INTERVAL=10m", "SYNC_ARCHIVE_INTERVAL=1m", "HUBSPOT_VOLATILE=none.none"}
	opt := hubspottest.Options{Seed: 52, Types: []string{"contacts"}, Latency: hubspottest.Span{Min: 100 * time.Millisecond, Max: 2 * time.Second}}
	inWorld(t, opt, env, func(w *world) {
		rng := rand.New(rand.NewPCG(52, 52))
		w.Portal.Seed("contacts", records)
		w.Split = 200
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return len(w.Records("hubspot.contacts")) > 0 })
		w.signal(execute("all", nil, "contacts"))
		life := hubspottest.Life{Create: 10, Update: 40, Archive: 5, Restore: 5, Merge: 2, Purge: 2}
		for round := range rounds {
			w.signal(signalOf([]string{"pause", "resume", "pause-snapshot", "resume-snapshot"}[rng.IntN(4)]))
			w.signal(signalOf([]string{"pause", "resume"}[round%2], "contacts"))
			for range rng.IntN(4) {
				w.Portal.Step(rng, life)
				time.Sleep(time.Duration(rng.IntN(4000)) * time.Millisecond)
			}
			if rng.IntN(5) == 0 {
				p.Kill()
				w.Brokers.Mend()
				p = w.start()
				w.SleepUntil(time.Minute, func() bool { return p.ready().Role == "owner" })
			}
		}
		w.signal(signalOf("resume"), signalOf("resume-snapshot"))
		w.synced(p)
		w.SleepUntil(time.Hour, func() bool { return p.running() == nil && len(p.paused()) == 0 })
		time.Sleep(40 * time.Minute)
		p.Stop()
		w.check("contacts")
		if len(w.asked("contacts")) == 0 {
			t.Error("nothing was published again")
		}
		for id, n := range w.asked("contacts") {
			if n != 1 {
				t.Errorf("contact %s was published again %d times", id, n)
			}
		}
	})
}

// TestSignals_AResumeThatIsKilledLosesNothing: what the journal told during a pause is
// read by the reconcile and the sweep that the resume asks for. They are owed after
// kills too, whether they had begun or not (docs/contract.md section 4).
func TestSignals_AResumeThatIsKilledLosesNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(shorter(12, 4)) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			env := append([]string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies", "HUBSPOT_VOLATILE=none.none"}, withJournal...)
			opt := hubspottest.Options{
				Seed: seed, Types: []string{"contacts", "companies"}, Latency: hubspottest.Span{Min: 100 * time.Millisecond, Max: 800 * time.Millisecond},
			}
			inWorld(t, opt, env, func(w *world) {
				rng := rand.New(rand.NewPCG(seed, 0))
				w.Portal.SetJournal(hubspottest.Journal{App: journalApp})
				contacts, companies := w.Portal.Seed("contacts", 300), w.Portal.Seed("companies", 30)
				for i, id := range contacts {
					w.Portal.Associate("contacts", id, "companies", companies[i%30], "", 0)
				}
				p := w.start()
				w.synced(p, toCompanies)
				time.Sleep(3 * time.Minute)
				w.signal(signalOf("pause", "contacts", "contacts:companies"))
				w.SleepUntil(time.Minute, func() bool { return len(p.paused()) == 2 })
				for i := range 5 { // neither moves a modified time
					w.Portal.UpdateCalculated("contacts", contacts[50*i], map[string]string{"firstname": "Calculated"})
					w.Portal.Dissociate("contacts", contacts[50*i+7], "companies", companies[(50*i+7)%30], "HUBSPOT_DEFINED", 279)
				}
				time.Sleep(10 * time.Minute) // the journal has told it by then
				w.signal(signalOf("resume"))
				w.SleepUntil(time.Minute, func() bool { return len(p.paused()) == 0 })
				for range 1 + rng.IntN(3) {
					time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
					p.Kill()
					w.Brokers.Mend()
					p = w.start()
					w.SleepUntil(time.Minute, p.streams)
				}
				time.Sleep(20 * time.Minute) // far less than until the next reconcile and the next sweep
				p.Stop()
				w.check("contacts", "companies")
				w.checkLinks(toCompanies)
				if got, want := w.Cursors()[pausedKey], `{"offset":2,"objects":{},"snapshots":null,"v":1}`; got != want {
					t.Errorf("cursor %s, want %s", got, want)
				}
			})
		})
	}
}

// TestSignals_AResumeThatIsYetToComeIsPaid: one sweep pays what a cursor says is owed
// from a time in the future on, as a person may type it.
func TestSignals_AResumeThatIsYetToComeIsPaid(t *testing.T) {
	t.Parallel()
	env := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies"}
	inWorld(t, hubspottest.Options{Seed: 56, Types: []string{"contacts", "companies"}}, env, func(w *world) {
		w.Portal.Seed("contacts", 50)
		p := w.start()
		w.synced(p, toCompanies)
		p.Stop()
		in := w.Portal.Now().Add(1000 * time.Hour).Format(time.RFC3339)
		w.Produce("hubspot.offsets", pausedKey, `{"offset":0,"objects":{},"snapshots":null,"owed":{"contacts":"`+in+`","contacts:companies":"`+in+`"},"v":1}`)
		p = w.start()
		w.ReadUntil(10*time.Minute, func() bool { return w.Cursors()[pausedKey] == `{"offset":0,"objects":{},"snapshots":null,"v":1}` })
		p.Stop()
		w.check("contacts", "companies")
	})
}

// TestSignals_ASnapshotIsPaused: over a restart too, and told by Debezium's words and
// the signal's id; a stop ends a paused one.
func TestSignals_ASnapshotIsPaused(t *testing.T) {
	t.Parallel()
	env := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=none"}
	opt := hubspottest.Options{Seed: 53, Types: []string{"contacts", "companies"}, Latency: hubspottest.Span{Min: 2 * time.Second, Max: 3 * time.Second}}
	inWorld(t, opt, env, func(w *world) {
		ids := w.Portal.Seed("contacts", 900)
		companies := w.Portal.Seed("companies", 10)
		p := w.start()
		w.synced(p)
		w.signal(signalOf("pause-snapshot")) // there is none
		w.signal(execute("ask-1", nil, "contacts", "companies"))
		w.ReadUntil(time.Minute, func() bool { return len(w.asked("contacts")) > 0 })
		w.signal(signalOf("pause-snapshot"))
		time.Sleep(20 * time.Second)
		before := len(w.asked("contacts"))
		p.Stop()
		p = w.start()
		time.Sleep(5 * time.Minute)
		if n := len(w.asked("contacts")); n != before || before == 0 || before == len(ids) {
			t.Errorf("%d, then %d records were published again during the pause", before, n)
		}
		if got := p.paused(); len(got) != 1 || got[0] != "" || p.running() == nil {
			t.Errorf("/readyz shows as paused %q, and the snapshot %v", got, p.running())
		}
		w.signal(signalOf("resume-snapshot"))
		w.completed(2)
		w.each("contacts", 1, ids...)
		w.each("companies", 1, companies...)
		w.signal(execute("ask-2", nil, "contacts"), signalOf("pause-snapshot"))
		w.SleepUntil(time.Minute, func() bool { return len(p.paused()) == 1 })
		w.signal(stop("enough"))
		w.SleepUntil(time.Minute, func() bool { return len(p.paused()) == 0 })
		w.signal(execute("ask-3", companies[:1], "companies"))
		w.completed(3)
		w.signal(signalOf("resume-snapshot"))
		w.SleepUntil(time.Minute, func() bool { return p.Log.Has("no snapshot is paused") })
		p.Stop()

		about := func(id, rest string) string {
			return "Incremental Snapshot " + strings.ReplaceAll(rest, "@", "signal_offset="+id)
		}
		w.wantTold(w.noticedOf(stream.IncrementalSnapshot),
			about("1", "STARTED data_collections=companies, contacts @"),
			about("1", "TABLE_SCAN_COMPLETED data_collections=companies, contacts scanned_collection=companies @ status=SUCCEEDED total_rows_scanned=10"),
			about("1", "PAUSED data_collections=contacts @"),
			about("1", "RESUMED data_collections=contacts @"),
			about("1", "TABLE_SCAN_COMPLETED data_collections=companies, contacts scanned_collection=contacts @ status=SUCCEEDED total_rows_scanned=900"),
			about("1", "COMPLETED data_collections=companies, contacts @"),
			about("4", "STARTED data_collections=contacts @"),
			about("4", "PAUSED data_collections=contacts @"),
			about("4", "ABORTED data_collections=contacts @"),
			about("7", "STARTED data_collections=companies @"),
			about("7", "TABLE_SCAN_COMPLETED data_collections=companies scanned_collection=companies @ status=SUCCEEDED total_rows_scanned=1"),
			about("7", "COMPLETED data_collections=companies @"),
		)
		for _, n := range w.notices() {
			if want := map[string]string{"1": "ask-1", "4": "ask-2", "7": "ask-3"}[n.Data["signal_offset"]]; n.ID != want && want != "" {
				t.Errorf("%v has not the id of its signal, %s", n, want)
			}
		}
	})
}

// TestSignals_ALine: a signal writes a line into the log, once.
func TestSignals_ALine(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 54}, []string{oneType, "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		p := w.start()
		w.signal(`{"id":"l-1","type":"log","data":{"message":"the weekly load begins, at {}"}}`)
		time.Sleep(time.Minute)
		p.Stop()
		p = w.start()
		time.Sleep(time.Minute)
		p.Stop()
		if n := w.says("the weekly load begins, at 0", "signal=l-1"); n != 1 {
			t.Errorf("%d lines of the log, want one", n)
		}
	})
}

// TestNotifications_APausedBackfill: its pause and its resume are told too, and a
// restart during the pause tells nothing twice.
func TestNotifications_APausedBackfill(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 55, Types: []string{"contacts"}, Latency: hubspottest.Span{Min: 2 * time.Second, Max: 3 * time.Second}}
	inWorld(t, opt, []string{oneType, "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 2_000)
		p := w.start()
		w.ReadUntil(time.Minute, func() bool { return len(w.Records("hubspot.contacts")) > 0 })
		w.signal(signalOf("pause", "contacts"))
		time.Sleep(time.Minute)
		before := len(w.Events("contacts"))
		p.Stop()
		p = w.start()
		time.Sleep(5 * time.Minute)
		if n := len(w.Events("contacts")); n != before || n == len(ids) {
			t.Errorf("%d, then %d records were published during the pause", before, n)
		}
		w.signal(signalOf("resume", "contacts"))
		w.synced(p)
		time.Sleep(10 * time.Second)
		p.Stop()
		w.check("contacts")
		of := func(text string) bool { return !strings.Contains(text, "=contacts") }
		w.wantTold(slices.DeleteFunc(w.noticedOf(stream.InitialSnapshot), of),
			"Initial Snapshot STARTED data_collections=contacts",
			"Initial Snapshot PAUSED data_collections=contacts",
			"Initial Snapshot RESUMED data_collections=contacts",
			"Initial Snapshot COMPLETED data_collections=contacts total_rows_scanned=2000",
		)
	})
}
