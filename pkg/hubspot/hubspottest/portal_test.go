package hubspottest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// reply is an answer as a client sees it.
type reply struct {
	status int
	header http.Header
	body   []byte
}

const (
	contactsPath = "/crm/objects/2026-09/contacts"
	searchPath   = contactsPath + "/search"
	batchPath    = contactsPath + "/batch/read"
)

// do sends a request with a token, and a JSON body if there is one.
func do(t testing.TB, p *Portal, method, path, body string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "https://api.hubapi.com"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer pat-na1-test")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return send(t, p.Client(), r)
}

func send(t testing.TB, cl *http.Client, r *http.Request) reply {
	t.Helper()
	answer, err := cl.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("%s %s: read the answer: %v", r.Method, r.URL.Path, err)
	}
	return reply{answer.StatusCode, answer.Header, b}
}

func (r reply) want(t testing.TB, status int) reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("got status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

func (r reply) says(t testing.TB, text string) reply {
	t.Helper()
	if !bytes.Contains(r.body, []byte(text)) {
		t.Fatalf("got %s, want it to contain %q", r.body, text)
	}
	return r
}

// page is every answer with results.
type page struct {
	Total   int
	Results []record
	Paging  struct{ Next struct{ After, Link string } }
	Errors  []struct {
		Category string
		Context  map[string][]string
	}
	NumErrors int
}

type record struct {
	ID                               string
	Properties                       map[string]*string
	CreatedAt, UpdatedAt, ArchivedAt string
	Archived                         bool
	URL                              string
}

func (r reply) page(t testing.TB) page {
	t.Helper()
	r2 := r
	if r.status != 207 {
		r2 = r.want(t, 200)
	}
	var pg page
	if err := json.Unmarshal(r2.body, &pg); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	return pg
}

func (pg page) ids() []uint64 {
	ids := []uint64{}
	for _, rec := range pg.Results {
		id, err := strconv.ParseUint(rec.ID, 10, 64)
		if err != nil {
			panic(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func wantIDs(t testing.TB, got []uint64, want ...uint64) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got ids %v, want %v", got, want)
	}
}

func list(t testing.TB, p *Portal, query string) page {
	t.Helper()
	return do(t, p, "GET", contactsPath+query, "").page(t)
}

// search searches by filters ("property operator value", …), sorted by id.
func search(t testing.TB, p *Portal, limit int, filters ...string) page {
	t.Helper()
	return do(t, p, "POST", searchPath, searchBody(limit, filters...)).page(t)
}

func searchBody(limit int, filters ...string) string {
	var fs []map[string]string
	for _, text := range filters {
		part := strings.SplitN(text, " ", 3)
		f := map[string]string{"propertyName": part[0], "operator": part[1]}
		if len(part) > 2 {
			f["value"] = part[2]
		}
		fs = append(fs, f)
	}
	groups := []any{}
	if fs != nil {
		groups = append(groups, map[string]any{"filters": fs})
	}
	b, _ := json.Marshal(map[string]any{
		"after": "0", "limit": limit, "sorts": []string{"hs_object_id"}, "properties": []string{}, "filterGroups": groups,
	})
	return string(b)
}

func batch(t testing.TB, p *Portal, query string, ids ...uint64) reply {
	t.Helper()
	inputs := []map[string]string{}
	for _, id := range ids {
		inputs = append(inputs, map[string]string{"id": fmt.Sprint(id)})
	}
	b, _ := json.Marshal(map[string]any{"inputs": inputs, "properties": []string{"email", "hs_merged_object_ids"}, "propertiesWithHistory": []string{}})
	return do(t, p, "POST", batchPath+query, string(b))
}

func sortedIDs(pg page) []uint64 {
	ids := pg.ids()
	slices.Sort(ids)
	return ids
}

// calm returns a portal without index lag and without limits.
func calm() *Portal { return New(Options{Index: Index{Immediate: true}, Limits: Limits{Off: true}}) }

func email(text string) map[string]string { return map[string]string{"email": text} }

func TestEveryAnswerHasDateAndCorrelationID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{ClockOffset: -90 * time.Minute})
		time.Sleep(2*time.Second + 999*time.Millisecond)
		for _, path := range []string{contactsPath, "/nowhere"} {
			r := do(t, p, "GET", path, "")
			// The bubble's clock starts at 2000-01-01T00:00:00Z.
			if got, want := r.header.Get("Date"), "Fri, 31 Dec 1999 22:30:02 GMT"; got != want {
				t.Errorf("Date of %s: got %q, want %q", path, got, want)
			}
			if got := r.header.Get("X-HubSpot-Correlation-Id"); len(got) != 36 {
				t.Errorf("correlation id of %s: got %q", path, got)
			}
		}
	})
}

func TestUnknownPathIs404InJSON(t *testing.T) {
	p := calm()
	for _, path := range []string{"/", "/crm", "/crm/objects/2026-9/contacts", "/crm/objects/latest/contacts", "/crm/owners/2026-09/1", "/crm/objects/2026-09/contacts/1/associations/deals"} {
		do(t, p, "GET", path, "").want(t, 404).says(t, `"status":"error"`)
	}
	do(t, p, "GET", searchPath+"/", "").want(t, 404) // method of another endpoint
}

func TestVersionsAndTypeNamesLeadToTheSameRecords(t *testing.T) {
	p := calm()
	car := p.AddCustomType("car", Property{Name: "plate"})
	id := p.Create("contacts", email("a@example.com"))
	for _, path := range []string{
		"/crm/objects/2026-03/contacts", "/crm/objects/2026-09/0-1", "/crm/objects/2027-03-beta/contact", "/crm/v3/objects/contacts",
	} {
		wantIDs(t, do(t, p, "GET", path, "").page(t).ids(), id)
	}
	id = p.Create(car.FullyQualifiedName, map[string]string{"plate": "B-AD 1"})
	for _, name := range []string{car.ObjectTypeID, car.FullyQualifiedName, "p_car"} {
		wantIDs(t, do(t, p, "GET", "/crm/objects/2026-09/"+name, "").page(t).ids(), id)
	}
	// A custom object's bare name is not enough.
	do(t, p, "GET", "/crm/objects/2026-09/car", "").want(t, 400).says(t, "Unable to infer object type from: car")
}

func TestUnknownTypeAndMissingScopes(t *testing.T) {
	p := calm()
	for _, path := range []string{"/crm/objects/2026-09/butterflies", "/crm/properties/2026-09/butterflies"} {
		do(t, p, "GET", path, "").want(t, 400).says(t, "Unable to infer object type from: butterflies")
	}
	// A standard type that the account does not have.
	do(t, p, "GET", "/crm/objects/2026-09/leads", "").want(t, 403).says(t, "MISSING_SCOPES").says(t, "crm.objects.leads.read")
	p.SetScopes("crm.objects.companies.read")
	do(t, p, "GET", contactsPath, "").want(t, 403).says(t, `"requiredGranularScopes":["crm.objects.contacts.read"]`)
	do(t, p, "GET", "/crm/properties/2026-09/contacts", "").want(t, 403)
	do(t, p, "GET", "/crm-object-schemas/2026-09/schemas", "").want(t, 403)
	do(t, p, "GET", "/crm/objects/2026-09/companies", "").want(t, 200)
}

func TestAddressesOver16kBAre414(t *testing.T) {
	p := calm()
	names := strings.Repeat("a_property,", 1400)
	do(t, p, "GET", contactsPath+"?properties="+names, "").want(t, 200)
	do(t, p, "GET", contactsPath+"?properties="+names+names[:2000], "").want(t, 414)
}

func TestTokens(t *testing.T) {
	p := New(Options{Tokens: []string{"pat-na1-test"}})
	do(t, p, "GET", contactsPath, "").want(t, 200)
	p.SetTokens("pat-na1-new")
	r := do(t, p, "GET", contactsPath, "").want(t, 401).says(t, "INVALID_AUTHENTICATION")
	if got := r.header.Get("X-HubSpot-RateLimit-Max"); got != "" {
		t.Errorf("a refused token was counted: X-HubSpot-RateLimit-Max: %s", got)
	}
	// Without a token there is no access, even if the portal accepts any token.
	req, _ := http.NewRequestWithContext(t.Context(), "GET", "https://x.example"+contactsPath, nil)
	send(t, calm().Client(), req).want(t, 401)
}
