package cdc

import (
	"cmp"
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

// Moves says whether a record's event may mean other links at its end of a pair
// (R14). That of a snapshot says nothing new of the other end's links; its own
// are read by the first sweep, unless this has begun and may be past it.
func (e End) Moves(op Op, begun bool) bool { return op != Read || e == FromEnd && begun }

// Looks are the records of a pair to be looked at: at once and, because links
// are made behind the record's own change, some times later (R14). They live as
// long as the run; what a restart forgets is left to the sweep.
type Looks struct {
	after []time.Duration // rising; the first is 0
	due   map[Look]dueLook
}

type dueLook struct {
	since time.Time // of the record's last change
	step  int
}

// NewLooks looks at a record so long after its change.
func NewLooks(after ...time.Duration) *Looks {
	return &Looks{after: after, due: map[Look]dueLook{}}
}

// Add notes a change. A record that changes again and again is looked at each
// time, and later on only after the last change.
func (l *Looks) Add(k Look, now time.Time) { l.due[k] = dueLook{since: now} }

// Retry brings back, for one look, records that could not be looked at.
func (l *Looks) Retry(ks []Look, at time.Time) {
	last := len(l.after) - 1
	for _, k := range ks {
		if _, waits := l.due[k]; !waits {
			l.due[k] = dueLook{at.Add(-l.after[last]), last}
		}
	}
}

// Next is how long nothing will be due; 0 when something is.
func (l *Looks) Next(now time.Time) time.Duration {
	wait := time.Hour
	for _, d := range l.due {
		wait = min(wait, d.since.Add(l.after[d.step]).Sub(now))
	}
	return max(wait, 0)
}

// Take gives what is due, in order.
func (l *Looks) Take(now time.Time) []Look {
	var out []Look
	for k, d := range l.due {
		if now.Before(d.since.Add(l.after[d.step])) {
			continue
		}
		out = append(out, k)
		if d.step++; d.step < len(l.after) {
			l.due[k] = d
		} else {
			delete(l.due, k)
		}
	}
	slices.SortFunc(out, func(a, b Look) int { return cmp.Or(cmp.Compare(a.End, b.End), cmp.Compare(a.ID, b.ID)) })
	return out
}

// Ends takes looks apart: records at the from end, whose links are read, and
// others, whose holders' are.
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
