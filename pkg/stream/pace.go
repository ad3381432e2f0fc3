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

// plan is how the idle share is divided.
type plan struct {
	stretch float64       // of patient intervals, up to Most
	excess  float64       // of all intervals, beyond that
	quiet   time.Duration // leading interval of a portal that sleeps
	spare   float64       // calls a second that it saves
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

// Excess returns an interval as it is where all intervals together cost more than
// the idle share even at their longest.
func (p *Pace) Excess(d time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Duration(float64(d) * p.planNow(time.Now()).excess)
}

// Changed notes that a pass found something changed: for a while the stream asks as
// often as it wants.
func (s *Patient) Changed() {
	s.pace.mu.Lock()
	defer s.pace.mu.Unlock()
	s.changed = time.Now()
	s.eager = s.changed.Add(awake)
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
