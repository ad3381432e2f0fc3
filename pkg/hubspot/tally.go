package hubspot

import (
	"context"
	"sync"
	"time"
)

// Tally counts the attempts that are made with a context. The zero value is ready to
// use.
type Tally struct {
	mu    sync.Mutex
	calls int
	first time.Time
}

type tallied struct{}

// In returns a context whose attempts the Tally counts.
func (t *Tally) In(ctx context.Context) context.Context { return context.WithValue(ctx, tallied{}, t) }

// Calls is how many attempts there were, and when the first one was sent.
func (t *Tally) Calls() (n int, first time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls, t.first
}

// tally counts an attempt that was sent.
func tally(ctx context.Context, sent time.Time) {
	t, ok := ctx.Value(tallied{}).(*Tally)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls++; t.calls == 1 {
		t.first = sent
	}
}
