package connector_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	depl "github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// TestRefusals: what only an operator can put right ends the process with exit
// code 3, at once and without further tries. The message says where it is and
// what cures it, and nothing is written (docs/contract.md section 4).
func TestRefusals(t *testing.T) {
	t.Parallel()
	admin := func(w *world, do func(*kadm.Client) error) {
		w.T.Helper()
		cl := w.Kafka.Client()
		defer cl.Close()
		if err := do(kadm.NewClient(cl)); err != nil {
			w.T.Fatal(err)
		}
	}
	set := func(topic, name, value string) func(*world) {
		return func(w *world) {
			admin(w, func(adm *kadm.Client) error {
				answer, err := adm.AlterTopicConfigs(w.T.Context(), []kadm.AlterConfig{{Name: name, Value: &value}}, topic)
				if err == nil {
					err = answer[0].Err
				}
				return err
			})
		}
	}
	partitions := func(topic string, n int) func(*world) {
		return func(w *world) {
			admin(w, func(adm *kadm.Client) error {
				answer, err := adm.UpdatePartitions(w.T.Context(), n, topic)
				if err == nil {
					err = answer.Error()
				}
				return err
			})
		}
	}
	remove := func(topic string) func(*world) {
		return func(w *world) {
			admin(w, func(adm *kadm.Client) error {
				answer, err := adm.DeleteTopics(w.T.Context(), topic)
				if err == nil {
					err = answer.Error()
				}
				return err
			})
		}
	}
	const birth = `{"portal":4242,"stream":"birth"}`
	for name, c := range map[string]struct {
		spoil func(*world)
		where string // what the error names
		cure  string
	}{
		"nonsense in a cursor": {func(w *world) { w.Produce("hubspot.offsets", depl.LeadingKey, `{"at":"tomorrow"}`) },
			"hubspot.offsets, partition 0, offset", "a null value under this exact key"},
		"a cursor of another portal": {func(w *world) {
			w.Produce("hubspot.offsets", `{"portal":777,"object":"contacts","stream":"leading"}`, `{"at":"2000-01-01T00:00:00Z"}`)
		}, "portal 777", "another KAFKA_TOPIC_PREFIX"},
		"another birth id": {func(w *world) { w.Produce("hubspot.offsets", birth, `{"id":"other","v":1}`) },
			"the birth ids differ", "delete both hubspot.offsets and hubspot.state to start over"},
		"no birth id": {func(w *world) { w.Produce("hubspot.offsets", birth, "") },
			"hubspot.state has a birth id and hubspot.offsets has none", "bring back the topic that is missing or was replaced"},
		"no state":   {remove("hubspot.state"), "hubspot.offsets has a birth id and hubspot.state has none", "bring back the topic that is missing or was replaced"},
		"no cursors": {remove("hubspot.offsets"), "hubspot.state has a birth id and hubspot.offsets has none", "bring back the topic that is missing or was replaced"},
		"another portal": {func(w *world) { w.Portal = hubspottest.New(hubspottest.Options{PortalID: 777}) },
			"belongs to portal 4242 and the token to portal 777", "another KAFKA_TOPIC_PREFIX"},
		"another key format": {func(w *world) { w.Set("KAFKA_KEY_FORMAT=avro") },
			`hubspot.contacts was written with keys of format "string"`, "set KAFKA_KEY_FORMAT=string"},
		"more partitions of a topic with events": {partitions("hubspot.contacts", 4),
			"hubspot.contacts has 4 partitions and was written with 3", "bring back the topic with 3 partitions"},
		"more partitions of the cursors": {partitions("hubspot.offsets", 2), "hubspot.offsets has 2 partitions", "delete it, if it is not the connector's"},
		"more partitions of the state":   {partitions("hubspot.state", 2), "hubspot.state has 2 partitions", "delete it, if it is not the connector's"},
		"cursors that expire": {set("hubspot.offsets", "cleanup.policy", "compact,delete"),
			"hubspot.offsets has cleanup.policy=", "kafka-configs --bootstrap-server localhost:0 --alter --topic hubspot.offsets --add-config cleanup.policy=compact"},
		"a state that expires": {set("hubspot.state", "cleanup.policy", "delete"),
			"hubspot.state has cleanup.policy=delete", "kafka-configs --bootstrap-server localhost:0 --alter --topic hubspot.state --add-config cleanup.policy=compact"},
		"a topic with events that takes too little": {set("hubspot.contacts", "max.message.bytes", "1000"),
			"hubspot.contacts takes at most 1000 bytes", "raise max.message.bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, hubspottest.Options{}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
				w.Ran(3)
				c.spoil(w)
				published := len(w.Records("hubspot.contacts"))
				began := time.Now()
				p := w.start()
				err := <-p.Done
				var refusal *offsets.Refusal
				if !errors.As(err, &refusal) || connector.ExitCode(err) != connector.ExitRefused {
					t.Fatalf("got %v, exit %d", err, connector.ExitCode(err))
				}
				if !strings.Contains(refusal.What, c.where) || !strings.Contains(refusal.Cure, c.cure) {
					t.Errorf("got %v\nwant %s and %s", err, c.where, c.cure)
				}
				if d := time.Since(began); d > 5*time.Second || p.terms() > 1 {
					t.Errorf("after %v and %d tries", d, p.terms())
				}
				if n := len(w.Records("hubspot.contacts")); n != published {
					t.Errorf("%d records were published before", n-published)
				}
				// It has left the group, so that the instance started after the cure need
				// not wait for it.
				if hosts, err := connector.Instances(w.T.Context(), w.Kafka.Options(), "hubspot"); err != nil || len(hosts) > 0 {
					t.Errorf("instances on %v, %v", hosts, err)
				}
			})
		})
	}
}
