package hubspot

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func TestRecordedProperties(t *testing.T) {
	body := recorded(t, "metadata-contacts-properties-sampled.json")
	var query string
	r := newRig(t, func(req *http.Request) (*http.Response, error) {
		query = req.URL.RawQuery
		return respond(200, string(body)), nil
	})
	list, err := r.Properties(t.Context(), Call{}, "contacts", "sensitive")
	if err != nil || query != "dataSensitivity=sensitive" {
		t.Fatalf("err = %v, query %q", err, query)
	}
	p := list[0]
	if p.Name != "address" || p.Label != "Street Address" || p.Type != "string" || p.FieldType != "text" || p.DataSensitivity != "non_sensitive" || !p.HubSpotDefined || p.Calculated {
		t.Errorf("first property %+v", p)
	}
}

func TestRecordedAccount(t *testing.T) {
	r := newRig(t, always(200, string(recorded(t, "post-auth_account-info.json"))))
	a, err := r.Account(t.Context(), Call{})
	if err != nil || a.PortalID != 12345678 || a.TimeZone != "US/Eastern" || a.AccountType != "STANDARD" {
		t.Errorf("account %+v, err = %v", a, err)
	}
}

func TestRecordedErrors(t *testing.T) {
	r := newRig(t, always(403, string(recorded(t, "metadata-err-schemas-scope.json"))))
	if _, err := r.Schemas(t.Context(), Call{}); !MissingScopes(err) {
		t.Errorf("err = %v, want MissingScopes", err)
	}
	r = newRig(t, always(400, string(recorded(t, "search_error-invalid-object.json"))))
	if _, err := r.Search(t.Context(), Call{}, SearchQuery{Object: "butterflies"}); !BadRequest(err) {
		t.Errorf("err = %v, want BadRequest", err)
	}
}

func TestSchemas(t *testing.T) {
	r := newRig(t, always(200, `{"results":[{"id":"17","objectTypeId":"2-17","name":"car","fullyQualifiedName":"p82918_car","labels":{"singular":"Car","plural":"Cars"},"archived":false,
		"properties":[{"name":"model","label":"Model","type":"string","fieldType":"text"}],"associations":[]}]}`))
	list, err := r.Schemas(t.Context(), Call{})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d schemas, err = %v", len(list), err)
	}
	s := list[0]
	if s.Labels.Plural != "Cars" || len(s.Properties) != 1 || s.Properties[0].Name != "model" {
		t.Errorf("schema %+v", s)
	}
	want := ObjectType{Name: "p82918_car", TypeID: "2-17", Path: "2-17", ModifiedProperty: "hs_lastmodifieddate", CreatedProperty: "hs_createdate", Custom: true}
	if got := s.ObjectType(); got != want {
		t.Errorf("object type %+v, want %+v", got, want)
	}
}

// A missing list of definitions must not look like an empty one: every property
// would seem removed.
func TestDefinitionsWithoutResultsAreAskedAgain(t *testing.T) {
	for _, body := range []string{`{}`, `{"results":null}`, `{"results":[{}]}`, `[]`} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{steps: []func() (*http.Response, error){answers(200, body), answers(200, `{"results":[]}`)}}
			r := newRig(t, s.wire())
			if _, err := r.Properties(t.Context(), Call{}, "contacts", ""); err != nil || len(s.at) != 2 {
				t.Errorf("%s: properties: err = %v after %d attempts", body, err, len(s.at))
			}
			s.at = nil
			if _, err := r.Schemas(t.Context(), Call{}); err != nil || len(s.at) != 2 {
				t.Errorf("%s: schemas: err = %v after %d attempts", body, err, len(s.at))
			}
		})
	}
}

// TestR18_ADefinitionWithoutNameCostsThatProperty: the others are read, and the log
// says how many are left out when that changes.
func TestR18_ADefinitionWithoutNameCostsThatProperty(t *testing.T) {
	r := newRig(t, always(200, `{"results":[{"name":"a","type":"string"},{"type":"string"},{"name":"b"},{"name":"c","type":"number"},{"name":{},"type":"string"}]}`))
	for range 2 {
		properties, err := r.Properties(t.Context(), Call{}, "contacts", "")
		if err != nil || len(properties) != 2 || properties[0].Name != "a" || properties[1].Name != "c" {
			t.Errorf("%+v, %v", properties, err)
		}
	}
	if n := r.log.Count("definitions without name or type"); n != 1 || !r.log.Has("properties=3") || !r.log.Has("cure=") {
		t.Errorf("said %d times:\n%s", n, r.log)
	}
}

func TestStandardTypes(t *testing.T) {
	names, typeIDs := map[string]bool{}, map[string]bool{}
	for i, o := range StandardTypes() {
		want := "hs_lastmodifieddate"
		if o.Name == "contacts" {
			want = "lastmodifieddate"
			if i != 0 || o.TypeID != "0-1" {
				t.Errorf("contacts are %+v at %d", o, i)
			}
		}
		if o.ModifiedProperty != want || o.Path != o.Name || o.Custom || o.CreatedProperty == "" {
			t.Errorf("%+v", o)
		}
		if names[o.Name] || o.TypeID != "" && typeIDs[o.TypeID] {
			t.Errorf("%s is listed twice", o.Name)
		}
		names[o.Name], typeIDs[o.TypeID] = true, true
	}
}

// docs/contract.md section 5: the order of docs/hubspot.md section 5, left to
// right and top to bottom, decides which type of a pair is from. It leaves out
// partner_clients, which has no batch read.
func TestStandardTypesStandInTheOrderThatDirectsPairs(t *testing.T) {
	want := strings.Fields(`contacts companies deals tickets products line_items quotes communications feedback_submissions
		tasks notes meetings calls emails postal_mail invoices subscriptions commerce_payments discounts fees taxes orders carts
		leads goal_targets users services courses listings appointments projects contracts partner_services deal_split`)
	var got []string
	for _, o := range StandardTypes() {
		got = append(got, o.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// docs/contract.md section 7: this package's metrics, by name.
func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []func() (*http.Response, error){
			fails(errRefused), answers(503, ""), answers(429, `{"policyName":"SECONDLY"}`),
			answers(200, accountBody, "X-HubSpot-RateLimit-Max", "190", "X-HubSpot-RateLimit-Remaining", "180", "X-HubSpot-RateLimit-Interval-Milliseconds", "10000",
				"X-HubSpot-RateLimit-Daily", "1000", "X-HubSpot-RateLimit-Daily-Remaining", "600"),
		}}
		r := newRig(t, s.wire(), func(c *Config) { c.Governor = NewGovernor(Limits{DailyReserve: 0.2}) })
		if err := r.ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		families, err := r.reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name := f.GetName()
				for _, l := range m.GetLabel() {
					name += " " + l.GetName() + "=" + l.GetValue()
				}
				got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
		for name, want := range map[string]float64{
			"hubspot_cdc_requests_total api=account status=error": 1,
			"hubspot_cdc_requests_total api=account status=503":   1,
			"hubspot_cdc_requests_total api=account status=429":   1,
			"hubspot_cdc_requests_total api=account status=200":   1,
			"hubspot_cdc_throttled_total policy=SECONDLY":         1,
			"hubspot_cdc_budget_remaining limit=ten_seconds":      180,
			"hubspot_cdc_budget_remaining limit=day":              600,
			"hubspot_cdc_budget_remaining limit=search":           1,
		} {
			if got[name] != want {
				t.Errorf("%s = %v, want %v (all: %v)", name, got[name], want, got)
			}
		}
	})
}
