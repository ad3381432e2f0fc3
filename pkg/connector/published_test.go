package connector_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// The topics of an object type, a pair and the reference lists.
const (
	contactsTopic = "hubspot.contacts"
	linksTopic    = "hubspot.associations.contacts.companies"
)

var kinds = []string{contactsTopic, linksTopic, "hubspot.owners", "hubspot.pipelines", "hubspot.pipeline_stages"}

// eventsOf gives the events and tombstones of a topic, without what others wrote
// into it. A tombstone has no op.
func (w *world) eventsOf(topic string) []event {
	w.T.Helper()
	var out []event
	for _, r := range w.Records(topic) {
		e := event{}
		if r.Value != nil {
			if r.Value[0] != 0 {
				continue
			}
			fields := w.Decode(r.Value)
			e.Op = fields["op"].(string)
			e.Source, _ = fields["source"].(map[string]any)
		}
		e.Key = w.keyText(r.Key)
		out = append(out, e)
	}
	return out
}

// keysOf gives the live keys of a topic as a consumer has them, each with the
// number of its events.
func (w *world) keysOf(topic string) map[string]int {
	w.T.Helper()
	events, live := map[string]int{}, map[string]bool{}
	for _, e := range w.eventsOf(topic) {
		live[e.Key] = e.Op != "" && e.Op != "d"
		if e.Op != "" {
			events[e.Key]++
		}
	}
	maps.DeleteFunc(events, func(key string, _ int) bool { return !live[key] })
	return events
}

// keyText is a key as it is spelt where keys are strings.
func (w *world) keyText(key []byte) string {
	w.T.Helper()
	if key[0] != 0 {
		return string(key)
	}
	fields := w.Decode(key)
	var parts []string
	for _, name := range []string{"fromObjectId", "toObjectId", "category", "typeId", "objectType", "pipelineId", "id"} {
		if part, ok := fields[name]; ok {
			parts = append(parts, fmt.Sprint(part))
		}
	}
	return strings.Join(parts, ":")
}

// truth gives the keys that a topic must have.
func (w *world) truth(topic string) []string {
	w.T.Helper()
	var out []string
	switch topic {
	case contactsTopic:
		for _, r := range w.Portal.Records("contacts") {
			out = append(out, idText(r.ID))
		}
	case linksTopic:
		for _, l := range w.Portal.Links("contacts", "companies") {
			out = append(out, fmt.Sprintf("%d:%d:%s:%d", l.From, l.To, l.Category, l.TypeID))
		}
	case "hubspot.owners":
		for _, o := range w.Portal.Owners() {
			out = append(out, o.ID)
		}
	case "hubspot.pipelines":
		out = []string{"deals:default"}
	default:
		for _, stage := range []string{"appointmentscheduled", "closedlost", "closedwon", "contractsent", "qualifiedtobuy"} {
			out = append(out, "deals:default:"+stage)
		}
	}
	slices.Sort(out)
	return out
}

// whole checks that a topic has exactly what the portal has.
func (w *world) whole(topic string) map[string]int {
	w.T.Helper()
	got := w.keysOf(topic)
	if keys, want := slices.Sorted(maps.Keys(got)), w.truth(topic); !slices.Equal(keys, want) {
		w.T.Errorf("%s has the live keys\n%q\nthe portal has\n%q", topic, keys, want)
	}
	return got
}

// loss is something that happens to a topic.
type loss struct {
	name string
	// keep is how many of its records the topic has afterwards, the oldest ones;
	// negative: the topic is deleted, and nobody makes it again.
	keep int
	// cut leaves the topic its id, as an unclean election of a leader does. The
	// embedded broker cannot do that: it makes another topic, and the state is told
	// that topic's id.
	cut bool
}

func (l loss) befall(w *world, topic string) {
	w.T.Helper()
	old, adm := w.Records(topic), w.Kafka.Admin()
	listed, err := adm.ListEndOffsets(w.T.Context(), topic)
	if err != nil {
		w.T.Fatal(err)
	}
	partitions := len(listed[topic])
	if _, err := adm.DeleteTopics(w.T.Context(), topic); err != nil {
		w.T.Fatal(err)
	}
	if l.keep < 0 {
		return
	}
	policy := "compact"
	if _, err := adm.CreateTopics(w.T.Context(), int32(partitions), 1, map[string]*string{"cleanup.policy": &policy}, topic); err != nil {
		w.T.Fatal(err)
	}
	for _, r := range old[:min(l.keep, len(old))] {
		w.Kafka.Produce(&kgo.Record{Topic: topic, Partition: r.Partition, Key: r.Key, Value: r.Value})
	}
	if l.cut {
		id := offsets.Identity{ID: offsets.TopicID(w.Kafka.TopicInfo(topic).TopicID), Starts: make([]int64, partitions)}
		w.Kafka.Produce(&kgo.Record{Topic: "hubspot.state", Key: offsets.IdentityKey(topic), Value: id.Bytes()})
	}
}

// peopled seeds a portal of which every kind of topic has something.
func (w *world) peopled(n int) (contacts []uint64, owners []string) {
	contacts = w.Portal.Seed("contacts", n)
	companies := w.Portal.Seed("companies", 5)
	for i, id := range contacts {
		w.Portal.Associate("contacts", id, "companies", companies[i%len(companies)], "", 0)
	}
	for i := range 4 {
		owners = append(owners, w.Portal.AddOwner(hubspottest.Owner{FirstName: fmt.Sprint(i)}))
	}
	return contacts, owners
}

var published = []string{
	"HUBSPOT_OBJECTS=contacts,companies,deals", "HUBSPOT_ASSOCIATIONS=contacts:companies",
	"SYNC_ARCHIVE_INTERVAL=10s", "SYNC_ASSOCIATIONS_INTERVAL=1m", "SYNC_REFERENCE_INTERVAL=1m",
}

// publishesNothing checks that one more run has nothing to write to a topic.
func (w *world) publishesNothing(topic string) {
	w.T.Helper()
	before := len(w.Records(topic))
	p := w.start()
	time.Sleep(3 * time.Minute)
	p.Stop()
	if n := len(w.Records(topic)); n != before {
		w.T.Errorf("the next run published %d more records to %s", n-before, topic)
	}
}

// losses are what happens to a topic: everything to that of the contacts.
func losses(topic string) []loss {
	all := []loss{{"deleted", -1, false}, {"made again with 4 records", 4, false}, {"cut after 1 record", 1, true}}
	if topic != contactsTopic {
		return all
	}
	for _, keep := range []int{0, 2, 7, 11} {
		all = append(all, loss{fmt.Sprintf("made again with %d records", keep), keep, false}, loss{fmt.Sprintf("cut after %d records", keep), keep, true})
	}
	return append(all, loss{"a copy", 1 << 20, false})
}

// TestR20_ALossWhileStopped: whatever topic is deleted, made again or cut while the
// connector is stopped, everything of it is published again, once and by itself, and
// what was deleted meanwhile or before does not come back.
func TestR20_ALossWhileStopped(t *testing.T) {
	long(t)
	t.Parallel()
	for _, topic := range kinds {
		for _, l := range losses(topic) {
			t.Run(topic+" "+l.name, func(t *testing.T) {
				t.Parallel()
				inWorld(t, hubspottest.Options{Seed: 20, Types: []string{"contacts", "companies", "deals"}}, published, func(w *world) {
					contacts, owners := w.peopled(12)
					p := w.start()
					time.Sleep(3 * time.Minute)
					w.Portal.Archive("contacts", contacts[0])
					w.Portal.ArchiveOwner(owners[0])
					time.Sleep(3 * time.Minute)
					p.Stop()
					w.whole(topic)
					if l.cut && l.keep >= len(w.Records(topic)) {
						return // nothing is cut off
					}
					l.befall(w, topic)
					w.Portal.Archive("contacts", contacts[1])
					w.Portal.ArchiveOwner(owners[1])
					before := w.keysOf(topic)

					p = w.start()
					time.Sleep(3 * time.Minute)
					if !p.Log.Has("a data topic has lost what was published") {
						t.Error("the log does not say so")
					}
					for key, n := range w.whole(topic) {
						if want := before[key] + 1; n != want {
							t.Errorf("%d events of %s, want %d", n, key, want)
						}
					}
					if ready := p.ready(); !ready.Ready || len(ready.Problems) > 0 {
						t.Errorf("readyz %+v", ready)
					}
					p.Stop()
					w.publishesNothing(topic)
					for key := range w.Cursors() {
						if strings.Contains(key, offsets.RepublishStream) {
							t.Errorf("the cursor %s is left", key)
						}
					}
				})
			})
		}
	}
}

// TestR20_ALossWhileRunning is the same while the connector runs: the loss ends a
// run, and the next one makes it good.
func TestR20_ALossWhileRunning(t *testing.T) {
	t.Parallel()
	for _, topic := range kinds {
		for _, l := range []loss{{"deleted", -1, false}, {"made again, empty", 0, false}, {"made again with 4 records", 4, false}} {
			t.Run(topic+" "+l.name, func(t *testing.T) {
				t.Parallel()
				if l.keep != 4 || topic != contactsTopic {
					long(t)
				}
				inWorld(t, hubspottest.Options{Seed: 21, Types: []string{"contacts", "companies", "deals"}}, published, func(w *world) {
					contacts, owners := w.peopled(12)
					p := w.start()
					time.Sleep(3 * time.Minute)
					w.Portal.Archive("contacts", contacts[0])
					w.Portal.ArchiveOwner(owners[0])
					time.Sleep(6 * time.Minute)
					l.befall(w, topic)
					lost, before := w.Portal.Now(), w.keysOf(topic)
					time.Sleep(7 * time.Second)
					w.Portal.Update("contacts", contacts[5], map[string]string{"firstname": "Meanwhile"})
					w.Portal.Archive("contacts", contacts[1])
					w.Portal.ArchiveOwner(owners[1])
					time.Sleep(6 * time.Minute)
					for key, n := range w.whole(topic) {
						if want := before[key] + 1; n != want && key != idText(contacts[5]) {
							t.Errorf("%d events of %s, want %d", n, key, want)
						}
					}
					if w.FirstName(contacts[5]) != "Meanwhile" {
						t.Error("a change of that time is missing")
					}
					// A sweep follows at once, long before its interval is over (R17).
					if at := w.frontier(topic).Verified; at == nil || topic == contactsTopic && !at.After(lost) {
						t.Errorf("it is verified as of %v; the loss was at %v", at, lost)
					}
					if ready := p.ready(); !ready.Ready || len(ready.Problems) > 0 {
						t.Errorf("readyz %+v", ready)
					}
					p.Stop()
				})
			})
		}
	}
}
