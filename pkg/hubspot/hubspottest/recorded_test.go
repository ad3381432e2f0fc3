package hubspottest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func recorded(t testing.TB, name string) any {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(sharedDir, "recorded", name))
	if os.IsNotExist(err) {
		t.Skipf("the recorded answers are not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, b)
}

func parse(t testing.TB, b []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return v
}

// members lists the members of a value with the kinds of their values, one
// line each: "results[].id string". Members of open (maps from names that are
// data) are one line.
func members(v any, open ...string) []string {
	found := map[string]bool{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			found[path+" object"] = true
			for name, member := range v {
				if slices.Contains(open, path) {
					name = "*"
				}
				walk(strings.TrimPrefix(path+"."+name, "."), member)
			}
		case []any:
			found[path+" array"] = true
			for _, element := range v {
				walk(path+"[]", element)
			}
		case nil:
			found[path+" null"] = true
		case float64:
			found[path+" number"] = true
		default:
			found[fmt.Sprintf("%s %T", path, v)] = true
		}
	}
	walk("", v)
	lines := make([]string, 0, len(found))
	for line := range found {
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// sameMembers fails if one answer has members that the other lacks, except for
// the lines in optional, which come and go.
func sameMembers(t testing.TB, got, want any, optional []string, open ...string) {
	t.Helper()
	a, b := members(got, open...), members(want, open...)
	for _, line := range a {
		if !slices.Contains(b, line) && !slices.Contains(optional, line) {
			t.Errorf("the portal has %q, the recorded answer does not", line)
		}
	}
	for _, line := range b {
		if !slices.Contains(a, line) && !slices.Contains(optional, line) {
			t.Errorf("the recorded answer has %q, the portal does not", line)
		}
	}
}

func TestAnswersHaveTheMembersOfRecordedOnes(t *testing.T) {
	p, ids, _ := portalForShapes()
	get := func(path string, status int) any {
		return parse(t, do(t, p, "GET", path, "").want(t, status).body)
	}
	post := func(path, body string, status int) any {
		return parse(t, do(t, p, "POST", path, body).want(t, status).body)
	}
	t.Run("search page", func(t *testing.T) {
		body := strings.Replace(searchBody(5), `"properties":[]`, `"properties":["email","website","closedate"]`, 1)
		p.Update("contacts", ids[5], map[string]string{"email": "a@example.com"})
		sameMembers(t, post(searchPath, body, 200), recorded(t, "search_contacts_1-first-page.json"), nil, "results[].properties")
	})
	t.Run("last search page", func(t *testing.T) {
		sameMembers(t, post(searchPath, searchBody(200), 200), recorded(t, "search_contacts_2-second-page.json"),
			[]string{"results[].properties.* null"}, "results[].properties")
	})
	t.Run("list page", func(t *testing.T) {
		sameMembers(t, get(contactsPath+"?limit=5", 200), recorded(t, "read_objects-api_contacts-response.json"),
			[]string{"results[].properties.* null"}, "results[].properties")
	})
	t.Run("properties", func(t *testing.T) {
		// readOnlyOptions, showCurrencySymbol and the options of an enumeration
		// appear only on some definitions, both recorded ones and ours.
		optional := []string{
			"results[].modificationMetadata.readOnlyOptions bool", "results[].showCurrencySymbol bool",
			"results[].options[] object", "results[].options[].label string", "results[].options[].value string",
			"results[].options[].displayOrder number", "results[].options[].hidden bool", "results[].options[].description string",
			"results[].options[].description null",
		}
		p.AddProperty("contacts", Property{Name: "hobby"})
		sameMembers(t, get("/crm/properties/2026-09/contacts", 200), recorded(t, "metadata-contacts-properties-sampled.json"), optional)
	})
	t.Run("schema", func(t *testing.T) {
		want := recorded(t, "contacts-schema-resp.json")
		sameMembers(t, get("/crm-object-schemas/2026-09/schemas/contacts?includePropertyDefinitions=false", 200), want, nil)
	})
	t.Run("account", func(t *testing.T) {
		sameMembers(t, get("/account-info/2026-09/details", 200), recorded(t, "post-auth_account-info.json"), nil)
	})
	t.Run("unknown type", func(t *testing.T) {
		got, want := get("/crm/objects/2026-09/butterflies", 400), recorded(t, "search_error-invalid-object.json")
		sameMembers(t, got, want, nil)
		if got, want := got.(map[string]any)["message"], want.(map[string]any)["message"]; got != want {
			t.Errorf("got message %v, want %v", got, want)
		}
	})
	t.Run("batch with errors", func(t *testing.T) {
		// Recorded from campaigns, with other results and another error in the
		// same envelope.
		want := recorded(t, "batch_read_campaigns_multi-207.json").(map[string]any)
		for _, e := range want["errors"].([]any) {
			m := e.(map[string]any)
			delete(m, "subCategory")
			m["context"] = map[string]any{"ids": []any{"1"}}
		}
		delete(want, "results")
		got := post(batchPath, `{"inputs":[{"id":"1"}],"properties":[],"propertiesWithHistory":[]}`, 207).(map[string]any)
		delete(got, "results")
		sameMembers(t, got, want, nil)
	})
	t.Run("associations", func(t *testing.T) {
		got := post(linksPath, fmt.Sprintf(`{"inputs":[{"id":"%d"},{"id":"%d"}]}`, ids[2], ids[3]), 207)
		sameMembers(t, got, recorded(t, "search_contacts_contacts-to-companies.json"), nil)
	})
	t.Run("missing scopes", func(t *testing.T) {
		p.SetScopes("crm.objects.contacts.read")
		sameMembers(t, get("/crm-object-schemas/2026-09/schemas", 403), recorded(t, "metadata-err-schemas-scope.json"), nil)
	})
}
