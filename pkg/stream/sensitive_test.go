package stream

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// definitions answers requests for property definitions, by dataSensitivity.
type definitions map[string]struct {
	status int
	body   string
}

func (d definitions) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := d[r.URL.Query().Get("dataSensitivity")]
	return &http.Response{
		StatusCode: answer.status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(answer.body)), Request: r,
	}, nil
}

// TestR9_SensitivePropertiesAreOnlyWhatWasAskedFor: a property of another sensitivity
// is left out, wherever HubSpot lists it, and a refusal costs only what it refuses.
func TestR9_SensitivePropertiesAreOnlyWhatWasAskedFor(t *testing.T) {
	const ordinary = `{"results":[{"name":"a","type":"string","dataSensitivity":"non_sensitive"},{"name":"b","type":"string"},` +
		`{"name":"ssn","type":"string","dataSensitivity":"sensitive"},{"name":"hiv","type":"string","dataSensitivity":"highly_sensitive"},{"name":"x","type":"string","dataSensitivity":"secret"}]}`
	const noScopes = `{"status":"error","category":"MISSING_SCOPES","context":{"requiredGranularScopes":["crm.objects.contacts.sensitive.read"]}}`
	answers := definitions{
		"non_sensitive":    {200, ordinary},
		"sensitive":        {200, `{"results":[{"name":"ssn","type":"string","dataSensitivity":"sensitive"},{"name":"s","type":"string"}]}`},
		"highly_sensitive": {403, noScopes},
	}
	all := []string{"non_sensitive", "sensitive", "highly_sensitive"}
	for _, c := range []struct {
		asked, want, withheld []string
	}{
		{all[:1], []string{"a", "b"}, nil},
		{all[:2], []string{"a", "b", "ssn", "ssn", "s"}, nil},
		{all, []string{"a", "b", "ssn", "hiv", "ssn", "s"}, []string{"highly_sensitive"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, err := hubspot.New(hubspot.Config{
				BaseURL: "https://hubspot.test", Transport: answers, Governor: hubspot.NewGovernor(hubspot.Limits{}),
				Auth: hubspot.AccessToken(func() (hubspot.Secret, error) { return "x", nil }),
			})
			if err != nil {
				t.Fatal(err)
			}
			f, err := properties(t.Context(), client, hubspot.StandardTypes()[0], c.asked)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range f.Properties {
				got = append(got, p.Name)
			}
			if !slices.Equal(got, c.want) || !slices.Equal(f.Sensitivities(), c.withheld) {
				t.Errorf("asked for %q: %q without %q, want %q without %q", c.asked, got, f.Sensitivities(), c.want, c.withheld)
			}
		})
	}
}
