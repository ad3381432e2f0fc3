package hubspot

import (
	"math"
	"time"

	"golang.org/x/time/rate"
)

// day is the account's daily limit, shared with all its private apps. The last
// part of it, the reserve, is theirs (docs/contract.md section 3 and R15).
//
// Account calls ask how much of the day is left. They pass even when the day is
// spent, unless HubSpot refuses them for that reason too. Without them we would
// notice late that we took the day for spent by mistake.
type day struct {
	fixed    int64 // from the settings; 0: learnt
	limit    int64 // 0: no limit, or none known
	used     int64
	reserve  float64
	resets   time.Time // zero: not known
	latest   time.Time // while resets is not known: the latest time at which the day ends
	began    time.Time // zero: not known
	before   int64     // used of the day before
	location *time.Location
	pace     *rate.Limiter // for priorities that spend the day as a rate
	others   hold
	account  hold // for Account calls
}

// hold stops calls after a 429 DAILY. It does not last for the rest of the day,
// because the 429 may be a stray one, or the clocks differ at the day's end.
// All calls wait some minutes, then one call probes while the others wait for
// its answer.
type hold struct {
	until   time.Time // zero: nothing is held
	struck  time.Time // when the last 429 DAILY arrived
	strikes int       // 429s in a row
}

// longestHold is the longest a hold lasts, and the longest Retry-After of a 429 that
// counts. probeLasts is how long the others wait for a probe before another call probes.
const (
	longestHold = 15 * time.Minute
	probeLasts  = 10 * time.Second
)

func (d *day) hold(account bool) *hold {
	if account {
		return &d.account
	}
	return &d.others
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

// learn takes HubSpot's count. It overrides ours, which knows nothing of other
// apps.
func (d *day) learn(used, limit int64) {
	d.used = max(0, used)
	d.limit = limit
	if d.fixed > 0 {
		d.limit = d.fixed
	}
}

// heard takes the count of an answer's headers, unless that is the count of the day
// before: the answer was on its way when the day began, or HubSpot's clock is behind
// ours. Taken for the new day's, it would stop everything until that ends.
func (d *day) heard(now time.Time, used, limit int64) {
	if now.Sub(d.began) < clockMargin && used > d.before/2 {
		used = d.used
	}
	d.learn(used, limit)
}

// roll starts a new day when the old one has ended, and sets the pace.
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
		d.began, d.before, d.used = now, d.used, 0
		d.others.strikes, d.account.strikes = 0, 0
		if d.location != nil {
			d.resets = nextMidnight(now, d.location)
		}
		for !now.Before(d.resets) {
			d.resets = d.resets.Add(24 * time.Hour)
		}
	}
	set(d.pace, now, min(d.rate(now), float64(rate.Inf)), 1)
}

// ends returns when the day ends, or the latest time at which it does.
func (d *day) ends() time.Time {
	if d.resets.IsZero() {
		return d.latest
	}
	return d.resets
}

// rate returns how many calls per second make the day's calls last to its end.
func (d *day) rate(now time.Time) float64 {
	if d.limit == 0 {
		return math.Inf(1)
	}
	return d.spendable() / max(time.Second, d.ends().Sub(now)).Seconds()
}

// ready returns when the day lets the waiter pass.
func (d *day) ready(now time.Time, w *waiter) time.Time {
	if until := d.hold(w.account).until; until.After(now) {
		return until
	}
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
	if h := d.hold(w.account); !h.until.IsZero() {
		h.until = now.Add(probeLasts) // this call probes
	}
	if !w.account && w.priority.paced() {
		d.pace.AllowN(now, 1)
	}
}

// exhausted notes a 429 DAILY for a call sent at the given time. It holds calls
// for minutes, longer each time, but not beyond the day's end. It leaves the
// count alone: DailyUsage knows better.
func (d *day) exhausted(now time.Time, account bool, retryAfter time.Duration, sent time.Time) {
	h := d.hold(account)
	if !sent.After(h.struck) {
		return // sent before the latest 429 DAILY arrived, so no news
	}
	h.strikes++
	h.struck = now
	wait := min(max(time.Minute<<min(h.strikes-1, 4), retryAfter), longestHold)
	if d.resets.After(now) {
		// A little after the end, because clocks differ.
		wait = min(wait, d.resets.Sub(now)+5*time.Second)
	}
	h.until = now.Add(wait)
}

// passed notes that HubSpot answered a call sent at the given time.
func (d *day) passed(account bool, sent time.Time) {
	if h := d.hold(account); sent.After(h.struck) {
		h.until, h.strikes = time.Time{}, 0
	}
}

// counted notes that HubSpot has sent its count. If calls are left, one call
// probes now. If the day's end has just become known, the hold ends with the
// day.
func (d *day) counted(now time.Time) {
	h := &d.others
	if !h.until.After(now) {
		return
	}
	if d.spendable() >= 1 {
		h.until = now
	} else if end := d.resets.Add(5 * time.Second); d.resets.After(now) && h.until.After(end) {
		h.until = end
	}
}

// nextMidnight returns when the day of now ends.
func nextMidnight(now time.Time, loc *time.Location) time.Time {
	y, m, d := now.In(loc).Date()
	end := time.Date(y, m, d+1, 0, 0, 0, 0, loc)
	if end.Day() == d { // clocks that go forward at midnight: time.Date may give an hour before
		end = end.Add(time.Hour)
	}
	return end
}
