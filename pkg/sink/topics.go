package sink

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// A reader that was away for less sees every delete.
	weekMs = 7 * 24 * 3600 * 1000
	// Apache Kafka does not look at retention.ms when a topic is only compacted.
	// Others that speak its protocol do (kfake, for one), and an operator who
	// adds "delete" to the policy gets a warning instead of a loss.
	forEver = "-1"
	// How long a new topic may take until every broker knows it.
	topicPatience = 30 * time.Second
	// The client takes no larger one; socket.request.max.bytes is 100 MiB.
	largestBatch = 64 << 20
)

// found is what the brokers say about a topic.
type found struct {
	partitions int32
	limit      int // bytes of the largest record batch, ours and the topic's
	configs    map[string]string
	created    bool // it was not there
}

// internalTopic makes sure of the cursor or the state topic: one partition,
// because the latest record of a key counts, and compacted, because both are
// read from their start at every start.
func (s *Sink) internalTopic(ctx context.Context, adm *kadm.Client, name string) error {
	week := strconv.Itoa(weekMs)
	f, err := s.ensureTopic(ctx, adm, name, 1, map[string]string{
		"cleanup.policy":      "compact",
		"segment.bytes":       strconv.Itoa(32 << 20), // only closed segments are compacted
		"segment.ms":          strconv.Itoa(10 * 60 * 1000),
		"delete.retention.ms": week,
		"retention.ms":        forEver,
		"max.message.bytes":   strconv.Itoa(DefaultMaxMessageBytes),
	})
	if err != nil {
		return err
	}
	if f.partitions != 1 {
		return &offsets.Refusal{
			What: fmt.Sprintf("topic %s has %d partitions instead of one", name, f.partitions),
			Cure: "delete it, if it is not the connector's, and let the connector create it; or use another KAFKA_TOPIC_PREFIX",
		}
	}
	if policy := f.configs["cleanup.policy"]; policy != "compact" {
		return &offsets.Refusal{
			What: fmt.Sprintf("topic %s has cleanup.policy=%s, so what the connector remembers would be deleted", name, policy),
			Cure: fmt.Sprintf("kafka-configs --alter --topic %s --add-config cleanup.policy=compact", name),
		}
	}
	if ms, err := strconv.Atoi(f.configs["delete.retention.ms"]); err == nil && ms < weekMs {
		s.log.Warn("a reader slower than delete.retention.ms would miss deletes; seven days are right",
			"topic", name, "delete.retention.ms", ms)
	}
	return nil
}

// dataTopic makes sure of an object's topic. Consumers may have created it
// with settings of their own: these are left alone, and said.
func (s *Sink) dataTopic(ctx context.Context, adm *kadm.Client, name string, was offsets.TopicMeta) (found, error) {
	partitions := s.cfg.Partitions
	if was.Partitions > 0 { // the topic was there before: should it be gone, then keys stay where they were
		partitions = was.Partitions
	}
	week := strconv.Itoa(weekMs)
	f, err := s.ensureTopic(ctx, adm, name, partitions, map[string]string{
		"cleanup.policy":        "compact",
		"min.compaction.lag.ms": week,
		"delete.retention.ms":   week,
		"retention.ms":          forEver,
		"max.message.bytes":     strconv.Itoa(min(s.cfg.MaxMessageBytes, largestBatch)),
	})
	if err != nil {
		return found{}, err
	}
	s.mu.Lock()
	f.limit = min(f.limit, s.cfg.MaxMessageBytes)
	s.limits[name] = f.limit
	s.mu.Unlock()
	if f.created && was.Partitions > 0 {
		s.log.Warn("the topic was not there any more and is created anew: what was published is gone from it, and only changes are published; "+
			"bring the topic back, or ask for a snapshot of the object", "topic", name)
	}
	if policy := f.configs["cleanup.policy"]; strings.Contains(policy, "delete") {
		s.log.Warn("records of this topic are deleted after its retention time; a consumer that starts anew will miss objects",
			"topic", name, "cleanup.policy", policy)
	}
	return f, nil
}

// ensureTopic creates a topic if it is not there, and says what it is like.
func (s *Sink) ensureTopic(ctx context.Context, adm *kadm.Client, name string, partitions int32, configs map[string]string) (found, error) {
	deadline := time.Now().Add(topicPatience)
	created := false
	for {
		f, err := s.lookUp(ctx, adm, name)
		switch {
		case err == nil:
			s.mu.Lock()
			s.limits[name] = f.limit
			s.mu.Unlock()
			f.created = created
			return f, nil
		case errors.Is(err, kerr.UnknownTopicOrPartition) && s.looking != nil:
			return s.looking.wouldCreate(ctx, adm, name, partitions, configs)
		case errors.Is(err, kerr.UnknownTopicOrPartition) && !created:
			if err := s.createTopic(ctx, adm, name, partitions, configs); err != nil {
				return found{}, err
			}
			created = true
			continue
		case !kerr.IsRetriable(err) || time.Now().After(deadline):
			return found{}, fmt.Errorf("describe topic %s: %w", name, err)
		}
		select { // not every broker knows it yet, or a partition has no leader
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return found{}, fmt.Errorf("describe topic %s: %w", name, ctx.Err())
		}
	}
}

func (s *Sink) createTopic(ctx context.Context, adm *kadm.Client, name string, partitions int32, configs map[string]string) error {
	settings := make(map[string]*string, len(configs))
	for key, value := range configs {
		settings[key] = &value
	}
	_, err := adm.CreateTopic(ctx, partitions, s.cfg.Replication, settings, name)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("create topic %s: %w", name, err)
	}
	s.log.Info("topic created", "topic", name)
	return nil
}

// lookUp asks for a topic's partitions and settings.
func (s *Sink) lookUp(ctx context.Context, adm *kadm.Client, name string) (found, error) {
	// Not through kadm, which may answer from the client's cache.
	req := kmsg.NewPtrMetadataRequest()
	asked := kmsg.NewMetadataRequestTopic()
	asked.Topic = &name
	req.Topics = append(req.Topics, asked)
	req.AllowAutoTopicCreation = false
	req.IncludeTopicAuthorizedOperations = s.looking != nil
	resp, err := req.RequestWith(ctx, s.cl)
	if err != nil {
		return found{}, err
	}
	if len(resp.Topics) != 1 {
		return found{}, fmt.Errorf("the answer names %d topics", len(resp.Topics))
	}
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		return found{}, err
	}
	for _, p := range resp.Topics[0].Partitions {
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
			return found{}, err
		}
	}
	f := found{partitions: int32(len(resp.Topics[0].Partitions)), configs: map[string]string{}}
	if s.looking != nil {
		s.looking.allowed(name, resp.Topics[0].AuthorizedOperations)
	}
	described, err := adm.DescribeTopicConfigs(ctx, name)
	if err != nil {
		return found{}, err
	}
	settings, err := described.On(name, nil)
	if err == nil {
		err = settings.Err
	}
	if err != nil {
		return found{}, fmt.Errorf("its settings: %w", err)
	}
	for _, c := range settings.Configs {
		f.configs[c.Key] = c.MaybeValue()
	}
	f.limit = largestBatch
	if s.looking != nil {
		s.looking.there(name, f)
	}
	if n, err := strconv.Atoi(f.configs["max.message.bytes"]); err == nil {
		f.limit = min(f.limit, n)
	}
	return f, nil
}

// batchLimit tells the client how large a topic's record batches may be.
func (s *Sink) batchLimit(topic string) int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if limit, ok := s.limits[topic]; ok {
		return int32(limit)
	}
	return int32(min(s.cfg.MaxMessageBytes, largestBatch))
}

// safeTransactions is the level of transaction.version from which a request
// that was delayed in the network cannot end a later transaction than the one
// it was meant for (KIP-890).
const safeTransactions = 2

// OldTransactions is what to say of a cluster below that level.
const OldTransactions = "the cluster's transaction.version is below 2, so a delayed request may end a later transaction; " +
	"kafka-features upgrade --feature transaction.version=2 (Kafka 4.0 or newer) is the cure"

func (s *Sink) warnOfOldTransactions(ctx context.Context) {
	// Without an answer: what follows needs the brokers too, and says what is wrong.
	if level, err := transactionVersion(ctx, s.cl); err == nil && level < safeTransactions {
		s.log.Warn(OldTransactions)
	}
}

// transactionVersion asks for the level of the feature that the cluster has
// agreed on; 0: it has none.
func transactionVersion(ctx context.Context, cl *kgo.Client) (int16, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "hubspot-cdc", "1"
	resp, err := req.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return 0, err
	}
	for _, feature := range resp.FinalizedFeatures {
		if feature.Name == "transaction.version" {
			return feature.MaxVersionLevel, nil
		}
	}
	return 0, nil
}
