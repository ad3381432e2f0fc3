package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/sr"
)

// effects are what a setup does to Kafka and to the registry. A run does it; a
// Probe only asks whether it could.
type effects interface {
	// createTopic creates a missing topic. It returns false if the topic is still
	// missing afterwards.
	createTopic(ctx context.Context, want *TopicFinding) (created bool, err error)
	// registerSchema registers a schema that the registry lacks and has said that
	// it would accept. It returns the id; 0 if nothing was registered.
	registerSchema(ctx context.Context, subject string, s sr.Schema) (id int, err error)
}

// realEffects are those of a run.
type realEffects struct {
	adm         *kadm.Client
	replication int16
	registry    *sr.Client
	log         *slog.Logger
}

func (e *realEffects) createTopic(ctx context.Context, want *TopicFinding) (bool, error) {
	_, err := e.adm.CreateTopic(ctx, want.Partitions, e.replication, pointers(want.Configs), want.Name)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return false, fmt.Errorf("create topic %s: %w", want.Name, err)
	}
	e.log.Info("topic created", "topic", want.Name)
	return true, nil
}

func (e *realEffects) registerSchema(ctx context.Context, subject string, s sr.Schema) (int, error) {
	return e.registry.RegisterSchema(ctx, subject, s, -1, -1)
}

// dryRun is a Probe's: it changes nothing.
type dryRun struct {
	adm         *kadm.Client
	replication int16
}

func (e *dryRun) createTopic(ctx context.Context, want *TopicFinding) (bool, error) {
	answer, err := e.adm.ValidateCreateTopics(ctx, want.Partitions, e.replication, pointers(want.Configs), want.Name)
	if err == nil {
		err = answer[want.Name].Err
		if detail := answer[want.Name].ErrMessage; err != nil && detail != "" {
			err = fmt.Errorf("%w: %s", err, detail)
		}
	}
	if err != nil {
		return false, fmt.Errorf("create topic %s: %w", want.Name, err)
	}
	return false, nil
}

func (e *dryRun) registerSchema(context.Context, string, sr.Schema) (int, error) { return 0, nil }

func pointers(configs map[string]string) map[string]*string {
	out := make(map[string]*string, len(configs))
	for key, value := range configs {
		out[key] = &value
	}
	return out
}
