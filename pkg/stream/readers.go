package stream

import (
	"math"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Readers are the readers of list pages in a portal, over all its object types. One
// reader waits for HubSpot most of the time; as many as HubSpot's limit can feed
// use all of it (Little's law: the rate of calls times the time of one).
type Readers struct {
	rates func() hubspot.Rates
	least int

	mu      sync.Mutex
	running int
	trip    time.Duration // from sending a request to the commit of its page, on average; 0: not known
}

// SplitLeast is how many records a range must have left to be divided.
const SplitLeast = 600

// longestTrip is the longest that counts: a page of which a record is read once more
// after ten seconds (R1) says nothing of the others.
const longestTrip = 5 * time.Second

// mostReaders bounds what pages may take of memory.
const mostReaders = 32

// NewReaders makes the readers of a portal. least is the smallest number of records
// to be divided; zero: SplitLeast.
func NewReaders(g *hubspot.Governor, least int) *Readers {
	if least <= 0 {
		least = SplitLeast
	}
	return &Readers{rates: g.Rates, least: least}
}

// join counts a reader that has something to read, leave one that has not.
func (r *Readers) join() { r.add(1) }

func (r *Readers) leave() { r.add(-1) }

func (r *Readers) add(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running += n
}

// took notes how long a page took, without its wait for the limit.
func (r *Readers) took(trip time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if trip = min(trip, longestTrip); r.trip == 0 {
		r.trip = trip
	}
	r.trip += (trip - r.trip) / 8
}

// spare is how many more readers the limit can feed, of a sweep that pauses for so
// long between two pages; negative: there are too many.
func (r *Readers) spare(p hubspot.Priority, pause time.Duration) int {
	rates := r.rates()
	rate := rates.Objects
	if p == hubspot.Reconcile { // it spends the day as a rate (R15)
		rate = min(rate, rates.Day)
	}
	if pause > 0 {
		rate = min(rate, 1/pause.Seconds())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trip <= pause { // one reader is quick enough; without a page nothing is known
		return min(0, 1-r.running)
	}
	// A few more than the average needs keep the limit busy while some pages take
	// longer.
	wanted := 1 + int(math.Ceil(1.25*rate*r.trip.Seconds()))
	return min(wanted, mostReaders) - r.running
}
