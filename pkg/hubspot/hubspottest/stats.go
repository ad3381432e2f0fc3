package hubspottest

import "maps"

// Stats count what reached the portal.
type Stats struct {
	Calls     map[Endpoint]int // requests, including refused ones
	Records   map[Endpoint]int // records that the list pages had, and that the other answers were asked about
	Status    map[int]int      // answers by status; reset and cut ones by the status that was lost
	Throttled map[string]int   // calls over a limit, by policyName; injected 429s are under Faults
	Faults    map[Kind]int     // faults played
}

func newStats() Stats {
	return Stats{make(map[Endpoint]int), make(map[Endpoint]int), make(map[int]int), make(map[string]int), make(map[Kind]int)}
}

// Stats returns a copy of the counters.
func (p *Portal) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{maps.Clone(p.stats.Calls), maps.Clone(p.stats.Records), maps.Clone(p.stats.Status), maps.Clone(p.stats.Throttled), maps.Clone(p.stats.Faults)}
}

// ResetStats sets all counters to zero.
func (p *Portal) ResetStats() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats = newStats()
}
