package hubspot

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

// The scopes that we tell an operator to select exist: HubSpot's OpenAPI files
// name them. HubSpot publishes none for contracts, and names that of deal
// splits in its list of scopes only.
func TestScopesAreHubSpots(t *testing.T) {
	for _, typ := range StandardTypes() {
		if len(typ.Scopes().All()) == 0 && typ.Name != "contracts" {
			t.Errorf("%s has no scopes", typ.Name)
		}
	}
	const dir = "../../../shared/hubspot-openapi/"
	known := map[string]bool{"crm.dealsplits.read_write": true, "sales-email-read": true}
	for file, path := range map[string]string{
		"2026-09-objects.json":    "/crm/objects/2026-09/{objectType}",
		"2026-09-properties.json": "/crm/properties/2026-09/{objectType}",
	} {
		for _, name := range securityOf(t, dir+file, path) {
			known[name] = true
		}
	}
	check := func(typ, scope string) {
		if scope != "" && !known[scope] {
			t.Errorf("%s: scope %s is in none of HubSpot's files", typ, scope)
		}
		if scope != "" && !Clickable(scope) {
			t.Errorf("%s: scope %s counts as one that HubSpot does not show", typ, scope)
		}
	}
	for _, typ := range append(StandardTypes(), ObjectType{Name: "p1_car", Custom: true}) {
		for _, scope := range typ.Scopes().All() {
			check(typ.Name, scope)
		}
		check(typ.Name, typ.SensitiveScope("sensitive"))
		check(typ.Name, typ.SensitiveScope("highly_sensitive"))
	}
	if !known[ScopeOwners] {
		t.Errorf("%s is in none of HubSpot's files", ScopeOwners)
	}
	if Clickable("custom-object-read") {
		t.Error("custom-object-read counts as a scope that HubSpot shows")
	}
}

func securityOf(t *testing.T, file, path string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		t.Skipf("HubSpot's files are not here: %v", err)
	}
	var spec struct {
		Paths map[string]map[string]struct {
			Security []map[string][]string `json:"security"`
		} `json:"paths"`
	}
	if err != nil || json.Unmarshal(text, &spec) != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var all []string
	for _, one := range spec.Paths[path]["get"].Security {
		all = append(all, slices.Concat(one["private_apps"], one["oauth2"])...)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no scopes for %s", file, path)
	}
	return all
}

// TestA403WithoutACategoryNamesTheScope: some APIs say no more than that the token
// may not. The path shows which scope it lacks.
func TestA403WithoutACategoryNamesTheScope(t *testing.T) {
	for path, want := range map[string]string{
		"/crm/objects/2026-09/contacts":                           "crm.objects.contacts.read",
		"/crm/objects/2026-09/0-2/search":                         "crm.objects.companies.read",
		"/crm/objects/2026-09/2-17/batch/read":                    "crm.objects.custom.read",
		"/crm/objects/2026-09/tickets":                            "tickets",
		"/crm/properties/2026-09/deals":                           "crm.objects.deals.read, crm.schemas.deals.read",
		"/crm/pipelines/2026-09/deals":                            "crm.objects.deals.read",
		"/crm/owners/2026-09":                                     "crm.objects.owners.read",
		"/crm/associations/2026-09/contacts/companies/batch/read": "crm.objects.contacts.read, crm.objects.companies.read",
		"/crm/associations/2026-09/contacts/contacts/labels":      "crm.objects.contacts.read",
		"/crm-object-schemas/2026-09/schemas":                     "",
		"/account-info/2026-09/details":                           "",
		"/crm":                                                    "",
	} {
		for _, body := range []string{`{"status":"error","message":"nope"}`, `{"status":"error","category":"MISSING_SCOPES"}`} {
			r := &request{method: "GET", path: path}
			e := judge(r, attempt{status: 403, header: http.Header{}, body: []byte(body)}).lasting
			if e == nil || !MissingScopes(e) || strings.Join(e.Scopes, ", ") != want {
				t.Errorf("%s %s: %v, want the scopes %q", path, body, e, want)
			}
			if want != "" && !strings.Contains(e.Error(), want) {
				t.Errorf("%s: %q does not name them", path, e)
			}
		}
	}
	for body, want := range map[string]string{
		`{"status":"error","category":"BANNED"}`:                                                          "",
		`{"status":"error","errors":[{"context":{"requiredGranularScopes":["crm.objects.leads.read"]}}]}`: "crm.objects.leads.read",
	} {
		e := judge(&request{method: "GET", path: "/crm/objects/2026-09/contacts"}, attempt{status: 403, header: http.Header{}, body: []byte(body)}).lasting
		if e == nil || MissingScopes(e) != (want != "") || strings.Join(e.Scopes, ", ") != want {
			t.Errorf("%s: %v, want the scopes %q", body, e, want)
		}
	}
}
