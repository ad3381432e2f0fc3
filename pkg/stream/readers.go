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

	portions map[*reading]*portion
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

// portion is what a sweep under way has of the readers.
type portion struct {
	readers int // that have something to read
	left    int // records, as far as that is known

	// until is how long another reader could take some of what is left: longestTrip
	// after the latest commit that showed it. A sweep to which HubSpot does not answer
	// needs no readers.
	until time.Time
}

// wants reports whether a sweep that is served as s is, and has this portion, could have
// more readers. One that pauses between its pages needs none.
func (its *portion) wants(other, s *reading) bool {
	return other != s && other.Priority == s.Priority && other.Pause == 0 && time.Now().Before(its.until)
}

// join counts a reader of a sweep that has something to read, leave one that has not.
func (r *Readers) join(s *reading) { r.add(s, 1) }

func (r *Readers) leave(s *reading) { r.add(s, -1) }

func (r *Readers) add(s *reading, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running += n
	r.of(s).readers += n
}

// of is a sweep's portion. r.mu is held.
func (r *Readers) of(s *reading) *portion {
	if r.portions == nil {
		r.portions = map[*reading]*portion{}
	}
	if r.portions[s] == nil {
		r.portions[s] = new(portion)
	}
	return r.portions[s]
}

// keep notes how many records a sweep has left, and whether more readers could share
// them; nil: that is not known before an attempt to divide them has ended. It returns
// how many readers there are in all. forget notes that the sweep has ended.
func (r *Readers) keep(s *reading, left int, more *bool) (readers int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	its := r.of(s)
	its.left = left
	switch {
	case more == nil:
	case *more:
		its.until = time.Now().Add(longestTrip)
	default:
		its.until = time.Time{}
	}
	return r.running
}

func (r *Readers) forget(s *reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.portions, s)
}

// takes reports whether a sweep is the one that gets a reader that is free: of those
// that HubSpot's limit serves alike, the one with the most left for each reader. So
// large types end together, and a small one, which keeps the reader that it began with,
// before them: how long each takes can be told.
func (r *Readers) takes(s *reading) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	mine := r.of(s)
	for other, its := range r.portions {
		if its.wants(other, s) && its.left*mine.readers > mine.left*its.readers {
			return false
		}
	}
	return true
}

// gives reports whether a reader of a sweep is of more use to another one: that one
// would still have more left for each of its readers than this one.
func (r *Readers) gives(s *reading) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	mine := r.of(s)
	for other, its := range r.portions {
		if its.wants(other, s) && its.left*(mine.readers-1) > mine.left*(its.readers+1) {
			return true
		}
	}
	return false
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
