package sink

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sr"
)

// effects are what a setup does to Kafka and to the registry. A run does it; a
// Probe only asks whether it could.
type effects interface {
	// createTopics creates missing topics with all of their settings, and returns
	// those that are there now.
	createTopics(ctx context.Context, want []*TopicFinding) (created []*TopicFinding)
	// createTopic creates a missing topic with these settings. It returns false if
	// the topic is still missing afterwards.
	createTopic(ctx context.Context, want *TopicFinding, configs map[string]string) (created bool, err error)
	// setConfig gives a topic that was created without them one of the settings
	// that it should have.
	setConfig(ctx context.Context, want *TopicFinding, key string) error
	// registerSchema registers a schema that the registry lacks and has said that
	// it would accept. It returns the id; 0 if nothing was registered.
	registerSchema(ctx context.Context, subject string, s sr.Schema) (id int, err error)
}

// realEffects are those of a run.
type realEffects struct {
	cl          *kgo.Client
	adm         *kadm.Client
	replication int16
	written     *written
	log         *slog.Logger
}

// createTopics sends one request for topics of all kinds, which kadm does not.
func (e *realEffects) createTopics(ctx context.Context, want []*TopicFinding) (created []*TopicFinding) {
	req := kmsg.NewPtrCreateTopicsRequest()
	for _, t := range want {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = t.Name, t.Partitions, e.replication
		for _, key := range slices.Sorted(maps.Keys(t.Configs)) {
			config := kmsg.NewCreateTopicsRequestTopicConfig()
			config.Name, config.Value = key, kmsg.StringPtr(t.Configs[key])
			topic.Configs = append(topic.Configs, config)
		}
		req.Topics = append(req.Topics, topic)
	}
	resp, err := req.RequestWith(ctx, e.cl)
	if err != nil {
		return nil
	}
	for _, t := range resp.Topics {
		i := slices.IndexFunc(want, func(w *TopicFinding) bool { return w.Name == t.Topic })
		if i >= 0 && t.ErrorCode == 0 {
			e.log.Info("topic created", "topic", t.Topic)
			want[i].fresh = true
			created = append(created, want[i])
		}
	}
	return created
}

func (e *realEffects) createTopic(ctx context.Context, want *TopicFinding, configs map[string]string) (bool, error) {
	answer, err := e.adm.CreateTopic(ctx, want.Partitions, e.replication, pointers(configs), want.Name)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return false, worded(err, answer.ErrMessage)
	}
	want.fresh = err == nil
	e.log.Info("topic created", "topic", want.Name)
	return true, nil
}

func (e *realEffects) setConfig(ctx context.Context, want *TopicFinding, key string) error {
	value := want.Configs[key]
	answers, err := e.adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: key, Value: &value}}, want.Name)
	if err != nil {
		return err
	}
	answer, err := answers.On(want.Name, nil)
	if err != nil {
		return err
	}
	return worded(answer.Err, answer.ErrMessage)
}

// registerSchema registers nothing while the registry lacks what was registered
// under the subject before: it would hand out the same ids again (R20).
func (e *realEffects) registerSchema(ctx context.Context, subject string, s sr.Schema) (int, error) {
	wrong, err := e.written.verify(ctx, subject)
	if err != nil {
		return 0, err
	}
	if refused := wrong[subject]; refused != nil {
		return 0, refused
	}
	return e.written.registry.RegisterSchema(ctx, subject, s, -1, -1)
}

// dryRun is a Probe's: it changes nothing.
type dryRun struct {
	adm         *kadm.Client
	replication int16
}

func (e *dryRun) createTopics(context.Context, []*TopicFinding) []*TopicFinding { return nil }

func (e *dryRun) createTopic(ctx context.Context, want *TopicFinding, configs map[string]string) (bool, error) {
	return false, e.create(ctx, want, configs)
}

// setConfig cannot ask about a topic that is missing, so it asks whether the
// setting could be there from the beginning.
func (e *dryRun) setConfig(ctx context.Context, want *TopicFinding, key string) error {
	return e.create(ctx, want, map[string]string{needed: want.Configs[needed], key: want.Configs[key]})
}

func (e *dryRun) create(ctx context.Context, want *TopicFinding, configs map[string]string) error {
	answers, err := e.adm.ValidateCreateTopics(ctx, want.Partitions, e.replication, pointers(configs), want.Name)
	if err != nil {
		return err
	}
	answer, err := answers.On(want.Name, nil)
	if err != nil {
		return err
	}
	return worded(answer.Err, answer.ErrMessage)
}

func (e *dryRun) registerSchema(context.Context, string, sr.Schema) (int, error) { return 0, nil }

func pointers(configs map[string]string) map[string]*string {
	out := make(map[string]*string, len(configs))
	for key, value := range configs {
		out[key] = &value
	}
	return out
}
