package sink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// lossError ends a run whose topic has lost something: the next run settles it.
type lossError struct{ topic, what string }

func (e *lossError) Error() string {
	return fmt.Sprintf("topic %s has lost what was published: %s", e.topic, e.what)
}

// Lost reports whether a run ended because a topic has lost something.
func Lost(err error) bool {
	_, lost := errors.AsType[*lossError](err)
	return lost
}

// Verify looks whether what is published is still there (R20): the topics that are
// written to, the settings of the internal topics, and the schemas. It returns, by
// object, why a topic is not written for now: nobody could read its events. A loss
// (Lost) has to end the run, so that the next one settles it; a *offsets.Refusal is
// for an operator. Any other error means that the brokers or the registry did not
// tell.
func (s *Sink) Verify(ctx context.Context) (map[string]*cdc.RefusedError, error) {
	for _, name := range []string{s.cursorTopic, s.stateTopic} {
		t, err := s.setup.describe(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("describe topic %s: %w", name, err)
		}
		if err := s.setup.compacted(t); err != nil {
			return nil, err
		}
	}
	if err := s.verifyTopics(ctx); err != nil {
		return nil, err
	}
	wrong, err := s.written.verify(ctx)
	if err != nil {
		return nil, err
	}
	return maps.Clone(s.stopUnreadable(wrong)), nil
}

// stopUnreadable stops the topics of some subjects, and no others, and returns why, by object.
func (s *Sink) stopUnreadable(wrong map[string]*cdc.RefusedError) map[string]*cdc.RefusedError {
	unreadable := map[string]*cdc.RefusedError{}
	for subject, why := range wrong {
		unreadable[s.objectOf(subject)] = why
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unreadable = unreadable
	return unreadable
}

// objectOf returns the object whose topic a subject belongs to.
func (s *Sink) objectOf(subject string) string {
	return s.holding(strings.TrimSuffix(strings.TrimSuffix(subject, valueSubject), keySubject)).object
}

// verifyTopics compares the topics that are written to, and those that this user could not
// see at first, with what the state says of them.
func (s *Sink) verifyTopics(ctx context.Context) error {
	s.mu.Lock()
	names := slices.Collect(maps.Keys(s.unseen))
	for _, t := range s.topics {
		names = append(names, t.name)
	}
	s.mu.Unlock()
	slices.Sort(names)
	names = slices.Compact(names)
	lost, err := s.losses(ctx, names)
	if err != nil || len(lost) == 0 {
		return err
	}
	if err := wait(ctx, secondLook); err != nil {
		return err
	}
	if lost, err = s.losses(ctx, slices.Sorted(maps.Keys(lost))); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(lost)) {
		return &lossError{name, lost[name].what}
	}
	return nil
}

func (s *Sink) losses(ctx context.Context, names []string) (map[string]*loss, error) {
	ours := map[string]offsets.Ends{}
	for _, name := range names {
		ours[name] = s.ends.of(name) // before the look: it may grow meanwhile
	}
	now, err := s.setup.looks(ctx, names)
	if err != nil {
		return nil, err
	}
	out := map[string]*loss{}
	for _, name := range names {
		s.mu.Lock()
		was := s.identities[name]
		s.mu.Unlock()
		lost, err := s.setup.compare(ctx, now[name], was, ours[name])
		if err != nil {
			return nil, err
		}
		// Only a start reads the topic to tell compaction from a loss.
		if lost != nil && !(lost.front && s.cfg.Warned.frontMoved(name)) {
			out[name] = lost
		}
	}
	return out, nil
}

// stillThere finds out whether a topic that this run writes to, or could not see when it
// began, has lost something, or its schemas are lost, before either would be created
// again. The next run settles the loss of a topic.
func (s *Sink) stillThere(ctx context.Context, t *topic) error {
	s.mu.Lock()
	used := s.topics[t.object] != nil || s.unseen[t.name]
	s.mu.Unlock()
	if !used {
		return nil
	}
	lost, err := s.losses(ctx, []string{t.name})
	if err == nil && lost[t.name] != nil {
		err = &lossError{t.name, lost[t.name].what}
	}
	if err != nil {
		return err
	}
	wrong, err := s.written.verify(ctx, t.name+keySubject, t.name+valueSubject)
	if err != nil {
		return err
	}
	for _, why := range wrong {
		return why
	}
	return nil
}

// recognise makes the state know a topic that has just been made ready, and returns
// the records for it. A topic that was known and gone is published again, whoever has
// made it again.
func (s *Sink) recognise(ctx context.Context, t *topic, found *TopicFinding) ([]*kgo.Record, error) {
	there := found.There
	s.mu.Lock()
	was, known := s.identities[t.name]
	written, gone := s.metas[t.name].Partitions > 0, s.gone[t.object] != nil
	s.mu.Unlock()
	if known && there && !gone || s.identities == nil {
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
	ours := s.ends.of(t.name)
	l := &offsets.Loaded{Identities: map[string]offsets.Identity{}, Ends: map[string]offsets.Ends{}, Cursors: map[offsets.Key][]byte{}}
	out := s.identify(l, now, offsets.Ends{})
	if written && (!there || gone) {
		lost, err := s.setup.compare(ctx, now, was, ours)
		if err != nil {
			return nil, err
		}
		if !known || gone || lost != nil {
			out = append(out, s.republish(l, t.name, t.object, "it was gone"))
			s.mu.Lock()
			s.again[t.object] = true
			s.mu.Unlock()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.gone, t.object)
	s.identities[t.name] = l.Identities[t.name]
	s.ends.found(t.name, now.ends, l.Ends[t.name])
	return out, nil
}

// MadeAgain reports whether an object's topic was gone when it was to be made ready in
// this run, so that everything of it has to be published again as soon as it is.
func (s *Sink) MadeAgain(object string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.again[object] || s.gone[object] != nil
}

// Forget is for an object whose end is published: what its topic had lost need not be
// published again any more.
func (s *Sink) Forget(object string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.again, object)
}

// TakenOver lists the objects whose topics held what an earlier installation
// published.
func (s *Sink) TakenOver() []string { return s.adopted }

// writtenWith notes the schemas that a topic is going to be written with, and
// returns the records for those that are new. Of a topic that was written by a
// version that did not keep them, it notes all that the registry has.
func (s *Sink) writtenWith(ctx context.Context, subjects []SubjectFinding, before bool) ([]*kgo.Record, error) {
	var out []*kgo.Record
	add := func(subject string, id int, text string) error {
		news, err := s.written.add(subject, id, text)
		if err == nil && news != nil {
			out = append(out, s.stateRecord(news.Key(), news.Bytes()))
		}
		return err
	}
	for _, subject := range subjects {
		if before && len(s.written.of(subject.Name)) == 0 {
			all, err := s.cfg.Registry.Schemas(ctx, subject.Name)
			if err != nil && statusOf(err) != http.StatusNotFound {
				return nil, fmt.Errorf("ask registry for the versions of %s: %w", subject.Name, err)
			}
			for _, one := range all {
				if err := add(one.Subject, one.ID, one.Schema.Schema); err != nil {
					return nil, err
				}
			}
		}
		if err := add(subject.Name, subject.ID, subject.Text); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// checkSchemas refuses to start where events can no longer be read. Topics whose schemas
// this user may not see wait alone.
func (s *Sink) checkSchemas(ctx context.Context) error {
	wrong, err := s.written.verify(ctx)
	if err != nil {
		return err
	}
	for _, subject := range slices.Sorted(maps.Keys(wrong)) {
		if !wrong[subject].Denied {
			return &offsets.Refusal{What: wrong[subject].What, Cure: wrong[subject].Cure}
		}
	}
	s.stopUnreadable(wrong)
	return nil
}
