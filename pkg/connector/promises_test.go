package connector_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/cdc/cdctest"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

var (
	seeds     = flag.Int("seeds", 0, "number of random lives in TestPromises_RandomLife (default 5, with -short 1)")
	firstSeed = flag.Uint64("seed", 1, "seed of the first random life")
)

// check checks everything published against everything that happened.
func (w *world) check(objects ...string) *cdctest.Report {
	w.T.Helper()
	return w.Check(func(property string) bool { return strings.HasPrefix(property, latePrefix) }, objects...)
}

// TestPromises_RandomLife lets users work for twenty minutes (with -short eight) on a portal with all
// of HubSpot's bad habits. Meanwhile the connector is stopped, or loses its
// brokers at any moment, and is started again. Once HubSpot has been quiet for as
// long as the slowest finder takes, everything is published, once and in order
// (docs/contract.md section 1, promises 1 to 5): four object types, one of them
// without an archived list, and three association pairs. All the while
// administrators change the portal's schemas and the token's scopes, half of the
// lives have a journal with bad habits and outages of its own (R16), and operators
// ask for snapshots, whose events are the only ones that may repeat.
func TestPromises_RandomLife(t *testing.T) {
	lives := *seeds
	switch {
	case lives > 0:
	case testing.Short():
		lives = 1
	default:
		lives = 5
	}
	sum := &tally{ops: map[string]int{}, reasons: map[string]int{}, schemas: map[string]int{}, streams: map[string]int{}, journal: map[string]int{}}
	t.Run("lives", func(t *testing.T) {
		for i := range lives {
			seed := *firstSeed + uint64(i)
			t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
				t.Parallel()
				randomLife(t, seed, sum)
			})
		}
	})
	t.Logf("%d lives: %v, reasons %v, ties %d, restarts %d, of them in the middle %d, ranges divided %d, schemas %v, asked for again %d, found by %v, the journal's weather %v",
		lives, sum.ops, sum.reasons, sum.ties, sum.restarts, sum.cuts, sum.divided, sum.schemas, sum.again, sum.streams, sum.journal)
	if lives < 10 {
		return // not everything happens in a few lives
	}
	for _, op := range []string{"c", "u", "d", "r"} {
		if sum.ops[op] == 0 {
			t.Errorf("no event %q in all lives", op)
		}
	}
	for _, reason := range []string{"archived", "merged", "purged", "restored", "removed", "object_type_removed"} {
		if sum.reasons[reason] == 0 {
			t.Errorf("no event with reason %q in all lives", reason)
		}
	}
	if sum.streams["journal"] == 0 || len(sum.journal) == 0 {
		t.Error("lives without a journal, or with one that always works")
	}
	if sum.ties == 0 || sum.restarts == 0 || sum.cuts == 0 || sum.again == 0 || sum.divided == 0 {
		t.Error("lives without ties, restarts or divided ranges")
	}
}

// tally counts what happened over all lives, to show that nothing was left out.
type tally struct {
	mu                   sync.Mutex
	ops, reasons         map[string]int
	ties, restarts, cuts int
	divided              int // ranges that backfills and reconciles divided
	schemas              map[string]int
	again                int // events of the snapshots that operators asked for
	streams              map[string]int
	journal              map[string]int // what befell it
}

func (s *tally) event(op, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ops[op]++
	if reason != "" {
		s.reasons[reason]++
	}
}

func (s *tally) found(stream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[stream]++
}

func (s *tally) befell(journal *journalWeather) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if journal != nil {
		for what, n := range journal.befell {
			s.journal[what] += n
		}
	}
}

func (s *tally) schema(deed string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.schemas[deed]++
}

func (s *tally) repeats(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again += n
}

func (s *tally) life(ties, restarts, cuts, divided int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.divided += divided
	s.ties, s.restarts, s.cuts = s.ties+ties, s.restarts+restarts, s.cuts+cuts
}

func randomLife(t *testing.T, seed uint64, sum *tally) {
	rng := rand.New(rand.NewPCG(seed, 0))
	opt := hubspottest.Harsh(seed)
	opt.Types = []string{"contacts", "companies", "deals"}
	opt.LinksNotFound = seed%2 == 0
	opt.MergedInArchive, opt.MergedCopies, opt.MergedUnknown = seed%3 == 0, seed%5 == 0, seed%7 == 0
	opt.ListPage, opt.Places = 1+rng.IntN(15), hubspottest.Places(max(seed%7, 2)-2)
	env := []string{
		"SYNC_REFERENCE_INTERVAL=1m", "SYNC_ARCHIVE_INTERVAL=2m", "SYNC_RECONCILE_INTERVAL=1h", "SYNC_ASSOCIATIONS_INTERVAL=10m", "SYNC_LEADING_INTERVAL=5s",
		"HUBSPOT_ASSOCIATIONS=contacts:companies,contacts:contacts,deals:p4242_car", "SYNC_SCHEMA_INTERVAL=40s",
		"HUBSPOT_VOLATILE=none.none", // every property counts
	}
	journal, app := newJournalWeather(seed)
	inWorld(t, opt, append(env, app...), func(w *world) {
		w.Split = 2 + rng.IntN(15)
		car := w.Portal.AddCustomType("car", oddProperties...).FullyQualifiedName
		w.Portal.SetArchivedList(car, false)
		objects := append([]string{car}, opt.Types...)
		pairs := []cdc.Pair{{From: "contacts", To: "companies"}, {From: "contacts", To: "contacts"}, {From: "deals", To: car}}
		for _, object := range objects {
			w.Portal.Seed(object, 60)
		}
		w.Portal.AddLabel("contacts", "companies", "Boss", "Firm")
		w.Portal.AddLabel("contacts", "contacts", "Manager", "Report")
		life := hubspottest.Life{
			Create: 20, Update: 45, Calculated: 10, Touch: 5, Archive: 8, Restore: 5, Merge: 3, Purge: 3,
			Associate: 30, Dissociate: 15, Relabel: 1, Owner: 3, Pipeline: 6,
		}
		for _, pair := range pairs {
			life.Pairs = append(life.Pairs, [2]string{pair.From, pair.To})
		}
		for range 60 {
			w.Portal.Step(rng, hubspottest.Life{Associate: 1, Pairs: life.Pairs})
		}
		time.Sleep(time.Second)
		journal.begin(w.Portal)
		journal.step()
		processes := watched{lag: 5 * time.Minute, surely: 15 * time.Minute}
		p := processes.start(w, objects...)
		ties, restarts, cuts := 0, 0, 0
		admin := &administrator{portal: w.Portal, rng: rng, objects: objects, done: sum.schema}
		asks := newOperator(w, seed, objects, pairs)
		remove := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultOmit, Share: 0.03})
		// One edge server's clock is wrong, and for some minutes that of all.
		shifts := []time.Duration{-72 * time.Hour, -time.Hour, -time.Minute, time.Minute, time.Hour, 72 * time.Hour}
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultDate, Shift: shifts[seed%6], Probability: 0.1})
		w.Portal.Inject(hubspottest.Fault{
			Kind: hubspottest.FaultDate, Shift: shifts[seed/6%6], From: time.Now().Add(5 * time.Minute), Until: time.Now().Add(15 * time.Minute),
		})
		next, short := time.Now().Add(time.Minute), time.Now().Add(time.Minute)
		for end := time.Now().Add(shorter(20*time.Minute, 8*time.Minute)); time.Now().Before(end); {
			for range rng.IntN(8) {
				w.Portal.Step(rng, life)
			}
			if rng.IntN(40) == 0 { // many in one millisecond
				object := objects[rng.IntN(len(objects))]
				ties += w.Portal.BulkUpdate(object, w.Portal.IDs(object), map[string]string{bulkProperty(object): fmt.Sprint(rng.IntN(9))})
			}
			if rng.IntN(30) == 0 {
				admin.step()
			}
			asks.step()
			journal.step()
			if rng.IntN(12) == 0 {
				badRecord(w, rng, objects)
			}
			if time.Now().After(short) {
				short = time.Now().Add(time.Duration(70+rng.IntN(120)) * time.Second)
				w.comesShort(rng)
			}
			time.Sleep(time.Duration(rng.IntN(4000)) * time.Millisecond)
			if time.Now().After(next) {
				next = time.Now().Add(time.Duration(30+rng.IntN(180)) * time.Second)
				if rng.IntN(2) == 0 {
					w.Brokers.Cut()
					cuts++
				}
				p.Stop()
				w.Brokers.Mend()
				restarts++
				p = processes.start(w, objects...)
			}
		}
		remove()
		journal.end()
		admin.giveBack()
		objects = append(objects, admin.boats()...)
		// The index shows the last change within an hour; the next reconcile begins
		// within another.
		time.Sleep(130 * time.Minute)
		p.Stop()
		processes.end(objects...)
		w.check(objects...)
		w.checkReferences(objects...)
		w.evidence(&processes, objects, pairs).checkFrontiers()
		for _, e := range w.Seen(objects...) {
			if !e.Tombstone {
				sum.event(e.Op, e.Reason)
				sum.found(e.Stream)
			}
		}
		for _, pair := range pairs {
			w.checkLinks(pair)
			for _, e := range w.seenLinks(pair) {
				if !e.Tombstone {
					sum.event(e.Op, e.Reason)
				}
			}
		}
		sum.befell(journal)
		sum.repeats(asks.check())
		sum.life(ties, restarts, cuts, strings.Count(w.Log.String(), "a range is divided"))
	})
}

// badRecord makes HubSpot fail for a while whenever a record is concerned, in one
// API or in all that read records (R18).
func badRecord(w *world, rng *rand.Rand, objects []string) {
	object := objects[rng.IntN(len(objects))]
	ids := w.Portal.IDs(object)
	if len(ids) == 0 {
		return
	}
	from := rng.IntN(len(ids))
	fault := ailments[rng.IntN(len(ailments))].fault
	fault.Endpoint = []hubspottest.Endpoint{"", hubspottest.EndpointList, hubspottest.EndpointSearch, hubspottest.EndpointBatchRead, hubspottest.EndpointLinks}[rng.IntN(5)]
	fault.IDs = ids[from:min(len(ids), from+1+rng.IntN(3))]
	fault.Until = w.Portal.Now().Add(time.Duration(10+rng.IntN(600)) * time.Second)
	w.Portal.Inject(fault)
}

// comesShort makes some list, definition, label or set of links come short, once or
// for less time than R19 takes to believe it. The first list of a new type's
// properties is spared: nothing shows what that should have.
func (w *world) comesShort(rng *rand.Rand) {
	f := shortAnswers[rng.IntN(len(shortAnswers))].fault
	f.Kind, f.Lost = hubspottest.FaultShort, hubspottest.Loss(1+rng.IntN(3))
	if f.Endpoint == hubspottest.EndpointProperties {
		f.Object = []string{"contacts", "companies", "deals"}[rng.IntN(3)]
	}
	if rng.IntN(2) == 0 {
		f.Count = 1 + rng.IntN(3)
	}
	f.Until = w.Portal.Now().Add(time.Duration(5+rng.IntN(20)) * time.Second)
	w.Portal.Inject(f)
}

// oddProperties have names and values that Avro does not accept as they are.
var oddProperties = []hubspottest.Property{
	{Name: "2021_revenue", Type: "number"}, {Name: "a-b"}, {Name: "a.b"}, {Name: "a_b"}, {Name: "a_u002db"},
	{Name: "sold", Type: "date"}, {Name: "seen", Type: "datetime"}, {Name: "used", Type: "bool"}, {Name: "grün"},
}

func bulkProperty(object string) string {
	switch object {
	case "contacts":
		return "firstname"
	case "companies":
		return "name"
	case "deals":
		return "dealname"
	default:
		return "a-b"
	}
}

// TestPromise1_TwelveThousandTies: 12,000 records that changed in the same
// millisecond are all published, although a search ends at 10,000 results and the
// index shows them late.
func TestPromise1_TwelveThousandTies(t *testing.T) {
	long(t)
	t.Parallel()
	opt := hubspottest.Options{Seed: 5, Index: hubspottest.Index{Min: time.Second, Max: 30 * time.Second, Tail: 0.01, TailMax: 4 * time.Minute}}
	inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 12_000)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(12_000, []string{"contacts"}) })
		w.Portal.BulkUpdate("contacts", ids, map[string]string{"lifecyclestage": "customer"})
		time.Sleep(15 * time.Minute)
		p.Stop()
		r := w.check("contacts")
		if r.Events != 24_000 {
			t.Errorf("%d events, want 24,000", r.Events)
		}
	})
}

// TestPromise1_ChangesDuringTheBackfill: records that change after the sweep has
// passed them are published. Old records come as r, new ones as c (R5, R10).
func TestPromise1_ChangesDuringTheBackfill(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 6}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		old := w.Portal.Seed("contacts", 5_000)
		time.Sleep(2 * time.Second)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.backfilled(1_000, []string{"contacts"}) })
		created := map[string]bool{}
		for i := range 50 {
			w.Portal.Update("contacts", old[i*100], map[string]string{"firstname": "Changed"})
			created[idText(w.Portal.Create("contacts", map[string]string{"firstname": "New"}))] = true
			time.Sleep(100 * time.Millisecond)
		}
		w.Portal.Archive("contacts", old[4_999])
		time.Sleep(20 * time.Minute)
		p.Stop()
		w.check("contacts")
		first := map[string]string{}
		for _, e := range w.Events("contacts") {
			if first[e.Key] == "" {
				first[e.Key] = e.Op
			}
		}
		for key, op := range first {
			if want := map[bool]string{true: "c", false: "r"}[created[key]]; op != want {
				t.Errorf("first event of %s is %q, want %q", key, op, want)
			}
		}
	})
}

// TestPromise5_WrongValuesAndOddNames: every raw text is either in its field or
// in unparsed, there under HubSpot's name.
func TestPromise5_WrongValuesAndOddNames(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 8}, nil, func(w *world) {
		car := w.Portal.AddCustomType("car", oddProperties...).FullyQualifiedName
		id := w.Portal.Create(car, map[string]string{
			"2021_revenue": "about twelve", "a-b": "minus", "a.b": "dot", "a_b": "underscore", "a_u002db": "escaped",
			"sold": "1743685150726", "seen": "yesterday", "used": "Yes", "grün": "nul \x00 here",
		})
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.backfilled(1, []string{car}) })
		p.Stop()
		w.check(car)
		events := w.Events(car)
		if len(events) != 1 || events[0].Key != idText(id) {
			t.Fatalf("events %v", events)
		}
		e := events[0]
		for field, want := range map[string]any{
			"_u0032021_revenue": nil, "a_u002db": "minus", "a_u002eb": "dot", "a_b": "underscore", "a_u005fu002db": "escaped",
			"seen": nil, "used": true, "gr_u00fcn": "nul \uFFFD here",
		} {
			if got, ok := e.After["properties"].(map[string]any)[field]; !ok || got != want {
				t.Errorf("%s = %v (there: %v), want %v", field, got, ok, want)
			}
		}
		unparsed, _ := e.After["unparsed"].(string)
		for _, part := range []string{`"2021_revenue":"about twelve"`, `"seen":"yesterday"`, `"grün":"nul \u0000 here"`} {
			if !strings.Contains(unparsed, part) {
				t.Errorf("unparsed %s lacks %s", unparsed, part)
			}
		}
	})
}

// TestPromise5_HalfASurrogatePair: JSON and Avro have no such character. The field
// has U+FFFD in its place, and unparsed what HubSpot sent.
func TestPromise5_HalfASurrogatePair(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 9}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		w.Portal.Create("contacts", map[string]string{"firstname": "cut \xed\xa0\xbd", "lastname": "Grün\xed\xb8\x80\n", "jobtitle": "whole 😀"})
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.backfilled(1, []string{"contacts"}) })
		time.Sleep(10 * time.Minute)
		p.Stop()
		events := w.Events("contacts")
		if len(events) != 1 {
			t.Fatalf("events %v", events)
		}
		e := events[0]
		for name, want := range map[string]string{"firstname": "cut \uFFFD", "lastname": "Grün\uFFFD\n", "jobtitle": "whole 😀"} {
			if got := e.Property(name); got != want {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
		if got, want := e.After["unparsed"], `{"firstname":"cut \ud83d","lastname":"Grün\ude00\u000a"}`; got != want {
			t.Errorf("unparsed %v, want %v", got, want)
		}
	})
}

// TestR5_AChangeStampedBeforeTheStartAndReadableAfterThePage: HubSpot stamps a
// change, the first start takes HubSpot's Date, the backfill reads the record,
// and only then does the change become readable.
func TestR5_AChangeStampedBeforeTheStartAndReadableAfterThePage(t *testing.T) {
	t.Parallel()
	seeds := uint64(20)
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		opt := hubspottest.Options{Seed: seed, WriteDelay: 1900 * time.Millisecond}
		inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_TRAILING_LAG=1m"}, func(w *world) {
			ids := w.Portal.Seed("contacts", 40)
			time.Sleep(time.Minute)
			p := w.start()
			for i := range 40 {
				w.Portal.Update("contacts", ids[i], map[string]string{"firstname": "Late"})
				time.Sleep(50 * time.Millisecond)
			}
			time.Sleep(5 * time.Minute)
			p.Stop()
			w.check("contacts")
		})
	}
}
