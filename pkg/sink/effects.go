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

// effects are what a setup does to Kafka and to the registry. A run's take
// place; a Probe's only ask whether they would.
type effects interface {
	// createTopic creates a topic that is not there. It returns false if there
	// is none afterwards either.
	createTopic(ctx context.Context, want *TopicFinding) (created bool, err error)
	// registerSchema returns the id of a schema that the registry does not have
	// and has said it would accept; 0 if it is not registered.
	registerSchema(ctx context.Context, subject string, s sr.Schema) (id int, err error)
}

// realEffects are a run's.
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

// dryRun has a Probe's effects: none.
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
