package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// needed is the one setting without which a topic is of no use. All others are
// wanted: a cluster may refuse them (docs/contract.md section 4).
const needed = "cleanup.policy"

// without says what follows if a topic has the cluster's default instead of a
// wanted setting.
var without = map[string]string{
	"delete.retention.ms":   "a reader slower than the cluster's default misses deletes, so a consumer that was away for longer must start over from an empty table",
	"max.message.bytes":     "events larger than the cluster's default leave out their largest values",
	"min.compaction.lag.ms": "a consumer that falls behind may see only the latest event of an object, and not those before",
	"retention.ms":          "signals stay for the cluster's default; a cluster that applies it to compacted topics too deletes what they hold",
	"segment.bytes":         "the connector's own topics are compacted later, so starts take longer",
	"segment.ms":            "the connector's own topics are compacted later, so starts take longer",
}

// refusedSetting is the text of a warning about a wanted setting.
const refusedSetting = "the cluster refuses a setting of its topics; they have its default instead, and the connector goes on"

// create creates a missing topic: with all settings or, if the cluster refuses
// that, with the needed one, to which it adds the others one by one. A setting
// that is still refused stays at the cluster's default and is a warning.
func (s *setup) create(ctx context.Context, want *TopicFinding) (*TopicFinding, error) {
	created, err := s.effects.createTopic(ctx, want, want.Configs)
	all := !refusesSettings(err)
	if !all {
		created, err = s.effects.createTopic(ctx, want, only(want.Configs, needed))
	}
	if err != nil {
		return want, s.notCreated(ctx, want, err)
	}
	t := *want
	if !all {
		t.Configs = only(want.Configs, needed)
	}
	if created {
		found, err := s.await(ctx, want.Name, true)
		if err != nil {
			return want, err
		}
		found.fresh = want.fresh
		t = *found
	}
	if all {
		return &t, nil
	}
	for _, key := range slices.Sorted(maps.Keys(want.Configs)) {
		if key == needed {
			continue
		}
		err := s.effects.setConfig(ctx, want, key)
		if ctx.Err() != nil {
			return &t, fmt.Errorf("set %s of topic %s: %w", key, want.Name, err)
		}
		if err == nil {
			t.Configs[key] = want.Configs[key]
			continue
		}
		t.Warnings = append(t.Warnings, settingRefused(key, want.Configs[key], err))
	}
	return &t, nil
}

// settingRefused says that the cluster refuses a wanted setting, and what follows.
func settingRefused(key, value string, err error) Warning {
	return Warning{
		Text:    refusedSetting,
		Setting: slog.String(key, fmt.Sprintf("%s is refused (%v): %s", value, err, without[key])),
		Cluster: true,
	}
}

// notCreated says why a topic cannot be created.
func (s *setup) notCreated(ctx context.Context, want *TopicFinding, err error) error {
	err = fmt.Errorf("create topic %s: %w", want.Name, err)
	forbidden := errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed)
	if !forbidden && !refusesSettings(err) {
		return err
	}
	missing := &MissingTopicError{Topic: want.Name, Command: s.command(want), Err: err}
	if !forbidden && s.validate(ctx, want, nil) == nil { // it is the needed setting that the cluster refuses
		return missing.refusal(want.Configs[needed])
	}
	return missing
}

// validate asks whether this user may create a topic with these settings.
func (s *setup) validate(ctx context.Context, want *TopicFinding, configs map[string]string) error {
	return (&dryRun{s.adm, s.cfg.Replication}).create(ctx, want, configs)
}

// tool begins a command of Kafka's own.
func (s *setup) tool(name string) string {
	if s.cfg.Tools == "" {
		return name
	}
	return name + " " + s.cfg.Tools
}

// command creates a topic as the connector would.
func (s *setup) command(want *TopicFinding) string {
	var b strings.Builder
	b.WriteString(s.tool("kafka-topics"))
	b.WriteString(" --create --topic " + want.Name)
	if want.Partitions > 0 {
		fmt.Fprintf(&b, " --partitions %d", want.Partitions)
	}
	if s.cfg.Replication > 0 {
		fmt.Fprintf(&b, " --replication-factor %d", s.cfg.Replication)
	}
	for _, key := range slices.Sorted(maps.Keys(want.Configs)) {
		fmt.Fprintf(&b, " --config %s=%s", key, want.Configs[key])
	}
	return b.String()
}

// refusesSettings reports whether an answer may be about the settings of a topic.
// Some clouds answer INVALID_REQUEST.
func refusesSettings(err error) bool {
	return errors.Is(err, kerr.InvalidConfig) || errors.Is(err, kerr.PolicyViolation) || errors.Is(err, kerr.InvalidRequest)
}

func only(configs map[string]string, key string) map[string]string {
	return map[string]string{key: configs[key]}
}
