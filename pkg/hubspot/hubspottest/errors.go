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
	policy      string        // of a 429
	retryAfter  time.Duration // zero: no header
}

// errorJSON has HubSpot's members. "Unable to infer object type" was recorded
// without a category, so nobody can rely on one.
type errorJSON struct {
	Status        string              `json:"status"`
	Message       string              `json:"message"`
	ErrorType     string              `json:"errorType,omitempty"`
	CorrelationID string              `json:"correlationId"`
	RequestID     string              `json:"requestId,omitempty"`
	PolicyName    string              `json:"policyName,omitempty"`
	Context       map[string][]string `json:"context,omitempty"`
	Category      string              `json:"category,omitempty"`
	SubCategory   string              `json:"subCategory,omitempty"`
}

func (f *failure) body(correlationID string) []byte {
	e := errorJSON{
		Status: "error", Message: f.message, CorrelationID: correlationID,
		PolicyName: f.policy, Context: f.context, Category: f.category, SubCategory: f.subCategory,
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

func missingScopes(scopes []string) *failure {
	return &failure{
		status: 403, category: "MISSING_SCOPES", message: "One or more of the following scopes are required.",
		context: map[string][]string{
			"requiredGranularScopes": scopes,
			"links":                  {"https://developers.hubspot.com/scopes"},
		},
	}
}

// throttled is a 429 by the name of the limit (HUBSPOT.md section 7).
func throttled(policy string, wait time.Duration) *failure {
	return &failure{
		status: 429, policy: policy, retryAfter: wait,
		message: "You have reached your " + strings.ToLower(policy) + " limit.",
	}
}
