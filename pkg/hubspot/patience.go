package hubspot

import (
	"context"
	"sync"
	"time"
)

// Patience is the time that somebody has for HubSpot's answers to requests. It passes
// only while at least one of the requests is under way: one that waits for the Governor
// tells nothing of HubSpot, however long it waits.
type Patience struct {
	parent *Patience // of the context that it was made from; nil: there is none
	end    context.CancelCauseFunc
	cause  error

	mu    sync.Mutex
	open  int           // requests that do not wait for the Governor
	left  time.Duration // 0: without limit
	since time.Time     // when the timer was set; zero while time stands still
	timer *time.Timer
}

type patienceKey struct{}

// WithPatience returns a context for requests. It ends with the cause once their time is
// over, which is d, or without limit where d is 0. The caller must Stop the Patience.
func WithPatience(ctx context.Context, d time.Duration, cause error) (context.Context, *Patience) {
	p := &Patience{parent: patienceOf(ctx), cause: cause, left: d}
	ctx, p.end = context.WithCancelCause(ctx)
	p.timer = time.AfterFunc(time.Hour, p.over)
	p.timer.Stop()
	return context.WithValue(ctx, patienceKey{}, p), p
}

// Again gives the requests this much time from now on.
func (p *Patience) Again(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stand()
	p.left = d
	p.pass()
}

// Stop ends the context.
func (p *Patience) Stop() {
	p.end(nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stand()
	p.left = 0
}

// over ends the context, unless time has stood still again in the moment before.
func (p *Patience) over() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.since.IsZero() && time.Since(p.since) >= p.left {
		p.end(p.cause)
	}
}

// patienceOf is the innermost Patience of a context, nil for none.
func patienceOf(ctx context.Context) *Patience {
	p, _ := ctx.Value(patienceKey{}).(*Patience)
	return p
}

// requests notes n requests more that do not wait for the Governor.
func (p *Patience) requests(n int) {
	for ; p != nil; p = p.parent {
		p.mu.Lock()
		p.stand()
		p.open += n
		p.pass()
		p.mu.Unlock()
	}
}

// stand lets time stand still. p.mu is held.
func (p *Patience) stand() {
	if p.since.IsZero() {
		return
	}
	p.timer.Stop()
	p.left = max(p.left-time.Since(p.since), 1)
	p.since = time.Time{}
}

// pass lets time pass, if a request is under way. p.mu is held.
func (p *Patience) pass() {
	if p.open > 0 && p.left > 0 {
		p.since = time.Now()
		p.timer.Reset(p.left)
	}
}
