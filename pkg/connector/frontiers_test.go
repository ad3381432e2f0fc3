package connector_test

import (
	"encoding/json"
	"testing"
	"time"

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
