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

// idleInterval is how long the cursors of idle passes may wait for company:
// each transaction leaves a marker for ever in every compacted topic that it
// touches (docs/kafka.md C1), so an idle portal must not make many.
const idleInterval = 10 * time.Second

// committer is what waits for the next transaction.
type committer struct {
	wake  chan struct{} // one slot: something to be committed at once
	ended chan struct{} // closed when the run is over

	guard    sync.Mutex
	queue    []*waiting // in the order of the calls
	notes    map[offsets.Key][]byte
	attached []*kgo.Record // records about the topics themselves
	due      time.Time     // when notes and attached records go without company; zero = there are none
	over     error         // why no Commit can succeed any more
}

// waiting is a batch whose caller waits.
type waiting struct {
	batch *cdc.Batch
	done  chan struct{} // closed when it is committed
}

func newCommitter() committer {
	return committer{
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
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
		// What was noted earlier must not overwrite it.
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

// note keeps the cursors of an idle pass; a newer one replaces the older.
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

// attach has records go with the next transaction, ahead of everything else.
func (c *committer) attach(records ...*kgo.Record) {
	c.guard.Lock()
	defer c.guard.Unlock()
	c.attached = append(c.attached, records...)
	c.setDue()
}

// setDue starts the wait of what has no company, and tells Run of it.
func (c *committer) setDue() {
	if !c.due.IsZero() || len(c.notes) == 0 && len(c.attached) == 0 {
		return
	}
	c.due = time.Now().Add(idleInterval)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// work is one transaction's content.
type work struct {
	attached []*kgo.Record
	batches  []*waiting
	notes    map[offsets.Key][]byte
}

// take gives everything that waits, if any of it has to be committed now, or
// else how long there is to wait (negative: nothing waits).
func (c *committer) take(all bool) (*work, time.Duration) {
	c.guard.Lock()
	defer c.guard.Unlock()
	if len(c.queue) == 0 {
		if c.due.IsZero() {
			return nil, -1
		}
		if wait := time.Until(c.due); wait > 0 && !all {
			return nil, wait
		}
	}
	w := &work{c.attached, c.queue, c.notes}
	c.attached, c.queue, c.notes, c.due = nil, nil, map[offsets.Key][]byte{}, time.Time{}
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

// Run commits until ctx ends or a transaction fails, and is to be called once.
// It starts a transaction at once when idle; what becomes ready meanwhile goes
// into the next one. When ctx ends, what still waits is committed if the
// brokers answer within lastChance.
func (s *Sink) Run(ctx context.Context) (err error) {
	defer func() { s.end(err) }()
	for {
		stopping := ctx.Err() != nil
		w, wait := s.take(stopping)
		if w != nil {
			if err := s.commit(ctx, w); err != nil {
				s.metrics.commits.WithLabelValues("failed").Inc()
				return fmt.Errorf("commit: %w", err)
			}
		}
		if stopping {
			return context.Cause(ctx)
		}
		if w != nil {
			continue
		}
		var due <-chan time.Time
		if wait >= 0 {
			due = time.After(wait)
		}
		select {
		case <-s.wake:
		case <-due:
		case <-ctx.Done():
		}
	}
}

// commit writes one transaction, and tells those who wait for it only when it
// is committed. Whatever depends on the data is settled before it begins.
func (s *Sink) commit(ctx context.Context, w *work) error {
	began := time.Now()
	s.busySince.Store(began.UnixMilli())
	defer s.busySince.Store(0)

	tx, err := s.compose(w)
	if err != nil {
		return err
	}
	if len(tx.records) > 0 {
		if err := s.transact(ctx, tx.records); err != nil {
			return err
		}
		s.metrics.commits.WithLabelValues("ok").Inc()
		s.metrics.seconds.Observe(time.Since(began).Seconds())
	}
	tx.count(s.metrics)
	for _, waits := range w.batches {
		close(waits.done)
	}
	return nil
}

// transact is the only order of the steps that is safe (docs/kafka.md C2):
// nothing is committed unless every record of this transaction, and no other,
// was acknowledged. A client that has seen an error must not be used again: it
// may answer the next commit with success although nothing was written.
func (s *Sink) transact(ctx context.Context, records []*kgo.Record) error {
	// The transaction outlives ctx: what is under way when the process is told
	// to end is worth a few seconds.
	sending, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	finished, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		s.watch(ctx, finished, cancel)
	}()
	defer func() {
		close(finished)
		<-watched
	}()

	if err := s.cl.BeginTransaction(); err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	acks := &acknowledgements{failed: cancel}
	for _, r := range records {
		s.cl.Produce(sending, r, acks.promise)
	}
	flushErr := s.cl.Flush(sending)
	if err := acks.err(); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	if flushErr != nil {
		return fmt.Errorf("flush: %w", errors.Join(flushErr, context.Cause(sending)))
	}
	if n := acks.count(); n != len(records) {
		return fmt.Errorf("flush: %d of %d records were acknowledged", n, len(records))
	}
	// No context that can end: an EndTransaction that is given up half way
	// leaves the client in a state that nobody knows. If the brokers do not
	// answer, watch closes the client.
	if err := s.cl.EndTransaction(context.WithoutCancel(ctx), kgo.TryCommit); err != nil {
		return fmt.Errorf("end transaction: %w", err)
	}
	return nil
}

// watch gives a transaction up that takes longer than the brokers allow, or
// than a run that is told to end may take.
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
			cancel(errors.New("the brokers did not answer in time"))
			s.closeClient()
			return
		}
	}
}

// acknowledgements collects what became of a transaction's records.
type acknowledgements struct {
	failed context.CancelCauseFunc // ends the wait for the others

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
