package stream

import (
	"context"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
)

// looks are the records of a pair whose links are to be read. Several streams add
// to them, and one reads.
type looks struct {
	wake   chan struct{}
	paused func() bool // whether nobody reads; the pair is swept when it is resumed

	mu   sync.Mutex
	due  *cdc.Looks
	most int // how many may wait until they are looked through
}

// looksKept is how many records a paused pair keeps, however long ago they changed.
const looksKept = 10_000

func newLooks(after []time.Duration, paused func() bool) *looks {
	return &looks{wake: make(chan struct{}, 1), paused: paused, due: cdc.NewLooks(after...), most: looksKept}
}

// add queues a record: its links are read now, and again after each wait (R14).
func (l *looks) add(k cdc.Look) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.due.Add(k, now)
	if l.due.Len() > l.most && l.paused() {
		l.most = max(looksKept, 2*l.due.Forget(now))
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// retry queues records again whose links could not be read.
func (l *looks) retry(ks []cdc.Look) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.due.Retry(ks, time.Now().Add(recheckRetry))
}

func (l *looks) next() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.due.Next(time.Now())
}

// take returns what is due, in order.
func (l *looks) take() []cdc.Look {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.due.Take(time.Now())
}

// wait returns when something is due.
func (l *looks) wait(ctx context.Context) error {
	for {
		d := l.next()
		if d == 0 {
			return ctx.Err()
		}
		t := time.NewTimer(d)
		select {
		case <-l.wake:
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
