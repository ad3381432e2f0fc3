package check

import (
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestCheck_SettingsThatTheClusterRefuses: a check names each setting that the
// cluster would refuse, once, with the broker's words and what follows. It
// creates and alters nothing.
func TestCheck_SettingsThatTheClusterRefuses(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 21}, threeTypes, func(w *world) {
		policy := &testkit.Policy{Settings: []string{"max.message.bytes", "segment.bytes", "min.compaction.lag.ms"}}
		w.Kafka.Enforce(policy)
		c := w.inspect().is(connector.ExitOK)
		c.says("topic", "hubspot.offsets", Warn, "segment.bytes=67108864 is refused", policy.Message("segment.bytes"), "starts take longer")
		c.says("topic", "hubspot.offsets", Warn, policy.Message("max.message.bytes"), "leave out their largest values")
		c.says("topic", "hubspot.contacts", Warn, policy.Message("min.compaction.lag.ms"), "latest event")
		for _, setting := range policy.Settings {
			if n := strings.Count(c.table, policy.Message(setting)); n != 1 {
				t.Errorf("%s: named %d times:\n%s", setting, n, c.table)
			}
		}
		if n := policy.Creates.Load() + policy.Alters.Load(); n != 0 || len(w.Topics()) != 0 {
			t.Errorf("%d requests to create or alter, topics %v", n, w.Topics())
		}

		all := &testkit.Policy{Settings: []string{"cleanup.policy"}}
		w.replaceKafka()
		w.Kafka.Enforce(all)
		w.inspect().is(connector.ExitRefused).says("topic", "hubspot.offsets", Fail, "refuses cleanup.policy=compact", all.Message("cleanup.policy"), "kafka-topics ")
	})
}

// TestCheck_CommandsWhereCreatingIsForbidden: a check prints a command for each
// topic that is missing, those of reference lists included. With the topics that
// the commands create, nothing is wrong. Without that of the notifications alone, a
// run does without them.
func TestCheck_CommandsWhereCreatingIsForbidden(t *testing.T) {
	t.Parallel()
	env := append([]string{"KAFKA_REPLICATION=1", "KAFKA_PARTITIONS=4", "HUBSPOT_ASSOCIATIONS=none"}, threeTypes...)
	inWorld(t, hubspottest.Options{Seed: 22}, env, func(w *world) {
		w.Kafka.Enforce(&testkit.Policy{NoCreate: true})
		c := w.inspect().is(connector.ExitFailed)
		i := slices.IndexFunc(c.Findings, func(f Finding) bool { return f.Area == "access" && f.Check == "topics" })
		w.replaceKafka()
		for _, command := range c.Findings[i].Todo {
			if strings.HasPrefix(command, "kafka-topics") {
				w.obey(command)
			}
		}
		want := []string{"companies", "contacts", "deals", "frontiers", "notifications", "offsets", "owners", "pipeline_stages", "pipelines", "signals", "state"}
		for i := range want {
			want[i] = "hubspot." + want[i]
		}
		if got := w.Topics(); !slices.Equal(got, want) {
			t.Errorf("topics %v, want %v", got, want)
		}
		w.Kafka.Enforce(&testkit.Policy{NoCreate: true})
		w.inspect().is(connector.ExitOK).silent("access", "topics")

		if _, err := w.Kafka.Admin().DeleteTopics(w.T.Context(), "hubspot.notifications"); err != nil {
			t.Fatal(err)
		}
		c = w.inspect().is(connector.ExitOK)
		c.says("topic", "hubspot.notifications", Warn, "does without notifications", "--create --topic hubspot.notifications --partitions 1")
	})
	inWorld(t, hubspottest.Options{Seed: 23}, threeTypes, func(w *world) {
		w.Kafka.Enforce(&testkit.Policy{NoCreate: true, As: kerr.PolicyViolation})
		c := w.inspect().is(connector.ExitFailed)
		c.says("topic", "hubspot.contacts", Fail, testkit.ForbiddenMessage, "kafka-topics --bootstrap-server", "--create --topic hubspot.contacts")
	})
}

// obey does what a command of kafka-topics does.
func (w *world) obey(command string) {
	w.T.Helper()
	words := strings.Fields(command)
	value := func(flag string) string { return words[slices.Index(words, flag)+1] }
	configs := map[string]*string{}
	for i, word := range words {
		if word == "--config" {
			key, value, _ := strings.Cut(words[i+1], "=")
			configs[key] = &value
		}
	}
	partitions := int32(1)
	if value("--partitions") == "4" {
		partitions = 4
	}
	if value("--replication-factor") != "1" {
		w.T.Errorf("%s: want one replica", command)
	}
	cl := w.Kafka.Client()
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreateTopic(w.T.Context(), partitions, 1, configs, value("--topic")); err != nil {
		w.T.Errorf("%s: %v", command, err)
	}
}

// TestCheck_SettingsThatCannotBeRead: a user who may not describe settings gets a
// warning, and no failure.
func TestCheck_SettingsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 24}, threeTypes, func(w *world) {
		w.Ran(3)
		w.Kafka.Enforce(&testkit.Policy{NoDescribe: true})
		c := w.inspect().is(connector.ExitOK)
		c.says("topic", "hubspot.offsets", Warn, "settings unknown", testkit.ForbiddenMessage, "nobody checks that cleanup.policy is right")
		c.says("topic", "hubspot.contacts", OK, "settings unknown")
	})
}

// TestCheck_TopicsThatFallShort: a topic with less than the connector gives to a
// new one is a warning with the command, for each such topic.
func TestCheck_TopicsThatFallShort(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 23}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		compact := "compact"
		for _, name := range []string{"hubspot.offsets", "hubspot.contacts"} {
			if _, err := w.Kafka.Admin().CreateTopic(w.T.Context(), 1, 1, map[string]*string{"cleanup.policy": &compact}, name); err != nil {
				t.Fatal(err)
			}
		}
		c := w.inspect().is(connector.ExitOK)
		c.says("topic", "hubspot.offsets", Warn, "falls short", "kafka-configs --bootstrap-server ", "segment.ms=600000")
		c.says("topic", "hubspot.contacts", Warn, "max.message.bytes is 1048588 and not 8388608", "max.message.bytes=8388608")
	})
}
