package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
)

// Probe finds out what a run would find, and changes nothing: it creates no
// topic, registers no schema, fences nobody and joins no group. What it decides
// is decided by the run's own code, on a Sink that knows that it only looks.
//
// It is used by one goroutine.
type Probe struct {
	s      *Sink
	warned []string
	topics map[string]*TopicLook
	topic  *TopicLook // the one under way
}

// TopicLook is a topic as a run would find it.
type TopicLook struct {
	Name        string
	There       bool
	Partitions  int32 // -1: the brokers' default
	Replication int16 // of one to be created; -1: the brokers' default
	Configs     map[string]string
	Operations  []kmsg.ACLOperation // what this user may do; nil: not told
	Subjects    []SubjectLook
	Warnings    []string
}

// SubjectLook is a subject of the registry.
type SubjectLook struct {
	Name string
	ID   int // 0: the schema is to be registered
}

// Look makes a Probe and no request.
func Look(cfg Config) (*Probe, error) {
	p := &Probe{topics: map[string]*TopicLook{}}
	cfg.Logger = slog.New(p)
	s, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	s.looking, s.metas, p.s = p, map[string]offsets.TopicMeta{}, s
	return p, nil
}

// Close ends the connections.
func (p *Probe) Close() { p.s.Close() }

// Internal looks at the cursor or the state topic, as Open does.
func (p *Probe) Internal(ctx context.Context, name string) (*TopicLook, error) {
	return p.look(name, func() error { return p.s.internalTopic(ctx, kadm.NewClient(p.s.cl), name) })
}

// Load reads what earlier runs have committed, as a run does. Internal has said
// that both topics are there, or else there is nothing to be read of one.
func (p *Probe) Load(ctx context.Context) (*offsets.Loaded, error) {
	src := offsets.Source{Opts: p.s.cfg.Opts, Prefix: p.s.cfg.Prefix, Portal: p.s.cfg.Portal, Logger: slog.New(slog.DiscardHandler)}
	for _, name := range []string{p.s.cursorTopic, p.s.stateTopic} {
		if look := p.topics[name]; look != nil && !look.There {
			src.Absent = append(src.Absent, name)
		}
	}
	l, err := offsets.Load(ctx, src)
	if err == nil {
		err = checkFormats(l.Topics, p.s.cfg.KeyFormat)
	}
	if err != nil {
		return nil, err
	}
	p.s.loaded, p.s.metas = true, l.Topics
	return l, nil
}

// Topic looks at an object's topic and its schema, as Sink.Topic does. Without
// Load it knows nothing of what the topic was before.
func (p *Probe) Topic(ctx context.Context, object string, set *schema.Set) (*TopicLook, error) {
	p.s.loaded = true
	return p.look(offsets.ObjectTopic(p.s.cfg.Prefix, object), func() error { return p.s.Topic(ctx, object, set) })
}

// PairTopic looks at a pair's topic, as Sink.PairTopic does.
func (p *Probe) PairTopic(ctx context.Context, pair cdc.Pair) (*TopicLook, error) {
	p.s.loaded = true
	return p.look(offsets.PairTopic(p.s.cfg.Prefix, pair), func() error { return p.s.PairTopic(ctx, pair) })
}

// ListTopic looks at the topic of a reference list, as Sink.ListTopic does.
func (p *Probe) ListTopic(ctx context.Context, list string) (*TopicLook, error) {
	p.s.loaded = true
	return p.look(offsets.ReferenceTopic(p.s.cfg.Prefix, list), func() error { return p.s.ListTopic(ctx, list) })
}

// SignalsTopic looks at the topic of the signals, as Sink.Signals does.
func (p *Probe) SignalsTopic(ctx context.Context) (*TopicLook, error) {
	name := offsets.SignalsTopic(p.s.cfg.Prefix)
	return p.look(name, func() error { return p.s.signalsTopic(ctx, kadm.NewClient(p.s.cl), name) })
}

// Owners counts the instances that run or stand by in a consumer group.
func (p *Probe) Owners(ctx context.Context, group string) (int, error) {
	groups, err := kadm.NewClient(p.s.cl).DescribeGroups(ctx, group)
	if err == nil {
		err = groups[group].Err
	}
	if errors.Is(err, kerr.GroupIDNotFound) {
		return 0, nil
	}
	return len(groups[group].Members), err
}

func (p *Probe) look(name string, ask func() error) (*TopicLook, error) {
	p.topic, p.warned = &TopicLook{Name: name}, nil
	p.topics[name] = p.topic
	err := ask()
	p.topic.Warnings = p.warned
	return p.topic, err
}

// there notes what the brokers say of a topic; wouldCreate, that there is none:
// the brokers are asked whether they would create it so. allowed and subject
// note what else is learnt on the way.
func (p *Probe) there(name string, f found) {
	if t := p.topics[name]; t != nil {
		t.There, t.Partitions, t.Configs = true, f.partitions, f.configs
	}
}

func (p *Probe) wouldCreate(ctx context.Context, adm *kadm.Client, name string, partitions int32, configs map[string]string) (found, error) {
	settings := make(map[string]*string, len(configs))
	for key, value := range configs {
		settings[key] = &value
	}
	if t := p.topics[name]; t != nil {
		t.Partitions, t.Replication, t.Configs = partitions, p.s.cfg.Replication, configs
	}
	answer, err := adm.ValidateCreateTopics(ctx, partitions, p.s.cfg.Replication, settings, name)
	if err == nil {
		err = answer[name].Err
		if detail := answer[name].ErrMessage; err != nil && detail != "" {
			err = fmt.Errorf("%w: %s", err, detail)
		}
	}
	if err != nil {
		return found{}, fmt.Errorf("create topic %s: %w", name, err)
	}
	f := found{partitions: partitions, limit: largestBatch, configs: configs, created: true}
	if limit, err := strconv.Atoi(configs["max.message.bytes"]); err == nil {
		f.limit = min(f.limit, limit)
	}
	return f, nil
}

func (p *Probe) allowed(name string, bits int32) {
	t := p.topics[name]
	if t == nil || bits == notTold {
		return
	}
	t.Operations = []kmsg.ACLOperation{}
	for op := kmsg.ACLOperation(0); op < 31; op++ {
		if bits&(1<<op) != 0 {
			t.Operations = append(t.Operations, op)
		}
	}
}

// notTold stands for authorized operations that a broker does not tell.
const notTold = -1 << 31

func (p *Probe) subject(name string, id int) {
	p.topic.Subjects = append(p.topic.Subjects, SubjectLook{name, id})
}

// May says whether an operation on the topic is known to be refused.
func (t *TopicLook) May(op kmsg.ACLOperation) bool {
	return t.Operations == nil || slices.Contains(t.Operations, op)
}

// What a run would warn of is a finding: a Probe is the handler of its Sink's
// log.

// Enabled is part of slog.Handler.
func (p *Probe) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle is part of slog.Handler.
func (p *Probe) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "topic" && a.Key != "portal" {
			fmt.Fprintf(&b, " (%s=%s)", a.Key, a.Value)
		}
		return true
	})
	p.warned = append(p.warned, b.String())
	return nil
}

// WithAttrs is part of slog.Handler.
func (p *Probe) WithAttrs([]slog.Attr) slog.Handler { return p }

// WithGroup is part of slog.Handler.
func (p *Probe) WithGroup(string) slog.Handler { return p }

// BrokerLook is one broker.
type BrokerLook struct {
	ID      int32 // below zero: a seed that did not say
	Address string
	Err     error
}

// ClusterLook is the cluster as this user reaches it.
type ClusterLook struct {
	ID                  string
	Version             string // as guessed from what it speaks
	Brokers             []BrokerLook
	TransactionVersion  int16
	MaxTransaction      time.Duration // transaction.max.timeout.ms; 0: not told
	TooShortTransaction bool          // for ours
}

// SafeTransactions says that no delayed request can end a later transaction.
func (c *ClusterLook) SafeTransactions() bool { return c.TransactionVersion >= safeTransactions }

// Cluster asks every broker. Where none answers, the error is that of the seeds.
func (p *Probe) Cluster(ctx context.Context, seeds []string) (*ClusterLook, error) {
	adm := kadm.NewClient(p.s.cl)
	meta, err := adm.BrokerMetadata(ctx)
	if err != nil {
		return &ClusterLook{Brokers: p.seeds(ctx, seeds)}, fmt.Errorf("ask for the cluster: %w", err)
	}
	c := &ClusterLook{ID: meta.Cluster}
	for _, b := range meta.Brokers {
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion = "hubspot-cdc", "1"
		limited, cancel := context.WithTimeout(ctx, brokerPatience)
		_, err := p.s.cl.Broker(int(b.NodeID)).RetriableRequest(limited, req)
		cancel()
		c.Brokers = append(c.Brokers, BrokerLook{b.NodeID, fmt.Sprintf("%s:%d", b.Host, b.Port), err})
		if c.MaxTransaction == 0 && err == nil {
			c.MaxTransaction = maxTransaction(ctx, adm, b.NodeID)
		}
	}
	c.TooShortTransaction = c.MaxTransaction != 0 && c.MaxTransaction < TransactionTimeout
	versions, err := adm.ApiVersions(ctx)
	if err != nil {
		return c, fmt.Errorf("ask for the brokers' versions: %w", err)
	}
	versions.Each(func(v kadm.BrokerApiVersions) {
		if v.Err == nil {
			c.Version = v.VersionGuess()
		}
	})
	if c.TransactionVersion, err = transactionVersion(ctx, p.s.cl); err != nil {
		return c, fmt.Errorf("ask for transaction.version: %w", err)
	}
	return c, nil
}

// brokerPatience is how long one broker may take.
const brokerPatience = 3 * time.Second

// seeds says of each configured address why it cannot be spoken to.
func (p *Probe) seeds(ctx context.Context, addresses []string) []BrokerLook {
	var looks []BrokerLook
	for i, b := range p.s.cl.SeedBrokers() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), brokerPatience/2)
		req := kmsg.NewPtrMetadataRequest()
		req.Topics = []kmsg.MetadataRequestTopic{}
		_, err := b.Request(limited, req)
		cancel()
		look := BrokerLook{ID: -1, Err: err}
		if i < len(addresses) {
			look.Address = addresses[i]
		}
		looks = append(looks, look)
	}
	return looks
}

// maxTransaction asks for transaction.max.timeout.ms, which not everybody may.
func maxTransaction(ctx context.Context, adm *kadm.Client, broker int32) time.Duration {
	configs, err := adm.DescribeBrokerConfigs(ctx, broker)
	if err != nil {
		return 0
	}
	for _, c := range configs {
		for _, one := range c.Configs {
			if ms, err := strconv.ParseInt(one.MaybeValue(), 10, 64); one.Key == "transaction.max.timeout.ms" && err == nil {
				return time.Duration(ms) * time.Millisecond
			}
		}
	}
	return 0
}

// Access is a permission that a run needs.
type Access struct {
	Kind      string // topic, transactional-id, group: as kafka-acls calls them
	Name      string
	Operation kmsg.ACLOperation
	Err       error // why it is known to be missing, or could not be asked
}

// Denied says that the brokers refuse it.
func (a Access) Denied() bool {
	return errors.Is(a.Err, kerr.TransactionalIDAuthorizationFailed) || errors.Is(a.Err, kerr.GroupAuthorizationFailed) ||
		errors.Is(a.Err, kerr.TopicAuthorizationFailed) || errors.Is(a.Err, kerr.ClusterAuthorizationFailed)
}

// Producer asks for what the transactional id needs, and Group for what the
// group of the instances needs. That Write and Read are allowed shows in how the
// brokers refuse what cannot be granted: the end of a transaction of a producer
// that does not exist, and the sign of life of a member that does not.
func (p *Probe) Producer(ctx context.Context) []Access {
	id := TransactionalID(p.s.cfg.Prefix, p.s.cfg.Portal)
	describe := Access{"transactional-id", id, kmsg.ACLOperationDescribe, p.coordinator(ctx, id, 1)}
	write := Access{"transactional-id", id, kmsg.ACLOperationWrite, describe.Err}
	if describe.Err == nil {
		req := kmsg.NewPtrEndTxnRequest()
		req.TransactionalID, req.ProducerID, req.Commit = id, nobody, false
		resp, err := req.RequestWith(ctx, p.s.cl)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		write.Err = unless(err, kerr.InvalidProducerIDMapping, kerr.InvalidProducerEpoch, kerr.ProducerFenced, kerr.InvalidTxnState)
	}
	return []Access{describe, write}
}

// nobody is a producer id that no cluster gives out.
const nobody = 1<<63 - 1

// Group is described at Producer.
func (p *Probe) Group(ctx context.Context, group string) []Access {
	describe := Access{"group", group, kmsg.ACLOperationDescribe, p.coordinator(ctx, group, 0)}
	read := Access{"group", group, kmsg.ACLOperationRead, describe.Err}
	if describe.Err == nil {
		req := kmsg.NewPtrHeartbeatRequest()
		req.Group, req.Generation, req.MemberID = group, -1, "connector-check"
		resp, err := req.RequestWith(ctx, p.s.cl)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		read.Err = unless(err, kerr.UnknownMemberID, kerr.GroupIDNotFound, kerr.IllegalGeneration, kerr.RebalanceInProgress)
	}
	return []Access{describe, read}
}

func (p *Probe) coordinator(ctx context.Context, key string, kind int8) error {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKey, req.CoordinatorType, req.CoordinatorKeys = key, kind, []string{key}
	resp, err := req.RequestWith(ctx, p.s.cl)
	if err != nil {
		return err
	}
	code := resp.ErrorCode
	for _, c := range resp.Coordinators {
		code = c.ErrorCode
	}
	// A cluster in which nobody has used one yet is still making its topic.
	return unless(kerr.ErrorForCode(code), kerr.CoordinatorNotAvailable)
}

// unless drops the errors that say that nothing is wrong.
func unless(err error, fine ...*kerr.Error) error {
	for _, f := range fine {
		if errors.Is(err, f) {
			return nil
		}
	}
	return err
}

var _ slog.Handler = (*Probe)(nil)
