package sink

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// topicState is what a run knows of a topic. Load tells what the state has of it and
// whether it was there. From then on:
//
//   - Topic makes it ready, or is refused. An object type's topic that is refused is not
//     written, even if it was ready for the set before; any other is tried again by the
//     next batch with events.
//   - A topic that was written, was gone when the run began and still is when it is to be
//     made ready is lost, whether it can be created or not: everything of it is published
//     again (R20), until Forget. One that goes later ends the run.
//   - One that is made ready and was not there is recognised: the state learns its
//     identity.
//   - Verify makes a topic unreadable, and readable again. What else it finds ends the run.
type topicState struct {
	meta       offsets.TopicMeta // as the state has it
	identity   offsets.Identity  // likewise
	presence   presence
	lost       bool              // everything of it is to be published again
	ready      *topic            // how its events are written; nil: it is not ready
	refused    *cdc.RefusedError // why it could not be made ready (Topic)
	unreadable *cdc.RefusedError // why nobody can read its events any more (Verify)
	limit      int               // bytes of the largest record batch; 0: unknown
}

// presence says whether the topic that the state knows is there.
type presence int

const (
	absent  presence = iota // it was not when the run began, or the state knows none
	hidden                  // this user was not allowed to see it when the run began
	present                 // it is
)

// written reports whether the topic had events before, or was at least ready for some.
func (t *topicState) written() bool { return t.meta.Partitions > 0 }

// identified reports whether the state knows which topic it is: earlier versions of the
// connector did not keep that.
func (t *topicState) identified() bool { return len(t.identity.Starts) > 0 }

// watched reports whether a loss of the topic concerns this run.
func (t *topicState) watched() bool { return t.ready != nil || t.presence == hidden }

// stopped returns why the topic is not written for now; nil if it may be.
func (t *topicState) stopped() error {
	if why := cmp.Or(t.refused, t.unreadable); why != nil {
		return why
	}
	return nil
}

// topicStates are the topics of a run, by name.
type topicStates struct {
	mu     sync.Mutex
	byName map[string]*topicState
}

// get returns what is known of a topic now.
func (ts *topicStates) get(name string) topicState {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return *cmp.Or(ts.byName[name], &topicState{})
}

// change lets f change what is known of a topic.
func (ts *topicStates) change(name string, f func(*topicState)) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	f(ts.at(name))
}

// at returns a topic's state. The caller holds mu.
func (ts *topicStates) at(name string) *topicState {
	if ts.byName[name] == nil {
		ts.byName[name] = &topicState{}
	}
	return ts.byName[name]
}

// stop makes these topics unreadable, and no others.
func (ts *topicStates) stop(why map[string]*cdc.RefusedError) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for name := range why {
		ts.at(name)
	}
	for name, t := range ts.byName {
		t.unreadable = why[name]
	}
}

// names lists the topics of which f is true.
func (ts *topicStates) names(f func(*topicState) bool) []string {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(ts.byName)), func(name string) bool { return !f(ts.byName[name]) })
}

// lose notes that a topic is gone. Whoever makes it, and whenever, everything of it is
// published again: the cursor of that does not wait for the topic.
func (s *Sink) lose(t *topic) {
	known := false
	s.topics.change(t.name, func(st *topicState) { known, st.lost = st.lost, true })
	if known {
		return
	}
	s.attach(s.republish(map[offsets.Key][]byte{}, t.name, t.object, "it is gone"))
	s.frontiers.lose(t.object)
	s.frontierDue()
}

// recognise makes the state know a topic that has just been made ready, and returns
// the records for it.
func (s *Sink) recognise(ctx context.Context, t *topic, found *TopicFinding) ([]*kgo.Record, error) {
	was := s.topics.get(t.name)
	if was.presence == present || was.presence == hidden && was.identified() {
		return nil, nil
	}
	now := found.empty()
	if now == nil {
		looks, err := s.setup.looks(ctx, []string{t.name})
		if err != nil {
			return nil, err
		}
		if now = looks[t.name]; now == nil || now.denied {
			return nil, fmt.Errorf("topic %s: it is gone again", t.name)
		}
	}
	if was.written() && was.presence == absent { // was it only the brokers that did not know it yet?
		lost, err := s.setup.compare(ctx, now, was.identity, offsets.Ends{})
		if err != nil {
			return nil, err
		}
		if !was.identified() || lost != nil {
			s.lose(t)
		}
	}
	l := &offsets.Loaded{Identities: map[string]offsets.Identity{}, Ends: map[string]offsets.Ends{}}
	out := s.identify(l, now, offsets.Ends{})
	s.found(now, l)
	return out, nil
}

// found notes that a topic is there, and what l says of it.
func (s *Sink) found(now *look, l *offsets.Loaded) {
	s.ends.found(now.name, now.ends, l.Ends[now.name])
	s.topics.change(now.name, func(t *topicState) { t.presence, t.identity = present, l.Identities[now.name] })
}

// MadeAgain reports whether an object's topic was gone when it was to be made ready in
// this run, so that everything of it has to be published again.
func (s *Sink) MadeAgain(object string) bool {
	return s.topics.get(offsets.TopicOf(s.cfg.Prefix, object)).lost
}

// Forget is for an object whose end is published: what its topic had lost need not be
// published again any more.
func (s *Sink) Forget(object string) {
	s.topics.change(offsets.TopicOf(s.cfg.Prefix, object), func(t *topicState) { t.lost = false })
}
