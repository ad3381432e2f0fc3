package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// checkTopics examines the topic of each object type and pair as a run does, with
// the schema that it would have.
func (k *checker) checkTopics(ctx context.Context) {
	if k.probe == nil {
		return
	}
	k.limited(ctx, 0, func(ctx context.Context) {
		for i := range k.portal.found {
			f := &k.portal.found[i]
			set, err := k.set(f)
			if err != nil {
				k.troubles("topics", "state", f.Type.Name, err)
				continue
			}
			t, err := k.probe.Topic(ctx, f.Type.Name, set)
			k.topic(t, err)
		}
		if t, err := k.probe.SignalsTopic(ctx); err != nil {
			k.troubles("topics", "topic", t.Name, err)
		} else {
			k.signals = append(k.signals, t)
			k.sayTopic(t)
		}
		if t, err := k.probe.NotificationsTopic(ctx); err == nil {
			k.notifications = append(k.notifications, t)
			k.sayTopic(t)
		} else {
			k.without(t, err, "notifications")
		}
		k.checkFrontiers(ctx)
		// The topics of pairs and reference lists are made at the first link or
		// entry.
		var known map[string]offsets.TopicMeta
		if k.loaded != nil {
			known = k.loaded.Topics
		}
		prefix := k.setup.Config.Kafka.TopicPrefix
		for _, e := range k.portal.ends {
			pair := cdc.Pair{From: e.From.Name, To: e.To.Name}
			if _, there := known[offsets.PairTopic(prefix, pair)]; there || k.portal.links[e] {
				t, err := k.probe.PairTopic(ctx, pair)
				k.made(t, err, there)
			}
		}
		for _, list := range stream.References() {
			_, there := known[offsets.ReferenceTopic(prefix, list)]
			t, err := k.probe.ReferenceTopic(ctx, list)
			k.made(t, err, there)
		}
	})
	var missing []string
	for _, t := range k.needed() {
		if !t.There {
			missing = append(missing, t.Name)
		}
	}
	if len(missing) > 0 {
		partitions, replication := "partitions by the brokers' default", "replicas by the brokers' default"
		if n := k.setup.Config.Kafka.Partitions; n > 0 {
			partitions = fmt.Sprintf("%d partitions", n)
		}
		if n := k.setup.Config.Kafka.Replication; n > 0 {
			replication = fmt.Sprintf("%d replicas", n)
		}
		k.add(Finding{Area: "topics", Check: "to_be_created", Status: OK,
			Found: fmt.Sprintf("%s (data topics: %s, %s)", strings.Join(missing, ", "), partitions, replication)})
	}
}

// checkFrontiers examines the topic of the frontiers. A run that cannot have it goes
// without.
func (k *checker) checkFrontiers(ctx context.Context) {
	if k.setup.Config.Event.FrontierInterval == 0 {
		return
	}
	t, err := k.probe.FrontierTopic(ctx)
	why := sink.WithoutFrontiers(t, err)
	switch {
	case why != nil:
		k.without(t, why, "frontiers")
	case err != nil:
		k.troubles("topics", "topic", t.Name, err)
	default:
		k.frontiers = append(k.frontiers, t)
		k.sayTopic(t)
	}
}

// needed lists all topics that a run makes at its start.
func (k *checker) needed() []*sink.TopicFinding {
	return slices.Concat(k.internal, k.topics, k.signals, k.notifications, k.frontiers)
}

// without reports a topic that a run does without where it cannot have it.
func (k *checker) without(t *sink.TopicFinding, err error, what string) {
	f := Finding{Area: "topics", Check: "topic", Subject: t.Name, Status: Warn, Found: connector.Plainly(err) + "; a run does without " + what}
	if missing, ok := errors.AsType[*sink.MissingTopicError](err); ok {
		f.Found, f.Todo = connector.Plainly(missing.Err)+"; a run does without "+what, []string{missing.Command}
		if denied(err) { // checkAccess prints the commands where others are missing too
			k.commands = append(k.commands, missing.Command)
		}
	}
	k.add(f)
}

// set is the property set that a run would have for a type.
func (k *checker) set(f *stream.Found) (*schema.Set, error) {
	var before *schema.Set
	if k.loaded != nil && k.loaded.Sets[f.Type.Name] != nil {
		before = &schema.Set{}
		if err := json.Unmarshal(k.loaded.Sets[f.Type.Name], before); err != nil {
			return nil, err
		}
	}
	set, _ := schema.Next(before, f.Type, schema.Listing{
		Properties: f.Properties, Asked: k.setup.Config.HubSpot.Sensitivities(), Refused: f.Sensitivities(),
	}, k.setup.Selection)
	return set, nil
}

func (k *checker) slots(f *stream.Found) (*hubspot.Slots, error) {
	set, err := k.set(f)
	if err != nil {
		return nil, err
	}
	return set.Slots(k.setup.Selection), nil
}

func (k *checker) topic(t *sink.TopicFinding, err error) {
	if err != nil {
		k.troubles("topics", "topic", t.Name, err)
		return
	}
	k.topics = append(k.topics, t)
	k.sayTopic(t)
}

// made reports a topic that a run makes when it needs it. One that is not known
// yet only matters if it cannot be created.
func (k *checker) made(t *sink.TopicFinding, err error, known bool) {
	if _, cannot := errors.AsType[*sink.MissingTopicError](err); known || cannot {
		k.topic(t, err)
	}
}

// sayTopic describes a topic that is there, and the warnings about one that is
// not. A warning about the cluster appears with the first topic alone.
func (k *checker) sayTopic(t *sink.TopicFinding) {
	f := Finding{Area: "topics", Check: "topic", Subject: t.Name, Status: OK, Found: "not there"}
	for _, warning := range t.Warnings {
		text := warning.String()
		if warning.AboutSettings() {
			f.Status = Warn
			f.Todo = append(f.Todo, "falls short of what the connector gives to a new topic: "+t.Short+"; if you did not choose that: "+t.Command)
			continue
		}
		if warning.Cluster {
			subject := warning.Setting.Key + " " + warning.Text
			if slices.Contains(k.ofCluster, subject) {
				continue
			}
			k.ofCluster = append(k.ofCluster, subject)
		}
		f.Status = Warn
		f.Todo = append(f.Todo, text)
	}
	switch {
	case !t.There && len(f.Todo) == 0:
		return
	case t.There && len(t.Configs) == 0:
		f.Found = fmt.Sprintf("partitions %d, settings unknown", t.Partitions)
	case t.There:
		f.Found = fmt.Sprintf("partitions %d, cleanup.policy %s, max.message.bytes %s, delete.retention.ms %s, min.compaction.lag.ms %s", t.Partitions,
			t.Configs["cleanup.policy"], t.Configs["max.message.bytes"], t.Configs["delete.retention.ms"], t.Configs["min.compaction.lag.ms"])
	}
	if t.There && k.loaded != nil && k.loaded.Topics[t.Name].KeyFormat != "" {
		f.Found += ", keys " + k.loaded.Topics[t.Name].KeyFormat
	}
	k.add(f)
}
