package stream

import (
	"math"
	"time"
)

// plan is how the idle share is divided.
type plan struct {
	stretch float64       // of patient intervals, up to Most
	excess  float64       // of all intervals, beyond that
	quiet   time.Duration // leading interval of a portal that sleeps
	spare   float64       // calls a second that it saves
}

// planNow divides the idle share among the streams.
func (p *Pace) planNow(now time.Time) plan {
	if now.Sub(p.planned) < replan {
		return p.plan
	}
	b := p.budget()
	day := b.Day
	if day == 0 {
		day = dayUnknown
	}
	idle := b.IdleShare * float64(day) / (24 * time.Hour).Seconds() * idleMargin
	types := float64(max(1, len(p.types)))
	leading := types / longestInterval.Seconds()
	if p.fixed > 0 {
		idle, leading = idle-types/p.fixed.Seconds(), 0
	}
	var stretchy []Demand
	widest := 1.0
	for _, s := range p.patient {
		d := s.demand()
		if d.Fixed {
			idle -= d.Calls / max(d.Least, time.Second).Seconds()
			continue
		}
		if d.Settles { // in time
			idle -= d.Calls / d.Most.Seconds()
			continue
		}
		stretchy = append(stretchy, d)
		widest = max(widest, float64(d.Most)/float64(d.Least))
	}
	made := plan{stretch: 1, excess: 1}
	cost := func() (sum float64) {
		for _, d := range stretchy {
			sum += d.Calls / made.interval(d).Seconds()
		}
		return sum
	}
	if cost() > idle-leading {
		low, high := 1.0, widest
		for range 30 {
			if made.stretch = math.Sqrt(low * high); cost() > idle-leading {
				low = made.stretch
			} else {
				high = made.stretch
			}
		}
		made.stretch = high
	}
	patient := cost()
	// Where an operator's intervals already spend the share, the others keep asking.
	made.excess = max(1, (patient+leading)/max(idle, b.IdleShare*dayUnknown/(24*time.Hour).Seconds()/100))
	made.spare = max(0, idle-patient-leading)
	made.quiet = time.Duration(float64(longestInterval) * made.excess)
	if p.fixed == 0 && made.spare > 0 {
		asleep := asleepPart * p.part()
		made.quiet = max(shortestInterval, time.Duration(types/(leading+made.spare*asleep)*float64(time.Second)))
		made.spare *= 1 - asleep
	}
	p.plan, p.planned = made, now
	return made
}

// interval is that of a patient stream.
func (p plan) interval(d Demand) time.Duration {
	switch {
	case d.Fixed:
		return d.Least
	case d.Settles:
		return time.Duration(float64(d.Most) * p.excess)
	}
	return time.Duration(min(float64(d.Least)*p.stretch, float64(d.Most)) * p.excess)
}
