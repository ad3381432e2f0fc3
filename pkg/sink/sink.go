package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

const (
	// TransactionTimeout is how long the brokers let a transaction stay open. A
	// page's takes milliseconds.
	TransactionTimeout = time.Minute
	// By then the brokers have surely aborted the transaction, so there is no
	// point in waiting for brokers that are away.
	transactionLimit = TransactionTimeout + 30*time.Second
	// A transaction under way for this long means that the committer hangs.
	hangingAfter = 2 * time.Minute
	// A transaction under way for this long means that Kafka may take nothing now.
	stalledAfter = 5 * time.Second
	// What a run that is shutting down may still spend on its last transaction.
	// Closing the client takes up to two seconds more, and all of it has to end
	// within ten.
	lastChance = 5 * time.Second
)

// Sink writes the transactions of one run.
type Sink struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	cl      *kgo.Client
	setup   *setup // of topics and schemas
	closing atomic.Bool
	closed  chan struct{} // closed when the client is

	cursorTopic, stateTopic string
	db                      string // source.db

	topics    topicStates
	ends      *ends
	frontiers *frontiers
	written   *written
	adopted   []string // objects whose topics were taken over at Load
	learned   learned
	committer
	seq       int64                        // the last one assigned; only Run uses it once it has begun
	proven    atomic.Bool                  // a transaction was committed
	busySince atomic.Int64                 // when the transaction under way began, in Unix milliseconds; 0 = idle
	waits     atomic.Pointer[StalledError] // what that transaction waits for
}

// Open connects, makes the internal topics ready and fences the predecessor. When
// it returns, no earlier run can commit any more, and everything that one
// committed can be read.
func Open(ctx context.Context, cfg Config) (*Sink, error) {
	s, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// EnsureCursorTopic makes the cursor topic ready as Open does, and fences nobody.
// The consumer group of the instances is about this topic, so it has to exist
// before any of them runs. The portal need not be known.
func EnsureCursorTopic(ctx context.Context, cfg Config) error {
	cfg, err := cfg.complete()
	if err != nil {
		return err
	}
	cl, done, err := cfg.aside()
	if err != nil {
		return err
	}
	defer done()
	found, err := newSetup(cfg, cl, nil, cfg.Logger).internalTopic(ctx, offsets.CursorTopic(cfg.Prefix))
	warn(cfg, cfg.Logger, found)
	return err
}

// aside is the client for what is not a transaction, and what to call when it has been
// used.
func (cfg *Config) aside() (cl *kgo.Client, done func(), err error) {
	if cfg.Beside != nil {
		return cfg.Beside.cl, func() {}, nil
	}
	if cl, err = kgo.NewClient(cfg.Opts...); err != nil {
		return nil, nil, fmt.Errorf("kafka client: %w", err)
	}
	return cl, cl.Close, nil
}

func newSetup(cfg Config, cl *kgo.Client, w *written, log *slog.Logger) *setup {
	adm := kadm.NewClient(cl)
	return &setup{cfg: cfg, cl: cl, adm: adm, effects: &realEffects{cl, adm, cfg.Replication, w, log}}
}

// connect makes a Sink and sends no request.
func connect(cfg Config) (*Sink, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	s := &Sink{
		cfg: cfg, log: cfg.Logger.With("portal", cfg.Portal), metrics: newMetrics(cfg.Registerer, cfg.Sums),
		cursorTopic: offsets.CursorTopic(cfg.Prefix), stateTopic: offsets.StateTopic(cfg.Prefix),
		db:     strconv.FormatInt(cfg.Portal, 10),
		topics: topicStates{byName: map[string]*topicState{}}, learned: learned{},
		ends: newEnds(), frontiers: newFrontiers(&cfg), committer: newCommitter(cfg.Portals),
	}
	cl, err := kgo.NewClient(append(append([]kgo.Opt{
		freshMetadata(),
	}, cfg.Opts...),
		// One fixed id per portal: a new run fences the old one, and at once
		// frees what it left open (docs/kafka.md C1).
		kgo.TransactionalID(TransactionalID(cfg.Prefix, cfg.Portal)),
		kgo.TransactionTimeout(TransactionTimeout),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchMaxBytesFn(s.batchLimit),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ConnIdleTimeout(keptFor),
	)...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	s.cl, s.closed = cl, make(chan struct{})
	s.waits.Store(unacknowledged)
	s.written = newWritten(cfg.Registry, s.log)
	if cfg.Beside != nil {
		cl = cfg.Beside.cl
	}
	s.setup = newSetup(cfg, cl, s.written, s.log)
	return s, nil
}

// keptFor is how long a connection may be idle. An idle portal commits its cursors about
// twice a minute: with the default of 20 seconds, it would connect for each of them.
const keptFor = 2 * time.Minute

// freshMetadata is for clients that meet new topics. The first record of each topic
// asks for the topic's partitions, and the whole transaction waits for the answer. With
// the default of five seconds, a run with many topics would wait that long for each of
// them at its start.
func freshMetadata() kgo.Opt { return kgo.MetadataMinAge(100 * time.Millisecond) }

// Fenced reports whether a run ended because another one has since started with
// the same transactional id, or because its transaction took longer than the
// brokers allow: they answer both alike (docs/kafka.md C2). No promise depends on
// the result.
func Fenced(err error) bool {
	return errors.Is(err, kerr.InvalidProducerEpoch) || errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidTxnState)
}

// TransactionalID is the id by which the runs of a portal fence each other.
func TransactionalID(prefix string, portal int64) string {
	return prefix + "." + strconv.FormatInt(portal, 10)
}

// prepare is the part of Open that talks to the brokers.
func (s *Sink) prepare(ctx context.Context) error {
	s.setup.together(ctx, s.internalWanted())
	for _, name := range []string{s.cursorTopic, s.stateTopic} {
		if err := s.internalTopic(ctx, name); err != nil {
			return err
		}
	}
	if err := s.frontierTopic(ctx); err != nil {
		return err
	}
	// An error does not matter: the next step needs the brokers too, and reports
	// what is wrong.
	if level, err := transactionVersion(ctx, s.cl); err == nil && level < safeTransactions {
		s.log.Warn("the cluster's transaction.version is below 2, so a delayed request may end a later transaction; " +
			s.setup.tool("kafka-features") + " upgrade --feature transaction.version=2 (Kafka 4.0 or newer) is the cure")
	}
	return s.fence(ctx)
}

func (s *Sink) internalTopic(ctx context.Context, name string) error {
	found, err := s.setup.internalTopic(ctx, name)
	s.warn(found)
	s.topics.change(name, func(t *topicState) { t.limit = found.batchLimit() })
	return err
}

// batchLimit tells the client how large a topic's record batches may be, in
// bytes.
func (s *Sink) batchLimit(topic string) int32 {
	return int32(cmp.Or(s.topics.get(topic).limit, min(s.cfg.MaxMessageBytes, largestBatch)))
}

// fence ends what a predecessor has under way, and its right to continue.
func (s *Sink) fence(ctx context.Context) error {
	if _, _, err := s.cl.ProducerID(ctx); err != nil {
		return fmt.Errorf("fence the predecessor (transactional id %s): %w", TransactionalID(s.cfg.Prefix, s.cfg.Portal), err)
	}
	return nil
}

// Commit makes a batch durable: see [cdc.Committer], which it implements.
func (s *Sink) Commit(ctx context.Context, b *cdc.Batch) error {
	if len(b.Changes)+len(b.Links)+len(b.Entries) == 0 {
		if b.Set == nil && !b.Sync {
			return s.note(b.Cursors, s.cfg.Portal)
		}
	} else if err := s.need(ctx, b); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	w, err := s.enqueue(b, s.cfg.Portal)
	if err != nil {
		return err
	}
	// Do not stop at ctx: a caller that ends alone, while the run continues, must
	// know what became of its batch. The end of the run ends this wait too.
	select {
	case <-w.done:
		return nil
	case <-s.ended:
	}
	select {
	case <-w.done: // it was committed, whatever else happened meanwhile
		return nil
	default:
		return s.overErr()
	}
}

// Hanging reports whether a transaction has been under way for so long that
// the committer must be stuck.
func (s *Sink) Hanging() bool { return s.busyFor() > hangingAfter }

// Stalled reports that Kafka takes nothing: the first transaction has yet to be
// committed, or the one under way takes long.
func (s *Sink) Stalled() bool { return !s.proven.Load() || s.busyFor() > stalledAfter }

// Proven reports that a transaction was committed.
func (s *Sink) Proven() bool { return s.proven.Load() }

// Pending is the transaction under way, nil if there is none.
func (s *Sink) Pending() *CommitError {
	since := s.busySince.Load()
	if since == 0 {
		return nil
	}
	return &CommitError{time.UnixMilli(since), s.waits.Load()}
}

// busyFor is how long the transaction under way has taken so far.
func (s *Sink) busyFor() time.Duration {
	since := s.busySince.Load()
	if since == 0 {
		return 0
	}
	return time.Since(time.UnixMilli(since))
}

// Ping returns an error if Kafka cannot be reached.
func (s *Sink) Ping(ctx context.Context) error { return s.setup.cl.Ping(ctx) }

// Close closes the client. It leaves an open transaction to the next run, which
// aborts it.
func (s *Sink) Close() {
	s.end(errors.New("the sink is closed"))
	s.closeClient()
}

// closeClient returns once the client is closed, whichever caller closes it. It
// is not a sync.Once, whose other callers would wait at a mutex.
func (s *Sink) closeClient() {
	if s.closing.CompareAndSwap(false, true) {
		s.cl.Close()
		close(s.closed)
	}
	<-s.closed
}

var _ cdc.Committer = (*Sink)(nil)
