package stream

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// end is one of the two ends of a pair.
type end uint8

const (
	fromEnd end = iota
	toEnd
)

// look is a record whose links may have changed.
type look struct {
	end end
	id  hubspot.ID
}

// looks are the records of a pair to be looked at: at once and, because links
// are made behind the record's own change, twice more (R14). They live as long as the run; what a restart forgets is left to the
// sweep.
type looks struct {
	after []time.Duration // rising; the first is 0
	wake  chan struct{}

	mu  sync.Mutex
	due map[look]dueLook
}

type dueLook struct {
	since time.Time // of the record's last change
	step  int
}

func newLooks(after []time.Duration) *looks {
	return &looks{after: after, wake: make(chan struct{}, 1), due: map[look]dueLook{}}
}

// add has a record looked at from now on. One that changes again and again is
// looked at each time, and later on only after the last change.
func (l *looks) add(k look) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.due[k] = dueLook{since: time.Now()}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// retry brings records back that could not be looked at.
func (l *looks) retry(ks []look) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := len(l.after) - 1
	for _, k := range ks {
		if _, waits := l.due[k]; !waits {
			l.due[k] = dueLook{time.Now().Add(recheckRetry - l.after[last]), last}
		}
	}
}

// next gives how long nothing will be due; 0 when something is.
func (l *looks) next() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, wait := time.Now(), time.Hour
	for _, d := range l.due {
		wait = min(wait, d.since.Add(l.after[d.step]).Sub(now))
	}
	return max(wait, 0)
}

// take gives what is due, in order.
func (l *looks) take() []look {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	var out []look
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
	slices.SortFunc(out, func(a, b look) int { return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.id, b.id)) })
	return out
}

// wait ends when something is due.
func (l *looks) wait(ctx context.Context) error {
	for {
		d := l.next()
		if d == 0 {
			return ctx.Err()
		}
		t := time.NewTimer(d)
		select {
		case <-l.wake:
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
