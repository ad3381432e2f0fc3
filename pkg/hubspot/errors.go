package hubspot

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Error is a permanent refusal: HubSpot would refuse the same request again.
// Temporary failures become an Error only if Call.Tries says so; otherwise the
// client waits them out.
//
// An Error holds no token, no request body and no property value. HubSpot's
// message may repeat input (an e-mail address), so Error keeps only messages of
// shapes that are known to hold none.
type Error struct {
	Method, Path  string // the path without the query
	Status        int
	Category      string
	SubCategory   string
	Message       string // "" unless it has a known shape
	CorrelationID string // what HubSpot's support asks for
	PolicyName    string
	RetryAfter    time.Duration
	Scopes        []string // that are missing: what the answer asks for, else what the path needs

	refusedToken bool // it comes from the token endpoint
	tooLarge     bool
	trouble      string // how the latest of Call.Tries attempts failed; Status is then 0
	garbled      bool   // beside trouble: the answer came whole and cannot be understood
	noSuchPair   bool   // set by AssociationLabels
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.trouble != "" {
		fmt.Fprintf(&b, "%s %s: HubSpot answers other requests, but not this one: %s", e.Method, e.Path, e.trouble)
	} else {
		fmt.Fprintf(&b, "%s %s: HubSpot answered %d", e.Method, e.Path, e.Status)
	}
	for _, s := range []string{e.Category, e.SubCategory, e.PolicyName} {
		if s != "" {
			b.WriteString(" " + s)
		}
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if len(e.Scopes) > 0 {
		b.WriteString(" (scopes: " + strings.Join(e.Scopes, ", ") + ")")
	}
	if e.CorrelationID != "" {
		b.WriteString(" (correlation id " + e.CorrelationID + ")")
	}
	return b.String()
}

func is(err error, f func(*Error) bool) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && f(e)
}

// MissingScopes reports that the token may not read this; Error.Scopes names
// the missing scopes. Some APIs refuse without saying why: a scope is missing
// then too, as far as anybody has seen.
func MissingScopes(err error) bool {
	return is(err, func(e *Error) bool { return e.missingScopes() })
}

func (e *Error) missingScopes() bool {
	return e.Status == http.StatusForbidden && (e.Category == "" || e.Category == "MISSING_SCOPES")
}

// Unauthorized reports that HubSpot rejected the token or refused to renew it.
func Unauthorized(err error) bool {
	return is(err, func(e *Error) bool { return e.Status == http.StatusUnauthorized || e.refusedToken })
}

// ArchivedUnsupported reports that HubSpot cannot list the archived records of
// this type (meetings, for one).
func ArchivedUnsupported(err error) bool {
	return is(err, func(e *Error) bool {
		return e.Status == http.StatusBadRequest && e.Message == archivedUnsupported
	})
}

// NotFound reports that what the address names does not exist. HubSpot said so
// in its own JSON; a 404 from anyone else never becomes an Error.
func NotFound(err error) bool {
	return is(err, func(e *Error) bool { return e.Status == http.StatusNotFound })
}

// BadRequest reports that HubSpot does not accept the request's content (400).
func BadRequest(err error) bool {
	return is(err, func(e *Error) bool { return e.Status == http.StatusBadRequest })
}

// TooLong reports that the address was too long: ask for fewer properties.
func TooLong(err error) bool {
	return is(err, func(e *Error) bool { return e.Status == http.StatusRequestURITooLong })
}

// Unanswered reports that HubSpot answered other requests, but not this one,
// however often it was sent (Call.Tries).
func Unanswered(err error) bool { return is(err, func(e *Error) bool { return e.trouble != "" }) }

// Divisible reports that HubSpot may answer the same question about fewer records
// (R18): it refuses this request as a whole, or cannot answer it. A token that it
// refuses, or that lacks a scope, would be refused for each of them.
func Divisible(err error) bool {
	return is(err, func(e *Error) bool {
		return e.tooLarge || e.trouble != "" ||
			e.Status >= 400 && e.Status < 500 && e.Status != http.StatusUnauthorized && e.Status != http.StatusForbidden
	})
}

// NoSuchPair reports that records of these two types cannot be associated. Only
// AssociationLabels returns such an error.
func NoSuchPair(err error) bool { return is(err, func(e *Error) bool { return e.noSuchPair }) }

// errorBody is HubSpot's error answer. Every member is optional in practice,
// and subCategory is sometimes a string, sometimes an object.
type errorBody struct {
	Status        any             `json:"status"`
	Message       string          `json:"message"`
	Category      string          `json:"category"`
	SubCategory   json.RawMessage `json:"subCategory"`
	CorrelationID string          `json:"correlationId"`
	PolicyName    string          `json:"policyName"`
	ErrorType     string          `json:"errorType"`
	OAuthError    string          `json:"error"` // RFC 6749, section 5.2
	Context       scopesContext   `json:"context"`
	// Most APIs put the scopes one level down (hubspot-api-nodejs issue 268).
	// The schema API of custom objects was recorded without that level.
	Errors []struct {
		Context scopesContext `json:"context"`
	} `json:"errors"`
}

type scopesContext struct {
	Granular []string `json:"requiredGranularScopes"`
	Scopes   []string `json:"requiredScopes"`
}

// readErrorBody reads an error answer. known is false if the answer does not
// look like HubSpot's own, so that the client never takes a proxy's page or
// JSON for HubSpot's word.
func readErrorBody(r *request, a attempt) (b errorBody, known bool) {
	if err := json.Unmarshal(a.body, &b); err != nil {
		// The answer may still be HubSpot's if a member has an unusual type;
		// the other members stand.
		if _, other := errors.AsType[*json.UnmarshalTypeError](err); !other {
			return errorBody{}, false
		}
	}
	known = b.Status == "error" || b.Category != "" || b.CorrelationID != "" ||
		a.header.Get("X-HubSpot-Correlation-Id") != "" && b.Message != ""
	if a.status == http.StatusForbidden && b.Message != "" {
		// Some APIs send fewer members. Accept them: unlike a 404, a 403 says
		// nothing about any record, and waiting forever for a scope would be
		// worse.
		known = known || b.ErrorType != "" || b.Status == float64(a.status)
	}
	if r.anonymous { // the token endpoint has its own kind of errors
		known = known || b.OAuthError != "" || b.Message != ""
	}
	return b, known
}

// archivedUnsupported is the message for types without a list of archived
// records; the error has no category of its own.
const archivedUnsupported = "Paging through deleted objects is not yet supported"

// safeMessages are the shapes of message that an Error keeps. An empty text
// keeps the message unchanged, because the pattern bounds what it can hold.
var safeMessages = []struct {
	shape *regexp.Regexp
	text  string
}{
	{regexp.MustCompile(`(?i)paging through deleted objects is not yet supported`), archivedUnsupported},
	{regexp.MustCompile(`^One or more of the following scopes are required\.$`), ""},
	{regexp.MustCompile(`^This app hasn't been granted all required scopes to make this call\.`), "the token lacks a scope"},
	{regexp.MustCompile(`^Unable to infer object type from: [A-Za-z0-9_-]{1,100}$`), ""},
	{regexp.MustCompile(`(?i)^you have reached your (secondly|ten_secondly_rolling|daily) limit\.?$`), ""},
	{regexp.MustCompile(`(?i)^resource not found\.?$`), ""},
	{regexp.MustCompile(`(?i)^Authentication credentials not found`), "Authentication credentials not found"},
	{regexp.MustCompile(`(?i)^The OAuth token used to make this call expired`), "The OAuth token used to make this call expired"},
	{regexp.MustCompile(`(?i)^(missing or (unknown|invalid) refresh token)`), "missing or invalid refresh token"},
	{regexp.MustCompile(`(?i)\bscopes?\b.*\b(recogni[sz]ed|invalid|unknown)\b`), unknownScopes},
}

// unknownScopes is what the token endpoint says of an app that may not have the
// scopes of the journal.
const unknownScopes = "HubSpot does not know these scopes, or not for this app"

func safeMessage(message string) string {
	for _, m := range safeMessages {
		if m.shape.MatchString(message) {
			if m.text != "" {
				return m.text
			}
			return message
		}
	}
	return ""
}

var (
	wordShape        = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.]{0,99}$`)
	scopeShape       = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,99}$`)
	correlationShape = regexp.MustCompile(`^[0-9A-Fa-f-]{8,64}$`)
)

// kept returns s if it has the shape of a HubSpot name, else "".
func kept(s string, shape *regexp.Regexp) string {
	if shape.MatchString(s) {
		return s
	}
	return ""
}

// newError builds the Error for an answer with HubSpot's body or with none.
func newError(r *request, status int, header http.Header, b errorBody) *Error {
	e := &Error{
		Method: r.method, Path: r.path, Status: status,
		Category:      kept(b.Category, wordShape),
		SubCategory:   kept(strings.Trim(string(b.SubCategory), `"`), wordShape),
		Message:       safeMessage(b.Message),
		CorrelationID: kept(b.CorrelationID, correlationShape),
		PolicyName:    kept(b.PolicyName, wordShape),
		RetryAfter:    retryAfter(header, time.Now()),
	}
	if e.Category == "" {
		e.Category = kept(b.OAuthError, wordShape)
	}
	if e.CorrelationID == "" {
		e.CorrelationID = kept(header.Get("X-HubSpot-Correlation-Id"), correlationShape)
	}
	contexts := []scopesContext{b.Context}
	for _, inner := range b.Errors {
		contexts = append(contexts, inner.Context)
	}
	for _, c := range contexts {
		for _, s := range append(c.Granular, c.Scopes...) {
			if s = kept(s, scopeShape); s != "" && !slices.Contains(e.Scopes, s) {
				e.Scopes = append(e.Scopes, s)
			}
		}
	}
	if e.missingScopes() && len(e.Scopes) == 0 {
		e.Scopes = scopesOf(e.Path)
	}
	return e
}
