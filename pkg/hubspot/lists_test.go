package hubspot

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// TestOwners_AreReadAsTheyCome: docs/hubspot.md section 5; owners without
// e-mail, queues, ids that are numbers, times of either spelling.
func TestOwners_AreReadAsTheyCome(t *testing.T) {
	var asked string
	r := newRig(t, func(req *http.Request) (*http.Response, error) {
		asked = req.URL.RequestURI()
		return respond(200, `{"results":[
			{"id":"41629779","email":"ada@example.com","type":"PERSON","firstName":"Ada","lastName":"Dahl","userId":1296619,"userIdIncludingInactive":1296619,
			 "createdAt":"2019-12-25T13:01:35.228Z","updatedAt":"2026-08-22T13:40:26.790Z","archived":false,"teams":[{"id":"368389","name":"Sales","primary":true}]},
			{"id":7,"email":null,"type":"QUEUE","firstName":"","userId":null,"createdAt":"1970-01-01T00:00:00Z","updatedAt":1577278895228,"archived":false}],
			"paging":{"next":{"after":"NTI1Cg==","link":"https://api.hubapi.com/crm/owners/2026-09?after=NTI1"}}}`), nil
	})
	page, err := r.Owners(t.Context(), Call{}, "a/b=", true, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := "/crm/owners/2026-09?after=a%2Fb%3D&archived=true&limit=500"; asked != want {
		t.Errorf("asked %s, want %s", asked, want)
	}
	if page.After != "NTI1Cg==" || len(page.Owners) != 2 || page.Date == 0 {
		t.Fatalf("page %+v", page)
	}
	ada, queue := page.Owners[0], page.Owners[1]
	if ada.ID != "41629779" || ada.Email != "ada@example.com" || ada.LastName != "Dahl" || ada.UserID != "1296619" ||
		string(ada.Teams) != `[{"id":"368389","name":"Sales","primary":true}]` || ada.UpdatedAt != (Moment{at(t, "2026-08-22T13:40:26.790Z"), true}) {
		t.Errorf("ada is %+v", ada)
	}
	if queue.ID != "7" || queue.Email != "" || queue.Type != "QUEUE" || queue.UserID != "" || queue.Teams != nil ||
		queue.CreatedAt != (Moment{0, true}) || queue.UpdatedAt != (Moment{1577278895228, true}) {
		t.Errorf("the queue is %+v", queue)
	}
}

func TestPipelines_AreReadWithTheirStages(t *testing.T) {
	var asked string
	r := newRig(t, func(req *http.Request) (*http.Response, error) {
		asked = req.URL.RequestURI()
		return respond(200, `{"results":[{"id":"default","label":"Sales Pipeline","displayOrder":0,"createdAt":"1970-01-01T00:00:00Z","updatedAt":"2026-01-02T03:04:05.678Z","archived":false,
			"stages":[{"id":"appointmentscheduled","label":"Appointment Scheduled","displayOrder":-1,"metadata":{"isClosed":"false","probability":"0.2"},
			"createdAt":"1970-01-01T00:00:00Z","updatedAt":null,"archived":false,"writePermissions":"CRM_PERMISSIONS_ENFORCEMENT"}]}]}`), nil
	})
	a, err := r.Pipelines(t.Context(), Call{}, "2-17")
	if err != nil || len(a.Pipelines) != 1 || asked != "/crm/pipelines/2026-09/2-17" || a.Date == 0 {
		t.Fatalf("%+v, %v, asked %s", a, err, asked)
	}
	p := a.Pipelines[0]
	if p.ID != "default" || p.Label != "Sales Pipeline" || *p.DisplayOrder != 0 || p.CreatedAt != (Moment{0, true}) || len(p.Stages) != 1 {
		t.Fatalf("pipeline %+v", p)
	}
	if s := p.Stages[0]; s.ID != "appointmentscheduled" || *s.DisplayOrder != -1 || string(s.Metadata) != `{"isClosed":"false","probability":"0.2"}` || s.UpdatedAt.Known {
		t.Errorf("stage %+v", s)
	}
}

// TestR19_OneThingIsAskedForByItself: an owner, a pipeline, a property.
func TestR19_OneThingIsAskedForByItself(t *testing.T) {
	const notFound = `{"status":"error","message":"resource not found","correlationId":"c","category":"OBJECT_NOT_FOUND"}`
	for _, c := range []struct {
		path, body string
		ask        func(*Client) (string, error)
	}{
		{"/crm/owners/2026-09/41?idProperty=id&archived=false", `{"id":41}`, func(c *Client) (string, error) {
			o, err := c.Owner(t.Context(), Call{}, "41")
			return string(o.ID), err
		}},
		{"/crm/pipelines/2026-09/deals/a%2Fb", `{"id":"a/b","stages":[{"id":"1"}]}`, func(c *Client) (string, error) {
			p, err := c.Pipeline(t.Context(), Call{}, "deals", "a/b")
			return string(p.ID), err
		}},
		{"/crm/properties/2026-09/deals/amount?dataSensitivity=sensitive", `{"name":"amount","type":"number"}`, func(c *Client) (string, error) {
			p, err := c.Property(t.Context(), Call{}, "deals", "amount", "sensitive")
			return p.Name, err
		}},
	} {
		status, body, asked := 200, c.body, ""
		r := newRig(t, func(req *http.Request) (*http.Response, error) {
			asked = req.URL.RequestURI()
			return respond(status, body), nil
		})
		if name, err := c.ask(r.Client); err != nil || name == "" || asked != c.path {
			t.Errorf("%q, %v, asked %s, want %s", name, err, asked, c.path)
		}
		status, body = 404, notFound
		if _, err := c.ask(r.Client); !NotFound(err) {
			t.Errorf("%s: %v, want not found", c.path, err)
		}
	}
}

// TestPromise4_ListsThatAreNotThereAreNotEmpty: an incomplete answer must not
// be evidence that everything is gone.
func TestPromise4_ListsThatAreNotThereAreNotEmpty(t *testing.T) {
	for _, body := range []string{
		`{}`, `{"results":null}`, `{"results":{}}`, `[]`, `null`, `{"results":[{}]}`, `{"results":[{"id":""}]}`, `{"results":[{"id":"a\u0000b"}]}`,
		`{"results":[{"id":{}}]}`, `{"results":[],"paging":{"next":{}}}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{steps: []func() (*http.Response, error){answers(200, body), answers(200, `{"results":[],"paging":null}`)}}
			r := newRig(t, s.wire())
			if page, err := r.Owners(t.Context(), Call{}, "", false, 0); err != nil || len(s.at) != 2 || len(page.Owners) > 0 || page.After != "" {
				t.Errorf("%s: owners: %+v, %v after %d attempts", body, page, err, len(s.at))
			}
		})
	}
	for _, body := range []string{
		`{}`, `{"results":null}`, `{"results":[{"id":"default"}]}`, `{"results":[{"id":"default","stages":null}]}`, `{"results":[{"stages":[]}]}`,
		`{"results":[{"id":"default","stages":[{"label":"x"}]}]}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{steps: []func() (*http.Response, error){answers(200, body), answers(200, `{"results":[]}`)}}
			r := newRig(t, s.wire())
			if a, err := r.Pipelines(t.Context(), Call{}, "deals"); err != nil || len(s.at) != 2 || len(a.Pipelines) > 0 {
				t.Errorf("%s: pipelines: %+v, %v after %d attempts", body, a, err, len(s.at))
			}
		})
	}
}

// TestR18_OneOddMemberOfAListCostsThatMember, and an element that has no id costs that
// element: the answer then says that it is not the whole list.
func TestR18_OneOddMemberOfAListCostsThatMember(t *testing.T) {
	for member, odd := range map[string][]string{
		"updatedAt": {`"soon"`, `{}`, `[]`, `true`, `1.5`}, "createdAt": {`"soon"`, `{}`},
		"archived": {`"maybe"`, `7`, `{}`}, "firstName": {`{}`, `[1]`, `true`}, "email": {`[]`}, "userId": {`{}`, `false`}, "teams": {`7`},
	} {
		for _, value := range odd {
			body := `{"results":[{"id":"1","lastName":"A"},{"id":"2","lastName":"B","` + member + `":` + value + `},{"id":3,"lastName":"C"}]}`
			page, err := newRig(t, always(200, body)).Owners(t.Context(), Call{}, "", false, 0)
			if err != nil || page.Short || len(page.Owners) != 3 || page.Owners[1].LastName != "B" || page.Owners[2].ID != "3" {
				t.Errorf("%s %s: %+v, %v", member, value, page, err)
			}
		}
	}
	for _, element := range []string{`{}`, `null`, `7`, `{"id":null}`, `{"id":{}}`, `{"id":""}`} {
		page, err := newRig(t, always(200, `{"results":[{"id":"1"},`+element+`,{"id":"3"}]}`)).Owners(t.Context(), Call{}, "", false, 0)
		if err != nil || !page.Short || len(page.Owners) != 2 {
			t.Errorf("%s: %+v, %v", element, page, err)
		}
	}
	for value, want := range map[string]any{
		`3`: int32(3), `"3"`: int32(3), `3.0`: int32(3), `-7`: int32(-7), `null`: nil, `1.5`: nil, `1099511627776`: nil, `"first"`: nil, `{}`: nil, `true`: nil,
	} {
		body := `{"results":[{"id":"a","displayOrder":` + value + `,"stages":[{"id":"s","displayOrder":` + value + `,"label":[]},{"id":"t","label":"T"}]},{"id":"b","stages":[]}]}`
		a, err := newRig(t, always(200, body)).Pipelines(t.Context(), Call{}, "deals")
		if err != nil || a.Short || a.StagesShort || len(a.Pipelines) != 2 || len(a.Pipelines[0].Stages) != 2 || a.Pipelines[0].Stages[1].Label != "T" {
			t.Errorf("%s: %+v, %v", value, a, err)
			continue
		}
		for _, order := range []*int32{a.Pipelines[0].DisplayOrder, a.Pipelines[0].Stages[0].DisplayOrder} {
			if order == nil && want != nil || order != nil && any(*order) != want {
				t.Errorf("%s: displayOrder %v, want %v", value, order, want)
			}
		}
	}
	for pipeline, short := range map[string][2]bool{
		`{"stages":[]}`: {true, true}, `null`: {true, true}, `{"id":"b"}`: {false, true}, `{"id":"b","stages":7}`: {false, true},
		`{"id":"b","stages":[{"label":"x"},{"id":"s"}]}`: {false, true}, `{"id":"b","stages":[null]}`: {false, true},
	} {
		a, err := newRig(t, always(200, `{"results":[{"id":"a","stages":[{"id":"s"}]},`+pipeline+`]}`)).Pipelines(t.Context(), Call{}, "deals")
		if err != nil || a.Short != short[0] || a.StagesShort != short[1] {
			t.Errorf("%s: %+v, %v", pipeline, a, err)
		}
	}
}

// TestR18_OneOddMemberOfOneThingCostsThatMember: what a list shows, HubSpot shows when
// asked for it alone.
func TestR18_OneOddMemberOfOneThingCostsThatMember(t *testing.T) {
	for body, ask := range map[string]func(context.Context, *Client) (string, error){
		`{"id":41,"updatedAt":"soon","archived":"no","teams":7}`: func(ctx context.Context, c *Client) (string, error) {
			o, err := c.Owner(ctx, Call{}, "41")
			return string(o.ID), err
		},
		`{"id":"41","displayOrder":3.0,"createdAt":true,"stages":[{"id":"1","displayOrder":"first"}]}`: func(ctx context.Context, c *Client) (string, error) {
			p, err := c.Pipeline(ctx, Call{}, "deals", "41")
			return string(p.ID), err
		},
		`{"name":"41","type":"number","calculated":"false","description":{}}`: func(ctx context.Context, c *Client) (string, error) {
			p, err := c.Property(ctx, Call{}, "deals", "41", "")
			return p.Name, err
		},
		`{"portalId":41,"timeZone":null,"uiDomain":7,"utcOffsetMilliseconds":"-14400000"}`: func(ctx context.Context, c *Client) (string, error) {
			a, err := c.Account(ctx, Call{})
			return strconv.FormatInt(a.PortalID, 10), err
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if name, err := ask(ctx, newRig(t, always(200, body)).Client); err != nil || name != "41" {
				t.Errorf("%s: %q, %v", body, name, err)
			}
		})
	}
}
