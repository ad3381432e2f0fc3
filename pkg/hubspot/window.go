package hubspot

import (
	"sort"
	"time"
)

// longestTravel is the longest that a call is taken to be on its way to HubSpot.
// A later answer means that HubSpot worked on it, after counting it.
const longestTravel = 500 * time.Millisecond

// longestAnswer is the latest answer from which anything is learnt about others. It
// needs our own calls of the interval before it was asked for.
const longestAnswer = 30 * time.Second

// pass is a call that a Governor let go.
type pass struct {
	sent   time.Time // HubSpot cannot have counted it earlier
	latest time.Time // HubSpot has counted it by then
}

// window is the calls of a class that HubSpot may still count.
//
// HubSpot counts a call when it arrives, which is some time between its sending and
// its answer, and for one interval from then on. A call that leaves only when fewer
// than the limit may still be counted can therefore never be one too many, however
// the network delays each of them.
type window struct {
	calls []*pass // by time of sending
}

// add notes a call that is sent now.
func (w *window) add(now time.Time) *pass {
	p := &pass{sent: now, latest: now.Add(longestTravel)}
	w.calls = append(w.calls, p)
	return p
}

// forget drops the calls that no answer which is still to come can have counted, unless
// it comes later than longestAnswer.
func (w *window) forget(now time.Time, interval time.Duration) {
	old := w.index(now.Add(-interval - longestAnswer - longestTravel))
	clear(w.calls[:old])
	w.calls = w.calls[old:]
}

// index is how many calls were sent at t or before.
func (w *window) index(t time.Time) int {
	return sort.Search(len(w.calls), func(i int) bool { return w.calls[i].sent.After(t) })
}

// within is how many calls were sent after one time and not after another.
func (w *window) within(after, until time.Time) int {
	return max(0, w.index(until)-w.index(after))
}

// ready returns when another call may be sent, so that never more than ours are
// sent within an interval, nor more than limit counted by HubSpot.
func (w *window) ready(now time.Time, interval time.Duration, ours, limit int) time.Time {
	at := now
	if i := len(w.calls) - ours; i >= 0 {
		// An interval is taken as closed at both ends.
		at = later(at, w.calls[i].sent.Add(interval+time.Microsecond))
	}
	// Whoever was sent within the interval is counted; of the others, those that
	// were long on their way.
	sure := w.index(now.Add(-interval))
	counted := len(w.calls) - sure
	var first time.Time // to be counted no more
	ends := func(p *pass) {
		if end := p.latest.Add(interval + time.Microsecond); end.After(now) && (first.IsZero() || end.Before(first)) {
			first = end
		}
	}
	for i := sure - 1; i >= 0 && w.calls[i].sent.Add(interval+longestTravel+time.Microsecond).After(now); i-- {
		if w.calls[i].latest.Add(interval + time.Microsecond).After(now) {
			counted++
			ends(w.calls[i])
		}
	}
	if counted < max(1, limit) {
		return at
	}
	for _, p := range w.calls[sure:] {
		if !first.IsZero() && p.sent.Add(interval).After(first) {
			break
		}
		ends(p)
	}
	return later(at, first)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
