package hubspot

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

func TestListAsksForItsSlots(t *testing.T) {
	var asked string
	r := newRig(t, func(req *http.Request) (*http.Response, error) {
		asked = req.Method + " " + req.URL.Path + "?" + req.URL.RawQuery
		return respond(200, `{"results":[{"id":"5","properties":{"email":"a"},"updatedAt":"2024-12-24T17:31:54.727Z","archived":false}],"paging":{"next":{"after":"6","link":"https://api.hubapi.com/x"}}}`), nil
	})
	slots := NewSlots([]string{"email", "", "odd name"})
	p, err := r.List(t.Context(), Call{}, "contacts", slots, "NTI1Cg%3D", false, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := "GET /crm/objects/2026-09/contacts?limit=100&archived=false&after=NTI1Cg%253D&properties=email,odd+name"; asked != want {
		t.Errorf("asked %s, want %s", asked, want)
	}
	if p.After != "6" || len(p.Records) != 1 || p.Records[0].ID != 5 || string(p.Records[0].Values[0]) != "a" || p.Date == 0 {
		t.Errorf("page %+v", p)
	}
	if _, err := r.List(t.Context(), Call{}, "2-17", nil, "", true, 20); err != nil {
		t.Fatal(err)
	}
	if want := "GET /crm/objects/2026-09/2-17?limit=20&archived=true&properties=hs_object_id"; asked != want {
		t.Errorf("asked %s, want %s", asked, want)
	}
}

// The client reads a page again that has a next page but does not say where:
// taken for the last one, it would make everything after it look gone.
func TestListDoesNotEndOnANextWithoutAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []func() (*http.Response, error){
			answers(200, `{"results":[],"paging":{"next":{}}}`), answers(200, `{"results":[],"paging":{"next":{"after":"7"}}}`),
		}}
		p, err := newRig(t, s.wire()).List(t.Context(), Call{}, "contacts", nil, "", false, 0)
		if err != nil || p.After != "7" || len(s.at) != 2 {
			t.Errorf("page %+v, err = %v after %d attempts", p, err, len(s.at))
		}
	})
}

// docs/hubspot.md section 13: 367 names fit an address, 900 do not.
func TestListFits(t *testing.T) {
	names := func(n int) *Slots {
		s := make([]string, n)
		for i := range s {
			s[i] = strings.Repeat("x", 25)
		}
		return NewSlots(s)
	}
	for n, want := range map[int]bool{0: true, 367: true, 900: false} {
		if got := ListFits(names(n)); got != want {
			t.Errorf("ListFits of %d names = %v, want %v", n, got, want)
		}
	}
	if !ListFits(nil) {
		t.Error("a list of ids does not fit")
	}
}
