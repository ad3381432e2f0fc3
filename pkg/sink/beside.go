package sink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Beside is a Kafka client for what sinks do beside their transactions: it makes topics
// ready, reads signals, and writes notifications. The sinks of a process may share one, so that each of them
// has no connections but those of its transactions.
type Beside struct {
	cl    *kgo.Client
	end   context.CancelFunc
	ended chan struct{} // closed when the reading has ended

	listed *listed

	mu      sync.Mutex
	changes []func()           // what the reading does next
	poll    context.CancelFunc // ends a wait for records, so that it does

	readers map[string]*Signals // by topic; it belongs to the reading
}

// signalsWaiting is how many signals of a topic may wait for its reader; then the
// client fetches no more of them.
const signalsWaiting = 1000

// NewBeside makes the client. opts are how it reaches the brokers.
func NewBeside(opts []kgo.Opt) (*Beside, error) { return newBeside(opts, sharedWait) }

func newBeside(opts []kgo.Opt, wait time.Duration) (*Beside, error) {
	cl, err := kgo.NewClient(append(append(append([]kgo.Opt{}, opts...), notificationOpts()...),
		kgo.FetchMaxWait(wait),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		freshMetadata(),
		kgo.KeepControlRecords(),       // else Signals.Next would not see an end that is a marker
		kgo.KeepRetryableFetchErrors(), // else nobody would hear of a topic that was deleted
	)...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	ctx, end := context.WithCancel(context.Background())
	b := &Beside{cl: cl, end: end, ended: make(chan struct{}), listed: &listed{turn: make(chan struct{}, 1)}, readers: map[string]*Signals{}}
	go func() { // ends with Close
		defer close(b.ended)
		b.read(ctx)
	}()
	return b, nil
}

// listed are the topics of the cluster. There may be ten for each of thousands of
// portals, so starts at about the same time share the answer. A topic that is younger
// than listedFor holds nothing that its portal's state does not tell, unless somebody has
// deleted that state within this time.
type listed struct {
	turn chan struct{} // one slot
	at   time.Time     // zero: never
	ids  map[string]string
}

const listedFor = 5 * time.Second

// get gives what ask answers, or has answered lately.
func (l *listed) get(ctx context.Context, ask func() (map[string]string, error)) (map[string]string, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if l.at.IsZero() || time.Since(l.at) >= listedFor {
		asked := time.Now()
		ids, err := ask()
		if err != nil {
			return nil, err
		}
		l.at, l.ids = asked, ids
	}
	return l.ids, nil
}

// Client is for requests. Its caller neither produces nor consumes with it.
func (b *Beside) Client() *kgo.Client { return b.cl }

// Close closes the connections.
func (b *Beside) Close() {
	b.end()
	b.cl.Close()
	<-b.ended
}

// read hands out records until ctx ends. Only it touches what is consumed: what it got
// before a change is handed out before the change.
func (b *Beside) read(ctx context.Context) {
	for ctx.Err() == nil {
		waiting, cancel := context.WithCancel(ctx)
		changes := b.take(cancel)
		for _, change := range changes {
			change()
		}
		if len(changes) == 0 {
			fetches := b.cl.PollFetches(waiting)
			if waiting.Err() == nil {
				fetches.EachError(b.fail)
			}
			fetches.EachRecord(b.hand)
		}
		cancel()
	}
}

// take returns the changes that wait. If there are none, the next one calls poll.
func (b *Beside) take(poll context.CancelFunc) []func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	changes := b.changes
	b.changes, b.poll = nil, poll
	return changes
}

// change has the reading do something, after what others asked for before.
func (b *Beside) change(do func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes = append(b.changes, do)
	if b.poll != nil {
		b.poll()
	}
}

// fail tells a topic's reader, or all of them if the error concerns no topic. What the
// client tries again by itself concerns nobody, except that a topic is gone.
func (b *Beside) fail(topic string, _ int32, err error) {
	gone := errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.UnknownTopicID)
	if kerr.IsRetriable(err) && !gone {
		return
	}
	for name, s := range b.readers {
		if topic == "" || topic == name {
			s.put(nil, err)
		}
	}
}

func (b *Beside) hand(r *kgo.Record) {
	if s := b.readers[r.Topic]; s != nil {
		s.put(r, nil)
	}
}

// follow reads a topic's only partition from an offset on. end is the topic's end now.
func (b *Beside) follow(topic string, at, end int64) *Signals {
	s := &Signals{beside: b, topic: topic, next: at, end: end, came: make(chan struct{}, 1)}
	b.change(func() {
		b.readers[topic] = s
		b.cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(at)}})
	})
	return s
}

// leave ends the reading of a topic.
func (b *Beside) leave(s *Signals) {
	b.change(func() {
		if b.readers[s.topic] == s {
			delete(b.readers, s.topic)
			b.again(s.topic)
			b.cl.PurgeTopicsFromConsuming(s.topic) // it may be another topic of that name that comes next
		}
	})
}

// forget ends the writing of a topic. Else the client would ask for its partitions as long
// as it lives, and once somebody has deleted it, ten times a second.
func (b *Beside) forget(topic string) {
	b.change(func() { b.cl.PurgeTopicsFromProducing(topic) })
}

// again fetches a topic of which too much waited.
func (b *Beside) again(topic string) {
	b.cl.ResumeFetchPartitions(map[string][]int32{topic: {0}})
}

// Signals reads the signals topic from an offset on. It belongs to no group: its
// place is a cursor like any other.
type Signals struct {
	beside    *Beside
	own       bool // beside is this reader's own
	topic     string
	next, end int64 // the next offset, and the topic's end when it was opened
	caughtUp  bool

	came chan struct{} // one slot: something waits

	mu      sync.Mutex
	waiting []*kgo.Record
	paused  bool // too many wait
	err     error
}

// put adds a record, or the error that ends the reading.
func (s *Signals) put(r *kgo.Record, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r != nil {
		s.waiting = append(s.waiting, r)
	} else if s.err == nil {
		s.err = err
	}
	select {
	case s.came <- struct{}{}:
	default:
	}
	if len(s.waiting) > signalsWaiting && !s.paused { // locked, so that take comes before or after both
		s.paused = true
		s.beside.cl.PauseFetchPartitions(map[string][]int32{s.topic: {0}})
	}
}

// take waits for records.
func (s *Signals) take(ctx context.Context) ([]*kgo.Record, error) {
	select {
	case <-s.came:
	case <-s.beside.ended:
		return nil, kgo.ErrClientClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	records := s.waiting
	s.waiting = nil
	if s.paused {
		s.paused = false
		s.beside.again(s.topic)
	}
	if len(records) == 0 && s.err != nil {
		return nil, fmt.Errorf("read %s: %w", s.topic, s.err)
	}
	return records, nil
}

// Next waits for signals and returns them in order. The first call returns once
// it has read everything that was there when the topic was opened, even if that
// is nothing. A caller that resumes its work after it knows every signal that
// came meanwhile.
func (s *Signals) Next(ctx context.Context) ([]offsets.Signal, error) {
	var out []offsets.Signal
	for s.next < s.end || s.caughtUp && len(out) == 0 {
		records, err := s.take(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			s.next = r.Offset + 1
			if !r.Attrs.IsControl() {
				out = append(out, offsets.Signal{Offset: r.Offset, Key: r.Key, Value: r.Value})
			}
		}
	}
	s.caughtUp = true
	return out, nil
}

// Close ends the reading.
func (s *Signals) Close() {
	if s.own {
		s.beside.Close()
		return
	}
	s.beside.leave(s)
}
