package hubspottest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func str(id uint64) string { return strconv.FormatUint(id, 10) }

func TestSearchNeedsAllFiveMembers(t *testing.T) {
	p := calm()
	whole := searchBody(10)
	do(t, p, "POST", searchPath, whole).want(t, 200)
	for _, name := range []string{"after", "filterGroups", "limit", "properties", "sorts"} {
		body := strings.Replace(whole, `"`+name+`"`, `"other"`, 1)
		do(t, p, "POST", searchPath, body).want(t, 400).says(t, "VALIDATION_ERROR").says(t, name)
	}
}

func TestSearchRefusals(t *testing.T) {
	const ok = `{"after":"0","limit":10,"properties":[],"sorts":["hs_object_id"],"filterGroups":[]}`
	filtered := func(filter string) string {
		return strings.Replace(ok, `"filterGroups":[]`, `"filterGroups":[{"filters":[`+filter+`]}]`, 1)
	}
	many := strings.Repeat(`{"propertyName":"email","operator":"HAS_PROPERTY"},`, 7)
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"as it should be":        {ok, 200},
		"sort objects":           {strings.Replace(ok, `"hs_object_id"`, `{"propertyName":"hs_object_id","direction":"ASCENDING"}`, 1), 200},
		"two sorts":              {strings.Replace(ok, `"hs_object_id"`, `"hs_object_id","email"`, 1), 400},
		"sort by nothing known":  {strings.Replace(ok, `"hs_object_id"`, `"nope"`, 1), 400},
		"limit 201":              {strings.Replace(ok, `10`, `201`, 1), 400},
		"limit 200":              {strings.Replace(ok, `10`, `200`, 1), 200},
		"last page of 10,000":    {strings.Replace(ok, `"0"`, `"9990"`, 1), 200},
		"past 10,000":            {strings.Replace(ok, `"0"`, `"9991"`, 1), 400},
		"unknown property":       {filtered(`{"propertyName":"nope","operator":"HAS_PROPERTY"}`), 400},
		"unknown operator":       {filtered(`{"propertyName":"email","operator":"CONTAINS_TOKEN","value":"a"}`), 400},
		"no value":               {filtered(`{"propertyName":"email","operator":"EQ"}`), 400},
		"epoch 0":                {filtered(`{"propertyName":"lastmodifieddate","operator":"GTE","value":"0"}`), 500},
		"epoch 0 in ISO":         {filtered(`{"propertyName":"createdate","operator":"GTE","value":"1970-01-01T00:00:00Z"}`), 500},
		"id 0 is fine":           {filtered(`{"propertyName":"hs_object_id","operator":"GT","value":"0"}`), 200},
		"ids may be numbers":     {filtered(`{"propertyName":"hs_object_id","operator":"GT","value":7}`), 200},
		"seven filters":          {filtered(many[:len(many)-1]), 400},
		"a query of 3,000 bytes": {filtered(`{"propertyName":"email","operator":"EQ","value":"` + strings.Repeat("x", 3000) + `"}`), 400},
		"not JSON":               {`{`, 400},
	} {
		if got := do(t, calm(), "POST", searchPath, c.body); got.status != c.status {
			t.Errorf("%s: got %d, want %d: %s", name, got.status, c.status, got.body)
		}
	}
	p := New(Options{SortObjects: true})
	do(t, p, "POST", searchPath, ok).want(t, 400)
	do(t, p, "POST", searchPath, strings.Replace(ok, `"hs_object_id"`, `{"propertyName":"hs_object_id"}`, 1)).want(t, 200)
}

func TestSearchPagesByOffset(t *testing.T) {
	p := calm()
	ids := p.Seed("contacts", 25)
	first := search(t, p, 20)
	if first.Total != 25 || first.Paging.Next.After != "20" || first.Paging.Next.Link != "" {
		t.Errorf("got total %d, paging %+v, want 25, after 20, no link", first.Total, first.Paging)
	}
	wantIDs(t, first.ids(), ids[:20]...)
	second := do(t, p, "POST", searchPath, strings.Replace(searchBody(20), `"after":"0"`, `"after":"20"`, 1)).page(t)
	wantIDs(t, second.ids(), ids[20:]...)
	if second.Paging.Next.After != "" {
		t.Errorf("the last page names a next one: %+v", second.Paging)
	}
	past := do(t, p, "POST", searchPath, strings.Replace(searchBody(20), `"after":"0"`, `"after":"400"`, 1)).page(t)
	wantIDs(t, past.ids())
}

func TestContactsCannotBeSearchedByHsLastmodifieddate(t *testing.T) {
	p := New(Options{Types: []string{"contacts", "companies"}, Index: Index{Immediate: true}})
	p.Create("contacts", nil)
	p.Create("companies", nil)
	if got := search(t, p, 10, "hs_lastmodifieddate GTE 1").Total; got != 0 {
		t.Errorf("contacts by hs_lastmodifieddate: got %d, want 0 without an error", got)
	}
	if got := search(t, p, 10, "lastmodifieddate GTE 1").Total; got != 1 {
		t.Errorf("contacts by lastmodifieddate: got %d, want 1", got)
	}
	got := do(t, p, "POST", "/crm/objects/2026-09/companies/search", searchBody(10, "hs_lastmodifieddate GTE 1")).page(t)
	if got.Total != 1 {
		t.Errorf("companies by hs_lastmodifieddate: got %d, want 1", got.Total)
	}
}

func TestSearchOperators(t *testing.T) {
	p := calm()
	p.AddProperty("contacts", Property{Name: "level", Type: "number"})
	p.AddProperty("contacts", Property{Name: "met", Type: "datetime"})
	ids := map[string]uint64{}
	for name, v := range map[string]map[string]string{
		"a": {"city": "Oslo", "level": "9", "met": "2024-01-01T00:00:00.000Z", "lifecyclestage": "lead"},
		"b": {"city": "oslo", "level": "10", "met": "1704067200001", "lifecyclestage": "customer"},
		"c": {"city": "Graz", "level": "about twelve", "met": "2024-01-01"},
		"d": {"city": ""},
	} {
		ids[name] = p.Create("contacts", v)
	}
	for filter, want := range map[string]string{
		`"city","operator":"EQ","value":"OSLO"`:                             "ab",
		`"city","operator":"NEQ","value":"oslo"`:                            "cd",
		`"city","operator":"IN","values":["oslo","bonn"]`:                   "ab",
		`"city","operator":"IN","values":["Oslo"]`:                          "", // must be lower case
		`"city","operator":"NOT_IN","values":["oslo"]`:                      "cd",
		`"city","operator":"HAS_PROPERTY"`:                                  "abc", // "" counts as none
		`"city","operator":"NOT_HAS_PROPERTY"`:                              "d",
		`"level","operator":"GT","value":"9"`:                               "b", // as numbers
		`"level","operator":"LTE","value":"10"`:                             "ab",
		`"level","operator":"BETWEEN","value":"9.5","highValue":"11"`:       "b",
		`"met","operator":"LTE","value":"1704067200000"`:                    "ac",
		`"met","operator":"GT","value":"2024-01-01T00:00:00Z"`:              "b",
		`"met","operator":"EQ","value":"1704067200000"`:                     "ac",
		`"lifecyclestage","operator":"EQ","value":"LEAD"`:                   "", // enumerations mind case
		`"lifecyclestage","operator":"IN","values":["lead"]`:                "a",
		`"hs_object_id","operator":"EQ","value":"` + str(ids["b"]) + `"`:    "b",
		`"hs_object_id","operator":"IN","values":["` + str(ids["c"]) + `"]`: "c",
	} {
		body := strings.Replace(searchBody(10), `"filterGroups":[]`, `"filterGroups":[{"filters":[{"propertyName":`+filter+`}]}]`, 1)
		got := do(t, p, "POST", searchPath, body).page(t)
		var expect []uint64
		for _, name := range want {
			expect = append(expect, ids[string(name)])
		}
		slices.Sort(expect)
		if !slices.Equal(got.ids(), expect) && len(got.ids())+len(expect) > 0 {
			t.Errorf("%s: got %v, want %v (%s of %v)", filter, got.ids(), expect, want, ids)
		}
		if got.Total != len(expect) {
			t.Errorf("%s: got total %d, want %d", filter, got.Total, len(expect))
		}
	}
}

func TestTheIndexLags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Index: Index{Min: 3 * time.Second, Max: 3 * time.Second}})
		began := p.Now()
		id := p.Create("contacts", email("a@example.com"))
		wantIDs(t, list(t, p, "").ids(), id)
		wantIDs(t, search(t, p, 10).ids())
		time.Sleep(3 * time.Second)
		wantIDs(t, search(t, p, 10).ids(), id)

		// The older version still matches its window; the new one does not yet.
		time.Sleep(time.Minute)
		p.Update("contacts", id, email("b@example.com"))
		old := fmt.Sprintf("lastmodifieddate LT %d", began.UnixMilli()+1000)
		wantIDs(t, search(t, p, 10, old).ids(), id)
		if got := *search(t, p, 10).Results[0].Properties["email"]; got != "a@example.com" {
			t.Errorf("got %s before the delay, want the indexed value", got)
		}
		time.Sleep(3 * time.Second)
		wantIDs(t, search(t, p, 10, old).ids())
		wantIDs(t, search(t, p, 10, fmt.Sprintf("lastmodifieddate GTE %d", began.UnixMilli()+1000)).ids(), id)

		time.Sleep(time.Minute)
		p.Archive("contacts", id)
		wantIDs(t, search(t, p, 10).ids(), id)
		time.Sleep(3 * time.Second)
		wantIDs(t, search(t, p, 10).ids())
		p.Restore("contacts", id, false)
		wantIDs(t, search(t, p, 10).ids())
		time.Sleep(3 * time.Second)
		wantIDs(t, search(t, p, 10).ids(), id)
	})
}

func TestSomeChangesAreIndexedUpToAnHourLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Index: Index{Min: time.Second, Max: 5 * time.Second, Tail: 0.05}, Limits: Limits{Off: true}})
		for range 1000 {
			p.Create("contacts", nil)
		}
		time.Sleep(5 * time.Second)
		soon := search(t, p, 1).Total
		if soon < 900 || soon == 1000 {
			t.Errorf("got %d of 1000 after 5 s, want about 950", soon)
		}
		time.Sleep(time.Hour)
		if got := search(t, p, 1).Total; got != 1000 {
			t.Errorf("got %d of 1000 after an hour, want all", got)
		}
	})
}

func TestLostChangesAreFoundByTheNextOneOnly(t *testing.T) {
	p := New(Options{Index: Index{Immediate: true, Lost: 1}})
	id := p.Create("contacts", nil)
	wantIDs(t, search(t, p, 10).ids())
	wantIDs(t, list(t, p, "").ids(), id)
	p.SetIndex(Index{Immediate: true})
	p.Touch("contacts", id)
	wantIDs(t, search(t, p, 10).ids(), id)
	p.SetIndex(Index{Immediate: true, Lost: 1})
	p.Archive("contacts", id)
	wantIDs(t, search(t, p, 10).ids(), id) // archived, but still in the index
}

func TestANewerVersionIsNotOverwrittenByALateOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Index: Index{Min: time.Minute, Max: time.Minute}})
		id := p.Create("contacts", email("old@example.com"))
		p.SetIndex(Index{Min: time.Second, Max: time.Second})
		p.Update("contacts", id, email("new@example.com"))
		for range 2 {
			time.Sleep(50 * time.Second)
			if got := *search(t, p, 10).Results[0].Properties["email"]; got != "new@example.com" {
				t.Errorf("got %s, want the newer version to stay", got)
			}
		}
	})
}

func TestAnswersCarryFresherOrOlderValuesThanMatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Index: Index{Min: time.Minute, Max: time.Minute}, Limits: Limits{Off: true}})
		id := p.Create("contacts", email("1@example.com"))
		time.Sleep(time.Minute)
		p.Update("contacts", id, email("2@example.com"))
		time.Sleep(time.Minute)
		p.Update("contacts", id, email("3@example.com"))
		matched := fmt.Sprintf("lastmodifieddate EQ %d", p.Now().UnixMilli()-60_000)
		got := func(x Index) string {
			x.Min, x.Max = time.Hour, time.Hour
			p.SetIndex(x)
			return *search(t, p, 10, matched).Results[0].Properties["email"]
		}
		for want, x := range map[string]Index{"2@example.com": {}, "3@example.com": {Fresh: 1}, "1@example.com": {Stale: 1}} {
			before := hiddenBySearches(p)
			if got := got(x); got != want {
				t.Errorf("%+v: got %s, want %s", x, got, want)
			}
			if got, want := hiddenBySearches(p)-before, int(x.Stale); got != want {
				t.Errorf("%+v: the portal knows of %d hidden rows, want %d", x, got, want)
			}
		}
	})
}

func TestRowsFlapAndTheTotalDoesNot(t *testing.T) {
	p := New(Options{Index: Index{Immediate: true, Flap: 0.2}, Limits: Limits{Off: true}})
	ids := p.Seed("contacts", 50)
	seen, missed := map[uint64]bool{}, 0
	for range 20 {
		pg := search(t, p, 200)
		if pg.Total != 50 {
			t.Fatalf("got total %d, want 50", pg.Total)
		}
		missed += 50 - len(pg.Results)
		for _, id := range pg.ids() {
			seen[id] = true
		}
	}
	if missed == 0 || len(seen) != len(ids) {
		t.Errorf("got %d missing rows and %d ids seen, want some and %d", missed, len(seen), len(ids))
	}
	if got := hiddenBySearches(p); got != missed {
		t.Errorf("the portal knows of %d missing rows, want %d", got, missed)
	}
}

func hiddenBySearches(p *Portal) (rows int) {
	for _, h := range p.Hidings() {
		if h.Endpoint == EndpointSearch && h.Object == "contacts" {
			rows += len(h.Keys)
		}
	}
	return rows
}

func TestSortByModifiedTimeIsNotToBeTrusted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := calm()
		p.Seed("contacts", 5000)
		for i, id := range p.IDs("contacts") {
			if i%10 == 0 {
				p.Touch("contacts", id)
				time.Sleep(10 * time.Millisecond)
			}
		}
		body := strings.Replace(searchBody(200, "lastmodifieddate GTE "+fmt.Sprint(p.Now().Add(-time.Minute).UnixMilli())), "hs_object_id", "lastmodifieddate", 1)
		first := do(t, p, "POST", searchPath, body).page(t)
		last, falls := "", 0
		for _, rec := range first.Results {
			if rec.UpdatedAt < last {
				falls++
			}
			last = rec.UpdatedAt
		}
		if falls == 0 {
			t.Error("the results were in order of their modified time")
		}
		// By id they are in order, every time.
		for range 5 {
			if got := search(t, p, 200).ids(); !slices.IsSorted(got) {
				t.Fatalf("not in order of id: %v", got)
			}
		}
	})
}

// TestIndexAgreesWithAPlainScan checks both search plans (id range, time range)
// against a scan of all records, while the records change.
func TestIndexAgreesWithAPlainScan(t *testing.T) {
	p := calm()
	rng := rand.New(rand.NewPCG(1, 2))
	p.Seed("contacts", 700)
	life := Life{Types: []string{"contacts"}, Create: 2, Update: 6, Archive: 2, Restore: 1, Purge: 1, Merge: 1, Touch: 1}
	for round := range 40 {
		if round == 20 {
			p.BulkUpdate("contacts", p.IDs("contacts"), email("bulk@example.com"))
		}
		for range 20 {
			p.Step(rng, life)
		}
		records := p.Records("contacts")
		since := records[rng.IntN(len(records))].UpdatedAt
		after := records[rng.IntN(len(records))].ID
		var want []uint64
		for _, st := range records {
			if st.UpdatedAt >= since && st.ID > after {
				want = append(want, st.ID)
			}
		}
		got := search(t, p, 200, fmt.Sprintf("lastmodifieddate GTE %d", since), "hs_object_id GT "+str(after))
		if got.Total != len(want) || !slices.Equal(got.ids(), want[:min(200, len(want))]) && len(want) > 0 {
			t.Fatalf("round %d: got %d (%d rows), want %d", round, got.Total, len(got.Results), len(want))
		}
		if (got.Paging.Next.After != "") != (len(want) > 200) {
			t.Fatalf("round %d: paging %+v with %d matches", round, got.Paging, len(want))
		}
		census := search(t, p, 1, "hs_object_id GT "+str(after))
		n := len(records) - slices.IndexFunc(records, func(st State) bool { return st.ID == after }) - 1
		if census.Total != n {
			t.Fatalf("round %d: got total %d above id %d, want %d", round, census.Total, after, n)
		}
	}
}

// TestSearchOf100kRecordsIsFast guards against a pass over everything, which
// would slow tests and the demo to a crawl.
func TestSearchOf100kRecordsIsFast(t *testing.T) {
	p := calm()
	began := time.Now()
	ids := p.Seed("contacts", 100_000)
	t.Logf("100,000 contacts in %s", time.Since(began))
	for i := range 200 {
		p.Touch("contacts", ids[i*400])
	}
	since := fmt.Sprintf("lastmodifieddate GTE %d", p.Now().Add(-time.Minute).UnixMilli())
	for name, c := range map[string]struct {
		filters []string
		total   int
	}{
		"recent":           {[]string{since}, 200},
		"recent, id walk":  {[]string{since, "hs_object_id GT " + str(ids[50_000])}, 74},
		"everything":       {[]string{"lastmodifieddate GTE 1"}, 100_000},
		"census of a half": {[]string{"hs_object_id GT " + str(ids[49_999])}, 50_000},
	} {
		q := &call{object: "contacts", body: []byte(searchBody(200, c.filters...))}
		best := time.Hour
		for range 10 {
			began := time.Now()
			_, body, fail := p.serveSearch(q)
			best = min(best, time.Since(began))
			if want := fmt.Sprintf(`{"total":%d,`, c.total); fail != nil || !strings.HasPrefix(string(body), want) {
				t.Fatalf("%s: got %.40s, %v, want %s", name, body, fail, want)
			}
		}
		t.Logf("%s: %s", name, best)
		if best > 25*time.Millisecond { // 1 ms on an idle machine; under -race on a busy one much more
			t.Errorf("%s took %s", name, best)
		}
	}
}
