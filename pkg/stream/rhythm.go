package stream

import (
	"math"
	"time"
)

// paced is how often the records of a type change: lately, and at this hour of the
// days before.
type paced struct {
	// Both forget by exponential decay. A change adds one per memory, so that the
	// first one found counts at once; bursts come together.
	burst, lately decaying
	sooner        chan struct{} // one slot: another type changed

	rhythm [24]float64 // changes by hour of the day, as the days before had them
	known  [24]bool
	hour   time.Time // that is being counted
	count  float64   // of its changes
}

const (
	burstMemory  = 2 * time.Minute
	latelyMemory = 30 * time.Minute
	// quietRate is the lowest rate, in changes an hour, that a type counts with.
	quietRate = 0.1
	// newDay is the weight of the latest day in the rhythm.
	newDay = 1.0 / 3
	// early is how long before an hour in which changes are expected a type wakes.
	early = 10 * time.Minute
)

func newPaced(now time.Time) *paced {
	return &paced{
		burst: decaying{memory: burstMemory, at: now}, lately: decaying{memory: latelyMemory, at: now},
		sooner: make(chan struct{}, 1), hour: now.Truncate(time.Hour),
	}
}

// seen counts changes.
func (t *paced) seen(now time.Time, changes int) {
	t.turn(now)
	t.count += float64(changes)
	t.burst.add(now, changes)
	t.lately.add(now, changes)
}

// turn puts the hours that are over into the rhythm.
func (t *paced) turn(now time.Time) {
	for ; now.Sub(t.hour) >= time.Hour; t.hour = t.hour.Add(time.Hour) {
		h := t.hour.UTC().Hour()
		if t.known[h] {
			t.rhythm[h] += (t.count - t.rhythm[h]) * newDay
		} else {
			t.rhythm[h], t.known[h] = t.count, true
		}
		t.count = 0
	}
}

// perHour is how many changes an hour are expected now, and how many were found
// lately.
func (t *paced) perHour(now time.Time) (expected, found float64) {
	t.turn(now)
	burst, lately := t.burst.perHour(now)/2, t.lately.perHour(now)
	usual := max(t.rhythm[now.UTC().Hour()], t.rhythm[now.Add(early).UTC().Hour()])
	return max(lately, usual) + burst, lately + burst
}

// decaying is a rate that forgets.
type decaying struct {
	memory time.Duration
	at     time.Time
	rate   float64 // an hour, as of at
}

func (d *decaying) perHour(now time.Time) float64 {
	return d.rate * math.Exp(-float64(now.Sub(d.at))/float64(d.memory))
}

func (d *decaying) add(now time.Time, changes int) {
	d.rate, d.at = d.perHour(now)+float64(changes)/d.memory.Hours(), now
}
