package hubspot

import (
	"math"
	"time"

	"golang.org/x/time/rate"
)

// day is the account's daily limit, shared with all of its private apps. The
// last part of it, the reserve, is theirs (DESIGN section 3 and R15).
//
// Account calls ask how the day stands and pass however it stands: a day that
// was taken for spent by mistake would else never be found to be free again.
type day struct {
	fixed    int64 // by settings; 0: learnt
	limit    int64 // 0: no limit, or none known
	used     int64
	reserve  float64
	resets   time.Time // zero: not known
	latest   time.Time // while resets is not known: when the day has ended at the latest
	location *time.Location
	pace     *rate.Limiter // of those who spend the day as a rate
}

func newDay(limits Limits) day {
	return day{
		fixed: limits.Daily, limit: limits.Daily, reserve: limits.DailyReserve,
		pace: rate.NewLimiter(rate.Inf, 1),
	}
}

func (d *day) left() int64 { return max(0, d.limit-d.used) }

// spendable is what is left above the reserve.
func (d *day) spendable() float64 {
	return math.Max(0, float64(d.limit-d.used)-d.reserve*float64(d.limit))
}

// learn takes a count that HubSpot gave. It stands above our own, which knows
// nothing of others.
func (d *day) learn(used, limit int64) {
	d.used = max(0, used)
	d.limit = limit
	if d.fixed > 0 {
		d.limit = d.fixed
	}
}

// roll begins a new day when the old one has ended, and sets the pace.
func (d *day) roll(now time.Time) {
	switch {
	case d.resets.IsZero():
		if !d.latest.IsZero() && !now.Before(d.latest) {
			d.used, d.latest = 0, time.Time{}
		}
		if d.latest.IsZero() && d.limit > 0 {
			d.latest = now.Add(24 * time.Hour)
		}
	case !now.Before(d.resets):
		d.used = 0
		if d.location != nil {
			d.resets = nextMidnight(now, d.location)
		}
		for !now.Before(d.resets) {
			d.resets = d.resets.Add(24 * time.Hour)
		}
	}
	set(d.pace, now, min(d.rate(now), float64(rate.Inf)), 1)
}

// ends returns when the day ends, or has ended at the latest.
func (d *day) ends() time.Time {
	if d.resets.IsZero() {
		return d.latest
	}
	return d.resets
}

// rate is what may be spent per second so that the day lasts until its end.
func (d *day) rate(now time.Time) float64 {
	if d.limit == 0 {
		return math.Inf(1)
	}
	return d.spendable() / max(time.Second, d.ends().Sub(now)).Seconds()
}

// ready returns when the day lets the waiter pass.
func (d *day) ready(now time.Time, w *waiter) time.Time {
	if w.account || d.limit == 0 {
		return now
	}
	if d.spendable() < 1 {
		return d.ends()
	}
	if w.priority.paced() {
		return tokenAt(d.pace, now)
	}
	return now
}

// spend counts a call.
func (d *day) spend(now time.Time, w *waiter) {
	d.used++
	if !w.account && w.priority.paced() {
		d.pace.AllowN(now, 1)
	}
}

// exhausted says until when to wait after HubSpot said that the day is spent:
// until it ends, or minutes, growing, where its end is not known.
func (d *day) exhausted(now time.Time, strikes int) time.Time {
	if d.resets.After(now) {
		d.used = max(d.used, d.limit)
		// Not at the very moment: clocks differ.
		return d.resets.Add(5 * time.Second)
	}
	return now.Add(min(time.Hour, time.Minute<<min(strikes-1, 6)))
}

// nextMidnight returns when the day of now ends.
func nextMidnight(now time.Time, loc *time.Location) time.Time {
	y, m, d := now.In(loc).Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, loc)
}
