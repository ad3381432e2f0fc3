package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// await describes a topic once every partition has a leader. Without created, a
// topic that is not there is an error at once; with it, the brokers do not all
// know the topic yet.
func (s *setup) await(ctx context.Context, name string, created bool) (*TopicFinding, error) {
	deadline := time.Now().Add(topicPatience)
	for {
		t, err := s.describe(ctx, name)
		if err == nil {
			return t, nil
		}
		gone := errors.Is(err, kerr.UnknownTopicOrPartition) && !created
		if gone || !kerr.IsRetriable(err) || time.Now().After(deadline) {
			return nil, fmt.Errorf("describe topic %s: %w", name, err)
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("describe topic %s: %w", name, ctx.Err())
		}
	}
}

// describe asks for a topic's partitions and settings, and for what this user
// may do with it.
func (s *setup) describe(ctx context.Context, name string) (*TopicFinding, error) {
	// Not through kadm, which may answer from the client's cache.
	req := kmsg.NewPtrMetadataRequest()
	asked := kmsg.NewMetadataRequestTopic()
	asked.Topic = &name
	req.Topics = append(req.Topics, asked)
	req.AllowAutoTopicCreation = false
	req.IncludeTopicAuthorizedOperations = true
	resp, err := req.RequestWith(ctx, s.cl)
	if err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 {
		return nil, fmt.Errorf("the answer names %d topics", len(resp.Topics))
	}
	told := &resp.Topics[0]
	if err := kerr.ErrorForCode(told.ErrorCode); err != nil {
		return nil, err
	}
	for _, p := range told.Partitions {
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
			return nil, err
		}
	}
	t := &TopicFinding{
		Name: name, Partitions: int32(len(told.Partitions)), Operations: operations(told.AuthorizedOperations),
	}
	t.Configs, err = s.configs(ctx, name)
	if refused(err) {
		t.Configs = map[string]string{}
		t.Warnings = append(t.Warnings, Warning{unreadSettings, slog.Any("err", err), true})
		err = nil
	}
	return t, err
}

// unreadSettings is the text of the warning that settings are unknown.
const unreadSettings = "the brokers do not tell this user the settings of topics, so nobody checks that cleanup.policy is right and that delete.retention.ms is seven days; " +
	"an event is kept below Kafka's default of max.message.bytes"

// configs asks for a topic's settings. It does not ask through kadm, which drops
// the broker's message about a missing permission.
func (s *setup) configs(ctx context.Context, name string) (map[string]string, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	asked := kmsg.NewDescribeConfigsRequestResource()
	asked.ResourceType, asked.ResourceName = kmsg.ConfigResourceTypeTopic, name
	req.Resources = append(req.Resources, asked)
	resp, err := req.RequestWith(ctx, s.cl)
	if err != nil {
		return nil, fmt.Errorf("its settings: %w", err)
	}
	configs := map[string]string{}
	for _, r := range resp.Resources {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			return nil, fmt.Errorf("its settings: %w", worded(err, deref(r.ErrorMessage)))
		}
		for _, c := range r.Configs {
			configs[c.Name] = deref(c.Value)
		}
	}
	if configs[needed] == "" {
		return nil, fmt.Errorf("its settings: the answer lacks %s", needed)
	}
	return configs, nil
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
