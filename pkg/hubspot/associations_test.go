package hubspot

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// linksSay writes what a page says about each requested record.
func linksSay(p LinksPage) string {
	var b strings.Builder
	for _, s := range p.Sets {
		fmt.Fprintf(&b, "%v:", s.From)
		for _, l := range s.Links {
			fmt.Fprintf(&b, " %v/%s/%d/%s", l.To, l.Category, l.TypeID, l.Label)
		}
		if s.After != "" {
			fmt.Fprintf(&b, " after %s", s.After)
		}
		b.WriteString("; ")
	}
	fmt.Fprintf(&b, "%v %v %v", p.Empty, p.NotFound, p.Unanswered)
	return b.String()
}

func asked(ids ...ID) []LinkInput {
	inputs := make([]LinkInput, len(ids))
	for i, id := range ids {
		inputs[i].ID = id
	}
	return inputs
}

// The recording lists one of 36 errors; the ids of the others are unanswered.
func TestRecordedAssociations(t *testing.T) {
	r := newRig(t, always(207, string(recorded(t, "search_contacts_contacts-to-companies.json"))))
	p, err := r.Links(t.Context(), Call{}, "contacts", "companies", asked(7, 501, 103107104018))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := linksSay(p), "501: 29022297485/HUBSPOT_DEFINED/1/Primary 29022297485/HUBSPOT_DEFINED/279/; [103107104018] [] [7]"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Errors of other kinds say nothing about any record, whatever they name.
func TestRecordedAssociationErrors(t *testing.T) {
	r := newRig(t, always(207, string(recorded(t, "err-contact-to-contact.json"))))
	p, err := r.Links(t.Context(), Call{}, "contacts", "contacts", asked(211762804612))
	if got, want := linksSay(p), "[] [] [211762804612]"; err != nil || got != want {
		t.Errorf("got %s, err = %v, want %s", got, err, want)
	}
}

// R8: what a batch read of associations says about each record.
func TestLinksSayOnlyWhatWasSaid(t *testing.T) {
	set := func(from string, to ...string) string {
		return `{"from":{"id":` + from + `},"to":[` + strings.Join(to, ",") + `]}`
	}
	to := func(id string, types ...string) string {
		return `{"toObjectId":` + id + `,"associationTypes":[` + strings.Join(types, ",") + `]}`
	}
	plain, primary := `{"category":"HUBSPOT_DEFINED","typeId":279,"label":null}`, `{"category":"HUBSPOT_DEFINED","typeId":1,"label":"Primary"}`
	own := `{"category":"USER_DEFINED","typeId":1,"label":"Caf\u00e9"}`
	none := func(ids string) string {
		return `{"category":"OBJECT_NOT_FOUND","subCategory":"crm.associations.NO_ASSOCIATIONS_FOUND","context":{"fromObjectId":[` + ids + `],"toObjectId":["3"]}}`
	}
	missing := func(member, ids string) string {
		return `{"category":"OBJECT_NOT_FOUND","subCategory":{},"context":{"` + member + `":[` + ids + `]}}`
	}
	body := func(results, errors string) string {
		return `{"results":[` + results + `],"errors":[` + errors + `],"numErrors":9}`
	}

	for name, c := range map[string]struct {
		asked []ID
		body  string
		want  string
	}{
		"sorted, each once":             {[]ID{1}, body(set(`"1"`, to("9", plain), to("8", own, plain, primary), to("9", plain, primary)), ""), "1: 8/HUBSPOT_DEFINED/1/Primary 8/HUBSPOT_DEFINED/279/ 8/USER_DEFINED/1/Café 9/HUBSPOT_DEFINED/1/Primary 9/HUBSPOT_DEFINED/279/; [] [] []"},
		"ids as numbers and as strings": {[]ID{1, 2}, body(set(`1`, to(`"8"`, plain))+","+set(`"2"`, to(`9`, plain)), ""), "1: 8/HUBSPOT_DEFINED/279/; 2: 9/HUBSPOT_DEFINED/279/; [] [] []"},
		"without errors":                {[]ID{1}, `{"results":[` + set(`"1"`) + `]}`, "1:; [] [] []"},
		"errors null":                   {[]ID{1}, `{"results":[],"errors":null}`, "[] [] [1]"},
		"no associations":               {[]ID{1, 2, 3}, body(set(`"2"`, to("8", plain)), none(`"1",3`)), "2: 8/HUBSPOT_DEFINED/279/; [1 3] [] []"},
		"no such records":               {[]ID{1, 2, 3, 4}, body("", missing("ids", `"1"`)+","+missing("fromObjectId", `"2"`)+","+missing("id", "3")), "[] [1 2 3] [4]"},
		"other ends are not named":      {[]ID{1, 3}, body("", none(`"1"`)+","+missing("toObjectId", `"3"`)), "[1] [] [3]"},
		"no categories":                 {[]ID{1}, body("", `{"subCategory":"NO_ASSOCIATIONS_FOUND","context":{"fromObjectId":["1"]}}`), "[1] [] []"},
		"errors of odd shapes":          {[]ID{1, 2}, body("", `7,{"category":3,"context":{"ids":"1"}},null,`+none("2")), "[2] [] [1]"},
		"results count most":            {[]ID{1}, body(set(`"1"`, to("8", plain)), none(`"1"`)+","+missing("ids", "1")), "1: 8/HUBSPOT_DEFINED/279/; [] [] []"},
		"not found counts more than no": {[]ID{1}, body("", missing("ids", "1")+","+none(`"1"`)), "[] [1] []"},
		"not asked":                     {[]ID{1}, body(set(`"2"`, to("8", plain))+","+set(`"x-y"`, to("8", plain)), none(`"3"`)), "[] [] [1]"},
		"asked twice":                   {[]ID{1, 1, 2, 2}, body(set(`"1"`, to("8", plain)), ""), "1: 8/HUBSPOT_DEFINED/279/; [] [] [2]"},
		"told in parts":                 {[]ID{1}, body(set(`"1"`, to("9", plain))+`,{"paging":{"next":{"after":"x"}},"to":[`+to("8", plain)+`],"from":{"id":"1"}}`, ""), "1: 8/HUBSPOT_DEFINED/279/ 9/HUBSPOT_DEFINED/279/ after x; [] [] []"},
		"no types, no link":             {[]ID{1}, body(set(`"1"`, to("8")), ""), "1:; [] [] []"},
		"a quoted type id":              {[]ID{1}, body(set(`"1"`, to("8", `{"category":"HUBSPOT_DEFINED","typeId":"279"}`)), ""), "1: 8/HUBSPOT_DEFINED/279/; [] [] []"},
		"an id that is no number":       {[]ID{1}, body(set(`"1"`, to(`"a-b"`, plain, primary), to("8", plain)), ""), "1: 8/HUBSPOT_DEFINED/279/; [] [] []"},
	} {
		for _, status := range []int{200, 207} {
			r := newRig(t, always(status, c.body))
			p, err := r.Links(t.Context(), Call{}, "contacts", "companies", asked(c.asked...))
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if got := linksSay(p); got != c.want {
				t.Errorf("%s (%d):\ngot  %s\nwant %s", name, status, got, c.want)
			}
		}
	}
}

// The decoder rejects an incomplete answer as a whole. What is odd in a record's set
// costs that set, and never the others (R18): half a set would be evidence that
// links are gone.
func TestWhatIsNoAnswerOfAssociationsIsRefused(t *testing.T) {
	good := `{"results":[{"from":{"id":"1"},"to":[{"toObjectId":2,"associationTypes":[{"category":"HUBSPOT_DEFINED","typeId":279,"label":null}]}],"paging":{"next":{"after":"3"}}}],"errors":[],"numErrors":0}`
	if _, err := decodeLinks([]byte(good), 1); err != nil {
		t.Fatal(err)
	}
	for cut := range len(good) {
		if _, err := decodeLinks([]byte(good[:cut]), 1); err == nil {
			t.Errorf("accepted: %s", good[:cut])
		}
	}
	bad := []string{`{}`, `[]`, `null`, htmlPage, good + good, `{"results":null}`, `{"status":"error","message":"no"}`}
	for _, body := range bad {
		if _, err := decodeLinks([]byte(body), 1); err == nil {
			t.Errorf("accepted: %s", body)
		}
	}
	var odd []string
	for part, others := range map[string][]string{
		`"from":{"id":"1"},`:            {``, `"from":null,`, `"from":{},`, `"from":"1",`, `"from":{"id":[]},`},
		`"to":[`:                        {`"ot":[`, `"to":null,"ot":[`, `"to":{},"ot":[`, `"to":[null,`, `"to":[[],`},
		`"toObjectId":2,`:               {``, `"toObjectId":[],`, `"toObjectId":null,`},
		`"associationTypes":[`:          {`"types":[`, `"associationTypes":7,"types":[`, `"associationTypes":[null,`},
		`"category":"HUBSPOT_DEFINED",`: {``, `"category":null,`, `"category":"",`, `"category":{},`},
		`"typeId":279,`:                 {``, `"typeId":0,`, `"typeId":"x",`, `"typeId":2.5,`, `"typeId":null,`, `"typeId":1099511627776,`, `"typeId":[],`},
		`"after":"3"`:                   {``, `"after":""`, `"after":null`, `"after":{}`},
		`{"next":{"after":"3"}}`:        {`7`, `{"next":7}`},
	} {
		if !strings.Contains(good, part) {
			t.Fatalf("no %s in %s", part, good)
		}
		for _, other := range others {
			odd = append(odd, strings.Replace(good, part, other, 1))
		}
	}
	odd = append(odd, `{"results":[null]}`, `{"results":[7]}`, `{"results":[],"errors":{}}`)
	for _, body := range odd {
		next := strings.Replace(body, `"results":[`, `"results":[{"from":{"id":"9"},"to":[{"toObjectId":3,"associationTypes":[{"category":"A","typeId":1,"label":{}}]}]},`, 1)
		next = strings.Replace(next, "},]", "}]", 1)
		r := newRig(t, always(200, next))
		if p, err := r.Links(t.Context(), Call{}, "contacts", "companies", asked(1, 9)); err != nil {
			t.Errorf("%s: %v", next, err)
		} else if says := linksSay(p); says != "9: 3/A/1/; [] [] [1]" && says != "9: 3/A/1/; [] [] []" || len(p.Unread)+len(p.Unanswered) != 1 {
			t.Errorf("%s: %s, unread %v", next, says, p.Unread)
		}
	}
}

func TestLinksAreAskedAsHubSpotTakesThem(t *testing.T) {
	var question string
	r := newRig(t, func(req *http.Request) (*http.Response, error) {
		question = req.Method + " " + req.URL.Path + " " + bodyOf(t, req)
		return respond(200, `{"results":[]}`), nil
	})
	inputs := []LinkInput{{17, ""}, {18, "NTI1"}, {17, ""}}
	if _, err := r.Links(t.Context(), Call{}, "contacts", "2-17", inputs); err != nil {
		t.Fatal(err)
	}
	if want := `POST /crm/associations/2026-09/contacts/2-17/batch/read {"inputs":[{"id":"17"},{"id":"18","after":"NTI1"}]}`; question != want {
		t.Errorf("asked\n%s\nwant\n%s", question, want)
	}
	for name, inputs := range map[string][]LinkInput{
		"none": nil, "too many": make([]LinkInput, MaxLinks+1), "two pages of one record": {{17, ""}, {17, "NTI1"}},
	} {
		question = ""
		if _, err := r.Links(t.Context(), Call{}, "contacts", "companies", inputs); err == nil || question != "" {
			t.Errorf("%s: asked %q, err = %v", name, question, err)
		}
	}
}

// Association calls are exempt from the ten-second limit.
func TestAssociationsDoNotWaitForTheTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGovernor(Limits{TenSeconds: 1})
		s := &script{steps: []func() (*http.Response, error){answers(200, `{"results":[]}`)}}
		r := newRig(t, s.wire(), func(c *Config) { c.Governor = g })
		for range 10 {
			if _, err := r.Links(t.Context(), Call{}, "contacts", "companies", asked(1)); err != nil {
				t.Fatal(err)
			}
			if _, err := r.AssociationLabels(t.Context(), Call{}, "contacts", "companies"); err != nil {
				t.Fatal(err)
			}
		}
		if d := s.at[len(s.at)-1].Sub(s.at[0]); d.Seconds() > 2 {
			t.Errorf("20 association calls took %v", d)
		}
	})
}

func TestAssociationLabels(t *testing.T) {
	var path string
	r := newRig(t, func(req *http.Request) (*http.Response, error) {
		path = req.Method + " " + req.URL.RequestURI()
		return respond(200, `{"results":[{"category":"HUBSPOT_DEFINED","typeId":279,"label":null},{"category":"USER_DEFINED","typeId":"37","label":"Adviser"}]}`), nil
	})
	got, err := r.AssociationLabels(t.Context(), Call{}, "contacts", "companies")
	want := []AssociationLabel{{"HUBSPOT_DEFINED", 279, ""}, {"USER_DEFINED", 37, "Adviser"}}
	if err != nil || !slices.Equal(got, want) || path != "GET /crm/associations/2026-09/contacts/companies/labels" {
		t.Errorf("%s: labels %v, err = %v", path, got, err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []func() (*http.Response, error){
			answers(200, `{"results":[{"typeId":279}]}`), answers(200, `{"results":[{"category":"A","typeId":2.5}]}`), answers(200, `{}`), answers(404, htmlPage), answers(200, `{"results":[]}`),
		}}
		if labels, err := newRig(t, s.wire()).AssociationLabels(t.Context(), Call{}, "contacts", "companies"); err != nil || len(labels) != 0 || len(s.at) != 5 {
			t.Errorf("labels %v, err = %v after %d attempts", labels, err, len(s.at))
		}
	})
}

// Only HubSpot's own refusal of a labels call says that a pair does not exist.
func TestNoSuchPair(t *testing.T) {
	for _, c := range []struct {
		status   int
		category string
		want     bool
	}{{400, "VALIDATION_ERROR", true}, {404, "OBJECT_NOT_FOUND", true}, {403, "MISSING_SCOPES", false}, {401, "INVALID_AUTHENTICATION", false}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, always(c.status, refusal(c.category, "no")))
			if _, err := r.AssociationLabels(t.Context(), Call{}, "contacts", "products"); err == nil || NoSuchPair(err) != c.want {
				t.Errorf("%d: err = %v, NoSuchPair %v", c.status, err, NoSuchPair(err))
			}
			if p, err := r.Links(t.Context(), Call{}, "contacts", "products", asked(1)); err == nil || NoSuchPair(err) || p.Empty != nil || p.NotFound != nil {
				t.Errorf("%d: page %+v, err = %v", c.status, p, err)
			}
		})
	}
}

// The links of a page do not share memory that an append would overwrite.
func TestSetsDoNotOverlap(t *testing.T) {
	one := func(from, to int) string {
		return fmt.Sprintf(`{"from":{"id":"%d"},"to":[{"toObjectId":%d,"associationTypes":[{"category":"A","typeId":1}]}]}`, from, to)
	}
	p, err := decodeLinks([]byte(`{"results":[`+one(1, 8)+`,`+one(2, 9)+`]}`), 2)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(p.sets[0].Links, Link{To: 7})
	if got := p.sets[1].Links[0].To; got != 9 {
		t.Errorf("the second set links to %v, want 9", got)
	}
}

// The decoder accepts only JSON, and finds no more links than encoding/json
// does.
func FuzzDecodeLinks(f *testing.F) {
	for _, s := range []string{
		`{"results":[{"from":{"id":"1"},"to":[{"toObjectId":2,"associationTypes":[{"category":"A","typeId":279,"label":null},{"category":"B","typeId":1,"label":"\u00e9"}]}],"paging":{"next":{"after":"3"}}}]}`,
		`{"results":[],"errors":[{"category":"OBJECT_NOT_FOUND","subCategory":"x.NO_ASSOCIATIONS_FOUND","context":{"fromObjectId":["1",2]}},{"category":"OBJECT_NOT_FOUND","context":{"ids":["1"]}}],"numErrors":36}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := decodeLinks(body, 2)
		if err != nil {
			return
		}
		if !json.Valid(body) {
			t.Fatalf("accepted although it is not JSON: %q", body)
		}
		for _, s := range p.sets {
			if !slices.IsSortedFunc(s.Links, func(a, b Link) int {
				if a.To != b.To {
					return int(int64(a.To) - int64(b.To))
				}
				return strings.Compare(a.Category, b.Category)
			}) {
				t.Fatalf("not sorted: %+v", s.Links)
			}
			for _, l := range s.Links {
				if l.Category == "" || l.TypeID == 0 {
					t.Fatalf("half a link: %+v", l)
				}
			}
		}
	})
}

// TestLinks_TypesThatRepeatAreReadAsOften: the types of an association are the same JSON
// in nearly every one. Odd ones make each set unread in which they are.
func TestLinks_TypesThatRepeatAreReadAsOften(t *testing.T) {
	const fine, odd = `[{"category":"HUBSPOT_DEFINED","typeId":1,"label":"Primary"},{"category":"USER_DEFINED","typeId":7,"label":null}]`, `[{"category":"HUBSPOT_DEFINED"}]`
	set := func(from int, types ...string) string {
		var to []string
		for i, text := range types {
			to = append(to, fmt.Sprintf(`{"toObjectId":%d,"associationTypes":%s}`, 100+i, text))
		}
		return fmt.Sprintf(`{"from":{"id":"%d"},"to":[%s]}`, from, strings.Join(to, ","))
	}
	answer, err := decodeLinks([]byte(`{"results":[`+strings.Join([]string{
		set(1, fine), set(2, odd), set(3, fine, fine), set(4, fine, odd), set(5, odd, fine), set(6, fine),
	}, ",")+`]}`), 6)
	if err != nil {
		t.Fatal(err)
	}
	both := func(to ID) []Link {
		return []Link{{to, "HUBSPOT_DEFINED", 1, "Primary"}, {to, "USER_DEFINED", 7, ""}}
	}
	want := []LinkSet{{From: 1, Links: both(100)}, {From: 3, Links: append(both(100), both(101)...)}, {From: 6, Links: both(100)}}
	if !reflect.DeepEqual(answer.sets, want) {
		t.Errorf("sets %+v\nwant %+v", answer.sets, want)
	}
	if !slices.Equal(answer.unread, []ID{2, 4, 5}) {
		t.Errorf("unread %v", answer.unread)
	}
}

// Most answers of a sweep are about records without links.
func BenchmarkDecodeLinks_None(b *testing.B) {
	var s strings.Builder
	s.WriteString(`{"results":[],"errors":[`)
	for i := range MaxLinks {
		if i > 0 {
			s.WriteByte(',')
		}
		fmt.Fprintf(&s, `{"status":"error","category":"OBJECT_NOT_FOUND","subCategory":"crm.associations.NO_ASSOCIATIONS_FOUND","message":"No contact is associated with %d.","context":{"fromObjectId":["%d"]}}`, 26256445664+i, 26256445664+i)
	}
	s.WriteString(`]}`)
	body := []byte(s.String())
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if a, err := decodeLinks(body, MaxLinks); err != nil || len(a.empty) != MaxLinks {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeLinks(b *testing.B) {
	var s strings.Builder
	s.WriteString(`{"results":[`)
	for i := range MaxLinks {
		if i > 0 {
			s.WriteByte(',')
		}
		fmt.Fprintf(&s, `{"from":{"id":"%d"},"to":[{"toObjectId":%d,"associationTypes":[{"category":"HUBSPOT_DEFINED","typeId":1,"label":"Primary"},{"category":"HUBSPOT_DEFINED","typeId":279,"label":null}]}]}`, 26256445664+i, 29022297485+i)
	}
	s.WriteString(`]}`)
	body := []byte(s.String())
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if p, err := decodeLinks(body, MaxLinks); err != nil || len(p.sets) != MaxLinks {
			b.Fatal(err)
		}
	}
}
