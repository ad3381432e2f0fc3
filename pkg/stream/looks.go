package stream

import (
	"context"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
)

// looks are the records of a pair to be looked at, for the streams that add to
// them and the one that looks.
type looks struct {
	wake chan struct{}

	mu  sync.Mutex
	due *cdc.Looks
}

func newLooks(after []time.Duration) *looks {
	return &looks{wake: make(chan struct{}, 1), due: cdc.NewLooks(after...)}
}

// add has a record looked at from now on.
func (l *looks) add(k cdc.Look) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.due.Add(k, time.Now())
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// retry brings records back that could not be looked at.
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

// take gives what is due, in order.
func (l *looks) take() []cdc.Look {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.due.Take(time.Now())
}

// wait ends when something is due.
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
