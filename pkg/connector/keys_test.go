package connector_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

const contactCompanies = "associations.contacts.companies"

// keyedLife is the same life in every world: two runs, with changes and deletes
// of records and links between them.
func keyedLife(w *world) (deleted uint64) {
	w.T.Helper()
	contacts, companies := w.Portal.Seed("contacts", 40), w.Portal.Seed("companies", 10)
	for i, id := range contacts {
		w.Portal.Associate("contacts", id, "companies", companies[i%len(companies)], "", 0)
	}
	p := w.start()
	w.ReadUntil(time.Minute, func() bool { return w.has("contacts", 40) && w.has(contactCompanies, 40) })
	p.Stop()
	w.Portal.Update("contacts", contacts[3], map[string]string{"firstname": "Changed"})
	w.Portal.Archive("contacts", contacts[5])
	p = w.start()
	w.ReadUntil(time.Minute, func() bool { return w.has("contacts", 43) && w.has(contactCompanies, 42) })
	p.Stop()
	return contacts[5]
}

// has reports whether a topic exists and has at least this many records.
func (w *world) has(object string, records int) bool {
	return w.Kafka.TopicInfo("hubspot."+object) != nil && len(w.Records("hubspot."+object)) >= records
}

var avroKeys = []string{"HUBSPOT_OBJECTS=contacts,companies", "KAFKA_KEY_FORMAT=avro", "SYNC_ARCHIVE_INTERVAL=10s", "SYNC_ASSOCIATIONS_INTERVAL=10s"}

// TestAvroKeys_EachRecordHasOneKeyForEver (docs/contract.md sections 4 and 5):
// over two runs, all events and tombstones of a record or a link have the same
// key bytes. They decode to its id or ids, and are in the partition where Kafka's
// own partitioner puts the id's text, as with string keys.
func TestAvroKeys_EachRecordHasOneKeyForEver(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{}, avroKeys, func(w *world) {
		deleted := fmt.Sprint(keyedLife(w))
		for _, topic := range []string{"contacts", "companies", contactCompanies} {
			keys, tombstones := map[string]string{}, 0 // by what they decode to
			for _, r := range w.Records("hubspot." + topic) {
				key := w.Decode(r.Key)
				from, want := key["id"], 1
				if topic == contactCompanies {
					from, want = key["fromObjectId"], 4
					if key["category"] != "HUBSPOT_DEFINED" || key["typeId"] != int32(279) || key["toObjectId"] == "" {
						t.Errorf("%s: key %v", topic, key)
					}
				}
				if len(key) != want {
					t.Errorf("%s: key %v has %d fields, want %d", topic, key, len(key), want)
				}
				partitioner := kgo.StickyKeyPartitioner(nil).ForTopic(r.Topic)
				if p := partitioner.Partition(&kgo.Record{Key: []byte(from.(string))}, 3); int32(p) != r.Partition {
					t.Errorf("%s: %v is in partition %d, want %d", topic, key, r.Partition, p)
				}
				what := fmt.Sprint(key)
				if was, seen := keys[what]; seen && was != string(r.Key) {
					t.Errorf("%s: %s has two keys: %x and %x", topic, what, was, r.Key)
				}
				keys[what] = string(r.Key)
				if r.Value == nil && from == deleted {
					tombstones++
				}
			}
			if want := map[string]int{"contacts": 40, "companies": 10, contactCompanies: 40}[topic]; len(keys) != want {
				t.Errorf("%s: %d keys, want %d", topic, len(keys), want)
			}
			if topic != "companies" && tombstones != 1 {
				t.Errorf("%s: %d tombstones of %s, want 1", topic, tombstones, deleted)
			}
		}
	})
}

// TestKeyFormat_PartitionsAreTheSameInBoth: ids that share a partition in one
// format share it in the other, so that topics of both formats can be joined.
func TestKeyFormat_PartitionsAreTheSameInBoth(t *testing.T) {
	t.Parallel()
	places := func(env []string, idOf func(w *world, key []byte) string) map[string]int32 {
		found := map[string]int32{}
		inWorld(t, hubspottest.Options{Seed: 3}, env, func(w *world) {
			w.Portal.Seed("contacts", 100)
			p := w.start()
			w.ReadUntil(time.Minute, func() bool { return w.has("contacts", 100) })
			p.Stop()
			for _, r := range w.Records("hubspot.contacts") {
				found[idOf(w, r.Key)] = r.Partition
			}
		})
		return found
	}
	text := places([]string{"HUBSPOT_OBJECTS=contacts"}, func(_ *world, key []byte) string { return string(key) })
	avro := places([]string{"HUBSPOT_OBJECTS=contacts", "KAFKA_KEY_FORMAT=avro"}, func(w *world, key []byte) string {
		return w.Decode(key)["id"].(string)
	})
	if len(text) != 100 || !maps.Equal(text, avro) {
		t.Errorf("%d ids, %d with Avro keys, and their partitions differ", len(text), len(avro))
	}
}

// TestKeyFormat_AnotherOneOnAUsedPrefixRefuses (docs/contract.md section 4): with
// exit code 3 and the cure, and before any topic is made for a new type.
func TestKeyFormat_AnotherOneOnAUsedPrefixRefuses(t *testing.T) {
	t.Parallel()
	for _, formats := range [][2]string{{"string", "avro"}, {"avro", "string"}} {
		t.Run(formats[0]+" to "+formats[1], func(t *testing.T) {
			inWorld(t, hubspottest.Options{}, []string{"HUBSPOT_OBJECTS=contacts", "KAFKA_KEY_FORMAT=" + formats[0]}, func(w *world) {
				w.Portal.Seed("contacts", 3)
				p := w.start()
				w.ReadUntil(time.Minute, func() bool { return w.has("contacts", 3) })
				p.Stop()
				w.Set("HUBSPOT_OBJECTS=companies,contacts", "KAFKA_KEY_FORMAT="+formats[1])
				w.refuses("hubspot.contacts", "KAFKA_KEY_FORMAT="+formats[0], "KAFKA_TOPIC_PREFIX")
				if w.Kafka.TopicInfo("hubspot.companies") != nil {
					t.Error("a topic was made before the refusal")
				}
				w.Set("HUBSPOT_OBJECTS=contacts", "KAFKA_KEY_FORMAT="+formats[0])
				w.start().Stop() // the cure
			})
		})
	}
}

// TestAvroKeys_ARegistryWithoutTheirSchemaRefuses: another schema id in the key
// would give every record a second key. The exit code is 3, and nothing is
// registered in the wrong registry.
func TestAvroKeys_ARegistryWithoutTheirSchemaRefuses(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{}, avroKeys, func(w *world) {
		w.Portal.Seed("contacts", 3)
		p := w.start()
		w.ReadUntil(time.Minute, func() bool { return w.has("contacts", 3) })
		p.Stop()

		strange := srfake.NewRegistry()
		for i := range 3 { // its ids stand for other schemas
			if _, _, err := strange.RegisterSchema(fmt.Sprint("other", i), sr.Schema{Schema: fmt.Sprintf(`{"type":"fixed","name":"f%d","size":1}`, i)}); err != nil {
				t.Fatal(err)
			}
		}
		right := w.Registry.Turn(testkit.InProcess{Handler: strange.Handler()})
		w.refuses("-key", "another schema under id", "restore the registry's content")
		if strange.SubjectExists("hubspot.contacts-key") || strange.SubjectExists("hubspot.contacts-value") {
			t.Error("schemas were registered in the wrong registry")
		}
		w.Registry.Turn(right)
		w.start().Stop()
	})
}

// refuses starts the connector and expects it to end with exit code 3 and a
// message that contains the words.
func (w *world) refuses(words ...string) {
	w.T.Helper()
	err := <-w.start().Done
	if code := connector.ExitCode(err); err == nil || code != connector.ExitRefused {
		w.T.Fatalf("exit code %d (%v), want %d", code, err, connector.ExitRefused)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			w.T.Errorf("the refusal does not say %q: %v", word, err)
		}
	}
}
