package connector_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// importing is a registry that takes ids in the mode IMPORT, as Confluent's does.
type importing struct {
	*testkit.Registry
	refuses bool // it does not: Karapace, Apicurio, or a user who may not

	mu    sync.Mutex
	modes map[string]string
	taken []string // subject and id of each import
}

func newImporting(t *testing.T, refuses bool) *importing {
	r := &importing{Registry: testkit.NewRegistry(t), refuses: refuses, modes: map[string]string{}}
	r.Intercept(r.answer)
	return r
}

func (r *importing) answer(w http.ResponseWriter, req *http.Request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	fail := func(status, code int) bool {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error_code":%d,"message":"no"}`, code)
		return true
	}
	if subject, ok := strings.CutPrefix(req.URL.Path, "/mode/"); ok {
		mode, set := r.modes[subject]
		switch {
		case r.refuses && req.Method != http.MethodGet:
			return fail(http.StatusUnprocessableEntity, 42205)
		case req.Method == http.MethodPut:
			var body struct{ Mode string }
			_ = json.NewDecoder(req.Body).Decode(&body)
			if !slices.Contains([]string{"IMPORT", "READONLY", "READWRITE"}, body.Mode) {
				return fail(http.StatusUnprocessableEntity, 42204)
			}
			if body.Mode == "IMPORT" && r.SubjectExists(subject) && req.URL.Query().Get("force") != "true" {
				return fail(http.StatusUnprocessableEntity, 42205)
			}
			r.modes[subject], mode = body.Mode, body.Mode
		case !set:
			return fail(http.StatusNotFound, 40409)
		case req.Method == http.MethodDelete:
			delete(r.modes, subject)
		}
		fmt.Fprintf(w, `{"mode":%q}`, mode)
		return true
	}
	subject, ok := strings.CutSuffix(strings.TrimPrefix(req.URL.Path, "/subjects/"), "/versions")
	if req.Method != http.MethodPost || !ok {
		return false
	}
	text, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(strings.NewReader(string(text)))
	var body struct {
		ID int
		sr.Schema
	}
	if json.Unmarshal(text, &body) != nil || body.ID == 0 {
		return r.modes[subject] == "IMPORT" && fail(http.StatusUnprocessableEntity, 42205)
	}
	if r.modes[subject] != "IMPORT" {
		return fail(http.StatusUnprocessableEntity, 42205)
	}
	next := 1
	for _, taken := range r.taken {
		if strings.HasPrefix(taken, subject+" ") {
			next++
		}
	}
	r.SeedSchema(subject, next, body.ID, body.Schema)
	r.taken = append(r.taken, fmt.Sprint(subject, " ", body.ID))
	fmt.Fprintf(w, `{"id":%d}`, body.ID)
	return true
}

// decodes checks that every event in a topic is read as what it was when it was
// published.
func (w *world) decodes(topic string, want []string) {
	w.T.Helper()
	d := testkit.NewDecoder(w.T, w.RegistryClient()) // knows no schema yet
	got := w.texts(topic, d)
	if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		w.T.Errorf("%s reads\n%s\nbut was written\n%s", topic, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// schemaOf is the id in front of the first event of a topic.
func (w *world) schemaOf(topic string) uint32 {
	w.T.Helper()
	return binary.BigEndian.Uint32(w.Records(topic)[0].Value[1:])
}

func (w *world) texts(topic string, d *testkit.Decoder) []string {
	w.T.Helper()
	var out []string
	for _, r := range w.Records(topic) {
		if r.Partition == 0 && r.Value != nil {
			fields, _, err := d.Try(r.Value)
			if err != nil {
				w.T.Errorf("%s offset %d: %v", topic, r.Offset, err)
			}
			text, _ := json.Marshal(fields)
			out = append(out, string(text))
		}
	}
	return out
}

// TestR20_ARegistryThatComesBackEmpty after an outage is looked at as soon as it
// answers.
func TestR20_ARegistryThatComesBackEmpty(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 27, Types: []string{"contacts"}}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		registry := newImporting(t, true)
		w.Registry.Turn(registry.Transport())
		w.Portal.Seed("contacts", 3)
		p := w.start()
		defer p.Stop()
		w.SleepUntil(time.Minute, p.streams)
		time.Sleep(6 * time.Minute) // the next look by the clock is almost five minutes away
		w.Registry.Cut()
		registry.Reset()
		time.Sleep(time.Minute)
		w.Registry.Mend()
		w.SleepUntil(20*time.Second, func() bool {
			return strings.Contains(fmt.Sprint(p.ready().Problems), "has lost the schemas")
		})
	})
}

// TestR20_ARegistryThatLostItsContent gets its schemas back under their ids, while
// the connector runs or at its next start. One that does not take them stops the
// topics while it lasts, and the next start with exit code 3. Never is an event
// written that is read as something else.
func TestR20_ARegistryThatLostItsContent(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{"string", "avro"} {
		for _, refuses := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s keys, refuses %v", keys, refuses), func(t *testing.T) {
				t.Parallel()
				if keys == "string" {
					long(t)
				}
				settings := append(slices.Clone(published), "KAFKA_KEY_FORMAT="+keys, "SYNC_SCHEMA_INTERVAL=1m")
				inWorld(t, hubspottest.Options{Seed: 22, Types: []string{"contacts", "companies", "deals"}}, settings, func(w *world) {
					registry := newImporting(t, refuses)
					w.Registry.Turn(registry.Transport())
					contacts, _ := w.peopled(12)
					p := w.start()
					time.Sleep(6 * time.Minute)
					w.Portal.AddProperty("contacts", hubspottest.Property{Name: "second", Type: "string"})
					w.Portal.Update("contacts", contacts[2], map[string]string{"second": "x"})
					time.Sleep(6 * time.Minute)
					d := testkit.NewDecoder(t, w.RegistryClient())
					written := map[string][]string{}
					for _, topic := range kinds {
						written[topic] = w.texts(topic, d)
					}

					registry.Reset()
					// A new version, which a registry without content gives the id 1.
					w.Portal.AddProperty("contacts", hubspottest.Property{Name: "third", Type: "string"})
					w.Portal.Update("contacts", contacts[3], map[string]string{"third": "y"})
					time.Sleep(6 * time.Minute)
					if refuses {
						// Whatever was written since would not be read.
						problems := p.ready().Problems
						if len(problems) < 5 || !strings.Contains(problems[0].Problem, "has lost the schemas") || !strings.Contains(problems[0].Action, "restore the registry's content") {
							t.Errorf("problems %+v", problems)
						}
						before := map[string]int{}
						for _, topic := range kinds {
							before[topic] = len(w.Records(topic))
						}
						w.Portal.Update("contacts", contacts[4], map[string]string{"firstname": "Later"})
						w.Portal.AddOwner(hubspottest.Owner{FirstName: "Later"})
						w.Portal.Associate("contacts", contacts[4], "companies", w.Portal.IDs("companies")[0], "", 0)
						time.Sleep(6 * time.Minute)
						for _, topic := range kinds {
							if n := len(w.Records(topic)); n != before[topic] {
								t.Errorf("%d records were written to %s", n-before[topic], topic)
							}
						}
						p.Stop()
						w.refuses("has lost the schemas", "restore the registry's content")
						if registry.SubjectExists("hubspot.contacts-value") {
							t.Error("a schema was registered in the empty registry")
						}
						return
					}
					if ready := p.ready(); !ready.Ready || len(ready.Problems) > 0 {
						t.Errorf("readyz %+v", ready)
					}
					for _, topic := range kinds {
						w.decodes(topic, written[topic])
					}
					p.Stop()
					registry.Reset()
					registry.mu.Lock()
					registry.taken = nil
					registry.mu.Unlock()
					p = w.start()
					time.Sleep(6 * time.Minute)
					p.Stop()
					for _, topic := range kinds {
						w.decodes(topic, written[topic])
						w.whole(topic)
					}
					if len(registry.modes) > 0 {
						t.Errorf("the registry is left in the modes %v", registry.modes)
					}
				})
			})
		}
	}
}

// TestR20_IDsGivenToOtherSchemas: where an id stands for another schema, nothing is
// written with it, and a start ends with exit code 3.
func TestR20_IDsGivenToOtherSchemas(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{false, true} {
		t.Run(fmt.Sprintf("running %v", running), func(t *testing.T) {
			inWorld(t, hubspottest.Options{Seed: 23, Types: []string{"contacts", "companies", "deals"}}, published, func(w *world) {
				registry := newImporting(t, false)
				w.Registry.Turn(registry.Transport())
				contacts, _ := w.peopled(12)
				p := w.start()
				time.Sleep(6 * time.Minute)
				if !running {
					p.Stop()
				}
				registry.Reset()
				if _, _, err := registry.RegisterSchema("somebody-value", sr.Schema{Schema: `{"type":"record","name":"Other","fields":[{"name":"n","type":"long"}]}`}); err != nil {
					t.Fatal(err)
				}
				before := len(w.Records(contactsTopic))
				if running {
					time.Sleep(6 * time.Minute)
					w.Portal.Update("contacts", contacts[0], map[string]string{"firstname": "Wrong"})
					time.Sleep(6 * time.Minute)
					found := slices.ContainsFunc(p.ready().Problems, func(one stream.Problem) bool { return strings.Contains(one.Problem, "another schema under id 1") })
					if !found {
						t.Errorf("problems %+v", p.ready().Problems)
					}
					p.Stop()
				}
				w.refuses("another schema under id 1", "restore the registry's content")
				// The first id is that of the first topic that was made ready.
				if id := w.schemaOf(contactsTopic); id == 1 && len(w.Records(contactsTopic)) != before {
					t.Error("events were written with an id that stands for something else")
				}
			})
		})
	}
}

// TestR20_StartingOverNeedsTheSchemas: beside data topics whose schemas the registry
// has lost, a fresh state refuses to start. Nobody could tell which keys are live
// there, and new schemas would get the ids of the lost ones.
func TestR20_StartingOverNeedsTheSchemas(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 25, Types: []string{"contacts", "companies", "deals"}}, published, func(w *world) {
		registry := newImporting(t, false)
		w.Registry.Turn(registry.Transport())
		w.peopled(12)
		p := w.start()
		time.Sleep(6 * time.Minute)
		p.Stop()
		before := len(w.Records(contactsTopic))
		w.startOver()
		registry.Reset()
		w.refuses("whose schemas the registry does not have", "bring the registry's content back", "kafka-topics")
		if n := len(w.Records(contactsTopic)); n != before {
			t.Errorf("%d records were written", n-before)
		}
		if registry.SubjectExists("hubspot.contacts-value") {
			t.Error("a schema was registered")
		}
		topics, err := w.Kafka.Admin().ListTopics(w.T.Context())
		if err != nil {
			t.Fatal(err)
		}
		var data []string
		for _, name := range topics.Names() {
			if name != "hubspot.offsets" && name != "hubspot.state" && name != "hubspot.signals" && name != "hubspot.notifications" && name != "hubspot.frontiers" {
				data = append(data, name)
			}
		}
		if _, err := w.Kafka.Admin().DeleteTopics(w.T.Context(), append(data, "hubspot.state", "hubspot.offsets")...); err != nil {
			t.Fatal(err)
		}
		p = w.start() // as the message advises
		time.Sleep(6 * time.Minute)
		p.Stop()
		w.whole(contactsTopic)
	})
}
