package hubspottest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// sharedDir holds HubSpot's own files. It lies beside the repository and is not
// part of it.
const sharedDir = "../../../../shared"

// spec is one OpenAPI file.
type spec map[string]any

func loadSpec(t testing.TB, name string) spec {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(sharedDir, "hubspot-openapi", name))
	if os.IsNotExist(err) {
		t.Skipf("HubSpot's OpenAPI files are not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var s spec
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

// at follows keys into the file, through references.
func (s spec) at(t testing.TB, node any, keys ...string) any {
	t.Helper()
	for _, key := range keys {
		m, ok := s.resolve(node).(map[string]any)
		if !ok || m[key] == nil {
			t.Fatalf("the OpenAPI file has no %s of %v", key, keys)
		}
		node = m[key]
	}
	return s.resolve(node)
}

func (s spec) resolve(node any) any {
	m, ok := node.(map[string]any)
	if !ok {
		return node
	}
	ref, ok := m["$ref"].(string)
	if !ok {
		return node
	}
	var target any = map[string]any(s)
	for key := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		target = target.(map[string]any)[key]
	}
	return s.resolve(target)
}

// walker checks a value against a schema, for the subset of JSON Schema that
// HubSpot's files use. Members that the schema does not know are problems too,
// except for the paths in extra. Paths in absent may be missing, those in other
// may have any type. The three sets hold what recorded answers show and the files
// do not say.
type walker struct {
	spec     spec
	extra    map[string]bool // "errors[].id"
	absent   map[string]bool
	other    map[string]bool
	problems []string
}

func (w *walker) walk(path string, schema, value any) {
	sch, _ := w.spec.resolve(schema).(map[string]any)
	wrong := func(want string) {
		w.problems = append(w.problems, fmt.Sprintf("%s: got %v, want %s", path, value, want))
	}
	if oneOf, ok := sch["oneOf"].([]any); ok {
		for _, option := range oneOf {
			other := &walker{spec: w.spec, extra: w.extra, absent: w.absent, other: w.other}
			if other.walk(path, option, value); len(other.problems) == 0 {
				return
			}
		}
		wrong("one of the schemas")
		return
	}
	switch sch["type"] {
	case "object", nil:
		m, ok := value.(map[string]any)
		if !ok {
			wrong("an object")
			return
		}
		w.walkObject(path, sch, m)
	case "array":
		list, ok := value.([]any)
		if !ok {
			wrong("an array")
		}
		for _, element := range list {
			w.walk(path+"[]", sch["items"], element)
		}
	case "string":
		text, ok := value.(string)
		switch {
		case value == nil && sch["nullable"] == true:
		case !ok:
			wrong("a string")
		case sch["format"] == "date-time":
			if _, err := time.Parse(time.RFC3339, text); err != nil {
				wrong("a time")
			}
		}
		if enum, has := sch["enum"].([]any); has && ok && !slices.Contains(enum, value) {
			wrong(fmt.Sprintf("one of %v", enum))
		}
	case "integer":
		if n, ok := value.(float64); !ok || n != float64(int64(n)) || sch["format"] == "int32" && n != float64(int32(n)) {
			wrong(fmt.Sprintf("an integer (%v)", sch["format"]))
		}
	case "boolean":
		if _, ok := value.(bool); !ok {
			wrong("a boolean")
		}
	default:
		wrong(fmt.Sprintf("something that this walker knows, not %v", sch["type"]))
	}
}

func (w *walker) walkObject(path string, sch, m map[string]any) {
	join := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	required, _ := sch["required"].([]any)
	for _, name := range required {
		if _, ok := m[name.(string)]; !ok && !w.absent[join(name.(string))] {
			w.problems = append(w.problems, join(name.(string))+" is missing")
		}
	}
	properties, _ := sch["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		at := join(name)
		switch property, known := properties[name]; {
		case known && m[name] == nil && !slices.Contains(required, any(name)):
			// Recorded answers have null where a member may be left out.
		case w.other[at]:
		case known:
			w.walk(at, property, m[name])
		case sch["additionalProperties"] != nil:
			w.walk(path+".*", sch["additionalProperties"], m[name])
		case !w.extra[at]:
			w.problems = append(w.problems, at+" is not in the schema")
		}
	}
}

// exchange is a request to the portal and where HubSpot's files describe it.
type exchange struct {
	endpoint Endpoint
	file     string
	path     string // as in the file
	method   string
	url      string
	body     string
	status   int
}

// portalForShapes has one of everything.
func portalForShapes() (p *Portal, ids []uint64, custom CustomType) {
	p = New(Options{OAuth: &OAuthApp{"id", "secret", "refresh"}, Tokens: []string{"pat-na1-test"}, Index: Index{Immediate: true}, Limits: Limits{SearchPerSecond: 100}})
	custom = p.AddCustomType("car", Property{Name: "plate"}, Property{Name: "colour", Type: "enumeration", Options: []string{"red", "blue"}})
	ids = p.Seed("contacts", 30)
	p.Archive("contacts", ids[0])
	p.Archive("contacts", ids[1])
	company := p.Create("companies", nil)
	p.Associate("contacts", ids[2], "companies", company, "HUBSPOT_DEFINED", 1)
	for range 500 {
		p.Associate("contacts", ids[4], "companies", p.Create("companies", nil), "", 0)
	}
	p.Associate("contacts", ids[4], "companies", company, "", 0)
	p.AddLabel("contacts", "companies", "Adviser", "Client")
	p.ForbidPair("contacts", "deals")
	p.AddPipeline(custom.FullyQualifiedName, Pipeline{Label: "Repair", Stages: []Stage{{Label: "In"}}})
	return p, ids, custom
}

func exchanges(ids []uint64, custom CustomType) []exchange {
	const (
		objects = "2026-09-objects.json"
		list    = "/crm/objects/2026-09/{objectType}"
		read    = list + "/batch/read"
		find    = list + "/search"
	)
	const links = "/crm/associations/2026-09/{fromObjectType}/{toObjectType}"
	asked := fmt.Sprintf(`{"inputs":[{"id":"%d"},{"id":"%d"}]}`, ids[2], ids[4])
	live := fmt.Sprintf(`{"inputs":[{"id":"%d"},{"id":"%d"}],"properties":["email"],"propertiesWithHistory":[]}`, ids[2], ids[3])
	missing := strings.Replace(live, "},{", `},{"id":"1"},{`, 1)
	return []exchange{
		{EndpointList, objects, list, "GET", contactsPath + "?properties=email,city", "", 200},
		{EndpointList, objects, list, "GET", contactsPath + "?archived=true&limit=1", "", 200},
		{EndpointList, objects, list, "GET", "/crm/objects/2026-09/" + custom.ObjectTypeID, "", 200},
		{EndpointList, objects, list, "GET", contactsPath + "?limit=0", "", 400},
		{EndpointGet, objects, list + "/{objectId}", "GET", contactsPath + "/" + str(ids[2]), "", 200},
		{EndpointGet, objects, list + "/{objectId}", "GET", contactsPath + "/1", "", 404},
		{EndpointSearch, objects, find, "POST", searchPath, searchBody(5, "lastmodifieddate GTE 1", "hs_object_id GT 7"), 200},
		{EndpointSearch, objects, find, "POST", searchPath, searchBody(5, "nope EQ 1"), 400},
		{EndpointBatchRead, objects, read, "POST", batchPath, live, 200},
		{EndpointBatchRead, objects, read, "POST", batchPath, missing, 207},
		{EndpointLinks, "2026-09-associations.json", links + "/batch/read", "POST", linksPath, asked, 200},
		{EndpointLinks, "2026-09-associations.json", links + "/batch/read", "POST", linksPath, strings.Replace(asked, "},{", `},{"id":"1","after":"7"},{`, 1), 207},
		{EndpointLinks, "2026-09-associations.json", links + "/batch/read", "POST", linksPath, `{"inputs":[]}`, 400},
		{EndpointLabels, "2026-09-associationsSchema.json", links + "/labels", "GET", labelsPath, "", 200},
		{EndpointLabels, "2026-09-associationsSchema.json", links + "/labels", "GET", "/crm/associations/2026-09/contacts/deals/labels", "", 400},
		{EndpointProperties, "2026-09-properties.json", "/crm/properties/2026-09/{objectType}", "GET", "/crm/properties/2026-09/contacts", "", 200},
		{EndpointProperties, "2026-09-properties.json", "/crm/properties/2026-09/{objectType}", "GET", "/crm/properties/2026-09/" + custom.FullyQualifiedName, "", 200},
		{EndpointProperty, "2026-09-properties.json", "/crm/properties/2026-09/{objectType}/{propertyName}", "GET", "/crm/properties/2026-09/contacts/lifecyclestage", "", 200},
		{EndpointSchemas, "2026-09-schemas.json", "/crm-object-schemas/2026-09/schemas", "GET", "/crm-object-schemas/2026-09/schemas", "", 200},
		{EndpointSchema, "2026-09-schemas.json", "/crm-object-schemas/2026-09/schemas/{objectType}", "GET", "/crm-object-schemas/2026-09/schemas/" + custom.ObjectTypeID, "", 200},
		{EndpointSchema, "2026-09-schemas.json", "/crm-object-schemas/2026-09/schemas/{objectType}", "GET", "/crm-object-schemas/2026-09/schemas/contacts", "", 200},
		{EndpointSchema, "2026-09-schemas.json", "/crm-object-schemas/2026-09/schemas/{objectType}", "GET", "/crm-object-schemas/2026-09/schemas/2-1", "", 404},
		{EndpointPipelines, "2026-09-pipelines.json", "/crm/pipelines/2026-09/{objectType}", "GET", "/crm/pipelines/2026-09/deals", "", 200},
		{EndpointPipelines, "2026-09-pipelines.json", "/crm/pipelines/2026-09/{objectType}", "GET", "/crm/pipelines/2026-09/" + custom.ObjectTypeID, "", 200},
		{EndpointPipelines, "2026-09-pipelines.json", "/crm/pipelines/2026-09/{objectType}", "GET", "/crm/pipelines/2026-09/contacts", "", 400},
		{EndpointPipeline, "2026-09-pipelines.json", "/crm/pipelines/2026-09/{objectType}/{pipelineId}", "GET", "/crm/pipelines/2026-09/deals/default", "", 200},
		{EndpointPipeline, "2026-09-pipelines.json", "/crm/pipelines/2026-09/{objectType}/{pipelineId}", "GET", "/crm/pipelines/2026-09/deals/none", "", 404},
		{EndpointAccount, "2026-09-accountInfo.json", "/account-info/2026-09/details", "GET", "/account-info/2026-09/details", "", 200},
		{EndpointDailyUsage, "2026-09-accountInfo.json", "/account-info/2026-09/api-usage/daily/private-apps", "GET", "/account-info/2026-09/api-usage/daily/private-apps", "", 200},
		{EndpointToken, "2026-03-oauth.json", "/oauth/2026-03/token", "POST", "/oauth/2026-03/token", "grant_type=refresh_token&client_id=id&client_secret=secret&refresh_token=refresh", 200},
		{EndpointToken, "2026-03-oauth.json", "/oauth/2026-03/token", "POST", "/oauth/2026-03/token", "grant_type=refresh_token", 400},
	}
}

// TestAnswersFitHubSpotsOpenAPIFiles checks what the portal accepts and sends
// against the files, endpoint by endpoint.
func TestAnswersFitHubSpotsOpenAPIFiles(t *testing.T) {
	p, ids, custom := portalForShapes()
	covered := map[Endpoint]bool{}
	for _, x := range exchanges(ids, custom) {
		covered[x.endpoint] = true
		t.Run(fmt.Sprintf("%s %d %s", x.endpoint, x.status, x.url), func(t *testing.T) {
			s := loadSpec(t, x.file)
			operation := s.at(t, s["paths"], x.path, strings.ToLower(x.method))
			if strings.HasPrefix(x.body, "{") {
				request := s.at(t, operation, "requestBody", "content", "application/json", "schema")
				check(t, &walker{spec: s}, request, x.body)
			}
			body := x.do(t, p)
			if x.status >= 400 {
				w := &walker{spec: s, extra: set([]string{"status"})} // recorded, not in the file
				check(t, w, s.at(t, s["components"], "schemas", "Error"), body)
				return
			}
			w := &walker{spec: s, extra: set(nil), absent: set(nil)}
			switch x.endpoint {
			case EndpointBatchRead:
				// Recorded 207s have neither of these.
				w.absent = set([]string{"errors[].errors", "errors[].links"})
			case EndpointLinks:
				// Recorded: an error has fewer members and a string as its
				// subCategory, and an id is a number.
				w.absent = set([]string{"errors[].errors", "errors[].links"})
				w.other = set([]string{"errors[].subCategory", "results[].to[].toObjectId"})
			case EndpointSchemas, EndpointSchema:
				prefix := map[Endpoint]string{EndpointSchemas: "results[]."}[x.endpoint]
				w.extra = set([]string{prefix + "restorable", prefix + "metaType"}) // recorded, as these:
				for _, name := range []string{"cardinality", "inverseCardinality", "hasUserEnforcedMaxToObjectIds", "hasUserEnforcedMaxFromObjectIds", "maxToObjectIds", "maxFromObjectIds"} {
					w.extra[prefix+"associations[]."+name] = true
				}
			}
			answer := s.at(t, operation, "responses", "200", "content", "application/json", "schema")
			check(t, w, answer, body)
		})
	}
	for _, e := range []Endpoint{
		EndpointList, EndpointGet, EndpointSearch, EndpointBatchRead, EndpointProperties, EndpointProperty,
		EndpointSchemas, EndpointSchema, EndpointAccount, EndpointDailyUsage, EndpointToken, EndpointLinks, EndpointLabels,
		EndpointPipelines, EndpointOwners,
	} {
		if !covered[e] {
			t.Logf("HubSpot's files do not have %s", e)
		}
	}
}

func (x exchange) do(t testing.TB, p *Portal) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), x.method, "https://api.hubapi.com"+x.url, strings.NewReader(x.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer pat-na1-test")
	r.Header.Set("Content-Type", "application/json")
	if x.endpoint == EndpointToken {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return string(send(t, p.Client(), r).want(t, x.status).body)
}

func check(t testing.TB, w *walker, schema any, body string) {
	t.Helper()
	var value any
	if err := json.NewDecoder(bytes.NewBufferString(body)).Decode(&value); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	w.walk("", schema, value)
	slices.Sort(w.problems)
	for _, problem := range slices.Compact(w.problems) {
		t.Error(problem)
	}
}
