package hubspottest

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// failure is an error answer in the making.
type failure struct {
	status      int
	message     string
	category    string
	subCategory string
	context     map[string][]string
	scopes      []string      // of a 403: the token needs one of them
	policy      string        // of a 429
	retryAfter  time.Duration // zero: no header
}

// errorJSON has HubSpot's members. category may be missing: the recorded
// "Unable to infer object type" has none.
type errorJSON struct {
	Status        string              `json:"status"`
	Message       string              `json:"message"`
	ErrorType     string              `json:"errorType,omitempty"`
	CorrelationID string              `json:"correlationId"`
	RequestID     string              `json:"requestId,omitempty"`
	PolicyName    string              `json:"policyName,omitempty"`
	Context       map[string][]string `json:"context,omitempty"`
	Errors        []innerErrorJSON    `json:"errors,omitempty"`
	Links         map[string]string   `json:"links,omitempty"`
	Category      string              `json:"category,omitempty"`
	SubCategory   string              `json:"subCategory,omitempty"`
}

// innerErrorJSON is an element of an error answer's errors.
type innerErrorJSON struct {
	Message string              `json:"message"`
	Context map[string][]string `json:"context"`
}

func (f *failure) body(correlationID string) []byte {
	e := errorJSON{
		Status: "error", Message: f.message, CorrelationID: correlationID,
		PolicyName: f.policy, Context: f.context, Category: f.category, SubCategory: f.subCategory,
	}
	if f.scopes != nil {
		e.Errors = []innerErrorJSON{{anyScope, map[string][]string{"requiredGranularScopes": f.scopes}}}
		e.Links = map[string]string{"scopes": scopesPage}
	}
	if f.status == 429 {
		e.ErrorType, e.RequestID = "RATE_LIMIT", strings.ReplaceAll(correlationID, "-", "")
	}
	return encode(e)
}

func (f *failure) retryAfterSeconds() int { return int(math.Ceil(f.retryAfter.Seconds())) }

func invalid(format string, args ...any) *failure {
	return &failure{status: 400, category: "VALIDATION_ERROR", message: fmt.Sprintf(format, args...)}
}

func notFound(message string) *failure {
	return &failure{status: 404, category: "OBJECT_NOT_FOUND", message: message}
}

func unauthorized(message, category string) *failure {
	return &failure{status: 401, category: category, message: message}
}

const (
	anyScope   = "One or more of the following scopes are required."
	scopesPage = "https://developers.hubspot.com/scopes"
)

// missingScopes refuses a token that has none of the scopes, as the CRM APIs do
// (hubspot-api-nodejs issue 268).
func missingScopes(scopes []string) *failure {
	return &failure{
		status: 403, category: "MISSING_SCOPES", scopes: scopes,
		message: "This app hasn't been granted all required scopes to make this call. Read more about required scopes here: " + scopesPage + ".",
	}
}

// missingSchemaScopes refuses as the schema API of custom objects does: the
// context is at the top level, with a scope name that no settings page shows.
// Recorded.
func missingSchemaScopes() *failure {
	return &failure{
		status: 403, category: "MISSING_SCOPES", message: anyScope,
		context: map[string][]string{"requiredGranularScopes": {"custom-object-read"}, "links": {scopesPage}},
	}
}

// throttled returns a 429 that names the limit (docs/hubspot.md section 7).
func throttled(policy string, wait time.Duration) *failure {
	return &failure{
		status: 429, policy: policy, retryAfter: wait,
		message: "You have reached your " + strings.ToLower(policy) + " limit.",
	}
}
