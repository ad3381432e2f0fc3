package stream

import (
	"math"
	"sync"
	"time"
)

// Pace spreads the leading tiers' searches over the object types by the
// square-root rule: with intervals proportional to 1/sqrt(changes per hour), the
// mean wait of a change is the shortest that a given number of calls allows.
type Pace struct {
	callsPerSecond float64
	fixed          time.Duration

	mu    sync.Mutex
	types map[string]*paced
}

type paced struct {
	perHour float64
	last    time.Time
}

const (
	shortestInterval = time.Second
	longestInterval  = time.Minute
	// paceMemory is the time constant with which the rate of changes forgets,
	// by exponential decay.
	paceMemory = 10 * time.Minute
	// quietRate is the lowest rate, in changes an hour, that a type counts
	// with, so that the connector still searches a type without changes.
	quietRate = 1.0
)

// NewPace shares callsPerSecond searches among the types that Add adds. A fixed
// interval other than zero applies to all of them instead.
func NewPace(callsPerSecond float64, fixed time.Duration) *Pace {
	return &Pace{callsPerSecond: callsPerSecond, fixed: fixed, types: map[string]*paced{}}
}

// Add gives an object type a share.
func (p *Pace) Add(object string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.types[object] = &paced{perHour: quietRate, last: time.Now()}
}

// Remove drops a type that the connector no longer searches.
func (p *Pace) Remove(object string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.types, object)
}

// Seen notes how many changed records a walk found since the last one.
func (p *Pace) Seen(object string, records int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, now := p.types[object], time.Now()
	passed := now.Sub(t.last)
	if passed <= 0 {
		return
	}
	weight := 1 - math.Exp(-float64(passed)/float64(paceMemory))
	t.perHour += weight * (float64(records)/passed.Hours() - t.perHour)
	t.last = now
}

// Interval returns how long to wait between two leading walks of a type.
func (p *Pace) Interval(object string) time.Duration {
	if p.fixed > 0 {
		return p.fixed
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// Types at a bound take a fixed share, and the others divide what is left.
	// Each round but the last settles one type.
	budget, open := p.callsPerSecond, map[string]float64{}
	for name, t := range p.types {
		open[name] = math.Sqrt(max(t.perHour, quietRate))
	}
	for {
		var sum float64
		for _, root := range open {
			sum += root
		}
		settled := false
		for name, root := range open {
			d := longestInterval
			if budget > 0 {
				d = time.Duration(min(sum/(budget*root), longestInterval.Seconds()) * float64(time.Second))
			}
			bounded := min(max(d, shortestInterval), longestInterval)
			if bounded == d && d < longestInterval {
				continue
			}
			if name == object {
				return bounded
			}
			budget -= 1 / bounded.Seconds()
			delete(open, name)
			settled = true
			break
		}
		if !settled {
			return time.Duration(sum / (budget * open[object]) * float64(time.Second))
		}
	}
}
