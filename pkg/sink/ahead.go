package sink

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// ahead are topics that were described or created before they are made ready. A start
// needs a dozen of them, one after the other; the brokers answer about all of them at
// once for little more than the price of one.
type ahead struct {
	mu    sync.Mutex
	found map[string]waitingTopic
}

type waitingTopic struct {
	*TopicFinding
	at time.Time
}

// aheadFor is how long a topic that was there may wait: somebody may delete it.
const aheadFor = 30 * time.Second

// take gives what was found of a topic, once; nil: nothing.
func (a *ahead) take(name string) *TopicFinding {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.found[name]
	delete(a.found, name)
	if !ok || !t.fresh && time.Since(t.at) > aheadFor {
		return nil
	}
	return t.TopicFinding
}

func (a *ahead) put(t *TopicFinding) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.found == nil {
		a.found = map[string]waitingTopic{}
	}
	a.found[t.Name] = waitingTopic{t, time.Now()}
}

// together describes topics that are going to be made ready, and creates the missing
// ones for which want has settings, with one request of each kind for all of them. What
// fails fails again, and is reported, when the topic is made ready by itself.
func (s *setup) together(ctx context.Context, want []*TopicFinding) {
	known, err := s.describeAll(ctx, names(want))
	if err != nil {
		return
	}
	var missing []*TopicFinding
	for i, d := range known {
		switch {
		case d.err == nil:
			s.ahead.put(d.topic)
		case errors.Is(d.err, kerr.UnknownTopicOrPartition) && want[i].Configs != nil:
			missing = append(missing, want[i])
		}
	}
	if len(missing) == 0 {
		return
	}
	created := s.effects.createTopics(ctx, missing)
	if len(created) == 0 {
		return
	}
	if known, err = s.describeAll(ctx, names(created)); err != nil {
		known = make([]described, len(created))
	}
	for i, d := range known {
		if d.topic == nil || d.err != nil { // not all brokers know it yet
			if d.topic, err = s.await(ctx, created[i].Name, true); err != nil {
				continue
			}
		}
		d.topic.fresh = true
		s.ahead.put(d.topic)
	}
}

func names(topics []*TopicFinding) []string {
	out := make([]string, len(topics))
	for i, t := range topics {
		out[i] = t.Name
	}
	return out
}

// internalWanted are the topics that every run needs before it can load.
func (s *Sink) internalWanted() []*TopicFinding {
	all := []*TopicFinding{internalWanted(s.cursorTopic), internalWanted(s.stateTopic)}
	if s.cfg.Frontiers.Interval > 0 {
		all = append(all, s.setup.frontierWanted())
	}
	return all
}

// Expect makes the topics of signals, of notifications and of object types, and looks at
// those that the state knows, all at once. Nothing follows from it but that making them
// ready takes fewer requests.
func (s *Sink) Expect(ctx context.Context, objects []string) {
	want := []*TopicFinding{queueWanted(offsets.SignalsTopic(s.cfg.Prefix)), queueWanted(offsets.NotificationsTopic(s.cfg.Prefix))}
	for _, object := range objects {
		name := offsets.ObjectTopic(s.cfg.Prefix, object)
		want = append(want, s.setup.dataWanted(name, s.topics.get(name).meta))
	}
	planned := names(want)
	for _, name := range s.topics.names((*topicState).written) { // what is gone of these is made by whoever needs it
		if !slices.Contains(planned, name) {
			want = append(want, &TopicFinding{Name: name})
		}
	}
	s.setup.together(ctx, want)
}
