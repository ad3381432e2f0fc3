package stream

import (
	"context"
	"sync"
	"time"
)

// Rounds says how often an object type is looked at for deletes, by the census and
// by the archive: often while records of it go, seldom where none do (R12).
type Rounds struct {
	// Excess returns a cold type's interval as it is where all polling of an idle
	// portal costs too much; nil: as it was.
	Excess func(time.Duration) time.Duration
	// Relied reports whether the journal, which tells deletes too, may be relied on for
	// a type; nil: never.
	Relied func(object string) bool

	perSecond float64

	mu    sync.Mutex
	types map[string]*rounds
}

// rounds is what is known of an object type.
type rounds struct {
	went time.Time     // when a record last went; zero: not known
	hot  chan struct{} // closed, and replaced, when the type becomes hot
}

const (
	// hotRound is the time between two rounds of a type of which records go. The
	// index's delay, the halving and the confirm take as long again.
	hotRound = 7 * time.Second
	// coldRound is that of a type of which none do. With the index's delay and the
	// reads of the confirm, a delete is then published within five minutes.
	coldRound = 4*time.Minute + 30*time.Second
	// hotFor is how long a type stays hot after a record of it went, and coolFor
	// how long it takes from then until it is cold.
	hotFor  = 24 * time.Hour
	coolFor = 6 * time.Hour
)

// NewRounds spreads rounds over the types that Add adds: at most perSecond rounds a
// second of all types together, unless the types are so many that their cold rounds
// take more.
func NewRounds(perSecond float64) *Rounds {
	return &Rounds{perSecond: perSecond, types: map[string]*rounds{}}
}

// Add makes room for an object type, which is cold.
func (r *Rounds) Add(object string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.types[object] = &rounds{hot: make(chan struct{})}
}

// Remove drops a type that the connector no longer follows.
func (r *Rounds) Remove(object string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.types, object)
}

// Went notes that a record of a type went at some time.
func (r *Rounds) Went(object string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.types[object]
	if t == nil || !at.After(t.went) {
		return
	}
	if wasHot := time.Since(t.went) < hotFor; !wasHot && time.Since(at) < hotFor {
		close(t.hot)
		t.hot = make(chan struct{})
	}
	t.went = at
}

// Interval returns the time between two rounds of a type.
func (r *Rounds) Interval(object string) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, _ := r.interval(object)
	return d
}

func (r *Rounds) interval(object string) (time.Duration, <-chan struct{}) {
	t := r.types[object]
	if t == nil {
		return coldRound, nil
	}
	// All types take as much longer as the bound asks for, but none takes longer
	// than a cold one.
	stretch := 1.0
	for range r.types {
		cold, rest := 0.0, 0.0 // rounds a second
		for _, t := range r.types {
			if d := t.own(); stretch*d.Seconds() >= coldRound.Seconds() {
				cold += 1 / coldRound.Seconds()
			} else {
				rest += 1 / d.Seconds()
			}
		}
		if rest == 0 || cold+rest/stretch <= r.perSecond*1.001 {
			break
		}
		if cold >= r.perSecond {
			stretch = coldRound.Seconds() / hotRound.Seconds()
			break
		}
		stretch = rest / (r.perSecond - cold)
	}
	return min(time.Duration(stretch*float64(t.own())), coldRound), t.hot
}

// own is the interval of a type by itself.
func (t *rounds) own() time.Duration {
	if t.went.IsZero() {
		return coldRound
	}
	cooling := max(0, time.Since(t.went)-hotFor)
	return hotRound + time.Duration(float64(coldRound-hotRound)*min(1, cooling.Seconds()/coolFor.Seconds()))
}

// Wait waits until a look at a type is due after one that began at last and took a
// number of calls. Such a look comes as often as it costs no more than rounds of one
// call, or once in longestLook. A type that becomes hot waits no longer than a hot one. While the journal
// may be relied on, two looks are at least relied apart.
func (r *Rounds) Wait(ctx context.Context, object string, last time.Time, calls int, relied time.Duration) error {
	for {
		r.mu.Lock()
		d, hot := r.interval(object)
		r.mu.Unlock()
		if d >= coldRound && r.Excess != nil {
			d = r.Excess(d)
		}
		wait := longer(d, calls) - time.Since(last)
		again := r.Relied != nil && r.Relied(object)
		if again {
			wait = max(wait, relied-time.Since(last))
			look := UntilBeat(shorterLook)
			again = wait > look
			wait = min(wait, look)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
			if !again {
				return nil
			}
		case <-hot:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// longer is the time between two looks that take a number of calls, where rounds of
// one call come at this interval.
func longer(interval time.Duration, calls int) time.Duration {
	return min(time.Duration(calls)*interval, max(interval, longestLook))
}

// longestLook is the longest time between two looks that take many calls.
const longestLook = time.Hour

// due waits until a look for deletes is due after one that began at last: after a
// fixed interval, or else when Rounds says so. The first one is due at once.
func (o *Object) due(ctx context.Context, fixed time.Duration, last time.Time, calls int, relied time.Duration) error {
	switch {
	case last.IsZero():
		return ctx.Err()
	case fixed > 0:
		return sleep(ctx, fixed-time.Since(last))
	}
	return o.Rounds.Wait(ctx, o.Type.Name, last, calls, relied)
}
