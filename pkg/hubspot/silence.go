package hubspot

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Silence is a part of HubSpot that requests wait for and that does not answer.
type Silence struct {
	API    string // "": all of it
	Since  time.Time
	Latest string // what the latest attempt brought; "" while it is the first
	Cure   string
}

// Silences lists what does not answer now. HubSpot answers while it refuses or
// throttles. A part that nobody asks is not silent.
func (c *Client) Silences() []Silence {
	o := c.outages
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []Silence
	for api, g := range o.gates {
		if s := &g.silence; !s.since.IsZero() {
			out = append(out, Silence{api, s.since, s.latest, c.cure(api, s.kind, s.latest)})
		}
	}
	slices.SortFunc(out, func(a, b Silence) int { return cmp.Compare(a.API, b.API) })
	return out
}

// Unreachable is the cure where no answer of HubSpot arrives at all. failure is the
// text of what happens instead.
func Unreachable(address, failure string) string {
	if strings.Contains(failure, "server gave HTTP response to HTTPS client") {
		return "write http:// in HUBSPOT_BASE_URL, or name the port that speaks TLS"
	}
	return "check that " + address + " can be reached from here (HUBSPOT_BASE_URL, HTTPS_PROXY, firewall), and HubSpot's status page"
}

// UnansweredError says that HubSpot had not answered a request when its time was over,
// what the latest attempt brought, and what an operator can do about that.
type UnansweredError struct {
	err  error
	Cure string
}

func (e *UnansweredError) Error() string { return e.err.Error() }
func (e *UnansweredError) Unwrap() error { return e.err }

// cure says what an operator can do about a kind of failure of an API. latest is
// what the latest attempt brought.
func (c *Client) cure(api, kind, latest string) string {
	switch {
	case api == apiJournalFile:
		return "check that the host of the journal's files can be reached from here (HTTPS_PROXY, firewall); until then polling finds the changes"
	case kind == kindMigration:
		return "wait: HubSpot moves the account to another data centre, which takes up to a day"
	case kind == kindLocked:
		return "wait: HubSpot has locked what was asked for; if it lasts, ask HubSpot's support"
	case kind == kindContent, strings.Contains(kind, "without HubSpot's JSON"), kind == kindRedirected:
		return "check HUBSPOT_BASE_URL and HTTPS_PROXY: something else than HubSpot's API answers"
	case kind == strconv.Itoa(statusEdge):
		return "check the access token: HubSpot's edge answers so to a malformed one. Else wait, and see HubSpot's status page"
	case kind != "" && kind != kindUnreachable && kind != kindCut:
		return "wait, and see HubSpot's status page"
	}
	return Unreachable(c.base.String(), latest)
}

// throttleCure says what an operator can do about a limit that is reached.
func throttleCure(policy string) string {
	if policy == policyDay {
		return "see which app uses the day's calls (HubSpot: Settings, Integrations, Usage), or buy calls; the connector goes on by itself when the day ends"
	}
	return "nothing, if it is rare: the connector slows down. Else lower HUBSPOT_RATE_SHARE: another app shares the limit"
}

// silence measures how long a gate's requests have been without an answer.
type silence struct {
	requests int // that are not settled, whether they are sent or wait
	flying   int // attempts under way
	since    time.Time
	kind     string // of the latest failure
	latest   string
}

// answered notes that HubSpot answered. The attempts that are still under way
// wait from now on.
func (s *silence) answered() {
	s.since, s.kind, s.latest = time.Time{}, "", ""
	if s.flying > 0 {
		s.since = time.Now()
	}
}

// asked notes a new request.
func (o *outages) asked(api string) { o.each(api, func(s *silence) { s.requests++ }) }

// left notes the end of a request. Where it ended unanswered, its caller asks again
// later, so the silence lasts until HubSpot answers.
func (o *outages) left(api string, unanswered bool) {
	o.each(api, func(s *silence) {
		if s.requests--; s.requests == 0 && !unanswered {
			s.since, s.kind, s.latest = time.Time{}, "", "" // nobody would notice the answer
		}
	})
}

// sent notes an attempt, and returned its end, with an answer or without.
func (o *outages) sent(api string) {
	o.each(api, func(s *silence) {
		s.flying++
		if s.since.IsZero() {
			s.since = time.Now()
		}
	})
}

func (o *outages) returned(api string) { o.each(api, func(s *silence) { s.flying-- }) }

// heard notes what a failed attempt brought.
func (o *outages) heard(api, kind, latest string) {
	o.each(api, func(s *silence) { s.kind, s.latest = kind, latest })
}

// each changes the silences of an API and of all APIs.
func (o *outages) each(api string, change func(*silence)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change(&o.gate(anyAPI).silence)
	change(&o.gate(api).silence)
}
