package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

const (
	// A consumer that was away for less sees every delete.
	weekMs = 7 * 24 * 3600 * 1000
	week   = "604800000" // weekMs
	// Apache Kafka ignores retention.ms on a topic that is only compacted. Other
	// implementations of its protocol do not (kfake, for one), and an operator
	// who adds "delete" to the policy gets a warning instead of a loss.
	forEver = "-1"
	// How long a topic may be without a leader, and how long brokers may lag behind
	// the controller that has created one: half a minute was seen where a fleet begins
	// and the brokers have no processor left. To give up and begin again costs them
	// more.
	topicPatience, lagPatience = 30 * time.Second, 10 * time.Minute
	// The client allows no larger one; socket.request.max.bytes is 100 MiB.
	largestBatch = 64 << 20
	// Kafka's default of max.message.bytes, for a topic whose settings are unknown.
	defaultBatch = 1048588
)

// setup makes topics and schemas ready, and returns what it found. A run and a
// Probe share it, so that both decide alike; only its effects differ.
type setup struct {
	cfg     Config
	cl      *kgo.Client
	adm     *kadm.Client
	effects effects
	ahead   ahead
}

// internalTopic makes the cursor topic or the state topic ready. It has one
// partition, because the latest record of a key counts, and it is compacted,
// because every start reads it from its beginning.
func (s *setup) internalTopic(ctx context.Context, name string) (*TopicFinding, error) {
	t, err := s.ensureTopic(ctx, internalWanted(name))
	if err != nil {
		return t, err
	}
	if t.Partitions != 1 {
		return t, &offsets.Refusal{
			What: fmt.Sprintf("topic %s has %d partitions instead of one", name, t.Partitions),
			Cure: "delete it, if it is not the connector's, and let the connector create it; or use another KAFKA_TOPIC_PREFIX",
		}
	}
	if err := s.compacted(t); err != nil {
		return t, err
	}
	if ms, err := strconv.Atoi(t.Configs["delete.retention.ms"]); err == nil && t.There && ms < weekMs {
		t.warn("a reader slower than delete.retention.ms would miss deletes; set it to seven days", slog.Int("delete.retention.ms", ms))
	}
	return t, nil
}

func internalWanted(name string) *TopicFinding {
	return &TopicFinding{Name: name, Partitions: 1, Configs: map[string]string{
		needed:                "compact",
		"segment.bytes":       strconv.Itoa(64 << 20), // only closed segments are compacted; some clouds allow none below 50 MiB
		"segment.ms":          strconv.Itoa(10 * 60 * 1000),
		"delete.retention.ms": week,
		"retention.ms":        forEver,
		"max.message.bytes":   strconv.Itoa(DefaultMaxMessageBytes),
	}}
}

// compacted refuses an internal topic whose records are deleted by their age.
func (s *setup) compacted(t *TopicFinding) error {
	policy := t.Configs[needed]
	if policy == "compact" || policy == "" {
		return nil
	}
	return &offsets.Refusal{
		What: fmt.Sprintf("topic %s has cleanup.policy=%s, so what the connector remembers would be deleted", t.Name, policy),
		Cure: fmt.Sprintf("%s --alter --topic %s --add-config cleanup.policy=compact", s.tool("kafka-configs"), t.Name),
	}
}

// dataTopic makes a topic of events ready. It refuses one that is too small for
// events, or whose number of partitions has changed. Consumers may have created
// it with other settings: those dataTopic leaves alone, and warns.
func (s *setup) dataTopic(ctx context.Context, t *topic, was offsets.TopicMeta) (*TopicFinding, error) {
	f, err := s.ensureTopic(ctx, s.dataWanted(t.name, was))
	if err != nil {
		return f, err
	}
	if !f.There && was.Partitions > 0 {
		f.warn("the topic was gone and is created again; everything of the object is published again", slog.Attr{})
	}
	if policy := f.Configs[needed]; strings.Contains(policy, "delete") {
		f.warn("records of this topic are deleted after its retention time; a new consumer will miss objects",
			slog.String("cleanup.policy", policy))
	}
	t.partitions, t.limit = f.Partitions, min(f.batchLimit(), s.cfg.MaxMessageBytes)
	if t.limit < t.least {
		return f, &offsets.Refusal{
			What: fmt.Sprintf("topic %s takes at most %d bytes, too few for an event with nothing but nulls (%d)", t.name, t.limit, t.least),
			Cure: fmt.Sprintf("raise max.message.bytes of the topic (the connector creates topics with %d) and KAFKA_MAX_MESSAGE_BYTES", DefaultMaxMessageBytes),
		}
	}
	if was.Partitions > 0 && was.Partitions != t.partitions {
		return f, &offsets.Refusal{
			What: fmt.Sprintf("topic %s has %d partitions and was written with %d, so keys would change their partition", t.name, t.partitions, was.Partitions),
			Cure: fmt.Sprintf("bring back the topic with %d partitions, %s", was.Partitions, startOver),
		}
	}
	return f, nil
}

func (s *setup) dataWanted(name string, was offsets.TopicMeta) *TopicFinding {
	partitions := s.cfg.Partitions
	if was.Partitions > 0 { // if the topic is gone, it comes back with as many, and keys stay where they were
		partitions = was.Partitions
	}
	return &TopicFinding{Name: name, Partitions: partitions, Configs: map[string]string{
		needed:                  "compact",
		"min.compaction.lag.ms": week,
		"delete.retention.ms":   week,
		"retention.ms":          forEver,
		"max.message.bytes":     strconv.Itoa(min(s.cfg.MaxMessageBytes, largestBatch)),
	}}
}

// signalsTopic makes the signals topic ready. It has one partition, because the
// connector obeys signals in order, and is not compacted, because all of them
// have one key.
func (s *setup) signalsTopic(ctx context.Context) (*TopicFinding, error) {
	want := queueWanted(offsets.SignalsTopic(s.cfg.Prefix))
	name := want.Name
	t, err := s.ensureTopic(ctx, want)
	if err != nil {
		return t, err
	}
	if t.Partitions != 1 {
		return t, &offsets.Refusal{
			What: fmt.Sprintf("topic %s has %d partitions instead of one, so the order of the signals would be lost", name, t.Partitions),
			Cure: fmt.Sprintf("%s --delete --topic %s, and let the connector create it", s.tool("kafka-topics"), name),
		}
	}
	if policy := t.Configs[needed]; strings.Contains(policy, "compact") {
		return t, &offsets.Refusal{
			What: fmt.Sprintf("topic %s has cleanup.policy=%s, and all signals have one key, so only the last of them would be left", name, policy),
			Cure: fmt.Sprintf("%s --alter --entity-type topics --entity-name %s --add-config cleanup.policy=delete", s.tool("kafka-configs"), name),
		}
	}
	return t, nil
}

// notificationsTopic makes the topic of the notifications ready. They are read in
// order, so it has one partition.
func (s *setup) notificationsTopic(ctx context.Context) (*TopicFinding, error) {
	return s.ensureTopic(ctx, queueWanted(offsets.NotificationsTopic(s.cfg.Prefix)))
}

// queueWanted is a topic whose records are read once, in their order.
func queueWanted(name string) *TopicFinding {
	return &TopicFinding{Name: name, Partitions: 1, Configs: map[string]string{needed: "delete", "retention.ms": week}}
}

// frontierTopic makes the frontiers topic ready. It has one partition and is
// compacted, because the latest record of each topic counts. One with other settings
// serves too.
func (s *setup) frontierTopic(ctx context.Context) (*TopicFinding, error) {
	t, err := s.ensureTopic(ctx, s.frontierWanted())
	if policy := t.Configs[needed]; err == nil && strings.Contains(policy, "delete") {
		t.warn("records of this topic are deleted after its retention time: how far a quiet topic is complete may be gone", slog.String(needed, policy))
	}
	return t, err
}

func (s *setup) frontierWanted() *TopicFinding {
	return &TopicFinding{Name: offsets.FrontierTopic(s.cfg.Prefix), Partitions: 1, Configs: map[string]string{
		needed:          "compact",
		"segment.bytes": strconv.Itoa(64 << 20),
		"segment.ms":    strconv.Itoa(10 * 60 * 1000),
		"retention.ms":  forEver,
	}}
}

// ensureTopic creates a topic if it is missing, and describes it. Even with an
// error the finding names its topic.
func (s *setup) ensureTopic(ctx context.Context, want *TopicFinding) (*TopicFinding, error) {
	t := s.ahead.take(want.Name)
	if t != nil && t.fresh {
		return t, nil
	}
	var err error
	if t == nil {
		t, err = s.await(ctx, want.Name, false)
	}
	switch {
	case err == nil:
		t.There = true
		s.fallsShort(ctx, t, want.Configs)
		return t, nil
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return s.create(ctx, want)
	}
	return want, err
}

// EnsureFleetTopic makes the topic of a fleet's group ready, and returns how many
// partitions it has: as many as it is created with, if it does not exist. It never has
// records.
func EnsureFleetTopic(ctx context.Context, cfg Config, name string, partitions int32) (int32, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return 0, err
	}
	cl, done, err := cfg.aside()
	if err != nil {
		return 0, err
	}
	defer done()
	found, err := newSetup(cfg, cl, nil, cfg.Logger).ensureTopic(ctx, &TopicFinding{Name: name, Partitions: partitions, Configs: map[string]string{needed: "delete"}})
	if err != nil {
		return 0, err
	}
	warn(cfg, cfg.Logger, found)
	return found.Partitions, nil
}
