package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// await describes a topic once every partition has a leader. Without created, a
// topic that is not there is an error at once; with it, the brokers do not all
// know the topic yet.
func (s *setup) await(ctx context.Context, name string, created bool) (*TopicFinding, error) {
	began := time.Now()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		t, err := s.describe(ctx, name)
		if err == nil {
			return t, nil
		}
		waited, unknown := time.Since(began), errors.Is(err, kerr.UnknownTopicOrPartition)
		switch {
		case unknown && created && waited > lagPatience:
			return nil, &UnseenTopicError{Topic: name, Waited: waited}
		case unknown && !created, !kerr.IsRetriable(err), !unknown && waited > topicPatience:
			return nil, fmt.Errorf("describe topic %s: %w", name, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, fmt.Errorf("describe topic %s: %w", name, ctx.Err())
		}
	}
}

// describe asks for a topic's partitions and settings, and for what this user
// may do with it.
func (s *setup) describe(ctx context.Context, name string) (*TopicFinding, error) {
	found, err := s.describeAll(ctx, []string{name})
	if err != nil {
		return nil, err
	}
	return found[0].topic, found[0].err
}

// described is a topic as the brokers show it, or why they do not.
type described struct {
	topic *TopicFinding
	err   error
}

// describeAll describes topics, with one request of each kind for all of them. The
// result is in the order of the names.
func (s *setup) describeAll(ctx context.Context, names []string) ([]described, error) {
	// Not through kadm, which may answer from the client's cache.
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, name := range names {
		asked := kmsg.NewMetadataRequestTopic()
		asked.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, asked)
	}
	req.AllowAutoTopicCreation = false
	req.IncludeTopicAuthorizedOperations = true
	resp, err := req.RequestWith(ctx, s.cl)
	if err != nil {
		return nil, err
	}
	out := make([]described, len(names))
	var there []string
	for i, name := range names {
		at := slices.IndexFunc(resp.Topics, func(t kmsg.MetadataResponseTopic) bool { return deref(t.Topic) == name })
		if at < 0 {
			return nil, fmt.Errorf("the answer lacks topic %s", name)
		}
		if out[i] = shown(&resp.Topics[at]); out[i].err == nil {
			there = append(there, name)
		}
	}
	if len(there) == 0 {
		return out, nil
	}
	configs, err := s.configs(ctx, there)
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		if out[i].err != nil {
			continue
		}
		c := configs[name]
		if refused(c.err) {
			c.values = map[string]string{}
			out[i].topic.Warnings = append(out[i].topic.Warnings, Warning{unreadSettings, slog.Any("err", c.err), true})
			c.err = nil
		}
		out[i].topic.Configs, out[i].err = c.values, c.err
	}
	return out, nil
}

// shown is what the brokers show of a topic, without its settings.
func shown(told *kmsg.MetadataResponseTopic) described {
	if err := kerr.ErrorForCode(told.ErrorCode); err != nil {
		return described{err: err}
	}
	for _, p := range told.Partitions {
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
			return described{err: err}
		}
	}
	return described{topic: &TopicFinding{
		Name: deref(told.Topic), id: offsets.TopicID(told.TopicID), Partitions: int32(len(told.Partitions)), Operations: operations(told.AuthorizedOperations),
	}}
}

// unreadSettings is the text of the warning that settings are unknown.
const unreadSettings = "the brokers do not tell this user the settings of topics, so nobody checks that cleanup.policy is right and that delete.retention.ms is seven days; " +
	"an event is kept below Kafka's default of max.message.bytes"

// settings are those of a topic, or why they are unknown.
type settings struct {
	values map[string]string
	err    error
}

// configs asks for the settings of topics. It does not ask through kadm, which drops
// the broker's message about a missing permission.
func (s *setup) configs(ctx context.Context, names []string) (map[string]settings, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	out := map[string]settings{}
	for _, name := range names {
		asked := kmsg.NewDescribeConfigsRequestResource()
		asked.ResourceType, asked.ResourceName = kmsg.ConfigResourceTypeTopic, name
		req.Resources = append(req.Resources, asked)
		out[name] = settings{err: fmt.Errorf("its settings: the answer lacks %s", needed)}
	}
	resp, err := req.RequestWith(ctx, s.cl)
	if refused(err) { // a broker that does not know the request
		for _, name := range names {
			out[name] = settings{err: fmt.Errorf("its settings: %w", err)}
		}
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("its settings: %w", err)
	}
	for _, r := range resp.Resources {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			out[r.ResourceName] = settings{err: fmt.Errorf("its settings: %w", worded(err, deref(r.ErrorMessage)))}
			continue
		}
		values := map[string]string{}
		for _, c := range r.Configs {
			values[c.Name] = deref(c.Value)
		}
		if values[needed] != "" {
			out[r.ResourceName] = settings{values: values}
		}
	}
	return out, nil
}

// refused reports whether the brokers have answered that they do not do this for
// this user, or do not know the request: another try would not help. A session of
// SASL that ends while the request is on its way says nothing about the user.
func refused(err error) bool {
	return err != nil && !kerr.IsRetriable(err) && !kgo.IsRetryableBrokerErr(err) && !errors.Is(err, kerr.IllegalSaslState) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, kgo.ErrClientClosed)
}

// worded adds the broker's own message to its error.
func worded(err error, message string) error {
	if err == nil || message == "" {
		return err
	}
	return &kadm.ErrAndMessage{Err: err, ErrMessage: message}
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// operations are those whose bit is set; nil if the brokers did not say, which
// they express as the lowest number.
func operations(bits int32) []kmsg.ACLOperation {
	if bits == -1<<31 {
		return nil
	}
	ops := []kmsg.ACLOperation{}
	for op := kmsg.ACLOperation(0); op < 31; op++ {
		if bits&(1<<op) != 0 {
			ops = append(ops, op)
		}
	}
	return ops
}
