package stream

import (
	"encoding/json"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/schema"
)

// TestOwners_ADeactivatedUserKeepsTheID: HubSpot has it under another name then.
func TestOwners_ADeactivatedUserKeepsTheID(t *testing.T) {
	for text, want := range map[string]string{
		`{"id":"41","userId":17,"userIdIncludingInactive":17}`:   "17",
		`{"id":"41","userId":null,"userIdIncludingInactive":17}`: "17",
		`{"id":"41","userIdIncludingInactive":"17"}`:             "17",
		`{"id":"41","userId":17}`:                                "17",
		`{"id":"41","type":"QUEUE"}`:                             "",
	} {
		var owner hubspot.Owner
		if err := json.Unmarshal([]byte(text), &owner); err != nil {
			t.Fatal(err)
		}
		o := Owners{Reference: Reference{Selection: new(schema.Selection)}}
		if got := o.entry(&owner).Values["userId"]; got != want {
			t.Errorf("%s: userId %v, want %q", text, got, want)
		}
	}
}
