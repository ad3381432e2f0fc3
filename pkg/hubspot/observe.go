package hubspot

import (
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// observe learns from the headers of an unthrottled answer to a call sent at
// the given time, or a little before: at p.sent.
func (g *Governor) observe(c class, account bool, header http.Header, sent time.Time, p *pass) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := &g.lines[c]; sent.After(l.pausedAt) {
		l.strikes = 0
	}
	g.day.passed(account, sent)
	if limit, ok := headerNumber(header, "X-HubSpot-RateLimit-Daily"); ok {
		if left, ok := headerNumber(header, "X-HubSpot-RateLimit-Daily-Remaining"); ok && limit > 0 {
			g.day.heard(now, int64(limit-left), int64(limit))
		}
	}
	if c == objectCalls {
		g.observeTenSeconds(header, now, p)
	}
	g.pump()
}

func (g *Governor) observeTenSeconds(header http.Header, now time.Time, p *pass) {
	r := &g.reading
	limit, ok := headerNumber(header, "X-HubSpot-RateLimit-Max")
	interval, ok2 := headerNumber(header, "X-HubSpot-RateLimit-Interval-Milliseconds")
	if !ok || !ok2 || limit < 1 || interval < 1 {
		return
	}
	if g.limits.TenSeconds == 0 {
		r.max, r.interval = limit, time.Duration(interval)*time.Millisecond
	}
	remaining, ok := headerNumber(header, "X-HubSpot-RateLimit-Remaining")
	if !ok {
		return
	}
	r.remaining, r.known = remaining, true
	r.others.observe(limit-remaining, r.max, r.interval, now, p, &g.lines[objectCalls].sent)
}

func headerNumber(header http.Header, name string) (float64, bool) {
	n, err := strconv.ParseFloat(header.Get(name), 64)
	return n, err == nil && n >= 0 && n < 1e12
}

// The policies of a throttled answer.
const (
	policySecond     = "SECONDLY"
	policyTenSeconds = "TEN_SECONDLY_ROLLING"
	policyDay        = "DAILY"
)

// throttled notes a 429 for a call sent at the given time. It stops the whole
// class or, for the daily limit, everything but Account calls: no other request
// would fare better. Only a call sent after the latest stop lengthens the next
// one.
func (g *Governor) throttled(c class, account bool, policy string, retryAfter time.Duration, sent time.Time) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.pump()
	if policy == policyDay {
		g.day.roll(now)
		g.day.exhausted(now, account, retryAfter, sent)
		return
	}
	l := &g.lines[c]
	again := sent.After(l.pausedAt)
	if again {
		l.strikes++
		l.pausedAt = now
	}
	n := max(1, l.strikes)
	var wait time.Duration
	switch policy {
	case policySecond:
		wait = min(time.Duration(n)*time.Second, 10*time.Second)
	default:
		wait = min(2500*time.Millisecond<<min(n-1, 2), 10*time.Second)
	}
	wait += time.Duration(rand.Int64N(int64(wait)/10 + 1))
	l.pause(now.Add(max(wait, retryAfter)))
	if again {
		// Another app uses the same limit, and no header says how much
		// (searches have none): go a quarter slower for a while.
		l.slow, l.slowed = max(0.25, l.slow*0.75), now
	}
}

func (l *line) pause(until time.Time) {
	if until.After(l.paused) {
		l.paused = until
	}
}

// setLocation sets the time zone in which the account's day ends.
func (g *Governor) setLocation(loc *time.Location) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.day.location = loc
	if g.day.resets.IsZero() {
		g.day.resets = nextMidnight(time.Now(), loc)
	}
	g.pump()
}

// learnDay takes HubSpot's own count of the day's calls.
func (g *Governor) learnDay(u DailyUsage) {
	if u.Limit <= 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case u.ResetsAt.Time().After(time.Now()):
		g.day.resets = u.ResetsAt.Time()
	case u.ResetsAt != 0: // a count that HubSpot kept, of a day that has ended
		u.Used = g.day.used
	}
	g.day.learn(u.Used, u.Limit)
	g.day.counted(time.Now())
	g.pump()
}

// remaining returns what is left of each known limit, for the metric.
func (g *Governor) remaining() map[string]float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.day.roll(now)
	left := map[string]float64{"search": math.Max(0, g.lines[searches].limiter.TokensAt(now))}
	if g.reading.known {
		left["ten_seconds"] = g.reading.remaining
	}
	if g.day.limit > 0 {
		left["day"] = float64(g.day.left())
	}
	return left
}
