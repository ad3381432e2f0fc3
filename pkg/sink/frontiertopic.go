package sink

import (
	"context"
	"errors"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// frontierTopic makes the frontiers topic ready. It serves consumers alone, so a run
// that may not create or use it goes without.
func (s *Sink) frontierTopic(ctx context.Context) error {
	if s.cfg.Frontiers.Interval <= 0 {
		return nil
	}
	t, err := s.setup.frontierTopic(ctx)
	why := WithoutFrontiers(t, err)
	if why == nil && err != nil {
		return err
	}
	if why != nil {
		t.warn("the connector cannot use this topic and goes on without: it does not say how far the data topics are complete", slog.String("err", why.Error()))
	} else {
		s.frontiers.topic = t.Name
	}
	s.warn(t)
	s.topics.change(t.Name, func(st *topicState) { st.limit = t.batchLimit() })
	return nil
}

// WithoutFrontiers returns why a run goes without the frontiers topic, going by what
// was found of it; nil if it does not.
func WithoutFrontiers(t *TopicFinding, err error) error {
	if _, refused := errors.AsType[*offsets.Refusal](err); refused || errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed) {
		return err
	}
	if _, missing := errors.AsType[*MissingTopicError](err); missing {
		return err
	}
	for _, op := range []kmsg.ACLOperation{kmsg.ACLOperationWrite, kmsg.ACLOperationRead} {
		if err == nil && t.Denied(op) {
			return errors.New("this user may not " + op.String() + " it")
		}
	}
	return nil
}
