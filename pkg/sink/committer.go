package sink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// idleInterval is how long the cursors of idle passes may wait for other records.
// Each transaction leaves a permanent marker in every compacted topic that it
// touches (docs/kafka.md C1), so an idle portal must not make many. Where a process has
// more than idleTogether portals, their transactions are much of what it does: they wait
// the longer the more there are, up to idleLongest, and then for the next idleBeat, so
// that many begin at the same moment (docs/fleet.md, Sizes).
const (
	idleInterval, idleLongest = 10 * time.Second, 30 * time.Second
	idleTogether              = 50
	idleBeat                  = 4 * time.Second
)

// idleDue is when the cursors go that wait from now on, in a process of so many portals.
func idleDue(now time.Time, portals int) time.Time {
	if portals <= idleTogether {
		return now.Add(idleInterval)
	}
	due := now.Add(min(idleInterval*time.Duration(portals)/idleTogether, idleLongest))
	return due.Add(idleBeat - time.Duration(due.UnixNano()%int64(idleBeat)))
}

// longestRest is for a transaction that took long because the brokers were away.
const longestRest = 500 * time.Millisecond

// committer holds what waits for the next transaction.
type committer struct {
	portals func() int // of the process

	wake  chan struct{} // one slot: tells Run that something waits
	ended chan struct{} // closed when the run is over

	guard    sync.Mutex
	queue    []*waiting // in the order of the Commit calls
	notes    map[offsets.Key][]byte
	attached []*kgo.Record // records about the topics themselves
	due      time.Time     // when notes and attached go even if nothing else does; zero = there are none
	frontier time.Time     // when a frontier goes even if nothing else does; zero = none has to
	over     error         // why no Commit can succeed any more; nil = one can
}

// waiting is a batch whose caller waits.
type waiting struct {
	batch *cdc.Batch
	done  chan struct{} // closed once it is committed
}

func newCommitter(portals func() int) committer {
	return committer{
		portals: portals, wake: make(chan struct{}, 1), ended: make(chan struct{}),
		notes: map[offsets.Key][]byte{},
	}
}

// enqueue puts a batch into the next transaction.
func (c *committer) enqueue(b *cdc.Batch, portal int64) (*waiting, error) {
	c.guard.Lock()
	defer c.guard.Unlock()
	if c.over != nil {
		return nil, c.over
	}
	for _, cur := range b.Cursors {
		// An earlier note must not overwrite it.
		delete(c.notes, offsets.Key{Portal: portal, Object: cur.Object, Stream: cur.Stream})
	}
	w := &waiting{b, make(chan struct{})}
	c.queue = append(c.queue, w)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return w, nil
}

// note keeps the cursors of an idle pass. A newer one replaces an older one.
func (c *committer) note(cursors []cdc.Cursor, portal int64) error {
	c.guard.Lock()
	defer c.guard.Unlock()
	if c.over != nil {
		return c.over
	}
	for _, cur := range cursors {
		c.notes[offsets.Key{Portal: portal, Object: cur.Object, Stream: cur.Stream}] = cur.Value
	}
	c.setDue()
	return nil
}

// attach adds records to the next transaction, ahead of everything else.
func (c *committer) attach(records ...*kgo.Record) {
	c.guard.Lock()
	defer c.guard.Unlock()
	c.attached = append(c.attached, records...)
	c.setDue()
}

// setDue sets the time by which notes and attached records go, and wakes Run.
func (c *committer) setDue() {
	if !c.due.IsZero() || len(c.notes) == 0 && len(c.attached) == 0 {
		return
	}
	c.due = idleDue(time.Now(), c.portals())
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// writeBy sets the time by which a frontier has to be written.
func (c *committer) writeBy(at time.Time) {
	c.guard.Lock()
	defer c.guard.Unlock()
	if c.frontier.Equal(at) {
		return
	}
	c.frontier = at
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// work is the content of one transaction.
type work struct {
	attached []*kgo.Record
	batches  []*waiting
	notes    map[offsets.Key][]byte
}

// take returns everything that waits if any of it must be committed now, else how
// long Run has to wait; a negative wait means that nothing waits. With all,
// nothing waits for its time.
func (c *committer) take(all bool) (*work, time.Duration) {
	c.guard.Lock()
	defer c.guard.Unlock()
	if len(c.queue) == 0 {
		due := c.due
		if due.IsZero() || !c.frontier.IsZero() && c.frontier.Before(due) {
			due = c.frontier
		}
		if due.IsZero() {
			return nil, -1
		}
		if wait := time.Until(due); wait > 0 && !all {
			return nil, wait
		}
	}
	w := &work{c.attached, c.queue, c.notes}
	c.attached, c.queue, c.notes, c.due, c.frontier = nil, nil, map[offsets.Key][]byte{}, time.Time{}, time.Time{}
	return w, 0
}

// end makes every waiting and every later Commit fail.
func (c *committer) end(cause error) {
	c.guard.Lock()
	defer c.guard.Unlock()
	if c.over == nil {
		c.over = fmt.Errorf("commit: the run is over: %w", cause)
		close(c.ended)
	}
}

func (c *committer) overErr() error {
	c.guard.Lock()
	defer c.guard.Unlock()
	return c.over
}

// Run commits until ctx ends or a transaction fails. Call it once. When idle it
// starts a transaction at once; what becomes ready meanwhile goes into the next
// one. After a transaction it rests for as long as that took, at most longestRest.
// When ctx ends, it still commits what waits if the brokers answer within lastChance.
//
// The rest is for brokers that are busy. They write the markers of a transaction after
// they have answered that it is committed, and refuse the next one until then; the client
// tries again ten times a second. So many transactions close together make the brokers
// busier still, and fewer, larger ones cost them little.
func (s *Sink) Run(ctx context.Context) (err error) {
	defer func() { s.end(err) }()
	for {
		stopping := ctx.Err() != nil
		w, wait := s.take(stopping)
		if w != nil {
			began := time.Now()
			if err := s.commit(ctx, w); err != nil {
				s.metrics.commits.WithLabelValues("failed").Inc()
				return fmt.Errorf("commit: %w", err)
			}
			wait = min(time.Since(began), longestRest)
		}
		if stopping {
			return context.Cause(ctx)
		}
		var due <-chan time.Time
		if wait >= 0 {
			due = time.After(wait)
		}
		wake := s.wake
		if w != nil {
			wake = nil // it rests
		}
		select {
		case <-wake:
		case <-due:
		case <-ctx.Done():
		}
	}
}

// commit writes one transaction, and tells those who wait for it only once it is
// committed. Everything that depends on the data is settled before the
// transaction begins.
func (s *Sink) commit(ctx context.Context, w *work) error {
	began := time.Now()
	s.busySince.Store(began.UnixMilli())
	defer s.busySince.Store(0)

	before := s.seq
	tx, err := s.compose(w)
	if err != nil {
		return err
	}
	fronts := s.frontiers.compose(began, before, tx, s.positions)
	if fronts != nil {
		tx.records = append(tx.records, fronts.records...)
	}
	if len(tx.records) > 0 {
		if err := s.transact(ctx, tx.records); err != nil {
			return &CommitError{began, err}
		}
		s.proven.Store(true)
		s.metrics.commits.WithLabelValues("ok").Inc()
		s.metrics.seconds.Observe(time.Since(began).Seconds())
	}
	tx.count(s.metrics)
	s.cfg.Committed.add(tx)
	s.frontiers.committed(fronts)
	s.frontierDue()
	for _, waits := range w.batches {
		close(waits.done)
	}
	if topic := s.ends.cut(); topic != "" {
		return &cutError{topic}
	}
	return nil
}

// transact takes the steps in the only safe order (docs/kafka.md C2): it commits
// only if every record of this transaction, and no other, was acknowledged. A
// client that has seen an error must not be used again: it may answer the next
// commit with success although nothing was written.
func (s *Sink) transact(ctx context.Context, records []*kgo.Record) (err error) {
	// The transaction outlives ctx: when the process shuts down, the one under
	// way gets a few more seconds.
	sending, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	s.waits.Store(unacknowledged)
	finished, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		s.watch(ctx, finished, cancel)
	}()
	defer func() {
		close(finished)
		<-watched
	}()
	defer func() {
		if given, up := errors.AsType[*StalledError](context.Cause(sending)); up && err != nil {
			err = errors.Join(err, given)
		}
	}()

	data := spans(records, s.cursorTopic, s.stateTopic, s.frontiers.topic)
	ends := map[string]offsets.Ends{}
	for topic, parts := range data {
		ends[topic] = s.ends.expect(topic, parts)
		records = append(records, s.stateRecord(offsets.EndsKey(topic), ends[topic].Bytes()))
	}
	if err := s.cl.BeginTransaction(); err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	if err := s.send(sending, cancel, records); err != nil {
		return err
	}
	var other []*kgo.Record
	for topic, parts := range data {
		now, right := s.ends.written(topic, parts)
		if ends[topic] = now; !right {
			other = append(other, s.stateRecord(offsets.EndsKey(topic), now.Bytes()))
		}
	}
	if len(other) > 0 {
		if err := s.send(sending, cancel, other); err != nil {
			return err
		}
	}
	if err := s.learned.wait(sending, records, s.cl.PartitionLeader); err != nil {
		return fmt.Errorf("partitions of new topics: %w", err)
	}
	s.waits.Store(uncommitted)
	// This context never ends: an EndTransaction that is abandoned halfway leaves
	// the client in an unknown state. If the brokers do not answer, watch closes
	// the client.
	if err := s.cl.EndTransaction(context.WithoutCancel(ctx), kgo.TryCommit); err != nil {
		return fmt.Errorf("end transaction: %w", err)
	}
	for topic, parts := range data {
		s.ends.committed(topic, parts, ends[topic])
	}
	return nil
}

// send produces records, and returns once every one of them is acknowledged.
func (s *Sink) send(sending context.Context, cancel context.CancelCauseFunc, records []*kgo.Record) error {
	acks := &acknowledgements{failed: cancel}
	promise := acks.promise
	for _, r := range records {
		s.cl.Produce(sending, r, promise)
	}
	flushErr := s.cl.Flush(sending)
	if err := acks.err(); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	if flushErr != nil {
		return fmt.Errorf("flush: %w", flushErr)
	}
	if n := acks.count(); n != len(records) {
		return fmt.Errorf("flush: %d of %d records were acknowledged", n, len(records))
	}
	return nil
}

// watch gives up a transaction that takes longer than the brokers allow, or than
// lastChance after ctx ended.
func (s *Sink) watch(ctx context.Context, finished <-chan struct{}, cancel context.CancelCauseFunc) {
	limit := time.NewTimer(transactionLimit)
	defer limit.Stop()
	ending := ctx.Done()
	for {
		select {
		case <-finished:
			return
		case <-ending:
			ending = nil
			limit.Reset(lastChance)
		case <-limit.C:
			cancel(s.waits.Load())
			s.closeClient()
			return
		}
	}
}

// CommitError says since when a transaction has been under way, or was until it failed,
// and what kept it from being committed.
type CommitError struct {
	Since time.Time
	Err   error
}

func (e *CommitError) Error() string { return e.Err.Error() }
func (e *CommitError) Unwrap() error { return e.Err }

// StalledError says what a transaction waits for. Why the brokers do not do it, the client
// tells nobody: it tries again while they refuse with an error that may pass.
type StalledError struct{ what string }

func (e *StalledError) Error() string { return e.what }

var (
	unacknowledged = &StalledError{"the brokers do not acknowledge what is written"}
	uncommitted    = &StalledError{"the brokers do not commit what is written"}
)

// acknowledgements collects the results of a transaction's records.
type acknowledgements struct {
	failed context.CancelCauseFunc // stops the wait for the others

	mu    sync.Mutex
	acked int
	first error
}

func (a *acknowledgements) promise(_ *kgo.Record, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case err == nil:
		a.acked++
	case a.first == nil:
		a.first = err
		a.failed(err)
	}
}

func (a *acknowledgements) err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.first
}

func (a *acknowledgements) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.acked
}
