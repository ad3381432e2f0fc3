package cdc

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// End is one of the two ends of a pair.
type End uint8

// The ends.
const (
	FromEnd End = iota
	ToEnd
)

// Look is a record whose links may have changed.
type Look struct {
	End End
	ID  hubspot.ID
}

// Moves reports whether a record's event may mean that the links at its end of a
// pair changed (R14). An event of a snapshot tells nothing new about links at the
// to end. At the from end the first sweep reads them, unless it has begun and may
// be past the record.
func (e End) Moves(op Op, begun bool) bool { return op != Read || e == FromEnd && begun }

// Looks are the records of a pair whose links are to be read: at once and, because
// links are made after the record's own change, at some later times (R14). They
// live as long as the run; the sweep reads what a restart forgets.
type Looks struct {
	after []time.Duration // rising; the first is 0
	due   map[Look]dueLook
}

type dueLook struct {
	since time.Time // of the record's last change
	step  int
	again time.Time // when to look once more before the next step, as the last look failed; or zero
}

// at is when the record's links are to be read.
func (l *Looks) at(d dueLook) time.Time {
	next := d.since.Add(l.after[d.step])
	if !d.again.IsZero() && d.again.Before(next) {
		return d.again
	}
	return next
}

// NewLooks has a record's links read at these times after its change.
func NewLooks(after ...time.Duration) *Looks {
	return &Looks{after: after, due: map[Look]dueLook{}}
}

// Add notes a change. A record that changes again and again is due at once each
// time, and later only after its last change.
func (l *Looks) Add(k Look, now time.Time) { l.due[k] = dueLook{since: now} }

// Retry makes records whose links could not be read due once more, at a given time.
// The times that they still wait for stay.
func (l *Looks) Retry(ks []Look, at time.Time) {
	last := len(l.after) - 1
	for _, k := range ks {
		d, waits := l.due[k]
		if !waits {
			d = dueLook{since: at.Add(-l.after[last]), step: last}
		}
		d.again = at
		l.due[k] = d
	}
}

// Forget drops the records whose last look is due: whoever reads all links of the pair
// from now on sees what these looks would. It returns how many are left.
func (l *Looks) Forget(now time.Time) (left int) {
	last := l.after[len(l.after)-1]
	maps.DeleteFunc(l.due, func(_ Look, d dueLook) bool { return !d.since.Add(last).After(now) })
	return len(l.due)
}

// Len is how many records wait.
func (l *Looks) Len() int { return len(l.due) }

// Next is the time until something must be read: 0 if something must, at most an
// hour. A later look is due a quarter of its time before it must be made, so that it
// mostly shares the call of another record's.
func (l *Looks) Next(now time.Time) time.Duration {
	wait := time.Hour
	for _, d := range l.due {
		until := l.at(d).Sub(now)
		if d.again.IsZero() {
			until += l.after[d.step] / 4
		}
		wait = min(wait, until)
	}
	return max(wait, 0)
}

// Take returns what is due, by end and id.
func (l *Looks) Take(now time.Time) []Look {
	var out []Look
	for k, d := range l.due {
		if now.Before(l.at(d)) {
			continue
		}
		out = append(out, k)
		d.again = time.Time{}
		if !now.Before(d.since.Add(l.after[d.step])) {
			d.step++
		}
		if d.step < len(l.after) {
			l.due[k] = d
		} else {
			delete(l.due, k)
		}
	}
	slices.SortFunc(out, func(a, b Look) int { return cmp.Or(cmp.Compare(a.End, b.End), cmp.Compare(a.ID, b.ID)) })
	return out
}

// Ends separates the records at the from end, whose own links are to be read, from
// the others, whose holders' links are.
func Ends(looks []Look) (ids, others []hubspot.ID) {
	for _, l := range looks {
		if l.End == FromEnd {
			ids = append(ids, l.ID)
		} else {
			others = append(others, l.ID)
		}
	}
	return ids, others
}
