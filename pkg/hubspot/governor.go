package hubspot

import (
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Priority says how urgent a request is: the smaller, the more urgent. The
// order is that of docs/contract.md section 3.
type Priority uint8

// The priorities, most urgent first.
const (
	Leading Priority = iota
	Confirm          // re-reads and confirms
	Trailing
	ChangedAssociations
	Census
	Schema
	Reference
	Snapshot // an operator asked for it and is waiting
	Archive
	AssociationSweep
	Reconcile
	Backfill
)

// paced reports whether a priority spends the day as a rate. The others may
// spend ahead, down to the reserve (R15).
func (p Priority) paced() bool {
	switch p {
	case Census, Reference, Archive, AssociationSweep, Reconcile:
		return true
	}
	return false
}

// aging is how long a request waits until it is as urgent as a new one of the
// next higher priority. So nothing starves: after at most eleven agings a
// backfill goes ahead of every leading read that came later.
const aging = 5 * time.Second

// class is a set of calls that HubSpot counts together.
type class uint8

const (
	searches    class = iota // count per second, and per day
	objectCalls              // count per ten seconds, and per day
	exemptCalls              // batch reads and labels of associations: count per day only
	classes
)

// HubSpot's documented limits, used until its answers give the real ones. The
// search limit is the same for every account, and no answer carries it. The
// smallest ten-second limit is that of a Free account's private app. The limit
// of exempt calls is not documented; each may carry 1,000 ids, so a modest rate
// is enough.
const (
	defaultSearches   = 5.0
	defaultTenSeconds = 100
	exemptPerSecond   = 20
)

// Limits are the settings of a Governor. A zero limit means HubSpot's own: the
// documented one until HubSpot's answers give the real one.
type Limits struct {
	Share           float64 // of the searches and of the ten-second limit; zero: 0.8
	DailyReserve    float64 // share of the daily limit left to others
	SearchPerSecond float64
	TenSeconds      int   // calls per ten seconds
	Daily           int64 // calls per day
}

// Governor spaces requests so that they stay below HubSpot's three limits:
// searches per second, calls per ten seconds, calls per day. All clients of a
// portal share one Governor. Requests that cannot pass at once wait in order of
// priority.
//
// In every ten seconds it lets its share of the limit pass, and no more. It never
// lets HubSpot count more than the limit, wherever HubSpot's interval begins and
// however the network delays a call (see window); that alone costs a share of 1
// about two hundredths of the limit. It spaces calls evenly, because an urgent one
// would otherwise wait for seconds behind a burst.
type Governor struct {
	limits Limits

	mu      sync.Mutex
	timer   *time.Timer
	lines   [classes]line
	day     day
	spent   time.Time // since when none of the day is left to us, as Spent found it
	reading struct {  // from the latest headers about the ten-second limit
		max       float64
		interval  time.Duration
		others    others
		remaining float64
		known     bool
	}
}

// line is the queue of one class.
type line struct {
	waiting []*waiter
	limiter *rate.Limiter // spaces calls; its burst makes up for moments without a waiter
	sent    window
	paused  time.Time // nothing passes before this
	pausedAt,
	slowed time.Time // when slow last changed
	strikes int     // throttled answers in a row
	slow    float64 // share of the rate after throttled answers; 1 is full speed
}

type waiter struct {
	passed   chan struct{}
	pass     *pass // once passed is closed
	since    time.Time
	priority Priority
	account  bool // an Account call, which passes even on a spent day
}

// urgency orders waiters: the earlier the time, the more urgent.
func (w *waiter) urgency() time.Time { return w.since.Add(time.Duration(w.priority) * aging) }

// NewGovernor returns a governor that knows nothing but its settings.
func NewGovernor(limits Limits) *Governor {
	if limits.Share <= 0 {
		limits.Share = 0.8
	}
	g := &Governor{limits: limits, day: newDay(limits)}
	g.reading.max, g.reading.interval = defaultTenSeconds, 10*time.Second
	if limits.TenSeconds > 0 {
		g.reading.max = float64(limits.TenSeconds)
	}
	for c := range g.lines {
		g.lines[c].slow = 1
		g.lines[c].limiter = rate.NewLimiter(1, 1)
	}
	g.tune(time.Now())
	return g
}

// SetShare changes the share of the searches and of the ten-second limit.
func (g *Governor) SetShare(share float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits.Share = share
	g.pump()
}

// Rates are sustainable rates, in calls per second.
type Rates struct {
	Search  float64
	Objects float64
	Day     float64 // of all calls together, by the daily limit; +Inf without one
}

// Rates returns the current rates, for callers that derive intervals from them.
func (g *Governor) Rates() Rates {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.day.roll(now)
	g.tune(now)
	return Rates{
		Search:  float64(g.lines[searches].limiter.Limit()),
		Objects: float64(g.lines[objectCalls].limiter.Limit()),
		Day:     g.day.rate(now),
	}
}

// Learnt is what a Governor knows about HubSpot's limits.
type Learnt struct {
	TenSeconds     int     // limit of calls per ten seconds
	TenSecondsTold bool    // HubSpot has sent that limit
	TenSecondsLeft int     // calls left when HubSpot last said
	Searches       float64 // limit of searches per second
	Daily          int64   // limit of calls per day; 0: none, or not known
	Used           int64   // calls used today, by all private apps of the account
	Reserve        int64   // calls of the day left to others
	Resets         time.Time
}

// Learnt returns what the Governor knows, for people to read.
func (g *Governor) Learnt() Learnt {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.day.roll(time.Now())
	return Learnt{
		TenSeconds: int(g.reading.max), TenSecondsTold: g.reading.known, TenSecondsLeft: int(g.reading.remaining),
		Searches: g.searchLimit(), Daily: g.day.limit, Used: g.day.used,
		Reserve: int64(g.day.reserve * float64(g.day.limit)), Resets: g.day.ends(),
	}
}

// Spent returns since when none of the day's calls are left to us, and when that
// ends at the latest; zero times while some are left.
func (g *Governor) Spent() (since, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.day.roll(now)
	if g.day.others.strikes+g.day.account.strikes == 0 && (g.day.limit == 0 || g.day.spendable() >= 1) {
		g.spent = time.Time{}
		return g.spent, g.spent
	}
	if g.spent.IsZero() {
		g.spent = now
	}
	return g.spent, g.day.ends()
}

// acquire waits until a call may be sent. since is when the caller made the
// request: a retry keeps the request's age. The caller tells answered when the
// answer to the call has come.
func (g *Governor) acquire(ctx context.Context, c class, p Priority, account bool, since time.Time) (*pass, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := &waiter{passed: make(chan struct{}), since: since, priority: p, account: account}
	g.mu.Lock()
	g.lines[c].waiting = append(g.lines[c].waiting, w)
	g.pump()
	g.mu.Unlock()
	select {
	case <-w.passed:
		return w.pass, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	// If the waiter passed at this very moment, it spent a call for nothing.
	g.lines[c].remove(w)
	g.pump()
	return nil, ctx.Err()
}

// answered notes that a call has an answer, or none, at the given time.
func (g *Governor) answered(p *pass, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at.Before(p.latest) {
		p.latest = at
	}
}

func (l *line) remove(w *waiter) {
	for i, other := range l.waiting {
		if other == w {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			return
		}
	}
}

// pump lets every waiter pass that may, the most urgent of all classes first because
// the day is one for all, and sets the timer for the next one. g.mu is held.
func (g *Governor) pump() {
	now := time.Now()
	g.day.roll(now)
	g.tune(now)
	var next time.Time
	for {
		l, w, at := g.first(now)
		if next = at; w == nil {
			break
		}
		l.limiter.AllowN(now, 1)
		g.day.spend(now, w)
		w.pass = l.sent.add(now)
		l.remove(w)
		close(w.passed)
	}
	switch {
	case next.IsZero():
		if g.timer != nil {
			g.timer.Stop()
		}
	case g.timer == nil:
		g.timer = time.AfterFunc(next.Sub(now), g.fire)
	default:
		g.timer.Reset(next.Sub(now))
	}
}

func (g *Governor) fire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pump()
}

// first returns the most urgent waiter that may pass, and its line. If there is none,
// it returns when the first one may; zero if nobody waits.
func (g *Governor) first(now time.Time) (in *line, first *waiter, next time.Time) {
	for c := range g.lines {
		l := &g.lines[c]
		if len(l.waiting) == 0 {
			continue
		}
		var w *waiter
		at := g.ready(class(c), now)
		if !at.After(now) {
			w, at = g.best(l, now)
		}
		switch {
		case w == nil && (next.IsZero() || at.Before(next)):
			next = at
		case w != nil && (first == nil || w.urgency().Before(first.urgency())):
			in, first = l, w
		}
	}
	return in, first, next
}

// best returns the most urgent waiter that the daily limit lets pass. If there
// is none, it returns when the daily limit lets the first one pass.
func (g *Governor) best(l *line, now time.Time) (best *waiter, at time.Time) {
	for _, w := range l.waiting {
		free := g.day.ready(now, w)
		switch {
		case free.After(now):
			if at.IsZero() || free.Before(at) {
				at = free
			}
		case best == nil || w.urgency().Before(best.urgency()):
			best = w
		}
	}
	return best, at
}

// ready returns when the class's limit lets a call pass.
func (g *Governor) ready(c class, now time.Time) time.Time {
	l := &g.lines[c]
	at := later(tokenAt(l.limiter, now), l.paused)
	switch c {
	case searches:
		l.sent.forget(now, time.Second)
		limit := int(g.searchLimit())
		at = later(at, l.sent.ready(now, time.Second, max(1, limit), limit))
	case objectCalls:
		l.sent.forget(now, g.reading.interval)
		ours, limit := g.tenSeconds(now)
		at = later(at, l.sent.ready(now, g.reading.interval, max(1, int(ours+1e-9)), int(limit)))
	case exemptCalls:
		l.sent.forget(now, 0) // no limit that we know of
	}
	return at
}

// searchLimit is HubSpot's limit of searches per second.
func (g *Governor) searchLimit() float64 {
	if g.limits.SearchPerSecond > 0 {
		return g.limits.SearchPerSecond
	}
	return defaultSearches
}

// tenSeconds returns how many calls we may send in ten seconds, and how many of
// ours HubSpot may count. If other apps use more of the limit than the share we
// leave them, we give way (docs/contract.md section 1, promise 6), but keep a tenth
// of ours.
func (g *Governor) tenSeconds(now time.Time) (ours, limit float64) {
	r := &g.reading
	ours, limit = min(g.limits.Share, 1)*r.max, r.max
	// As few as a hundredth of the limit may be calls of our own, whose ways differ.
	// Others call unevenly: the more there are, the more may come at once.
	if n := r.others.most(now, r.interval); n > r.max/100 {
		limit = max(ours/10, limit-n-1-0.75*math.Sqrt(n))
	}
	return min(ours, limit), limit
}

// tokenAt returns when the limiter has a whole token: now, or slightly later
// than the arithmetic says, so that a timer set for that time finds one.
func tokenAt(limiter *rate.Limiter, now time.Time) time.Time {
	missing := 1 - limiter.TokensAt(now)
	if missing <= 1e-9 {
		return now
	}
	if limiter.Limit() <= 0 {
		return now.Add(time.Hour)
	}
	return now.Add(time.Duration(missing/float64(limiter.Limit())*float64(time.Second)) + time.Microsecond)
}

// tune sets the limiters by what the Governor knows now. g.mu is held.
func (g *Governor) tune(now time.Time) {
	for c := range g.lines {
		l := &g.lines[c]
		// After throttled answers, return to full speed by a twentieth of it
		// every ten seconds.
		if steps := now.Sub(l.slowed) / (10 * time.Second); l.slow < 1 && steps > 0 {
			l.slow = min(1, l.slow+0.05*float64(steps))
			l.slowed = now
		}
	}

	// A search never waits for others of ours to leave HubSpot's second if they
	// leave a tenth of it free.
	set(g.lines[searches].limiter, now, min(g.limits.Share, 0.9)*g.searchLimit()*g.lines[searches].slow, 1)

	ours, _ := g.tenSeconds(now)
	set(g.lines[objectCalls].limiter, now, max(0.1, ours)/g.reading.interval.Seconds()*g.lines[objectCalls].slow, int(max(1, ours/25)))

	set(g.lines[exemptCalls].limiter, now, exemptPerSecond*g.lines[exemptCalls].slow, 2)
}

// set changes a limiter if the difference is worth it.
func set(limiter *rate.Limiter, now time.Time, perSecond float64, burst int) {
	if old := float64(limiter.Limit()); math.Abs(old-perSecond) > old/1000 {
		limiter.SetLimitAt(now, rate.Limit(perSecond))
	}
	if limiter.Burst() != burst {
		limiter.SetBurstAt(now, burst)
	}
}
