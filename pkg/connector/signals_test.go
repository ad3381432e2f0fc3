package connector_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/cdc/cdctest"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

const signalsKey = `{"portal":4242,"stream":"signals"}`

// execute is the signal that asks for a snapshot. ids are the records wanted of
// the first collection; without ids it is all of them.
func execute(id string, ids []uint64, collections ...string) string {
	data := map[string]any{"data-collections": collections, "type": "incremental"}
	if ids != nil {
		texts := make([]string, len(ids))
		for i, id := range ids {
			texts[i] = idText(id)
		}
		data["additional-conditions"] = []any{map[string]string{"data-collection": collections[0], "filter": strings.Join(texts, ",")}}
	}
	text, _ := json.Marshal(map[string]any{"id": id, "type": "execute-snapshot", "data": data})
	return string(text)
}

func stop(id string, collections ...string) string {
	text, _ := json.Marshal(map[string]any{"id": id, "type": "stop-snapshot", "data": map[string]any{"data-collections": collections}})
	return string(text)
}

func (w *world) signal(values ...string) {
	w.T.Helper()
	for _, value := range values {
		w.Produce("hubspot.signals", "hubspot", value)
	}
}

// asked counts, by key, the events of the snapshots that were asked for.
func (w *world) asked(object string) map[string]int {
	w.T.Helper()
	out := map[string]int{}
	for _, e := range w.Seen(object) {
		if e.Snapshot == "incremental" {
			out[e.Key.ID]++
		}
	}
	return out
}

func (w *world) askedLinks(pair cdc.Pair) map[string]int {
	w.T.Helper()
	out := map[string]int{}
	for _, e := range w.seenLinks(pair) {
		if e.Snapshot == "incremental" {
			out[e.Key]++
		}
	}
	return out
}

// each fails unless every one of ids was published n times, and nothing else.
func (w *world) each(object string, n int, ids ...uint64) {
	w.T.Helper()
	got := w.asked(object)
	for _, id := range ids {
		if got[idText(id)] != n {
			w.T.Errorf("%s %d was published again %d times, want %d", object, id, got[idText(id)], n)
		}
		delete(got, idText(id))
	}
	for id, times := range got {
		w.T.Errorf("%s %s was published again %d times, although nobody asked", object, id, times)
	}
}

// says counts the lines of the log that contain all the words.
func (w *world) says(words ...string) (n int) {
	for line := range strings.Lines(w.Log.String()) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			n++
		}
	}
	return n
}

// running is the snapshot that /readyz shows.
func (p *process) running() *stream.Snapshot { return p.ready().Snapshot }

// deaf reports whether /readyz shows that signals cannot be read, and why.
func (p *process) deaf(why string) bool {
	return slices.ContainsFunc(p.ready().Problems, func(problem stream.Problem) bool {
		return problem.Stream == "signals" && strings.Contains(problem.Problem, why) && problem.Action != ""
	})
}

func (p *process) shows(line string) bool {
	return slices.Contains(strings.Split(p.Get("/metrics").Body.String(), "\n"), line)
}

// synced waits until everything is published.
func (w *world) synced(p *process, pairs ...cdc.Pair) {
	w.T.Helper()
	w.SleepUntil(time.Hour, func() bool {
		status := p.Status()
		if status == nil || !status.Running() {
			return false
		}
		done := status.Backfills()
		for _, state := range done {
			if state != "done" {
				return false
			}
		}
		return len(done) > 0 && !slices.ContainsFunc(pairs, func(pair cdc.Pair) bool { return done[pair.String()] != "done" })
	})
}

// completed waits until the log has said so n times.
func (w *world) completed(n int) {
	w.T.Helper()
	w.SleepUntil(time.Hour, func() bool { return w.says("snapshot completed") >= n })
	time.Sleep(11 * time.Second) // a cursor without events waits for ten seconds
}

// TestSignals_IDs: the records that a signal names are published again, once, as
// r, although nothing has changed. What has changed comes with them, a deleted
// record is a delete, and what HubSpot does not have makes no event.
func TestSignals_IDs(t *testing.T) {
	t.Parallel()
	env := []string{"HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=1m", "SYNC_ARCHIVE_INTERVAL=10m", "SYNC_CENSUS_INTERVAL=10m"}
	inWorld(t, hubspottest.Options{Seed: 21}, env, func(w *world) {
		ids := w.Portal.Seed("contacts", 300)
		p := w.start()
		w.synced(p)
		w.Portal.Archive("contacts", ids[9])
		time.Sleep(20 * time.Minute)
		before := len(w.Events("contacts"))

		w.Portal.UpdateCalculated("contacts", ids[1], map[string]string{"firstname": "Calculated"}) // no tier sees it
		w.Portal.Archive("contacts", ids[8])
		w.signal(execute("three", []uint64{ids[2], ids[0], ids[1], ids[2], ids[8], ids[9], 77}, "hubspot.contacts"))
		w.completed(1)
		p.Stop()

		var got []string
		for _, e := range w.Events("contacts")[before:] {
			got = append(got, fmt.Sprintf("%s %s %v %v", e.Op, e.Key, e.Source["snapshot"], e.Source["stream"]))
		}
		want := []string{
			"d " + idText(ids[8]) + " false signals",
			"r " + idText(ids[1]) + " incremental signals",
			"r " + idText(ids[0]) + " incremental signals",
			"r " + idText(ids[2]) + " incremental signals",
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if got, want := w.Cursors()[signalsKey], `{"offset":1,"v":1}`; got != want {
			t.Errorf("cursor %s, want %s", got, want)
		}
		absent := fmt.Sprintf("ids=77,%d,%d", min(ids[8], ids[9]), max(ids[8], ids[9]))
		for _, words := range [][]string{
			{"signal accepted", "signal=three", "offset=0"},
			{"snapshot started", "signal=three", "object=contacts", "ids=6"},
			{"HubSpot has nothing", "signal=three", absent},
			{"snapshot completed", "signal=three", "records=3"},
		} {
			if w.says(words...) != 1 {
				t.Errorf("%d lines of the log contain %q, want one", w.says(words...), words)
			}
		}
		w.check("contacts")
	})
}

// TestSignals_NamesWhatHubSpotDoesNotAnswer: a snapshot of ids ends without the records
// that are stuck, each time it is asked for, and says so.
func TestSignals_NamesWhatHubSpotDoesNotAnswer(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 22}, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 30)
		p := w.start()
		w.synced(p)
		heal := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultOmit, Endpoint: hubspottest.EndpointBatchRead})
		for n := range 2 {
			w.signal(execute(fmt.Sprint("try", n), ids[3:4], "contacts"))
			w.completed(n + 1)
			if n := w.says("HubSpot does not answer", fmt.Sprint("signal=try", n), "ids="+idText(ids[3])); n != 1 {
				t.Errorf("%d lines of the log name the record, want one", n)
			}
		}
		heal()
		w.SleepUntil(10*time.Minute, func() bool { return !p.names(ids[3]) })
		w.signal(execute("well", ids[3:4], "contacts"))
		w.completed(3)
		p.Stop()
		w.each("contacts", 1, ids[3])
		w.check("contacts")
	})
}

// TestSignals_AWholeTypeWhileItChanges: every record is published again, once,
// while users work on the portal and the type's other streams run. The fold of
// the events is the portal.
func TestSignals_AWholeTypeWhileItChanges(t *testing.T) {
	long(t)
	t.Parallel()
	opt := hubspottest.Harsh(22)
	opt.Types = []string{"contacts"}
	env := []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_ARCHIVE_INTERVAL=1m", "SYNC_RECONCILE_INTERVAL=1h", "HUBSPOT_VOLATILE=none.none"}
	inWorld(t, opt, env, func(w *world) {
		rng := rand.New(rand.NewPCG(22, 0))
		ids := w.Portal.Seed("contacts", 2_000)
		p := w.start()
		w.synced(p)
		time.Sleep(5 * time.Minute)
		// While the snapshot runs.
		life := hubspottest.Life{Create: 20, Update: 60, Calculated: 10, Touch: 5, Archive: 5, Restore: 5, Merge: 3, Purge: 2}
		w.signal(execute("all", nil, "contacts"))
		running := false
		for w.says("snapshot completed") == 0 {
			for range rng.IntN(8) {
				w.Portal.Step(rng, life)
			}
			time.Sleep(100 * time.Millisecond)
			if s := p.running(); s != nil {
				running = running || *s == stream.Snapshot{Signal: "all", Object: "contacts", Records: s.Records, Of: s.Of, ID: s.ID} &&
					s.Records > 0 && s.Of > 1_900 && p.shows(`hubspot_cdc_snapshot_running{object="contacts"} 1`)
			}
		}
		if !running {
			t.Error("/readyz and /metrics never showed the snapshot")
		}
		time.Sleep(130 * time.Minute)
		if p.running() != nil || !p.shows(`hubspot_cdc_snapshot_running{object="contacts"} 0`) || !p.shows(`hubspot_cdc_signals_total{result="accepted"} 1`) {
			t.Error("the snapshot has ended, but /readyz or /metrics still shows it")
		}
		p.Stop()
		w.check("contacts")

		asked := w.asked("contacts")
		for id, n := range asked {
			if n != 1 {
				t.Errorf("contact %s was published again %d times", id, n)
			}
		}
		live := map[uint64]bool{} // throughout
		for _, id := range w.Portal.IDs("contacts") {
			live[id] = true
		}
		for _, c := range w.Portal.History("contacts") {
			if !c.State.Live() {
				delete(live, c.State.ID)
			}
		}
		lived := 0
		for _, id := range ids {
			if live[id] {
				lived++
				if asked[idText(id)] == 0 {
					t.Errorf("contact %d was there all the time, but was not published again", id)
				}
			}
		}
		t.Logf("%d published again, %d of 2000 were there all the time", len(asked), lived)
		if lived < 1_000 {
			t.Error("too few records to show anything")
		}
	})
}

// TestSignals_Everything: object types and the links of their pairs, each once.
func TestSignals_Everything(t *testing.T) {
	t.Parallel()
	env := []string{"HUBSPOT_OBJECTS=contacts,companies,p4242_car", "HUBSPOT_ASSOCIATIONS=contacts:companies,contacts:p4242_car"}
	inWorld(t, hubspottest.Options{Seed: 23}, env, func(w *world) {
		car := w.Portal.AddCustomType("car").FullyQualifiedName
		toCars := cdc.Pair{From: "contacts", To: car}
		contacts, companies, cars := w.Portal.Seed("contacts", 1_100), w.Portal.Seed("companies", 120), w.Portal.Seed(car, 30)
		for i := range 1_050 {
			w.Portal.Associate("contacts", contacts[i], "companies", companies[i%len(companies)], "", 0)
		}
		w.Portal.Associate("contacts", contacts[7], car, cars[3], "", 0)
		p := w.start()
		w.synced(p, toCompanies, toCars)
		w.signal(execute("all", nil, ".*"))
		w.completed(5 + len(stream.References()))
		w.each("contacts", 1, contacts...)
		w.each("companies", 1, companies...)
		w.each(car, 1, cars...)
		links := w.askedLinks(toCompanies)
		if len(links) != 1_050 || len(w.askedLinks(toCars)) != 1 {
			t.Errorf("%d and %d links were published again, want 1050 and 1", len(links), len(w.askedLinks(toCars)))
		}
		for key, n := range links {
			if n != 1 {
				t.Errorf("link %s was published again %d times", key, n)
			}
		}

		// By the ids of from as well.
		w.signal(execute("links", []uint64{contacts[1], contacts[0], contacts[1_099], 77}, "hubspot.associations.contacts.companies"))
		w.completed(6 + len(stream.References()))
		p.Stop()
		again := w.askedLinks(toCompanies)
		for key, n := range links {
			from := key[:strings.Index(key, ":")]
			if from == idText(contacts[0]) || from == idText(contacts[1]) {
				n++
			}
			if again[key] != n {
				t.Errorf("link %s was published again %d times, want %d", key, again[key], n)
			}
		}
		if w.says("HubSpot has nothing", "signal=links") > 1 {
			t.Error("what does not exist is logged more than once")
		}
		w.check("contacts", "companies", car)
		w.checkLinks(toCompanies)
		w.checkLinks(toCars)
	})
}

// TestSignals_AStop: a stop is obeyed in the middle of a snapshot, even while the
// snapshot waits for HubSpot. It stops what was asked for before it, for some
// collections or all, and nothing after it. A restart does not undo it.
func TestSignals_AStop(t *testing.T) {
	t.Parallel()
	env := []string{"HUBSPOT_OBJECTS=contacts,companies,deals", "HUBSPOT_ASSOCIATIONS=none", "SYNC_LEADING_INTERVAL=1m"}
	inWorld(t, hubspottest.Options{Seed: 24}, env, func(w *world) {
		contacts, companies, deals := w.Portal.Seed("contacts", 3_000), w.Portal.Seed("companies", 200), w.Portal.Seed("deals", 10)
		p := w.start()
		w.synced(p)
		time.Sleep(time.Minute)
		w.signal(execute("first", nil, "contacts", "deals"), execute("second", nil, "companies"))
		w.SleepUntil(time.Minute, func() bool {
			s := p.running()
			return s != nil && s.Object == "contacts" && s.Records > 300 && s.Waiting == 2
		})
		w.signal(stop("enough", "hubspot.contacts"))
		w.completed(2) // deals, then companies
		some := len(w.asked("contacts"))
		if some < 300 || some > 2_000 {
			t.Errorf("%d contacts were published again before the stop", some)
		}
		w.each("deals", 1, deals...)
		w.each("companies", 1, companies...)
		if w.says("snapshot stopped", "signal=first", "object=contacts") != 1 || w.says("signal accepted", "signal=enough", "stopped=1") != 1 {
			t.Error("the log does not say that the snapshot was stopped")
		}
		if got, want := w.Cursors()[signalsKey], `{"offset":3,"v":1}`; got != want {
			t.Errorf("cursor %s, want %s", got, want)
		}

		// HubSpot answers no list for an hour. The stop, for all collections, need
		// not wait.
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultSlow, Endpoint: hubspottest.EndpointList, Latency: time.Hour})
		w.signal(execute("third", nil, ".*"))
		w.SleepUntil(time.Minute, func() bool { return p.running() != nil })
		w.signal(stop("all"), execute("fourth", []uint64{contacts[0]}, "contacts"))
		w.SleepUntil(time.Minute, func() bool { return w.says("signal accepted", "signal=all", "stopped=6") == 1 })
		w.completed(3)
		w.Portal.ClearFaults()
		p.Stop()
		if got, want := w.Cursors()[signalsKey], `{"offset":6,"v":1}`; got != want {
			t.Errorf("cursor %s, want %s", got, want)
		}
		p = w.start()
		time.Sleep(time.Minute)
		p.Stop()
		if now := len(w.asked("contacts")); now > some+1 || w.says("snapshot resumed") > 0 {
			t.Errorf("%d contacts were published again; there were %d when the snapshot was stopped", now, some)
		}
		w.check("contacts", "companies", "deals")
	})
}

// TestSignals_ARestartInTheMiddleGoesOn: however often the connector stops or
// loses its brokers in the middle of a snapshot, it continues at the same page.
// It publishes no record twice and leaves none out.
func TestSignals_ARestartInTheMiddleGoesOn(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 25, Latency: hubspottest.Span{Min: 10 * time.Millisecond, Max: 300 * time.Millisecond}}
	env := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies"}
	inWorld(t, opt, env, func(w *world) {
		rng := rand.New(rand.NewPCG(25, 0))
		contacts, companies := w.Portal.Seed("contacts", 3_000), w.Portal.Seed("companies", 500)
		for i, id := range contacts {
			w.Portal.Associate("contacts", id, "companies", companies[i%500], "", 0)
		}
		named := slices.Clone(contacts[1_000:1_700])
		p := w.start()
		w.synced(p, toCompanies)
		w.signal(execute("some", named, "contacts"), execute("all", nil, ".*"))
		restarts, inside := 0, map[string]bool{}
		snapshots := 4 + len(stream.References())
		for w.says("snapshot completed") < snapshots {
			w.SleepUntil(time.Minute, func() bool { return p.running() != nil || w.says("snapshot completed") == snapshots })
			time.Sleep(time.Duration(rng.IntN(1_500)) * time.Millisecond)
			if rng.IntN(2) == 0 {
				w.Brokers.Cut()
			}
			p.Stop()
			w.Brokers.Mend()
			place, err := offsets.ParseSignals([]byte(w.Cursors()[signalsKey]))
			if err != nil {
				t.Fatal(err)
			}
			inside[place.Object] = inside[place.Object] || place.ID > 0
			restarts++
			p = w.start()
		}
		time.Sleep(time.Minute)
		p.Stop()
		t.Logf("%d restarts, in the middle of %v", restarts, inside)
		if !inside["contacts"] || restarts < 5 || w.says("snapshot resumed") < 3 {
			t.Error("too few restarts in the middle to show anything")
		}
		twice := w.asked("contacts")
		for i, id := range contacts {
			want := 1
			if i >= 1_000 && i < 1_700 {
				want = 2
			}
			if got := twice[idText(id)]; got != want {
				t.Errorf("contact %d was published again %d times, want %d", id, got, want)
			}
		}
		w.each("companies", 1, companies...)
		links := w.askedLinks(toCompanies)
		for key, n := range links {
			if n != 1 {
				t.Errorf("link %s was published again %d times", key, n)
			}
		}
		if len(links) != 3_000 {
			t.Errorf("%d links were published again, want 3000", len(links))
		}
		if got, want := w.Cursors()[signalsKey], `{"offset":2,"v":1}`; got != want {
			t.Errorf("cursor %s, want %s", got, want)
		}
		w.check("contacts", "companies")
		w.checkLinks(toCompanies)
	})
}

// TestSignals_WaitForATypeThatHubSpotDoesNotAnswerAbout: a restart does not drop the
// snapshot of such a type, nor pass over a pause that was sent meanwhile. After ten
// minutes it does, and does not say that the snapshot was completed.
func TestSignals_WaitForATypeThatHubSpotDoesNotAnswerAbout(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 26, Latency: hubspottest.Span{Min: 100 * time.Millisecond, Max: 300 * time.Millisecond}}
	env := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=none"}
	for _, outage := range []time.Duration{3 * time.Minute, 15 * time.Minute} {
		t.Run(outage.String(), func(t *testing.T) {
			t.Parallel()
			inWorld(t, opt, env, func(w *world) {
				contacts := w.Portal.Seed("contacts", 3_000)
				w.Portal.Seed("companies", 10)
				p := w.start()
				w.SleepUntil(time.Hour, func() bool { return p.Backfilled("contacts", "companies") })
				w.signal(execute("all", nil, "contacts"))
				w.SleepUntil(time.Minute, func() bool {
					place, _ := offsets.ParseSignals([]byte(w.Cursors()[signalsKey]))
					return place.ID > 0
				})
				p.Stop()
				w.signal(signalOf("pause", "contacts"))
				w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 503, Endpoint: hubspottest.EndpointProperties, Object: "contacts"})
				p = w.start()
				time.Sleep(outage)
				w.Portal.ClearFaults()
				told := func(what string) bool {
					return slices.ContainsFunc(w.noticedOf(stream.IncrementalSnapshot), func(text string) bool { return strings.Contains(text, what) })
				}
				if outage > 10*time.Minute {
					w.SleepUntil(5*time.Minute, func() bool { return told("ABORTED") })
					if told("COMPLETED") || !w.Log.Has("cannot continue") {
						t.Errorf("it told %q", w.noticedOf(stream.IncrementalSnapshot))
					}
					p.Stop()
					return
				}
				w.SleepUntil(5*time.Minute, func() bool { return w.Log.Has("streams are paused") })
				w.signal(signalOf("resume", "contacts"))
				w.SleepUntil(5*time.Minute, func() bool { return w.says("snapshot completed") == 1 })
				w.each("contacts", 1, contacts...)
				if w.Log.Has("cannot be understood") {
					t.Error("a signal was passed over")
				}
				p.Stop()
				w.check("contacts", "companies")
			})
		})
	}
}

// TestPromise2_ASnapshotHasEachRecordOnce: HubSpot does not answer the pages of its list
// that have some record, and does so soon after; one of its next answers is short.
// Whatever an id is as a place in the list, the snapshot has every record once.
func TestPromise2_ASnapshotHasEachRecordOnce(t *testing.T) {
	t.Parallel()
	for _, places := range []hubspottest.Places{hubspottest.PlacesAreIDs, hubspottest.PlacesAfterIDs, hubspottest.PlacesIgnored} {
		for failures := 1; failures <= 4; failures++ {
			for short := range 2 {
				t.Run(fmt.Sprint(places, " ", failures, " ", short), func(t *testing.T) {
					t.Parallel()
					opt := hubspottest.Options{Seed: 32, Types: []string{"contacts"}, ListPage: 10, Places: places}
					inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
						ids := w.Portal.Seed("contacts", 35)
						p := w.start()
						w.synced(p)
						fault := hubspottest.Fault{Endpoint: hubspottest.EndpointList, IDs: ids[:1], Count: failures}
						fault.Kind, fault.Status = hubspottest.FaultStatus, 400
						w.Portal.Inject(fault)
						if short > 0 {
							fault.Kind, fault.Lost, fault.IDs, fault.Count = hubspottest.FaultShort, hubspottest.LostAll, nil, failures+short
							w.Portal.Inject(fault)
						}
						w.signal(execute("whole", nil, "contacts"))
						w.completed(1)
						p.Stop()
						w.each("contacts", 1, ids...)
					})
				})
			}
		}
	}
}

// TestPromise2_ASnapshotGoesOnWhereHubSpotForgetsItsPlace: whatever HubSpot makes of a
// place in its list that it gave to an earlier run, a snapshot has each record that was
// left, once, and none that was done.
func TestPromise2_ASnapshotGoesOnWhereHubSpotForgetsItsPlace(t *testing.T) {
	t.Parallel()
	republishKey := `{"portal":4242,"object":"contacts","stream":"republish"}`
	for places := hubspottest.PlacesAreIDs; places <= hubspottest.PlacesAreTokens; places++ {
		for kind, key := range map[string]string{"signal": signalsKey, "republish": republishKey} {
			t.Run(fmt.Sprint(places, " ", kind), func(t *testing.T) {
				t.Parallel()
				opt := hubspottest.Options{Seed: 33, Types: []string{"contacts"}, ListPage: 10, Places: places}
				inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
					ids := slices.Sorted(slices.Values(w.Portal.Seed("contacts", 135)))
					p := w.start()
					w.synced(p)
					p.Stop()
					at := fmt.Sprintf(`"after":"7","id":"%d","records":20`, ids[19])
					if key == signalsKey {
						w.signal(execute("whole", nil, "contacts"))
						at = `"offset":0,"object":"contacts",` + at
					}
					w.Produce("hubspot.offsets", key, "{"+at+"}")
					p = w.start()
					time.Sleep(2 * time.Minute)
					p.Stop()
					w.each("contacts", 1, ids[20:]...)
					if cursor := w.Cursors()[republishKey]; cursor != "" {
						t.Errorf("the cursor %s is left", cursor)
					}
				})
			})
		}
	}
}

// TestSignals_BadOnes are logged once, with their offset, counted and passed
// over. Signals under another key are passed over too, and the first of them is
// logged. The ones that follow are carried out.
func TestSignals_BadOnes(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 26}, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 30)
		p := w.start()
		w.synced(p)
		bad := []string{
			"snapshot, please", `{"id":"x","type":"pause-everything","data":{}}`,
			execute("unknown", nil, "invoices"), execute("not synced", nil, "hubspot.deals"), execute("nothing", nil),
			`{"id":"no ids","type":"execute-snapshot","data":{"data-collections":["contacts"],"additional-conditions":[{"data-collection":"contacts","filter":"id = 7"}]}}`,
		}
		w.signal(bad...)
		w.Produce("hubspot.signals", "hubspot", "") // a null value
		w.Produce("hubspot.signals", "other", execute("for another connector", nil, "contacts"))
		w.Produce("hubspot.signals", "", execute("without a key", nil, "contacts"))
		w.signal(execute("good", ids[:2], "contacts", "invoices"))
		w.completed(1)
		p.Stop()
		for offset := range len(bad) + 1 {
			if n := w.says("level=WARN", "passed over", fmt.Sprintf("offset=%d ", offset)); n != 1 {
				t.Errorf("offset %d: %d warnings, want one", offset, n)
			}
		}
		if n := w.says("level=WARN", "passed over"); n != len(bad)+2 {
			t.Errorf("%d warnings, want %d", n, len(bad)+2)
		}
		if w.says("level=WARN", "signal=good", "unknown=invoices") != 1 || w.says("level=WARN", "for somebody else", "key=other") != 1 {
			t.Error("the log does not say what was left out")
		}
		w.each("contacts", 1, ids[:2]...)
		if got, want := w.Cursors()[signalsKey], fmt.Sprintf(`{"offset":%d,"v":1}`, len(bad)+4); got != want {
			t.Errorf("cursor %s, want %s", got, want)
		}
		if w.says("the run ended") > 0 {
			t.Error("a run ended")
		}

		// They are not read again, but a signal that came while the connector was
		// stopped is.
		w.signal(execute("meanwhile", ids[5:6], "contacts"))
		p = w.start()
		w.completed(2)
		p.Stop()
		w.each("contacts", 1, ids[0], ids[1], ids[5])
		if n := w.says("level=WARN", "passed over"); n != len(bad)+2 {
			t.Errorf("%d warnings after a restart, want %d", n, len(bad)+2)
		}
		w.check("contacts")
	})
}

// TestSignals_BeforeTheFirstStart: a signal that was sent before there was a
// connector is carried out, even beside the backfill. A cursor that was moved
// back is obeyed, and without a cursor the topic is read from its beginning.
func TestSignals_BeforeTheFirstStart(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 27}, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 800)
		adm := kadm.NewClient(w.Kafka.Client())
		defer adm.Close()
		if _, err := adm.CreateTopic(w.T.Context(), 1, 1, nil, "hubspot.signals"); err != nil {
			t.Fatal(err)
		}
		w.signal(execute("early", ids[700:703], "contacts"))
		p := w.start()
		w.completed(1)
		w.synced(p)
		p.Stop()
		w.each("contacts", 1, ids[700:703]...)

		for round, cursor := range []string{`{"offset":0}`, ""} {
			w.Produce("hubspot.offsets", signalsKey, cursor)
			p = w.start()
			w.completed(2 + round)
			p.Stop()
			w.each("contacts", 2+round, ids[700:703]...)
		}

		// The place inside a snapshot is part of the cursor, too.
		w.signal(execute("whole", nil, "contacts"))
		sorted := slices.Sorted(slices.Values(ids))
		w.Produce("hubspot.offsets", signalsKey, fmt.Sprintf(`{"offset":1,"object":"contacts","after":"%d","id":"%d"}`, sorted[749]+1, sorted[749]))
		before := len(w.asked("contacts"))
		p = w.start()
		w.completed(4)
		p.Stop()
		if got := len(w.asked("contacts")) - before; got > 50 || got < 47 {
			t.Errorf("%d contacts were published again from that place on, want the last 50", got)
		}
		w.check("contacts")
	})
}

// TestSignals_ARefusedTypeIsGivenUp, and the signals after it are carried out.
func TestSignals_ARefusedTypeIsGivenUp(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 28}, []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		w.Portal.Seed("contacts", 30)
		companies := w.Portal.Seed("companies", 30)
		p := w.start()
		w.synced(p)
		remove := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Endpoint: hubspottest.EndpointList, Object: "contacts", Status: http.StatusForbidden})
		w.signal(execute("both", nil, ".*"))
		w.completed(1 + len(stream.References()))
		remove()
		w.each("contacts", 0)
		w.each("companies", 1, companies...)
		if w.says("given up", "signal=both", "object=contacts") != 1 {
			t.Error("the log does not say that the contacts' snapshot was given up")
		}
		if got, want := w.Cursors()[signalsKey], `{"offset":1,"v":1}`; got != want {
			t.Errorf("cursor %s, want %s", got, want)
		}
		p.Stop()
	})
}

// TestSignals_AWrongTopicRefuses with exit code 3 and the cure.
func TestSignals_AWrongTopicRefuses(t *testing.T) {
	t.Parallel()
	compact := "compact"
	for name, c := range map[string]struct {
		partitions int32
		configs    map[string]*string
	}{"partitions": {3, nil}, "compacted": {1, map[string]*string{"cleanup.policy": &compact}}} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, hubspottest.Options{}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
				adm := kadm.NewClient(w.Kafka.Client())
				defer adm.Close()
				if _, err := adm.CreateTopic(w.T.Context(), c.partitions, 1, c.configs, "hubspot.signals"); err != nil {
					t.Fatal(err)
				}
				err := <-w.start().Done
				var refusal *offsets.Refusal
				if !errors.As(err, &refusal) || connector.ExitCode(err) != connector.ExitRefused || !strings.Contains(err.Error(), "hubspot.signals") || refusal.Cure == "" {
					t.Errorf("got %v, exit %d", err, connector.ExitCode(err))
				}
			})
		})
	}
}

// operator asks for snapshots at random moments of a random life, and stops some.
type operator struct {
	w       *world
	rng     *rand.Rand
	objects []string
	pairs   []cdc.Pair
	most    map[string]int // how often a collection, or id@collection, was asked for
}

func newOperator(w *world, seed uint64, objects []string, pairs []cdc.Pair) *operator {
	w.T.Helper()
	adm := kadm.NewClient(w.Kafka.Client())
	defer adm.Close()
	if _, err := adm.CreateTopic(w.T.Context(), 1, 1, nil, "hubspot.signals"); err != nil {
		w.T.Fatal(err)
	}
	return &operator{w, rand.New(rand.NewPCG(seed, 1)), objects, pairs, map[string]int{}}
}

func (o *operator) step() {
	if o.rng.IntN(15) > 0 {
		return
	}
	object := o.objects[o.rng.IntN(len(o.objects))]
	ids := o.w.Portal.IDs(object)
	slices.Sort(ids)
	ids = ids[:min(len(ids), 1+o.rng.IntN(30))]
	switch pair := o.pairs[o.rng.IntN(len(o.pairs))]; o.rng.IntN(6) {
	case 0:
		o.w.signal(execute("all", nil, ".*"))
		for _, object := range o.objects {
			o.most[object]++
		}
		for _, pair := range o.pairs {
			o.most[pair.String()]++
		}
	case 1:
		o.w.signal(execute("whole", nil, object))
		o.most[object]++
	case 2:
		o.w.signal(execute("links", nil, pair.String()))
		o.most[pair.String()]++
	case 3:
		o.w.signal(stop("some", object))
	default:
		if len(ids) > 0 {
			o.w.signal(execute("ids", ids, object))
		}
		for _, id := range ids {
			o.most[idText(id)+"@"+object]++
		}
	}
}

// check fails if something was published again without being asked for, or more
// often than that. It gives the number of such events.
func (o *operator) check() (n int) {
	o.w.T.Helper()
	for _, object := range o.objects {
		for id, times := range o.w.asked(object) {
			n += times
			if most := o.most[object] + o.most[id+"@"+object]; times > most {
				o.w.T.Errorf("%s %s was published again %d times and asked for %d times", object, id, times, most)
			}
		}
	}
	for _, pair := range o.pairs {
		for key, times := range o.w.askedLinks(pair) {
			n += times
			if most := o.most[pair.String()]; times > most {
				o.w.T.Errorf("link %s of %s was published again %d times and asked for %d times", key, pair, times, most)
			}
		}
	}
	return n
}

// TestSignals_ATopicThatCannotBeRead stops nothing else. The problem is logged
// and shown, and signals are read again once the topic is back. Here it was
// deleted together with the place in it, so the new one is read from its
// beginning.
func TestSignals_ATopicThatCannotBeRead(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 29}, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 30)
		p := w.start()
		w.synced(p)
		w.signal(execute("first", ids[:1], "contacts"), execute("second", ids[:1], "contacts"))
		w.completed(2)
		var refuse atomic.Bool
		refuse.Store(true)
		w.Kafka.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
			w.Kafka.KeepControl()
			r := req.(*kmsg.ListOffsetsRequest)
			if !refuse.Load() || len(r.Topics) != 1 || r.Topics[0].Topic != "hubspot.signals" {
				return nil, nil, false
			}
			resp := r.ResponseKind().(*kmsg.ListOffsetsResponse)
			part := kmsg.NewListOffsetsResponseTopicPartition()
			part.ErrorCode = kerr.TopicAuthorizationFailed.Code
			topic := kmsg.NewListOffsetsResponseTopic()
			topic.Topic, topic.Partitions = "hubspot.signals", []kmsg.ListOffsetsResponseTopicPartition{part}
			resp.Topics = []kmsg.ListOffsetsResponseTopic{topic}
			return resp, nil, true
		})
		p.Stop()
		adm := kadm.NewClient(w.Kafka.Client())
		defer adm.Close()
		if _, err := adm.DeleteTopics(w.T.Context(), "hubspot.signals"); err != nil {
			t.Fatal(err)
		}
		p = w.start()
		w.SleepUntil(time.Minute, func() bool { return p.deaf("TOPIC_AUTHORIZATION_FAILED") })
		w.Portal.Update("contacts", ids[5], map[string]string{"firstname": "Still followed"})
		time.Sleep(10 * time.Minute)
		if n := w.says("level=WARN", "signals topic cannot be read"); n != 1 {
			t.Errorf("it was logged %d times, want once", n)
		}
		if lost := cdctest.Lost(cdctest.HistoryOf(w.Portal, "contacts"), w.Seen("contacts")); len(lost) > 0 {
			t.Errorf("the contacts were not followed meanwhile: %v", lost)
		}
		refuse.Store(false)
		w.signal(execute("third", ids[1:2], "contacts"))
		w.completed(3)
		if p.deaf("") {
			t.Error("the problem is shown although it is over")
		}
		p.Stop()
		if got := w.asked("contacts"); got[idText(ids[0])] != 2 || got[idText(ids[1])] != 1 || len(got) != 2 {
			t.Errorf("published again: %v", got)
		}
		if got, want := w.Cursors()[signalsKey], `{"offset":1,"v":1}`; got != want {
			t.Errorf("cursor %s, want %s", got, want)
		}
		w.check("contacts")
	})
}

// TestSignals_ATypeThatIsRemovedMeanwhile is not brought back by the snapshot
// that is under way, and a later signal for it is passed over.
func TestSignals_ATypeThatIsRemovedMeanwhile(t *testing.T) {
	t.Parallel()
	env := []string{"HUBSPOT_OBJECTS=contacts,p4242_car", "HUBSPOT_ASSOCIATIONS=none", "SYNC_SCHEMA_INTERVAL=10s"}
	inWorld(t, hubspottest.Options{Seed: 30}, env, func(w *world) {
		car := w.Portal.AddCustomType("car").FullyQualifiedName
		w.Portal.Seed(car, 2_000)
		contacts := w.Portal.Seed("contacts", 20)
		p := w.start()
		w.synced(p)
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultSlow, Endpoint: hubspottest.EndpointList, Object: car, Latency: 2 * time.Second})
		w.signal(execute("cars", nil, car), execute("contacts", nil, "contacts"))
		w.SleepUntil(time.Minute, func() bool { s := p.running(); return s != nil && s.Records > 0 })
		w.Portal.RemoveCustomType(car)
		w.completed(1)
		w.each("contacts", 1, contacts...)
		if w.says("given up", "signal=cars") != 1 {
			t.Error("the log does not say that the snapshot was given up")
		}
		time.Sleep(5 * time.Minute)
		w.signal(execute("too late", nil, car))
		w.SleepUntil(time.Minute, func() bool { return w.says("passed over", "nothing is published under "+car) == 1 })
		p.Stop()
		w.check("contacts", car)
	})
}
