package hubspottest

import (
	"slices"
	"time"
)

// Kind is a kind of fault.
type Kind string

// The faults. Status and HTML need Fault.Status.
const (
	FaultStatus Kind = "status"  // an error in HubSpot's shape: 401, 423, 429, 477, 500 …
	FaultHTML   Kind = "html"    // a page of some server in between, with any status, 200 too
	FaultReset  Kind = "reset"   // the connection is reset; the request was done
	FaultCut    Kind = "cut"     // the body ends in the middle
	FaultSlow   Kind = "slow"    // the answer takes Fault.Latency longer
	FaultNoDate Kind = "no_date" // there is no Date header
	FaultForget Kind = "forget"  // batch read says of every id that there is no such record
	FaultOmit   Kind = "omit"    // batch reads, of associations too, leave out ids, a Share of them, without an error
)

// Fault is a fault that the portal plays. The zero values of its conditions
// mean: every request, always.
type Fault struct {
	Kind        Kind
	Endpoint    Endpoint  // "": all
	Object      string    // as the path names it, of associations the from; "": all
	Probability float64   // zero: each time
	Count       int       // the next Count requests that the other conditions let through; zero: no end
	From, Until time.Time // on the portal's clock

	Status     int           // of FaultStatus and FaultHTML
	Policy     string        // policyName of a 429; "": TEN_SECONDLY_ROLLING
	RetryAfter time.Duration // zero: no header
	Latency    time.Duration // of FaultSlow
	Share      float64       // of FaultOmit; zero: all
}

// liveFault is an injected fault with what is left of it.
type liveFault struct {
	Fault
	left int
}

// Inject adds a fault; the returned function takes it away again. Faults add
// up (slow and cut), but only the first one that replaces the answer counts.
func (p *Portal) Inject(f Fault) (remove func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	live := &liveFault{Fault: f, left: f.Count}
	p.faults = append(p.faults, live)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.faults = slices.DeleteFunc(p.faults, func(other *liveFault) bool { return other == live })
	}
}

// ClearFaults takes every fault away.
func (p *Portal) ClearFaults() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = nil
}

// appliedFault is what befalls one request.
type appliedFault struct {
	fail       *failure
	page       int // status of an HTML page
	reset, cut bool
	slow       time.Duration
	noDate     bool
	forget     bool
	omit       float64
}

func (p *Portal) pickFaults(c *call) (applied appliedFault) {
	now := p.Now()
	for _, f := range p.faults {
		replaces := f.Kind == FaultStatus || f.Kind == FaultHTML
		if !f.hits(c, now) || replaces && (applied.fail != nil || applied.page != 0) ||
			f.Probability > 0 && !chance(p.chaos, f.Probability) {
			continue
		}
		f.left--
		p.stats.Faults[f.Kind]++
		switch f.Kind {
		case FaultStatus:
			applied.fail = f.failure()
		case FaultHTML:
			applied.page = f.Status
		case FaultReset:
			applied.reset = true
		case FaultCut:
			applied.cut = true
		case FaultSlow:
			applied.slow += f.Latency
		case FaultNoDate:
			applied.noDate = true
		case FaultForget:
			applied.forget = true
		case FaultOmit:
			if applied.omit = f.Share; f.Share == 0 {
				applied.omit = 1
			}
		}
	}
	p.faults = slices.DeleteFunc(p.faults, func(f *liveFault) bool { return f.Count > 0 && f.left <= 0 })
	return applied
}

func (f *liveFault) hits(c *call, now time.Time) bool {
	return (f.Endpoint == "" || f.Endpoint == c.endpoint) &&
		(f.Object == "" || f.Object == c.object) &&
		!now.Before(f.From) && (f.Until.IsZero() || now.Before(f.Until))
}

func (f *liveFault) failure() *failure {
	fail := &failure{status: f.Status, message: "internal error", retryAfter: f.RetryAfter}
	switch f.Status {
	case 401:
		fail = unauthorized("Authentication credentials not found. This API supports OAuth 2.0 authentication.", "INVALID_AUTHENTICATION")
	case 423:
		fail.message = "This resource is locked"
	case 429:
		policy := f.Policy
		if policy == "" {
			policy = "TEN_SECONDLY_ROLLING"
		}
		fail = throttled(policy, f.RetryAfter)
	case 477:
		fail.message = "Migration in progress"
	case 502, 503, 504:
		fail.message = "Service unavailable"
	}
	return fail
}
