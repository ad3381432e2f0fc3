package hubspot

import (
	"encoding/json"
	"os"
	"slices"
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
