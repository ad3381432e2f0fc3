package stream

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestAdvice_EachKindHasItsSection, whatever HubSpot's error inside it would have.
func TestAdvice_EachKindHasItsSection(t *testing.T) {
	inside := &hubspot.Error{Status: http.StatusNotFound}
	seen := map[string]bool{}
	for _, c := range []struct {
		err  error
		want string
	}{
		{&republishError{"hubspot.contacts"}, runbookLost},
		{&stuckError{why: inside}, runbookStuck},
		{&HeldError{What: "some are gone"}, runbookHeld},
		{&journalError{inside}, runbookJournal},
		{&inboxError{inside}, runbookSignals},
		{&pausedError{"its streams", "resume", 1}, runbookPaused},
		{&withheldError{err: inside}, runbookSensitive},
		{&referenceError{err: inside}, runbookList},
		{&cdc.RefusedError{Subject: "hubspot.contacts-value", What: "the schemas are lost", Cure: "restore them"}, runbookTopic},
		{&cdc.RefusedError{What: "create topic hubspot.contacts: TOPIC_AUTHORIZATION_FAILED", Cure: "have it created"}, runbookCreate},
		{&cdc.RefusedError{Reason: "incompatible"}, runbookSchema},
		{&brakeError{200}, runbookBrake},
		{errors.New("describe topic hubspot.contacts: no answer"), RunbookKafka},
		{errors.New("ask registry for hubspot.contacts-value: no answer"), RunbookRegistry},
		{&hubspot.Error{Status: http.StatusForbidden, Category: "MISSING_SCOPES"}, runbookScope},
		{inside, runbookGone},
		{&hubspot.Error{Status: http.StatusConflict}, runbookRefused},
	} {
		action, runbook := advise(fmt.Errorf("a pass: %w", c.err))
		if runbook != c.want || action == "" || seen[runbook] {
			t.Errorf("%T %v: %q, %q, want %q", c.err, c.err, runbook, action, c.want)
		}
		seen[runbook] = true
	}
}
