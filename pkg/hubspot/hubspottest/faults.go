package hubspottest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is a kind of fault.
type Kind string

// The faults. Status and HTML need Fault.Status.
const (
	FaultStatus Kind = "status"  // an error in HubSpot's shape: 401, 423, 429, 477, 500 …
	FaultHTML   Kind = "html"    // a proxy's page, with any status, even 200
	FaultReset  Kind = "reset"   // the connection is reset after the portal handled the request
	FaultCut    Kind = "cut"     // the body ends in the middle
	FaultSlow   Kind = "slow"    // the answer takes Fault.Latency longer
	FaultNoDate Kind = "no_date" // there is no Date header
	FaultDate   Kind = "date"    // the Date header is wrong by Fault.Shift
	FaultForget Kind = "forget"  // batch read calls every id missing
	FaultOmit   Kind = "omit"    // batch reads, of associations too, leave out a Share of the ids without an error
	FaultLarge  Kind = "large"   // the answer announces a body of a gigabyte
	FaultShort  Kind = "short"   // a list, of definitions, labels or records, lacks what Fault.Lost says; so does each set of links
	FaultOdd    Kind = "odd"     // in the results about Fault.IDs, Fault.Member is Fault.Value
	FaultFailed Kind = "failed"  // reads of associations have an error of another kind in place of the results about Fault.IDs
)

// Fault is a fault for the portal to play. With the zero values of its
// conditions it hits every request, always.
type Fault struct {
	Kind        Kind
	Endpoint    Endpoint  // "": all
	Object      string    // as the path names it, for associations the from; "": all
	Probability float64   // zero: every time
	Count       int       // hits only the next Count requests that meet the other conditions; zero: no limit
	From, Until time.Time // on the portal's clock
	// IDs and Above hit only requests that ask about, or whose page has, one of
	// these records or owners, or more than Above of them.
	IDs   []uint64
	Above int

	Status     int           // for FaultStatus and FaultHTML
	Policy     string        // policyName of a 429; "": TEN_SECONDLY_ROLLING
	RetryAfter time.Duration // zero: no header
	Latency    time.Duration // for FaultSlow
	Share      float64       // for FaultOmit; zero: all
	Member     string        // for FaultOdd: a member of a result
	Value      string        // for FaultOdd: JSON; "": the member is left out
	Shift      time.Duration // for FaultDate
	Lost       Loss          // for FaultShort
	Stages     bool          // for FaultShort: the pipelines are there, and each lacks stages
	Archived   bool          // for FaultShort: only the lists of archived entries lack any, else only those of live ones
}

// liveFault is an injected fault.
type liveFault struct {
	Fault
	left int // requests it may still hit, if Count is set
}

// Inject adds a fault; the returned function removes it. Faults combine (slow
// and cut), but only the first one that replaces the answer counts.
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

// ClearFaults removes all faults.
func (p *Portal) ClearFaults() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = nil
}

// appliedFault is the sum of the faults that hit one request.
type appliedFault struct {
	fail       *failure
	page       int // status of an HTML page
	reset, cut bool
	slow       time.Duration
	noDate     bool
	shift      time.Duration
	forget     bool
	omit       float64
	large      bool
	short      Fault
	odd        []*liveFault
	failed     []*liveFault
	listed     int // Options.LinkErrors
}

// pickFaults picks those that hit a request, before the portal has looked at its
// records or after.
func (p *Portal) pickFaults(c *call, looked bool) (applied appliedFault) {
	now := p.Now()
	for _, f := range p.faults {
		replaces := f.Kind == FaultStatus || f.Kind == FaultHTML
		if f.byRecords() != looked || !f.hits(c, now) || replaces && (applied.fail != nil || applied.page != 0) ||
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
		case FaultDate:
			applied.shift += f.Shift
		case FaultForget:
			applied.forget = true
		case FaultLarge:
			applied.large = true
		case FaultOdd:
			applied.odd = append(applied.odd, f)
		case FaultFailed:
			applied.failed, applied.listed = append(applied.failed, f), p.opt.LinkErrors
		case FaultOmit:
			if applied.omit = f.Share; f.Share == 0 {
				applied.omit = 1
			}
		case FaultShort:
			applied.short = f.Fault
		}
	}
	p.faults = slices.DeleteFunc(p.faults, func(f *liveFault) bool { return f.Count > 0 && f.left <= 0 })
	return applied
}

func (f *liveFault) byRecords() bool { return f.IDs != nil || f.Above > 0 }

func (f *liveFault) hits(c *call, now time.Time) bool {
	return (f.Endpoint == "" || f.Endpoint == c.endpoint) &&
		(f.Object == "" || f.Object == c.object) &&
		(f.IDs == nil || slices.ContainsFunc(f.IDs, func(id uint64) bool { return slices.Contains(c.records, id) })) &&
		len(c.records) >= f.Above+min(f.Above, 1) &&
		(f.Kind != FaultShort || f.Archived == (c.query.Get("archived") == "true")) &&
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

// spoil gives the results about some ids an odd member.
func (f *liveFault) spoil(body []byte) []byte {
	var answer map[string]json.RawMessage
	var results []map[string]json.RawMessage
	if json.Unmarshal(body, &answer) != nil || json.Unmarshal(answer["results"], &results) != nil {
		return body
	}
	for _, r := range results {
		var from struct{ ID json.RawMessage }
		if id := r["id"]; id != nil {
			from.ID = id
		} else if json.Unmarshal(r["from"], &from) != nil {
			continue
		}
		id, err := strconv.ParseUint(strings.Trim(string(from.ID), `"`), 10, 64)
		switch {
		case err != nil || !slices.Contains(f.IDs, id):
		case f.Value == "":
			delete(r, f.Member)
		default:
			r[f.Member] = json.RawMessage(f.Value)
		}
	}
	answer["results"] = encode(results)
	return encode(answer)
}

// replace puts errors in the place of the links of some ids. HubSpot's documents do not
// say which errors a batch may have besides those about records without links. The answer
// counts each, and lists at most so many errors in all; 0: all.
func (f *liveFault) replace(body []byte, most int) []byte {
	var answer map[string]json.RawMessage
	var read struct {
		Results   []linksJSON  `json:"results"`
		Errors    []batchError `json:"errors"`
		NumErrors int          `json:"numErrors"`
	}
	if json.Unmarshal(body, &answer) != nil || json.Unmarshal(body, &read) != nil {
		return body
	}
	read.Results = slices.DeleteFunc(read.Results, func(r linksJSON) bool {
		id, err := strconv.ParseUint(r.From.ID, 10, 64)
		if err != nil || !slices.Contains(f.IDs, id) {
			return false
		}
		if read.NumErrors++; most == 0 || len(read.Errors) < most {
			read.Errors = append(read.Errors, batchError{
				Status: "error", Category: "INTERNAL_ERROR", Message: "internal error", Context: map[string][]string{"fromObjectId": {r.From.ID}},
			})
		}
		return true
	})
	answer["results"], answer["errors"], answer["numErrors"] = encode(read.Results), encode(read.Errors), encode(read.NumErrors)
	return encode(answer)
}
