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

// Error is HubSpot's lasting "no": the same request would be refused again.
// What passes by itself never becomes an Error; the client waits for it.
//
// It holds no token, no request body and no property value. HubSpot's message
// may repeat input (an e-mail address), so it is kept only in shapes that are
// known to hold none.
type Error struct {
	Method, Path  string // the path without the query
	Status        int
	Category      string
	SubCategory   string
	Message       string // "" unless of a known shape
	CorrelationID string // what HubSpot's support asks for
	PolicyName    string
	RetryAfter    time.Duration
	Scopes        []string // what a MISSING_SCOPES answer asks for

	refusedToken bool // the answer of the token endpoint
	tooLarge     bool
	noSuchPair   bool // the answer to a question for the labels of a pair
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: HubSpot answered %d", e.Method, e.Path, e.Status)
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

// MissingScopes says that the token may not read this; Error.Scopes names what
// it lacks.
func MissingScopes(err error) bool {
	return is(err, func(e *Error) bool { return e.Status == http.StatusForbidden && e.Category == "MISSING_SCOPES" })
}

// Unauthorized says that HubSpot does not accept the token, or that it refused
// to renew it.
func Unauthorized(err error) bool {
	return is(err, func(e *Error) bool { return e.Status == http.StatusUnauthorized || e.refusedToken })
}

// ArchivedUnsupported says that the archived records of this type cannot be
// listed (meetings, for one).
func ArchivedUnsupported(err error) bool {
	return is(err, func(e *Error) bool {
		return e.Status == http.StatusBadRequest && e.Message == archivedUnsupported
	})
}

// NotFound says that what the address names does not exist. It is an answer in
// HubSpot's own JSON; a 404 of anybody else never comes up.
func NotFound(err error) bool {
	return is(err, func(e *Error) bool { return e.Status == http.StatusNotFound })
}

// BadRequest says that HubSpot does not understand the request.
func BadRequest(err error) bool {
	return is(err, func(e *Error) bool { return e.Status == http.StatusBadRequest })
}

// TooLong says that the address was too long: ask for fewer properties.
func TooLong(err error) bool {
	return is(err, func(e *Error) bool { return e.Status == http.StatusRequestURITooLong })
}

// TooLarge says that the answer was larger than the client takes: ask for
// fewer records.
func TooLarge(err error) bool { return is(err, func(e *Error) bool { return e.tooLarge }) }

// NoSuchPair says that records of these two types cannot be associated. Only
// AssociationLabels finds that out.
func NoSuchPair(err error) bool { return is(err, func(e *Error) bool { return e.noSuchPair }) }

// errorBody is HubSpot's error answer. Every member is optional in practice,
// and subCategory is now a string, now an object.
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
	// Most APIs tell the scopes one level down (hubspot-api-nodejs issue 268);
	// that of the custom objects' schemas was recorded without.
	Errors []struct {
		Context scopesContext `json:"context"`
	} `json:"errors"`
}

type scopesContext struct {
	Granular []string `json:"requiredGranularScopes"`
	Scopes   []string `json:"requiredScopes"`
}

// readErrorBody reads an error answer. known is false when it does not look
// like HubSpot's own, so that the page or the JSON of something on the way is
// never taken for HubSpot's word.
func readErrorBody(r *request, a attempt) (b errorBody, known bool) {
	if err := json.Unmarshal(a.body, &b); err != nil {
		// A member of another type than usual does not make it another's
		// answer; what was read of it stands.
		if _, other := errors.AsType[*json.UnmarshalTypeError](err); !other {
			return errorBody{}, false
		}
	}
	known = b.Status == "error" || b.Category != "" || b.CorrelationID != "" ||
		a.header.Get("X-HubSpot-Correlation-Id") != "" && b.Message != ""
	if a.status == http.StatusForbidden && b.Message != "" {
		// Some APIs refuse with less. Unlike a 404, a 403 tells nothing of any
		// record, and to wait for a scope for ever would be worse.
		known = known || b.ErrorType != "" || b.Status == float64(a.status)
	}
	if r.anonymous { // the token endpoint has errors of its own
		known = known || b.OAuthError != "" || b.Message != ""
	}
	return b, known
}

// archivedUnsupported is the message of types without a list of archived
// records; it has no category of its own.
const archivedUnsupported = "Paging through deleted objects is not yet supported"

// safeMessages are the shapes of message that are passed on. An empty text
// keeps the message as it is, which the pattern has bounded.
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
}

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

// kept returns s if it has the shape of a name of HubSpot's.
func kept(s string, shape *regexp.Regexp) string {
	if shape.MatchString(s) {
		return s
	}
	return ""
}

// newError builds the error of an answer with a body of HubSpot's, or with
// none.
func newError(r *request, status int, header http.Header, b errorBody) *Error {
	e := &Error{
		Method: r.method, Path: r.path, Status: status,
		Category:      kept(b.Category, wordShape),
		SubCategory:   kept(strings.Trim(string(b.SubCategory), `"`), wordShape),
		Message:       safeMessage(b.Message),
		CorrelationID: kept(b.CorrelationID, correlationShape),
		PolicyName:    kept(b.PolicyName, wordShape),
		RetryAfter:    retryAfter(header),
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
	return e
}
