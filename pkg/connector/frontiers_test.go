package connector_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/internal/testkit"
	depl "github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/cdc/cdctest"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// frontier is a record of the frontiers topic, as its consumers read it.
type frontier struct {
	Leading, Complete, Verified *time.Time
	Offsets                     map[string]int64
	Seq                         int64
	Live                        int
	V                           int
}

// frontiers gives the records about a topic, in order.
func (w *world) frontiers(topic string) (out []frontier) {
	w.T.Helper()
	for _, r := range w.Records("hubspot.frontiers") {
		if string(r.Key) != `{"portal":4242,"topic":"`+topic+`"}` {
			continue
		}
		var f frontier
		if err := json.Unmarshal(r.Value, &f); err != nil {
			w.T.Fatalf("%s: %v", r.Value, err)
		}
		out = append(out, f)
	}
	return out
}

func (w *world) frontier(topic string) (f frontier) {
	w.T.Helper()
	for _, f = range w.frontiers(topic) {
	}
	return f
}

func after(at *time.Time, moment time.Time) bool { return at != nil && at.After(moment) }

var quickSweeps = []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies", "SYNC_TRAILING_LAG=1m",
	"SYNC_RECONCILE_INTERVAL=2m", "SYNC_ASSOCIATIONS_INTERVAL=2m", "SYNC_REFERENCE_INTERVAL=1m", "SYNC_LEADING_INTERVAL=5s"}

// R17: the frontiers say how far each topic is complete.
func TestR17_FrontiersFollowWhatIsPublished(t *testing.T) {
	opt := hubspottest.Options{Types: []string{"contacts", "companies"}}
	inWorld(t, opt, quickSweeps, func(w *world) {
		people, firms := w.Portal.Seed("contacts", 250), w.Portal.Seed("companies", 20)
		w.Portal.Associate("contacts", people[0], "companies", firms[0], "", 0)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts", "companies") })
		w.Portal.Touch("contacts", people[7])
		w.Portal.Purge("contacts", people[8])
		gone := time.Now()
		w.ReadUntil(10*time.Minute, func() bool {
			return after(w.frontier("hubspot.contacts").Complete, gone) && after(w.frontier("hubspot.contacts").Verified, gone) &&
				after(w.frontier("hubspot.associations.contacts.companies").Verified, gone) && after(w.frontier("hubspot.owners").Verified, gone)
		})
		p.Stop()

		contacts := w.frontier("hubspot.contacts")
		if contacts.Live != 249 || contacts.V != 1 {
			t.Errorf("the frontier has live %d and v %d, want 249 and 1", contacts.Live, contacts.V)
		}
		ends := map[string]int64{}
		for _, r := range w.Records("hubspot.contacts") {
			ends[idText(uint64(r.Partition))] = r.Offset + 1
		}
		for partition, end := range ends {
			if contacts.Offsets[partition] != end {
				t.Errorf("partition %s: the frontier is at %d, the last record ends at %d", partition, contacts.Offsets[partition], end)
			}
		}
		links := w.frontier("hubspot.associations.contacts.companies")
		if links.Leading != nil || links.Complete != nil || links.Live != 1 {
			t.Errorf("the pair's frontier is %+v: want no leading, no complete and one live link", links)
		}
		if links.Verified.After(*contacts.Verified) {
			t.Errorf("the links are verified at %v, after the contacts' %v", links.Verified, contacts.Verified)
		}
	})
}

// TestR17_EveryFrontierIsTrue: users work on a portal with HubSpot's habits, and the
// connector is killed at any moment. Whatever was ever written into the frontiers
// topic is true of the records up to its offsets, and nothing in it falls.
func TestR17_EveryFrontierIsTrue(t *testing.T) {
	t.Parallel()
	worlds, found := max(uint64(shorter(4, 1)), uint64(*seeds)), map[string]bool{}
	kills, checked := 0, 0
	// Not every world has a change where a bug would show: others follow until each was found.
	for seed := uint64(0); seed < worlds || len(found) < 2*len(plantedBugs) && seed < worlds+8; seed++ {
		rng := rand.New(rand.NewPCG(seed, 17))
		opt := hubspottest.Harsh(seed)
		opt.Types, opt.ListPage = []string{"contacts", "companies"}, 1+rng.IntN(20)
		pairs := []cdc.Pair{{From: "contacts", To: "companies"}, {From: "contacts", To: "contacts"}}
		env := []string{
			"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies,contacts:contacts", "HUBSPOT_VOLATILE=none.none",
			"SYNC_TRAILING_LAG=1m,4m", "SYNC_RECONCILE_INTERVAL=70s", "SYNC_ASSOCIATIONS_INTERVAL=50s", "SYNC_REFERENCE_INTERVAL=40s", "SYNC_LEADING_INTERVAL=3s", "SYNC_ARCHIVE_INTERVAL=20s",
		}
		inWorld(t, opt, env, func(w *world) {
			life := hubspottest.Life{
				Create: 20, Update: 45, Calculated: 10, Touch: 5, Archive: 8, Restore: 5, Merge: 3, Purge: 3, Associate: 30, Dissociate: 15, Owner: 3, Pipeline: 6,
				Pairs: [][2]string{{"contacts", "companies"}, {"contacts", "contacts"}},
			}
			for _, object := range opt.Types {
				w.Portal.Seed(object, 40)
			}
			time.Sleep(time.Second)
			processes := watched{lag: time.Minute, surely: 45 * time.Second}
			p := processes.start(w, opt.Types...)
			next := time.Now().Add(time.Minute)
			for end := time.Now().Add(shorter(12*time.Minute, 5*time.Minute)); time.Now().Before(end); {
				for range rng.IntN(6) {
					w.Portal.Step(rng, life)
				}
				time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
				if time.Now().After(next) {
					next = time.Now().Add(time.Duration(20+rng.IntN(150)) * time.Second)
					w.Brokers.Cut()
					p.Stop()
					w.Brokers.Mend()
					kills++
					p = processes.start(w, opt.Types...)
				}
			}
			quiet := time.Now()
			w.ReadUntil(20*time.Minute, func() bool {
				return after(w.frontier("hubspot.contacts").Verified, quiet) && after(w.frontier("hubspot.companies").Verified, quiet) &&
					after(w.frontier("hubspot.associations.contacts.contacts").Verified, quiet)
			})
			p.Stop()
			processes.end(opt.Types...)
			evidence := w.evidence(&processes, opt.Types, pairs)
			evidence.checkFrontiers()
			evidence.plantBugs(found)
			for _, all := range w.allFrontiers() {
				checked += len(all)
			}
		})
	}
	t.Logf("%d kills, %d frontiers", kills, checked)
	if len(found) < 2*len(plantedBugs) {
		t.Errorf("of the planted bugs the check finds only %v", slices.Sorted(maps.Keys(found)))
	}
}

// TestR17_FrontiersAreTrueOverATimeWithout: nobody writes any for a while. Those of before
// are true meanwhile, and those that follow are too.
func TestR17_FrontiersAreTrueOverATimeWithout(t *testing.T) {
	t.Parallel()
	for seed := range uint64(shorter(8, 2)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng, opt := rand.New(rand.NewPCG(seed, 18)), hubspottest.Harsh(seed)
			opt.Types = []string{"contacts", "companies"}
			pairs := []cdc.Pair{{From: "contacts", To: "companies"}}
			inWorld(t, opt, slices.Concat(quickSweeps, []string{"HUBSPOT_VOLATILE=none.none"}), func(w *world) {
				life := hubspottest.Life{
					Create: 20, Update: 45, Calculated: 10, Archive: 8, Restore: 5, Merge: 3, Purge: 3, Associate: 30, Dissociate: 15, Owner: 3,
					Pairs: [][2]string{{"contacts", "companies"}},
				}
				for _, object := range opt.Types {
					w.Portal.Seed(object, 40)
				}
				time.Sleep(time.Second)
				processes := watched{lag: time.Minute, surely: 45 * time.Second}
				written := 0
				for i, interval := range []string{"10s", "0", "0", "10s"} {
					w.Set("FRONTIER_INTERVAL=" + interval)
					p := processes.start(w, opt.Types...)
					for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); {
						w.Portal.Step(rng, life)
						time.Sleep(time.Duration(rng.IntN(4000)) * time.Millisecond)
					}
					if i == 3 {
						quiet := time.Now()
						w.ReadUntil(20*time.Minute, func() bool {
							return after(w.frontier("hubspot.contacts").Verified, quiet) && after(w.frontier("hubspot.associations.contacts.companies").Verified, quiet)
						})
					}
					p.Kill()
					w.Brokers.Mend()
					if n := len(w.Records("hubspot.frontiers")); interval == "0" && n != written {
						t.Errorf("%d frontiers are written that nobody wants", n-written)
					} else {
						written = n
					}
				}
				processes.end(opt.Types...)
				w.evidence(&processes, opt.Types, pairs).checkFrontiers()
			})
		})
	}
}

// TestR17_NoTimeFalls over restarts, unless somebody moves a cursor back.
func TestR17_NoTimeFalls(t *testing.T) {
	t.Parallel()
	const topic = "hubspot.contacts"
	opt := hubspottest.Options{Seed: 3, Types: []string{"contacts"}, Latency: hubspottest.Span{Min: 200 * time.Millisecond, Max: 300 * time.Millisecond}}
	inWorld(t, opt, []string{
		"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_TRAILING_LAG=1m", "SYNC_RECONCILE_INTERVAL=1m", "SYNC_LEADING_INTERVAL=5s",
	}, func(w *world) {
		w.Portal.Seed("contacts", 30)
		for range 3 {
			p := w.start()
			w.Portal.Seed("contacts", 1)
			time.Sleep(3 * time.Minute)
			p.Stop()
		}
		before := w.allFrontiers()[topic]
		if last := before[len(before)-1]; last.Leading == 0 || last.Complete == 0 || last.Verified == 0 {
			t.Fatalf("the last frontier is %+v", last)
		}
		for _, wrong := range cdctest.CheckFrontierPlaces(placesOf(w.Seen("contacts")), before, false) {
			t.Error(wrong)
		}
		for i := range before[1:] {
			if wait := before[i+1].At - before[i].At; wait < 10_000 {
				t.Errorf("frontier %d comes %d ms after the one before it", i+1, wait)
			}
		}

		back := before[len(before)-1].Complete.Add(-time.Hour)
		w.Produce("hubspot.offsets", depl.LeadingKey, `{"at":"`+back.String()+`","v":1}`)
		time.Sleep(time.Minute) // the next record waits for no interval, and precedes the first walk's end
		p := w.start()
		time.Sleep(time.Minute)
		p.Stop()
		moved := w.allFrontiers()[topic][len(before)]
		if moved.Leading != back || moved.Complete != back || moved.Verified < before[len(before)-1].Verified {
			t.Errorf("with the cursor back at %s the frontier is %+v", back, moved)
		}
	})
}

// TestR17_ARunGoesOnWithoutTheTopic: where nobody may create it, and where it is off.
func TestR17_ARunGoesOnWithoutTheTopic(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string][]string{"forbidden": nil, "off": {"FRONTIER_INTERVAL=0"}} {
		inWorld(t, hubspottest.Options{Seed: 4}, append(settings, "HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=none"), func(w *world) {
			w.makeTopics()
			if _, err := w.Kafka.Admin().DeleteTopics(w.T.Context(), "hubspot.frontiers"); err != nil {
				t.Fatal(err)
			}
			w.Kafka.Enforce(&testkit.Policy{NoCreate: true})
			w.Portal.Seed("contacts", 20)
			for range 2 {
				p := w.start()
				w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
				p.Stop()
			}
			w.check("contacts")
			if n, want := w.Log.Count("goes on without"), map[string]int{"forbidden": 2, "off": 0}[name]; n != want {
				t.Errorf("%s: two processes say %d times that they go without the topic, want %d", name, n, want)
			}
			if slices.Contains(w.Topics(), "hubspot.frontiers") {
				t.Errorf("%s: there is a topic of frontiers", name)
			}
		})
	}
}

// TestR17_WhatIsInDoubtHoldsTheFrontier: a record that HubSpot does not answer about,
// or that its answers leave out or deny although its list has it, holds all three times, and a purge that waits for its
// second confirm the sweep's.
func TestR17_WhatIsInDoubtHoldsTheFrontier(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]hubspottest.Fault{
		"not answered": {Kind: hubspottest.FaultStatus, Status: 400},
		"left out":     {Kind: hubspottest.FaultOmit},
		"denied":       {Kind: hubspottest.FaultForget},
	} {
		t.Run(name, func(t *testing.T) { inDoubt(t, fault) })
	}
}

func inDoubt(t *testing.T, fault hubspottest.Fault) {
	const topic = "hubspot.contacts"
	inWorld(t, hubspottest.Options{Seed: 5, Types: []string{"contacts"}}, []string{
		"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_RECONCILE_INTERVAL=1m", "SYNC_LEADING_INTERVAL=5s", "SYNC_TRAILING_LAG=1m",
	}, func(w *world) {
		ids := w.Portal.Seed("contacts", 30)
		p := w.start()
		w.ReadUntil(5*time.Minute, func() bool { return w.frontier(topic).Complete != nil && w.frontier(topic).Verified != nil })

		if fault.Kind == hubspottest.FaultStatus {
			fault.IDs = ids[5:6]
		}
		remove := w.Portal.Inject(fault)
		w.Portal.Touch("contacts", ids[5])
		touched := w.Portal.Now()
		time.Sleep(6 * time.Minute)
		if f := w.frontier(topic); !f.Leading.Before(touched) || !f.Verified.Before(touched) {
			t.Errorf("with a record in doubt since %v the frontier is %v, %v, %v", touched, f.Leading, f.Complete, f.Verified)
		}
		if !p.names(ids[5]) {
			t.Error("no problem names the record")
		}
		remove()
		well := w.Portal.Now()
		w.ReadUntil(10*time.Minute, func() bool { return after(w.frontier(topic).Complete, well) && after(w.frontier(topic).Verified, well) })

		w.Portal.Purge("contacts", ids[7])
		purged := w.Portal.Now()
		w.ReadUntil(10*time.Minute, func() bool { return after(w.frontier(topic).Verified, purged) })
		p.Stop()
		processes := watched{surely: time.Minute}
		w.evidence(&processes, []string{"contacts"}, nil).checkFrontiers()
	})
}

// TestR17_WhatWasStuckHoldsTheFrontierOverARestart: a sweep has ended without a record
// about which HubSpot did not answer. Then it answers that the record is gone, and the run
// ends before the second confirm. The next run does not take that sweep for one that has
// shown everything.
func TestR17_WhatWasStuckHoldsTheFrontierOverARestart(t *testing.T) {
	t.Parallel()
	const topic = "hubspot.contacts"
	opt := hubspottest.Options{Seed: 6, Types: []string{"contacts"}}
	inWorld(t, opt, []string{
		"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_RECONCILE_INTERVAL=1h", "SYNC_CENSUS_INTERVAL=24h", "SYNC_ARCHIVE_INTERVAL=24h",
	}, func(w *world) {
		ids := w.Portal.Seed("contacts", 30)
		p := w.start()
		w.ReadUntil(5*time.Minute, func() bool { return w.frontier(topic).Verified != nil })
		w.Portal.Purge("contacts", ids[5])
		purged := w.Portal.Now()
		heal := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 400, IDs: ids[5:6]})
		w.SleepUntil(2*time.Hour, func() bool { return p.names(ids[5]) })
		time.Sleep(5 * time.Minute) // the sweep ends
		heal()
		reads := func() int { return w.Portal.Stats().Calls[hubspottest.EndpointBatchRead] }
		before := reads()
		w.ReadUntil(time.Hour, func() bool { return reads() > before })
		time.Sleep(5 * time.Second) // less than the second confirm waits
		p.Stop()
		p = w.start()
		time.Sleep(20 * time.Second)
		if f := w.frontier(topic); after(f.Verified, purged) {
			t.Errorf("verified is %v, and the record that went at %v is published as live", f.Verified, purged)
		}
		w.ReadUntil(2*time.Hour, func() bool { return after(w.frontier(topic).Verified, purged) })
		p.Stop()
		w.check("contacts")
	})
}

// TestR17_AnOwnerThatCannotBeReadHoldsTheFrontier: what has no id is not published, so
// nothing is verified until it has one. The other owners are published.
func TestR17_AnOwnerThatCannotBeReadHoldsTheFrontier(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 10, Types: []string{"contacts"}}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_REFERENCE_INTERVAL=1m"}, func(w *world) {
		w.Portal.AddOwner(hubspottest.Owner{FirstName: "First"})
		p := w.start()
		w.ReadUntil(5*time.Minute, func() bool { return w.frontier("hubspot.owners").Verified != nil })
		odd := w.Portal.AddOwner(hubspottest.Owner{FirstName: "Odd"})
		id, err := strconv.ParseUint(odd, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		heal := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultOdd, Endpoint: hubspottest.EndpointOwners, IDs: []uint64{id}, Member: "id", Value: "null"})
		added := w.Portal.Now()
		other := w.Portal.AddOwner(hubspottest.Owner{FirstName: "Other"})
		time.Sleep(5 * time.Minute)
		if f := w.frontier("hubspot.owners"); f.Verified.After(added) {
			t.Errorf("verified as of %v with an owner in doubt since %v", f.Verified, added)
		}
		if w.keysOf("hubspot.owners")[other] != 1 {
			t.Error("the other owner is not published")
		}
		if problems := p.ready().Problems; len(problems) != 1 || problems[0].Object != "owners" || !strings.Contains(problems[0].Problem, "without an id") {
			t.Errorf("problems %v", problems)
		}
		heal()
		w.ReadUntil(5*time.Minute, func() bool { return w.frontier("hubspot.owners").Verified.After(added) })
		w.whole("hubspot.owners")
		if problems := p.ready().Problems; len(problems) > 0 {
			t.Errorf("problems %v", problems)
		}
		p.Stop()
	})
}

// TestR8_WhatAnAnswerLeavesOutIsAskedForAgain: no finder names the record once more,
// for the tiers have passed it. Its change is published once HubSpot answers, even if
// the process that was told of it is gone.
func TestR8_WhatAnAnswerLeavesOutIsAskedForAgain(t *testing.T) {
	t.Parallel()
	for _, kind := range []hubspottest.Kind{hubspottest.FaultOmit, hubspottest.FaultForget} {
		for _, place := range []int{5, 295} { // on the list's first page, and beyond it (R7)
			t.Run(fmt.Sprint(kind, " ", place), func(t *testing.T) { askedForAgain(t, kind, place) })
		}
	}
}

func askedForAgain(t *testing.T, kind hubspottest.Kind, place int) {
	env := []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_RECONCILE_INTERVAL=720h", "SYNC_LEADING_INTERVAL=5s", "SYNC_TRAILING_LAG=1m"}
	inWorld(t, hubspottest.Options{Seed: 9, Types: []string{"contacts"}}, env, func(w *world) {
		ids := w.Portal.Seed("contacts", 300)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
		remove := w.Portal.Inject(hubspottest.Fault{Kind: kind})
		w.Portal.Update("contacts", ids[place], map[string]string{"firstname": "Ada"})
		time.Sleep(10 * time.Minute)
		p.Kill()
		w.Brokers.Mend()
		p = w.start()
		time.Sleep(time.Minute)
		if name := w.FirstName(ids[place]); name == "Ada" {
			t.Fatal("HubSpot answered about the record")
		}
		remove()
		w.ReadUntil(5*time.Minute, func() bool { return w.FirstName(ids[place]) == "Ada" })
		p.Stop()
		w.check("contacts")
	})
}

// TestR17_ASweepVerifiesOverARestart, if nothing of it waited when the run ended.
func TestR17_ASweepVerifiesOverARestart(t *testing.T) {
	t.Parallel()
	const cursor = `{"portal":4242,"object":"contacts","stream":"reconcile"}`
	opt := hubspottest.Options{Seed: 6, Types: []string{"contacts"}, ListPage: 5}
	inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_RECONCILE_INTERVAL=2m", "SYNC_CENSUS_INTERVAL=24h"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 40)
		place := func() (is struct {
			Ranges  []struct{ ID string }
			Started time.Time
			Done    bool
			Waits   bool
		}) {
			if text := w.Cursors()[cursor]; text != "" {
				if err := json.Unmarshal([]byte(text), &is); err != nil {
					t.Fatal(err)
				}
			}
			return is
		}
		for _, purged := range []bool{false, true} {
			p := w.start()
			w.ReadUntil(10*time.Minute, func() bool { is := place(); return !is.Done && len(is.Ranges) == 1 && is.Ranges[0].ID != "" })
			if purged { // its first confirm comes with its page, its second 30 s later
				w.Portal.Purge("contacts", ids[25])
				w.ReadUntil(10*time.Minute, func() bool { return place().Waits })
			}
			began := place().Started
			p.Kill()
			w.Brokers.Mend()
			p = w.start()
			w.ReadUntil(10*time.Minute, func() bool { return place().Done && place().Started.Equal(began) })
			time.Sleep(20 * time.Second)
			p.Stop()
			if f := w.frontier("hubspot.contacts"); f.Verified.Equal(began) == purged {
				t.Errorf("verified is %v after a sweep that began at %v; something of it waited: %v", f.Verified, began, purged)
			}
		}
	})
}
