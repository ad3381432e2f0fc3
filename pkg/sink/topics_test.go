package sink

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
)

func (w *world) create(topic string, partitions int32, configs map[string]string) {
	w.Helper()
	settings := map[string]*string{}
	for k, v := range configs {
		settings[k] = &v
	}
	if _, err := w.Admin().CreateTopic(w.Context(), partitions, 1, settings, topic); err != nil {
		w.Fatal(err)
	}
}

func mustRefuse(t *testing.T, err error, words ...string) {
	t.Helper()
	var refusal *offsets.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("err = %v, want a refusal", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

// docs/contract.md section 4.
func TestTopics_AreCreatedWithTheRightSettings(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		described, err := w.Admin().DescribeTopicConfigs(t.Context(), "hubspot.offsets", "hubspot.state", contacts)
		if err != nil {
			t.Fatal(err)
		}
		for topic, want := range map[string]map[string]string{
			"hubspot.offsets": {"cleanup.policy": "compact", "segment.bytes": "67108864", "segment.ms": "600000", "delete.retention.ms": "604800000"},
			"hubspot.state":   {"cleanup.policy": "compact", "segment.bytes": "67108864", "segment.ms": "600000", "delete.retention.ms": "604800000"},
			contacts:          {"cleanup.policy": "compact", "min.compaction.lag.ms": "604800000", "delete.retention.ms": "604800000", "max.message.bytes": "8388608"},
		} {
			settings, _ := described.On(topic, nil)
			got := map[string]string{}
			for _, c := range settings.Configs {
				got[c.Key] = c.MaybeValue()
			}
			for key, value := range want {
				if got[key] != value {
					t.Errorf("%s: %s = %q, want %q", topic, key, got[key], value)
				}
			}
		}
		topics, err := w.Admin().ListTopics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for topic, want := range map[string]int{"hubspot.offsets": 1, "hubspot.state": 1, contacts: 3} {
			if got := len(topics[topic].Partitions); got != want {
				t.Errorf("%s has %d partitions, want %d", topic, got, want)
			}
		}
	})
}

func TestTopics_PartitionsAsConfigured(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start(func(c *Config) { c.Partitions, c.Replication = 7, 1 })
		if got := r.topics.get(contacts).ready.partitions; got != 7 {
			t.Errorf("%d partitions", got)
		}
	})
}

func TestOpen_RefusesInternalTopicsThatWouldForget(t *testing.T) {
	for _, topic := range []string{"hubspot.offsets", "hubspot.state"} {
		for policy, configs := range map[string]map[string]string{
			"delete":         {"cleanup.policy": "delete"},
			"compact,delete": {"cleanup.policy": "compact,delete"},
			"the default":    nil,
		} {
			inWorld(t, func(t *testing.T, w *world) {
				w.create(topic, 1, configs)
				_, err := w.open()
				mustRefuse(t, err, topic, "cleanup.policy=", "delete", "kafka-configs")
				_ = policy
			})
		}
		inWorld(t, func(t *testing.T, w *world) {
			w.create(topic, 3, map[string]string{"cleanup.policy": "compact"})
			_, err := w.open()
			mustRefuse(t, err, topic, "3 partitions")
		})
	}
}

func TestTopic_DataTopicThatDeletesIsSaid(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.create(contacts, 2, map[string]string{"cleanup.policy": "delete", "max.message.bytes": "100000"})
		r := w.start()
		if !w.log.Has("deleted after its retention time") {
			t.Error("the log does not say so")
		}
		if got := r.topics.get(contacts).ready; got.limit != 100000 || got.partitions != 2 {
			t.Errorf("limit %d, %d partitions", got.limit, got.partitions)
		}
	})
}

// docs/contract.md section 4: a changed partition count or key format is refused.
func TestTopic_RefusesWhatWouldGiveKeysAnotherPlace(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start()
		r.mustCommit(batch(change(cdc.Read, 1, "a")))
		r.stop()

		_, err := w.open(func(c *Config) { c.KeyFormat = KeyAvro })
		mustRefuse(t, err, contacts, "KAFKA_KEY_FORMAT=string")

		if _, err := w.Admin().UpdatePartitions(t.Context(), 5, contacts); err != nil {
			t.Fatal(err)
		}
		r = w.mustOpen()
		mustRefuse(t, r.Topic(t.Context(), "contacts", contactSet), contacts, "5 partitions", "with 3")
	})
}

func TestTopic_LostTopicIsCreatedWithTheSamePartitions(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start(func(c *Config) { c.Partitions = 5 })
		r.mustCommit(batch(change(cdc.Read, 1, "a")))
		r.stop()
		if _, err := w.Admin().DeleteTopic(t.Context(), contacts); err != nil {
			t.Fatal(err)
		}
		r = w.start()
		if got := r.topics.get(contacts).ready.partitions; got != 5 {
			t.Errorf("%d partitions", got)
		}
		if !w.log.Has("everything of it is published again") {
			t.Error("the log does not say so")
		}
	})
}

func TestTopic_RefusesALimitThatNoEventFits(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.create(contacts, 1, map[string]string{"cleanup.policy": "compact", "max.message.bytes": "1000"})
		r := w.mustOpen()
		mustRefuse(t, r.Topic(t.Context(), "contacts", contactSet), contacts, "1000 bytes")
	})
}

func TestTopic_AvroKeysAreSpeltOneWayForEver(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		avroKeys := func(c *Config) { c.KeyFormat = KeyAvro }
		r := w.start(avroKeys)
		r.mustCommit(batch(change(cdc.Read, 17, "a")))
		records := w.read(contacts)
		if len(records) != 1 || records[0].Partition != PartitionOf([]byte("17"), 3) {
			t.Errorf("records %v, want one, in the partition of its id", records)
		}
		if got := w.registry.Decode(records[0].Key); len(got) != 1 || got["id"] != "17" {
			t.Errorf("key %v", got)
		}
		r.stop()
		// Another registry assigns another id: each object would get a second key.
		w.registry.Reset()
		if _, _, err := w.registry.RegisterSchema("other", sr.Schema{Schema: `"string"`}); err != nil {
			t.Fatal(err)
		}
		_, err := w.open(avroKeys)
		mustRefuse(t, err, contacts+"-key", "another schema under id 1")
	})
}

func versions(w *world, subject string) int {
	w.Helper()
	list, err := w.config().Registry.SubjectVersions(w.Context(), subject)
	if err != nil {
		w.Fatal(err)
	}
	return len(list)
}

// docs/contract.md section 5: the sink asks about compatibility before it
// produces anything. An added property makes a new version without a restart; a
// changed label makes none.
func TestTopic_SchemaEvolvesWithoutARestart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var (
			mu    sync.Mutex
			asked []string
		)
		w.registry.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, r.Method+" "+r.URL.Path)
			return false
		})
		r := w.start()
		r.mustCommit(batch(change(cdc.Read, 1, "a")))
		var err error

		relabelled := properties("email", "notes", "phone")
		relabelled[0].Label = "E-mail address"
		next, _ := schema.Evolve(contactSet, "contacts", relabelled, nil)
		if err := r.Topic(t.Context(), "contacts", next); err != nil {
			t.Fatal(err)
		}
		if n := versions(w, contacts+"-value"); n != 1 {
			t.Errorf("%d versions after a changed label", n)
		}

		asked = nil
		grown, diff := schema.Evolve(next, "contacts", append(relabelled, properties("city")...), nil)
		if len(diff.Added) != 1 {
			t.Fatalf("added %v", diff.Added)
		}
		if err := r.Topic(t.Context(), "contacts", grown); err != nil {
			t.Fatal(err)
		}
		if n := versions(w, contacts+"-value"); n != 2 {
			t.Errorf("%d versions after a new property", n)
		}
		log := strings.Join(asked, "\n")
		if check, post := strings.Index(log, "/compatibility/subjects/"), strings.LastIndex(log, "POST /subjects/hubspot.contacts-value/versions"); check < 0 || post < check {
			t.Errorf("asked:\n%s", log)
		}
		c := change(cdc.Update, 1, "a")
		c.Event.Record.Values = append(c.Event.Record.Values, []byte("Berlin"))
		b := batch(c)
		if b.Set, err = json.Marshal(grown); err != nil {
			t.Fatal(err)
		}
		r.mustCommit(b)
		events := w.events(contacts)
		if got := events[1].all["after"].(map[string]any)["properties"].(map[string]any)["city"]; got != "Berlin" {
			t.Errorf("city %v", got)
		}
		r.stop()

		// The set in force is back after a restart, and registers nothing.
		r = w.mustOpen()
		var set schema.Set
		if err := json.Unmarshal(r.loaded.Sets["contacts"], &set); err != nil {
			t.Fatal(err)
		}
		if err := r.Topic(t.Context(), "contacts", &set); err != nil {
			t.Fatal(err)
		}
		if n := versions(w, contacts+"-value"); n != 2 || len(set.Fields) != 4 {
			t.Errorf("%d versions, %d fields", n, len(set.Fields))
		}
	})
}

func TestTopic_IncompatibleSchemaStopsThisTopicAlone(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"the check says no": func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, "/compatibility/") {
				return false
			}
			_, _ = w.Write([]byte(`{"is_compatible":false,"messages":["READER_FIELD_MISSING_DEFAULT_VALUE"]}`))
			return true
		},
		"registering says no": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/versions") {
				return false
			}
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte(`{"error_code":409,"message":"READER_FIELD_MISSING_DEFAULT_VALUE"}`))
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				r := w.start() // all is well so far
				refused := func(err error) {
					t.Helper()
					no, ok := errors.AsType[*cdc.RefusedError](err)
					if !ok || no.Subject != contacts+"-value" || !strings.Contains(no.Reason, "READER_FIELD_MISSING_DEFAULT_VALUE") {
						t.Errorf("err = %v", err)
					}
				}
				w.registry.Intercept(answer)
				wider := *contactSet
				wider.Fields = append(slices.Clone(wider.Fields), schema.Field{Name: "late", Property: "late", Type: schema.String, HubSpotType: "string", InForce: true})
				refused(r.Topic(t.Context(), "contacts", &wider))
				refused(r.Commit(t.Context(), batch(change(cdc.Read, 1, "a"))))
				if err := r.Commit(t.Context(), &cdc.Batch{Object: "companies", Cursors: []cdc.Cursor{{Object: "companies", Stream: "leading", Value: []byte("{}")}}, Sync: true}); err != nil {
					t.Errorf("another object: %v", err)
				}
				if n := len(w.read(contacts)); n != 0 {
					t.Errorf("%d records", n)
				}
				w.registry.ClearInterceptors()
				if err := r.Topic(t.Context(), "contacts", &wider); err != nil {
					t.Fatal(err)
				}
				found := change(cdc.Read, 1, "a")
				found.Event.Record.Values = append(found.Event.Record.Values, nil)
				r.mustCommit(batch(found))
			})
		})
	}
}

// TestTopic_ARegistryThatOnlyReads is not one that finds the schema incompatible:
// another compatibility level would not help.
func TestTopic_ARegistryThatOnlyReads(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"Confluent": {422, `{"error_code":42205,"message":"Subject hubspot.contacts-value is in read-only mode"}`},
		"Apicurio":  {409, `{"error_code":409,"message":"Unsupported write operation. Storage is in read-only mode."}`},
		"Karapace":  {422, `{"error_code":42205,"message":"Subject hubspot.contacts-value is not in a mode that permits writing"}`},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				r := w.mustOpen()
				w.registry.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
					if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/versions") {
						return false
					}
					w.WriteHeader(c.status)
					_, _ = w.Write([]byte(c.body))
					return true
				})
				err := r.Topic(t.Context(), "contacts", contactSet)
				no, ok := errors.AsType[*cdc.RefusedError](err)
				if !ok || !strings.Contains(no.Error(), "only lets itself be read") || !strings.Contains(no.Cure, "READWRITE") || !strings.Contains(no.Cure, contacts+"-value") {
					t.Fatalf("err = %v", err)
				}
				w.registry.ClearInterceptors()
				if err := r.Topic(t.Context(), "contacts", contactSet); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestTopic_RegistryThatIsAwayIsNoRefusal(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.mustOpen()
		w.registry.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		})
		err := r.Topic(t.Context(), "contacts", contactSet)
		var refusal *offsets.Refusal
		if err == nil || errors.As(err, &refusal) || !strings.Contains(err.Error(), contacts+"-value") {
			t.Errorf("err = %v", err)
		}
		w.registry.ClearInterceptors()
		if err := r.Topic(t.Context(), "contacts", contactSet); err != nil {
			t.Error(err)
		}
	})
}
