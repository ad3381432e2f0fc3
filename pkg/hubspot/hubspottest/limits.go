package hubspottest

import (
	"net/http"
	"strconv"
	"time"
)

// Limits are the limits of docs/hubspot.md section 7. Zero fields take HubSpot's
// numbers for a private app of a Professional account.
type Limits struct {
	Off             bool
	SearchPerSecond int  // of the whole account, all types; zero: 5
	TenSecondly     int  // calls per ten seconds; zero: 190; always 110 for an OAuth token
	Daily           int  // calls per day of all private apps; zero: 625,000
	Fixed           bool // intervals begin at whole seconds and whole ten seconds, rather than roll
	RetryAfter      bool // a 429 carries Retry-After, which HubSpot's usually does not
}

func (l Limits) withDefaults() Limits {
	if l.SearchPerSecond == 0 {
		l.SearchPerSecond = 5
	}
	if l.TenSecondly == 0 {
		l.TenSecondly = 190
	}
	if l.Daily == 0 {
		l.Daily = 625_000
	}
	return l
}

const oauthTenSecondly = 110

// limitState counts calls. Refused calls do not count.
type limitState struct {
	searches window
	calls    window
	today    int
	dayEnds  time.Time
}

func (l *limitState) startDay(now time.Time, zone *time.Location) {
	if !now.Before(l.dayEnds) {
		l.today, l.dayEnds = 0, midnightAfter(now, zone)
	}
}

// admit counts a call, or refuses it with the limit that is used up. Searches,
// association batch reads and label calls are exempt from the ten-second limit
// but not from the daily one. OAuth apps have no daily limit. All answers except
// those of searches carry rate headers.
func (p *Portal) admit(c *call, header http.Header) *failure {
	now := p.Now()
	l := &p.limits
	l.startDay(now, p.zone)
	l.searches.fixed, l.calls.fixed = p.opt.Limits.Fixed, p.opt.Limits.Fixed
	if p.opt.Limits.Off || c.endpoint == EndpointToken || c.endpoint.journal() {
		return nil
	}
	search := c.endpoint == EndpointSearch
	exempt := search || c.endpoint == EndpointLinks || c.endpoint == EndpointLabels
	perTen, daily := p.opt.Limits.TenSecondly, p.opt.Limits.Daily
	if c.oauth {
		perTen = oauthTenSecondly
	}
	var policy string
	var wait time.Duration
	switch {
	case !c.oauth && l.today >= daily:
		policy, wait = "DAILY", l.dayEnds.Sub(now)
	case search && l.searches.count(now, time.Second) >= p.opt.Limits.SearchPerSecond:
		policy, wait = "SECONDLY", time.Second
	case !exempt && l.calls.count(now, 10*time.Second) >= perTen:
		policy, wait = "TEN_SECONDLY_ROLLING", l.calls.frees(now, 10*time.Second)
	case search:
		l.searches.add(now)
	case !exempt:
		l.calls.add(now)
	}
	if policy == "" && !c.oauth {
		l.today++
	}
	if !search {
		header.Set("X-HubSpot-RateLimit-Max", strconv.Itoa(perTen))
		header.Set("X-HubSpot-RateLimit-Remaining", strconv.Itoa(max(0, perTen-l.calls.count(now, 10*time.Second))))
		header.Set("X-HubSpot-RateLimit-Interval-Milliseconds", "10000")
		header.Set("X-HubSpot-RateLimit-Secondly", strconv.Itoa(perTen/10)) // legacy, not enforced
		header.Set("X-HubSpot-RateLimit-Secondly-Remaining", strconv.Itoa(perTen/10-1))
		if !c.oauth {
			header.Set("X-HubSpot-RateLimit-Daily", strconv.Itoa(daily))
			header.Set("X-HubSpot-RateLimit-Daily-Remaining", strconv.Itoa(max(0, daily-l.today)))
		}
	}
	if policy == "" {
		return nil
	}
	if !p.opt.Limits.RetryAfter {
		wait = 0
	}
	return throttled(policy, wait)
}

// window counts calls in the span that ends now or, if fixed, in the one that now
// is in.
type window struct {
	times []time.Time
	fixed bool
}

func (w *window) count(now time.Time, span time.Duration) int {
	old, end := 0, now
	if w.fixed {
		end = now.Truncate(span).Add(span - 1)
	}
	for old < len(w.times) && end.Sub(w.times[old]) >= span {
		old++
	}
	w.times = append(w.times[:0], w.times[old:]...)
	return len(w.times)
}

func (w *window) add(now time.Time) { w.times = append(w.times, now) }

// frees returns how long it takes until the oldest call leaves the window.
func (w *window) frees(now time.Time, span time.Duration) time.Duration {
	if len(w.times) == 0 {
		return 0
	}
	if w.fixed {
		return now.Truncate(span).Add(span).Sub(now)
	}
	return w.times[0].Add(span).Sub(now)
}
