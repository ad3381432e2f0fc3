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
	return s.stopUnreadable(wrong), nil
}

// stopUnreadable stops the topics of some subjects, and no others, and returns why, by object.
func (s *Sink) stopUnreadable(wrong map[string]*cdc.RefusedError) map[string]*cdc.RefusedError {
	topics, objects := map[string]*cdc.RefusedError{}, map[string]*cdc.RefusedError{}
	for subject, why := range wrong {
		topic := strings.TrimSuffix(strings.TrimSuffix(subject, valueSubject), keySubject)
		topics[topic], objects[s.holding(topic).object] = why, why
	}
	s.topics.stop(topics)
	return objects
}

// verifyTopics compares the topics that are written to, and those that this user could not
// see at first, with what the state says of them.
func (s *Sink) verifyTopics(ctx context.Context) error {
	lost, err := s.losses(ctx, s.topics.names((*topicState).watched))
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
		lost, err := s.setup.compare(ctx, now[name], s.topics.get(name).identity, ours[name])
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
