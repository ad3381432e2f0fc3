package hubspot

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
)

func ids(records []Record) []ID {
	var list []ID
	for _, r := range records {
		list = append(list, r.ID)
	}
	return list
}

func rec(id string) string {
	return `{"id":"` + id + `","properties":{"email":"e` + id + `"},"createdAt":"2019-01-01T00:00:00Z","updatedAt":"2024-12-24T17:31:54.727Z","archived":false}`
}

// R8: what a batch read says about each requested id, with 200 and with 207.
func TestBatchReadSaysOnlyWhatWasSaid(t *testing.T) {
	notFound := func(ids string) string {
		return `{"status":"error","category":"OBJECT_NOT_FOUND","message":"Could not get some CONTACT objects, they may be deleted or not exist.","context":{"ids":[` + ids + `]}}`
	}
	for name, c := range map[string]struct {
		asked                                 []ID
		body                                  string
		records, missing, unanswered, foreign []ID
	}{
		"all found":                    {[]ID{1, 2}, `{"results":[` + rec("2") + `,` + rec("1") + `]}`, []ID{2, 1}, nil, nil, nil},
		"some missing":                 {[]ID{1, 2, 3}, `{"results":[` + rec("2") + `],"numErrors":1,"errors":[` + notFound(`"1","3"`) + `]}`, []ID{2}, []ID{1, 3}, nil, nil},
		"nothing said":                 {[]ID{1, 2}, `{"results":[]}`, nil, nil, []ID{1, 2}, nil},
		"merged":                       {[]ID{1, 2}, `{"results":[` + rec("9") + `,` + rec("2") + `]}`, []ID{2}, nil, []ID{1}, []ID{9}},
		"merged into one asked too":    {[]ID{1, 2}, `{"results":[` + rec("2") + `,` + rec("2") + `]}`, []ID{2, 2}, nil, []ID{1}, nil},
		"an error that names no ids":   {[]ID{1}, `{"results":[],"errors":[{"category":"OBJECT_NOT_FOUND","context":{}}]}`, nil, nil, []ID{1}, nil},
		"an error of another kind":     {[]ID{1}, `{"results":[],"errors":[{"category":"VALIDATION_ERROR","context":{"ids":["1"]}}]}`, nil, nil, []ID{1}, nil},
		"an error of an odd shape":     {[]ID{1}, `{"results":[],"errors":[7,{"category":3,"context":{"ids":"1"}},` + notFound(`1`) + `]}`, nil, []ID{1}, nil, nil},
		"an error for an id not asked": {[]ID{1}, `{"results":[],"errors":[` + notFound(`"7"`) + `]}`, nil, nil, []ID{1}, nil},
		"found and missing":            {[]ID{1}, `{"results":[` + rec("1") + `],"errors":[` + notFound(`"1"`) + `]}`, []ID{1}, nil, nil, nil},
		"asked twice":                  {[]ID{1, 1, 2, 2}, `{"results":[],"errors":[` + notFound(`"1","1"`) + `]}`, nil, []ID{1}, []ID{2}, nil},
	} {
		for _, status := range []int{200, 207} {
			r := newRig(t, always(status, c.body))
			p, err := r.BatchRead(t.Context(), Call{}, "contacts", NewSlots([]string{"email"}), c.asked, false)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			got := fmt.Sprint(ids(p.Records), p.Missing, p.Unanswered, ids(p.Foreign))
			if want := fmt.Sprint(c.records, c.missing, c.unanswered, c.foreign); got != want {
				t.Errorf("%s (%d): records, missing, unanswered, foreign %s, want %s", name, status, got, want)
			}
		}
	}
}

func TestBatchReadSendsAllRequiredMembers(t *testing.T) {
	var asked string
	r := newRig(t, func(req *http.Request) (*http.Response, error) {
		asked = req.Method + " " + req.URL.Path + "?" + req.URL.RawQuery + " " + bodyOf(t, req)
		return respond(200, `{"results":[]}`), nil
	})
	for _, c := range []struct {
		slots    *Slots
		archived bool
		want     string
	}{
		{NewSlots([]string{"email", "", "phone"}), false, `POST /crm/objects/2026-09/contacts/batch/read? {"inputs":[{"id":"17"},{"id":"18"}],"properties":["email","phone"],"propertiesWithHistory":[]}`},
		{nil, true, `POST /crm/objects/2026-09/contacts/batch/read?archived=true {"inputs":[{"id":"17"},{"id":"18"}],"properties":["hs_object_id"],"propertiesWithHistory":[]}`},
	} {
		if _, err := r.BatchRead(t.Context(), Call{}, "contacts", c.slots, []ID{17, 18}, c.archived); err != nil {
			t.Fatal(err)
		}
		if asked != c.want {
			t.Errorf("asked\n%s\nwant\n%s", asked, c.want)
		}
	}
	for _, n := range []int{0, 101} {
		if _, err := r.BatchRead(t.Context(), Call{}, "contacts", nil, make([]ID, n), false); err == nil {
			t.Errorf("a batch of %d ids was accepted", n)
		}
	}
}

// A refusal of the whole call says nothing about any record.
func TestBatchReadAsAWholeRefused(t *testing.T) {
	r := newRig(t, always(404, refusal("OBJECT_NOT_FOUND", "resource not found")))
	p, err := r.BatchRead(t.Context(), Call{}, "contacts", nil, []ID{1}, false)
	if !NotFound(err) || p.Missing != nil || p.Unanswered != nil {
		t.Errorf("page %+v, err = %v", p, err)
	}
}

// TestR8_ABatchThatIsUnderWaySaysNothing: HubSpot's OpenAPI file knows answers that are not
// complete. What they lack is neither missing nor without a copy or a link.
func TestR8_ABatchThatIsUnderWaySaysNothing(t *testing.T) {
	for _, status := range []string{"PENDING", "PROCESSING", "CANCELED"} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{steps: []func() (*http.Response, error){
				answers(200, `{"status":"`+status+`","results":[],"startedAt":"2026-11-24T10:00:00Z"}`),
				answers(200, `{"status":"COMPLETE","results":[{"id":"1","properties":{},"archived":true}]}`),
			}}
			p, err := newRig(t, s.wire()).BatchRead(t.Context(), Call{}, "contacts", nil, []ID{1}, true)
			if err != nil || len(s.at) != 2 || len(p.Records) != 1 {
				t.Errorf("%s: %+v, %v after %d attempts", status, p, err, len(s.at))
			}
			s = &script{steps: []func() (*http.Response, error){
				answers(200, `{"results":[{"from":{"id":"1"},"to":[]}],"status":"`+status+`"}`),
				answers(207, `{"results":[{"from":{"id":"1"},"to":[{"toObjectId":2,"associationTypes":[{"category":"HUBSPOT_DEFINED","typeId":279}]}]}],"status":"COMPLETE"}`),
			}}
			l, err := newRig(t, s.wire()).Links(t.Context(), Call{}, "contacts", "companies", []LinkInput{{ID: 1}})
			if err != nil || len(s.at) != 2 || len(l.Sets) != 1 || len(l.Sets[0].Links) != 1 {
				t.Errorf("%s: %+v, %v after %d attempts", status, l, err, len(s.at))
			}
		})
	}
}
