package stream

import "time"

// Patient is a stream that can wait. Where no interval is set, its own grows until
// the idle share suffices, or until what it reads is likely to have changed.
type Patient struct {
	pace    *Pace
	object  string
	demand  func() Demand
	changed time.Time // or when it began, or earlier where many portals begin
	eager   time.Time // until then it asks as often as it wants
}

// Demand is what a patient stream costs.
type Demand struct {
	Calls float64 // of one pass
	// Least is the interval that the stream wants, and Most the longest before the
	// leading tiers stretch too.
	Least, Most time.Duration
	// Relied is the least interval while the journal may be relied on.
	Relied time.Duration
	// Fixed says that the interval is always Least, as an operator set it.
	Fixed bool
	// Settles says that what changed lately is likely to change again: the interval
	// grows from Least to Most with the time since the last change.
	Settles bool
}

type demandKey struct{ object, stream string }

// Patient adds a stream of an object; "" is the whole portal. demand is called again
// and again: what a pass costs changes with what there is.
func (p *Pace) Patient(object, stream string, demand func() Demand) *Patient {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	settled := time.Duration((1 - p.begin) * float64(settledAfter))
	s := &Patient{pace: p, object: object, demand: demand, changed: now.Add(-settled), eager: now.Add(p.atStart())}
	p.patient[demandKey{object, stream}], p.planned = s, time.Time{}
	return s
}

// Interval is the time from one pass to the next. It changes with what all streams
// cost.
func (s *Patient) Interval() time.Duration {
	s.pace.mu.Lock()
	defer s.pace.mu.Unlock()
	now, d := time.Now(), s.demand()
	plan, unchanged := s.pace.planNow(now), now.Sub(s.changed)
	every := plan.interval(d)
	switch {
	case d.Fixed:
	case d.Settles:
		return min(every, max(d.Least, time.Duration(float64(d.Most)*float64(unchanged)/float64(settledAfter))))
	case now.Before(s.eager):
		every = min(every, d.Least)
	}
	return s.relied(d, every)
}

// relied is an interval as it is where the journal may be relied on.
func (s *Patient) relied(d Demand, every time.Duration) time.Duration {
	if d.Fixed || !s.pace.relies(s.object) {
		return every
	}
	return max(every, d.Relied)
}

func (p *Pace) relies(object string) bool { return p.Relied != nil && p.Relied(object) }

// Quiet is the interval of a portal in which nothing changes.
func (s *Patient) Quiet() time.Duration {
	s.pace.mu.Lock()
	defer s.pace.mu.Unlock()
	d := s.demand()
	return s.relied(d, s.pace.planNow(time.Now()).interval(d))
}

// Changed notes that a pass found something changed: for a while the stream asks as
// often as it wants.
func (s *Patient) Changed() {
	s.pace.mu.Lock()
	defer s.pace.mu.Unlock()
	s.changed = time.Now()
	s.eager = s.changed.Add(awake)
}
