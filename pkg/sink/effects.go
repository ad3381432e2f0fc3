package sink

import (
	"context"
	"errors"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/sr"
)

// effects are what a setup does to Kafka and to the registry. A run does it; a
// Probe only asks whether it could.
type effects interface {
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
	adm         *kadm.Client
	replication int16
	written     *written
	log         *slog.Logger
}

func (e *realEffects) createTopic(ctx context.Context, want *TopicFinding, configs map[string]string) (bool, error) {
	answer, err := e.adm.CreateTopic(ctx, want.Partitions, e.replication, pointers(configs), want.Name)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return false, worded(err, answer.ErrMessage)
	}
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
