package hubspot

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Kinds of passing failures; a status is a kind too.
const (
	kindThrottled   = "429" // and the policy
	kindUnreachable = "unreachable"
	kindCut         = "answer cut off"
	kindContent     = "unexpected content"
	kindLocked      = "423 locked"
	kindMigration   = "477 migration in progress"
	kindRedirected  = "redirected elsewhere"
)

// verdict is what an attempt means. Exactly one of done, policy, lasting and
// transient is set.
type verdict struct {
	done        bool
	policy      string // the limit that throttled it
	lasting     *Error
	transient   string // what happened, for people
	kind        string // the kind of transient cause
	garbled     bool   // it came whole, and cannot be understood
	hubspot     bool   // HubSpot itself answered
	wait        time.Duration
	correlation string
}

// judge decides what an attempt means. The rule that matters most: only
// HubSpot's own JSON is an answer. Anything else, even with a 404, says nothing
// about any record (R8), and the client asks again.
func judge(r *request, a attempt) verdict {
	var unread error
	if a.err == nil && a.status == http.StatusNoContent && r.mayBeEmpty {
		return verdict{done: true, hubspot: true}
	}
	if a.err == nil && a.status >= 200 && a.status < 300 {
		if unread = r.read(a.body); unread == nil {
			return verdict{done: true, hubspot: true}
		}
	}
	v := verdict{wait: retryAfter(a.header, a.received), correlation: kept(a.header.Get("X-HubSpot-Correlation-Id"), correlationShape)}
	switch {
	case errors.Is(a.err, errTooLarge):
		e := newError(r, a.status, a.header, errorBody{})
		e.tooLarge, e.Message = true, errTooLarge.Error()
		return verdict{lasting: e, hubspot: true}
	case a.err != nil && a.status == 0:
		v.kind, v.transient = kindUnreachable, a.err.Error()
		if errors.Is(a.err, context.DeadlineExceeded) {
			v.transient = "no answer in " + a.timeout.String()
		}
		return v
	case a.err != nil:
		v.kind, v.transient = kindCut, fmt.Sprintf("%d: %v", a.status, a.err)
		v.garbled = errors.Is(a.err, errNotGzip)
		return v
	case unread != nil:
		v.garbled = true
		v.kind, v.transient = kindContent, fmt.Sprintf("%d: %v", a.status, unread)
		return v
	}

	b, known := readErrorBody(r, a)
	if id := kept(b.CorrelationID, correlationShape); id != "" {
		v.correlation = id
	}
	switch {
	case a.status == http.StatusTooManyRequests && r.address == nil:
		v.policy, v.hubspot, v.wait = policyOf(r.class, b), true, min(v.wait, longestHold)
		return v
	case a.status == http.StatusLocked:
		v.kind, v.wait = kindLocked, max(v.wait, 2*time.Second)
	case a.status == 477:
		v.kind = kindMigration
	case a.status == http.StatusRequestTimeout, a.status == http.StatusTooEarly, a.status == http.StatusTooManyRequests, a.status >= 500:
		v.kind = strconv.Itoa(a.status)
	case a.status >= 400 && r.address != nil:
		return verdict{lasting: newError(r, a.status, a.header, errorBody{})}
	case a.status < 400:
		v.kind = kindRedirected
	case a.status == http.StatusRequestURITooLong, a.status == http.StatusUnauthorized && len(a.body) == 0, known,
		a.status == http.StatusNotFound && len(a.body) == 0 && r.mayBeEmpty: // a place in the journal; believed wrongly, it costs reads and no record
		// A 414 comes from an edge server as often as from HubSpot, and the
		// address will not get any shorter.
		return verdict{lasting: newError(r, a.status, a.header, b), hubspot: true}
	default:
		v.kind = strconv.Itoa(a.status) + " without HubSpot's JSON"
	}
	v.transient = v.kind
	if a.status != 477 {
		// A migration may last a day; a failing server does not know how long
		// it will fail.
		v.wait = min(v.wait, 10*time.Minute)
	}
	return v
}

// policyOf returns the limit that a throttled answer means. Every member of the
// answer is optional; a throttled search often has only the message
// "… secondly limit".
func policyOf(c class, b errorBody) string {
	text := strings.ToUpper(b.PolicyName)
	if text == "" {
		text = strings.ToUpper(b.Message)
	}
	switch {
	case strings.Contains(text, "TEN_SECONDLY"):
		return policyTenSeconds
	case strings.Contains(text, "DAILY"):
		return policyDay
	case strings.Contains(text, "SECONDLY"), c == searches:
		return policySecond
	}
	return policyTenSeconds
}

// retryAfter reads a Retry-After header of an answer: seconds, or a date by the
// clock of whoever answered. HubSpot documents up to a day.
func retryAfter(header http.Header, received time.Time) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	s, err := strconv.ParseFloat(text, 64)
	if at, odd := http.ParseTime(text); odd == nil {
		if now, odd := http.ParseTime(header.Get("Date")); odd == nil {
			received = now
		}
		s, err = at.Sub(received).Seconds(), nil
	}
	if err != nil || math.IsNaN(s) || s <= 0 {
		return 0
	}
	return time.Duration(min(s, 24*3600) * float64(time.Second))
}
