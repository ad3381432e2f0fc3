package connector_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
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
	for seed := range uint64(shorter(4, 1)) {
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
			evidence.checkFrontiers(time.Time{})
			evidence.plantBugs()
		})
	}
}
