package hubspot

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// freeFailures is how many attempts in a row may fail before the others wait.
// probeInterval is the least time between two attempts after that.
const (
	freeFailures  = 3
	probeInterval = time.Second
)

// anyAPI is the gate that every request goes through.
const anyAPI = ""

// outages keeps hundreds of streams from hammering a HubSpot that is down.
// There is one gate for all requests and one per API. A gate closes after three
// failed attempts in a row, then lets one attempt per second through, and opens
// for all at the first success. A single request that keeps failing does not
// close a gate, because others succeed in between; it backs off by itself.
//
// outages also logs each cause twice: when it begins and when it has ended.
type outages struct {
	log  *slog.Logger
	what string // cannot be read

	mu     sync.Mutex
	gates  map[string]*gate
	latest string // the API of the latest attempt
	good   uint64 // how many attempts HubSpot has answered
	causes map[string]*cause
}

// gate is the state of one API. closed is nil while the gate is open; otherwise
// opening the gate closes the channel.
type gate struct {
	failures int
	next     time.Time // while the gate is closed, nothing passes before this
	closed   chan struct{}

	silence silence
}

// yield delays an API's turn while the common gate is closed: once if the API's
// own gate is closed too, so that an API that may be healthy goes first, and
// once if the API made the latest attempt, so that the others get a turn.
const yield = 50 * time.Millisecond

// cause is a kind of failure that some requests are waiting out.
type cause struct {
	requests int // requests whose latest attempt failed for this cause
	attempts int
	since    time.Time
	ended    time.Time
	said     bool
	recurs   time.Time // since when it has never been gone for longer than calm
	told     bool      // it was said since then
	left     string    // it counts, and the last request, of this API, gave up; the API's next answer ends it
}

func newOutages(log *slog.Logger, what string) *outages {
	return &outages{log: log, what: what, gates: map[string]*gate{}, causes: map[string]*cause{}}
}

// gate returns the gate of an API. o.mu is held.
func (o *outages) gate(api string) *gate {
	g := o.gates[api]
	if g == nil {
		g = &gate{}
		o.gates[api] = g
	}
	return g
}

// slot is permission to make an attempt now. A request that then waits for the
// governor has to check that its slot still holds.
type slot struct {
	taken time.Time
	probe bool // taken while a gate was closed
}

// enter waits until the gates let an attempt through.
func (o *outages) enter(ctx context.Context, api string) (slot, error) {
	for {
		o.mu.Lock()
		s, wait := o.take(api)
		allOpens, oneOpens := o.gate(anyAPI).closed, o.gate(api).closed
		o.mu.Unlock()
		if wait <= 0 {
			return s, nil
		}
		if err := pause(ctx, wait, allOpens, oneOpens); err != nil {
			return slot{}, err
		}
	}
}

// take takes a slot, unless it has to wait for one. o.mu is held.
func (o *outages) take(api string) (_ slot, wait time.Duration) {
	now := time.Now()
	all, one := o.gate(anyAPI), o.gate(api)
	if one.closed != nil {
		wait = one.next.Sub(now)
	}
	if all.closed != nil {
		turn := all.next
		if one.closed != nil {
			turn = turn.Add(yield)
		}
		if api == o.latest {
			turn = turn.Add(yield)
		}
		wait = max(wait, turn.Sub(now))
	}
	if wait > 0 {
		return slot{}, wait
	}
	// Take both slots at once: a request that took one and then waited
	// for the other would waste it.
	all.next, one.next = now.Add(probeInterval), now.Add(probeInterval)
	o.latest = api
	return slot{now, all.closed != nil || one.closed != nil}, 0
}

// holds reports whether the slot still lets an attempt through. Where the request
// waited too long for the governor, it takes the next slot if that is free: its turn
// at the day may come less often than a slot lasts.
func (o *outages) holds(s slot, api string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gate(anyAPI).closed == nil && o.gate(api).closed == nil {
		return true
	}
	if s.probe && time.Since(s.taken) < probeInterval {
		return true
	}
	_, wait := o.take(api)
	return wait <= 0
}

// succeeded opens the gates: HubSpot answered.
func (o *outages) succeeded(api string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.good++
	for kind, c := range o.causes {
		if c.left == api {
			o.end(kind, c)
		}
	}
	for _, g := range []*gate{o.gate(anyAPI), o.gate(api)} {
		g.silence.answered()
		g.failures = 0
		if g.closed != nil {
			close(g.closed)
			g.closed = nil
		}
	}
}

// answers is how many attempts HubSpot has answered so far, of any request.
func (o *outages) answers() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.good
}

// failed counts a failed attempt. It returns the channels that are closed when
// the gates open again, nil for a gate that is open now.
func (o *outages) failed(api string) (allOpens, oneOpens <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all, one := o.gate(anyAPI), o.gate(api)
	for _, g := range []*gate{all, one} {
		g.failures++
		if g.closed == nil && g.failures >= freeFailures {
			g.closed = make(chan struct{})
			g.next = time.Now().Add(probeInterval)
		}
	}
	return all.closed, one.closed
}

// pause waits for d, or until one of the channels is closed or ctx ends.
func pause(ctx context.Context, d time.Duration, a, b <-chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a:
	case <-b:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// backoff returns how long a request waits by itself after that many failures
// in a row: 1 s, doubled each time up to 50 s, plus up to a fifth at random.
func backoff(failures int) time.Duration {
	d := min(time.Second<<min(failures-1, 6), 50*time.Second)
	return d + time.Duration(rand.Int64N(int64(d)/5+1))
}

// trouble is one request's part in the causes.
type trouble struct {
	o        *outages
	api      string
	cause    string
	failures int // in a row
}

// quiet is how long a cause must have been gone before its next failure is
// logged at once. If it comes back sooner, trouble logs it only at a request's
// third failure in a row: an occasional hiccup is not news each time.
const quiet = time.Minute

// patience is how long a fleeting cause may last before it is a warning, and calm how
// long it must be gone to have passed: another app that uses up a limit leaves us a
// call now and then.
const (
	patience = time.Minute
	calm     = 10 * time.Second
)

// fleeting reports whether a kind of cause is part of a day's work: a limit that frees
// itself within seconds, unlike that of the day.
func fleeting(kind string) bool {
	return strings.HasPrefix(kind, kindThrottled) && kind != kindThrottled+" "+policyDay
}

// failed notes that the latest attempt failed for the given kind of cause.
func (t *trouble) failed(kind string, attrs ...any) {
	t.failures++
	if t.cause != kind {
		t.leave(true)
	}
	o := t.o
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.causes[kind]
	if c == nil {
		c = &cause{}
		o.causes[kind] = c
	}
	if c.requests == 0 && c.left == "" {
		if c.ended.IsZero() || time.Since(c.ended) > calm {
			c.recurs, c.told = time.Now(), false
		}
		c.since, c.attempts, c.said = time.Now(), 0, false
	}
	if c.left = ""; t.cause == "" {
		t.cause = kind
		c.requests++
	}
	c.attempts++
	attrs = append([]any{"cause", kind, "attempt", t.failures}, attrs...)
	switch {
	case c.said:
	case fleeting(kind) && (c.told || time.Since(c.recurs) < patience):
		o.log.Debug(o.what+" throttles; the connector slows down", attrs...)
	case fleeting(kind) || c.ended.IsZero() || time.Since(c.ended) > quiet || t.failures >= freeFailures:
		c.said, c.told = true, true
		o.log.Warn(o.what+" cannot be read for now; waiting and trying again", attrs...)
	}
}

// leave notes that the cause no longer holds up the request, because HubSpot
// answered or because the caller gave up.
func (t *trouble) leave(answered bool) {
	if t.cause == "" {
		return
	}
	o := t.o
	o.mu.Lock()
	defer o.mu.Unlock()
	kind := t.cause
	c := o.causes[kind]
	t.cause = ""
	c.requests--
	if c.requests > 0 {
		return
	}
	if !answered && (c.said || fleeting(kind)) {
		c.left = t.api
		return
	}
	o.end(kind, c)
}

// end logs the end of a cause whose beginning was logged. o.mu is held.
func (o *outages) end(kind string, c *cause) {
	c.ended, c.left = time.Now(), ""
	if c.said {
		o.log.Info(o.what+" can be read again", "cause", kind, "attempts", c.attempts, "lasted", time.Since(c.since).Round(time.Millisecond).String())
	}
}
