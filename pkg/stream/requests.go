package stream

import (
	"context"
	"slices"
	"sync"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// request is a signal that was read.
type request struct {
	offset int64
	signal string // the operator's name for it
	work   []*work
}

// requests are the unfinished signals, in order.
type requests struct {
	wake chan struct{}

	mu      sync.Mutex
	taken   int64 // the offset after the last signal that was read
	list    []*request
	reading *work // being read, between two publishes
	cancel  context.CancelFunc
}

func (q *requests) add(offset int64, r request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.taken = offset + 1
	q.list = append(q.list, &r)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// resume marks as over what a place says is done. found reports whether the
// snapshot under way, if there was one, is among the signals that were read.
func (q *requests) resume(at offsets.Signals) (found bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.list {
		for _, w := range r.work {
			if r.offset == at.Offset {
				w.over = w.over || inOrder(w.of.name(), at.Object) < 0
				found = found || w.of.name() == at.Object
			}
		}
	}
	return found || at.Object == ""
}

// stop ends what was asked for before, of some collections or of all, and returns
// how many snapshots it stopped, and the signals of which nothing is left by that.
func (q *requests) stop(some []*work, all bool) (stopped int, ended []*request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.list {
		before := stopped
		for _, w := range r.work {
			if w.over || !all && !slices.ContainsFunc(some, func(s *work) bool { return s.of.name() == w.of.name() }) {
				continue
			}
			w.over = true
			stopped++
			if w == q.reading {
				q.cancel()
			}
		}
		if stopped > before && len(r.names(true)) == 0 {
			ended = append(ended, r)
		}
	}
	return stopped, ended
}

// names lists the collections of a signal, or those that are not over.
func (r *request) names(left bool) (out []string) {
	for _, w := range r.work {
		if !left || !w.over {
			out = append(out, w.of.name())
		}
	}
	return out
}

// of lists the collections of a signal, and those of them that are not over.
func (q *requests) of(r *request) (all, left []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return r.names(false), r.names(true)
}

// unfinished lists the offsets of the signals that are not done.
func (q *requests) unfinished() (out []int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.list {
		if len(r.names(true)) > 0 {
			out = append(out, r.offset)
		}
	}
	return out
}

// interrupt sets the cancel that a stop of w calls; a nil w unsets it.
func (q *requests) interrupt(w *work, cancel context.CancelFunc) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reading, q.cancel = w, cancel
	if w != nil && w.over {
		cancel()
	}
}

func (q *requests) over(w *work) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return w.over
}

// next drops finished signals and returns the first work that is left. If there is
// none, it returns the place after everything that was read.
func (q *requests) next() (*request, *work, offsets.Signals) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.head()
}

func (q *requests) head() (*request, *work, offsets.Signals) {
	for ; len(q.list) > 0; q.list = q.list[1:] {
		for _, w := range q.list[0].work {
			if !w.over {
				return q.list[0], w, offsets.Signals{Offset: q.list[0].offset, Object: w.of.name()}
			}
		}
	}
	return nil, nil, offsets.Signals{Offset: q.taken}
}

// finish ends a work and returns the place after it.
func (q *requests) finish(w *work) offsets.Signals {
	q.mu.Lock()
	defer q.mu.Unlock()
	w.over = true
	_, _, place := q.head()
	return place
}

// waiting returns how many collections wait for their turn.
func (q *requests) waiting() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.list {
		for _, w := range r.work {
			if !w.over {
				n++
			}
		}
	}
	return max(0, n-1)
}
