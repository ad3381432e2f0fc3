package stream

import (
	"math"
	"sync"
	"time"
)

// Pace decides how often the streams ask HubSpot where no interval is set
// (docs/contract.md section 3).
//
// Polling a portal in which nothing changes costs at most a share of the day: the
// patient streams stretch first, then the leading tiers. A portal that sleeps saves
// most of that share. What it saved, and some calls for each change found, go to
// the leading tiers while the portal is awake. They divide them by the square-root
// rule: with intervals proportional to 1/sqrt(changes per hour), the mean wait of a
// change is the shortest that a given number of calls allows. Of many portals in a
// process, each asks at most so often for every change that it expects: what they
// may spend of HubSpot's limits, together, is more than a machine can ask.
type Pace struct {
	// Relied reports whether the journal may be relied on for an object; nil: never.
	Relied func(object string) bool

	budget  func() Budget
	fixed   time.Duration
	portals func() int // of the process
	begin   float64    // part when the run began

	mu      sync.Mutex
	types   map[string]*paced
	patient map[demandKey]*Patient
	plan    plan
	planned time.Time // when plan was made; zero: it must be made
	woken   time.Time // when the latest change was found
	saved   float64   // calls that the leading tiers did not spend yet
	counted time.Time // when saved last grew
	begun   bool      // saved has its first value
}

// Budget is what a Pace may spend.
type Budget struct {
	IdleShare float64 // of the day, while nothing changes
	Day       int64   // HubSpot's limit of calls a day; 0: none, or not known
	Left      float64 // calls a second that last to the end of the day; +Inf: no limit
	Searches  float64 // a second, for all leading tiers
}

const (
	shortestInterval = time.Second
	// longestInterval leaves time for HubSpot's index and for the read, so that a
	// change is found within two minutes.
	longestInterval = 100 * time.Second
	// dayUnknown is the day's limit that counts where none is known: the smallest
	// that HubSpot gives.
	dayUnknown = 250_000
	// idleMargin is the part of the idle share that is planned. The rest is for
	// repeated requests.
	idleMargin = 0.95
	// replan is how often the plan follows what the demands cost.
	replan = time.Minute

	// awake is how long a portal counts as awake after a change.
	awake = 45 * time.Minute
	// awakeAtStart is how long a portal counts as awake at the start of a run, before a
	// change is found: somebody may watch what the connector does. Where a process has
	// more than awakeTogether portals, each counts for less, down to awakeAtLeast, and
	// what seldom changes counts as settled at once, but for the same part.
	awakeAtStart, awakeAtLeast = 10 * time.Minute, time.Minute
	awakeTogether              = 50
	// asleepPart of the spare calls shortens the intervals of a portal that sleeps: less
	// of them where a process has more than awakeTogether portals.
	asleepPart = 1.0 / 16
	// saveFor is how much the leading tiers may save, spendOver the time in which
	// they would spend it.
	saveFor, spendOver = 12 * time.Hour, 6 * time.Hour
	// callsPerChange is how many leading searches a change found in the last hours
	// is worth.
	callsPerChange = 22
	// searchesTogether is how many leading searches the portals of a process make at
	// most, each its part, for every change that they expect in a type.
	searchesTogether = 20_000
	// leastPart of the average rate is the least that a type counts with while the
	// portal is awake.
	leastPart = 0.28
	// settledAfter is how long after the last change the interval of what settles is the
	// longest.
	settledAfter = 6 * time.Hour
)

// NewPace returns a Pace of the types that Add adds. A fixed leading interval other
// than zero applies to all of them instead. portals is how many portals the process
// follows now.
func NewPace(budget func() Budget, fixed time.Duration, portals func() int) *Pace {
	now := time.Now()
	p := &Pace{
		budget: budget, fixed: fixed, portals: portals, counted: now,
		types: map[string]*paced{}, patient: map[demandKey]*Patient{},
	}
	p.begin = p.part()
	p.woken = now.Add(p.atStart() - awake)
	return p
}

// part is that of a portal in what a process can do at once: 1 where it has at most
// awakeTogether of them.
func (p *Pace) part() float64 { return min(1, awakeTogether/float64(max(1, p.portals()))) }

// atStart is how long the portal counts as awake when a run begins.
func (p *Pace) atStart() time.Duration {
	return max(awakeAtLeast, time.Duration(p.begin*float64(awakeAtStart)))
}

// Add gives an object type a share of the leading searches.
func (p *Pace) Add(object string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.types[object], p.planned = newPaced(time.Now()), time.Time{}
}

// Remove drops a type, or a pair, that the connector no longer asks about.
func (p *Pace) Remove(object string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.types, object)
	for key := range p.patient {
		if key.object == object {
			delete(p.patient, key)
		}
	}
	p.planned = time.Time{}
}

// Excess returns an interval as it is where all intervals together cost more than
// the idle share even at their longest.
func (p *Pace) Excess(d time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Duration(float64(d) * p.planNow(time.Now()).excess)
}

// Seen notes a leading walk of a type, and how many changes it found.
func (p *Pace) Seen(object string, changes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if t := p.types[object]; t != nil {
		t.seen(now, changes)
	}
	if changes > 0 {
		p.woken = now
		p.hasten(object)
	}
	p.save(now)
	p.saved = max(0, p.saved-1)
}

// hasten tells the other types that a type has changed: now their intervals may be
// shorter.
func (p *Pace) hasten(object string) {
	for name, t := range p.types {
		if name == object {
			continue
		}
		select {
		case t.sooner <- struct{}{}:
		default:
		}
	}
}

// Sooner tells that the interval of a type may have become shorter, because another
// one has changed. The type has been added.
func (p *Pace) Sooner(object string) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.types[object].sooner
}

// Interval returns how long to wait between two leading walks of a type.
func (p *Pace) Interval(object string) time.Duration {
	if p.fixed > 0 {
		return p.fixed
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	plan, b := p.planNow(now), p.budget()
	p.save(now)
	isAwake, found := now.Sub(p.woken) < awake, 0.0
	own, sum := quietRate, 0.0 // changes an hour
	for name, t := range p.types {
		expected, lately := t.perHour(now)
		isAwake = isAwake || expected >= 1
		found += lately
		sum += max(expected, quietRate)
		if name == object {
			own = max(expected, quietRate)
		}
	}
	relied := p.relies(object)
	switch {
	case !isAwake && relied:
		return max(plan.quiet, reliedAsleep)
	case !isAwake:
		return plan.quiet
	case relied:
		return max(plan.quiet, reliedAwake)
	}
	// While the portal is awake, no type waits much longer than the others.
	least := sum / float64(max(1, len(p.types))) * leastPart
	rare := time.Duration(float64(p.portals()) / searchesTogether / max(own, least) * float64(time.Hour))
	if rare >= plan.quiet {
		return plan.quiet
	}
	perHour := map[string]float64{}
	for name, t := range p.types {
		expected, _ := t.perHour(now)
		perHour[name] = max(expected, quietRate, least)
	}
	more := max(p.saved/spendOver.Seconds(), found*callsPerChange/time.Hour.Seconds())
	calls := min(float64(len(p.types))/plan.quiet.Seconds()+more, b.Searches, b.Left/2)
	return max(divide(calls, perHour, plan.quiet)[object], rare)
}

// Quiet is the leading interval of a type in a portal in which nothing changes.
func (p *Pace) Quiet(object string) time.Duration {
	if p.fixed > 0 {
		return p.fixed
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	quiet := p.planNow(time.Now()).quiet
	if p.relies(object) {
		return max(quiet, reliedAsleep)
	}
	return quiet
}

// save adds what the leading tiers could have spent since the last time.
func (p *Pace) save(now time.Time) {
	plan := p.planNow(now)
	most := plan.spare * saveFor.Seconds()
	if !p.begun {
		p.saved, p.begun = most, true
	}
	perSecond := plan.spare + float64(len(p.types))/plan.quiet.Seconds()
	p.saved = min(p.saved+perSecond*now.Sub(p.counted).Seconds(), most)
	p.counted = now
}

// divide gives each type an interval, by the square-root rule. Types at a bound take
// a fixed share, and the others divide what is left. Each round but the last
// settles one type.
func divide(callsPerSecond float64, perHour map[string]float64, longest time.Duration) map[string]time.Duration {
	budget, open, out := callsPerSecond, map[string]float64{}, map[string]time.Duration{}
	for name, rate := range perHour {
		open[name] = math.Sqrt(rate)
	}
	for {
		var sum float64
		for _, root := range open {
			sum += root
		}
		settled := false
		for name, root := range open {
			d := longest
			if budget > 0 {
				d = time.Duration(min(sum/(budget*root), longest.Seconds()) * float64(time.Second))
			}
			bounded := min(max(d, shortestInterval), longest)
			if bounded == d && d < longest {
				continue
			}
			out[name] = bounded
			budget -= 1 / bounded.Seconds()
			delete(open, name)
			settled = true
			break
		}
		if settled {
			continue
		}
		for name, root := range open {
			out[name] = time.Duration(sum / (budget * root) * float64(time.Second))
		}
		return out
	}
}
