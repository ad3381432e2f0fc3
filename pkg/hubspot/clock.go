package hubspot

import (
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	// clockMargin is how far our own clock may be from HubSpot's without anybody
	// minding, and how much we subtract from it if HubSpot sent no time that
	// counts (R3, R21).
	clockMargin = 5 * time.Minute
	// clockSkew is how far HubSpot's servers may be from each other.
	clockSkew = 2 * time.Second
	// clockVotes is how many answers must agree on a time that nothing else
	// supports.
	clockVotes = 3
)

// clock gives a lower bound of HubSpot's time: the Date of its latest answer that
// counts, plus the time since that answer arrived, by our monotonic clock (R21).
// It is never ahead of HubSpot, because Date is truncated to the second and the
// answer took some time to arrive.
//
// A Date counts if it continues the latest one that did. Otherwise one edge server
// of HubSpot's may be wrong, for once or for long. Too early a time costs reads that
// show nothing new; too late a time would lose changes. So in doubt the earlier one
// counts: at first that of HubSpot and of our own clock.
type clock struct {
	log *slog.Logger

	mu     sync.Mutex
	base   dated         // the latest that counts; the zero value before the first
	offset time.Duration // HubSpot's time less our own clock's, by base
	votes  []dated       // the latest that do not count, as far as they agree
	proven time.Duration // how far ahead of our own clock HubSpot's is at least, by its records
	said   bool
	// leapt is closed, and not nil, while somebody waits by this clock (hold), at a Date
	// that counts without continuing what was known: next. It counts from release on.
	leapt chan struct{}
	next  dated
}

// hold makes the clock go on steadily until release. The channel that it returns is
// closed when HubSpot's time turns out to be another one.
func (c *clock) hold() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leapt = make(chan struct{})
	return c.leapt
}

func (c *clock) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leapt = nil; c.next.date != 0 {
		c.count(c.next)
		c.next = dated{}
	}
}

// leap takes a Date that does not continue what is known. It reports whether that
// counts now.
func (c *clock) leap(d dated) bool {
	switch {
	case c.leapt == nil:
		c.count(d)
		return true
	case c.next.date == 0:
		close(c.leapt)
	}
	c.next, c.votes = d, nil
	return false
}

// dated is an answer's Date, and when its request was sent and its header arrived.
type dated struct {
	date           Millis
	sent, received time.Time
}

// at is a time that HubSpot's clock had reached at t, if d is right.
func (d *dated) at(t time.Time) Millis { return d.date.Add(t.Sub(d.received)) }

// after is a time that HubSpot's clock had not passed at t, if d is right.
func (d *dated) after(t time.Time) Millis {
	return d.date.Add(t.Sub(d.sent) + time.Second + clockSkew)
}

// follows reports whether both can be right.
func (d *dated) follows(before *dated) bool {
	return d.date >= before.at(d.sent).Add(-clockSkew-time.Second) &&
		d.date <= before.after(d.received)
}

// note takes over the Date of a HubSpot answer. It returns a time that HubSpot's
// clock had reached when it answered: Date if that counts.
func (c *clock) note(header http.Header, sent, received time.Time) Millis {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return c.bound(sent)
	}
	d := dated{MillisOf(t), sent, received}
	if c.base.date != 0 && d.follows(&c.base) {
		c.count(d)
		return d.date
	}
	if own := MillisOf(received); c.base.date == 0 && near(d.date, own) {
		if d.date = min(d.date, own); c.leap(d) {
			return d.date
		}
		return c.bound(sent)
	}
	if n := len(c.votes); n > 0 && !d.follows(&c.votes[n-1]) {
		c.votes = nil
	}
	if c.votes = append(c.votes, d); len(c.votes) < clockVotes {
		return c.bound(sent)
	}
	c.votes = c.votes[len(c.votes)-clockVotes:]
	if !c.supported(&d) {
		c.doubt(&d)
		return c.bound(sent)
	}
	if c.leap(d) {
		return d.date
	}
	return c.bound(sent)
}

// count makes d the latest that counts.
func (c *clock) count(d dated) {
	if c.votes = nil; d.received.Before(c.base.received) {
		return // an answer that arrived later was noted first
	}
	c.base, c.offset = d, difference(d.date, MillisOf(d.received))
	c.say()
}

// supported reports whether a Date that several answers agree on counts.
func (c *clock) supported(d *dated) bool {
	own := MillisOf(d.received)
	if c.base.date == 0 {
		return d.date <= own || c.proven > clockMargin
	}
	// Our monotonic clock stood still, as it does while the machine sleeps, or the
	// first time that counted was wrong.
	before := c.base.at(d.received)
	// The machine's sleep is what our own clock has gained on the monotonic one since the
	// latest Date that counts. A wrong Date does not fit it, however short it was.
	expected := own.Add(c.offset)
	off, slept := difference(d.date, expected).Abs(), difference(before, expected).Abs()
	return near(d.date, own) && !near(before, own) ||
		off <= clockMargin && slept > clockMargin ||
		off <= clockSkew+time.Second && slept > off
}

// witness looks for proof that our own clock is behind HubSpot's: the time of a
// record's change, which HubSpot's clock must have passed.
func (c *clock) witness(records []Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.base.date != 0 || len(c.votes) == 0 {
		return
	}
	now := time.Now()
	most := c.votes[len(c.votes)-1].date.Add(now.Sub(c.votes[len(c.votes)-1].sent) + clockSkew)
	for i := range records {
		if at := records[i].Updated; at != NoTime && at <= most {
			c.proven = max(c.proven, difference(at, MillisOf(now)))
		}
	}
}

// bound is a time that HubSpot's clock has reached at t, by what is known.
func (c *clock) bound(t time.Time) Millis {
	if c.base.date != 0 {
		return c.base.at(t)
	}
	bound := MillisOf(t.Add(-clockMargin))
	for i := range c.votes {
		bound = min(bound, c.votes[i].at(t))
	}
	return bound
}

func (c *clock) now() Millis {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bound(time.Now())
}

// latest is a time that HubSpot's clock has not passed, by what is known.
func (c *clock) latest() Millis {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	latest := MillisOf(now.Add(clockMargin))
	if c.base.date != 0 {
		latest = c.base.after(now)
	}
	for i := range c.votes {
		latest = max(latest, c.votes[i].after(now))
	}
	return latest
}

// say tells of the difference between the two clocks, while there is one.
func (c *clock) say() {
	if far := c.offset.Abs() > clockMargin; far && !c.said {
		c.said = true
		c.log.Warn("HubSpot's clock and this machine's differ; HubSpot's counts, because its answers agree. Check the time of this machine",
			"difference", c.offset.Round(time.Second).String())
	} else if !far && c.said {
		c.said = false
		c.log.Info("HubSpot's clock fits again")
	}
}

// doubt tells of a time that HubSpot's answers agree on and that does not count.
func (c *clock) doubt(d *dated) {
	if c.said {
		return
	}
	c.said = true
	counts := MillisOf(d.received)
	if c.base.date != 0 {
		counts = c.base.at(d.received)
	}
	c.log.Warn("HubSpot's answers give a time that does not fit the one known before, or this machine's; it does not count until something supports it. Check the time of this machine",
		"difference", difference(d.date, counts).Round(time.Second).String())
}

// apart is HubSpot's time less our own clock's; 0 while unknown.
func (c *clock) apart() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.votes); c.base.date == 0 && n > 0 {
		return difference(c.votes[n-1].date, MillisOf(c.votes[n-1].received))
	}
	return c.offset
}

func difference(a, b Millis) time.Duration { return time.Duration(a-b) * time.Millisecond }

func near(a, b Millis) bool { return difference(a, b).Abs() <= clockMargin }
