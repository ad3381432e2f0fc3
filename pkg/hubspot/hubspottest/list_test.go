package hubspottest

import (
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestListPagesByIDPlusOne(t *testing.T) {
	p := calm()
	ids := p.Seed("contacts", 25)
	first := list(t, p, "")
	wantIDs(t, first.ids(), ids[:10]...) // the default limit
	if got, want := first.Paging.Next.After, str(ids[9]+1); got != want {
		t.Errorf("after: got %s, want %s", got, want)
	}
	if got := first.Paging.Next.Link; !strings.HasPrefix(got, "https://api.hubapi.com"+contactsPath+"?") || !strings.Contains(got, "after="+first.Paging.Next.After) {
		t.Errorf("link: got %s, want an absolute address with the cursor", got)
	}
	rest := list(t, p, "?limit=100&after="+first.Paging.Next.After)
	wantIDs(t, rest.ids(), ids[10:]...)
	if rest.Paging.Next.After != "" {
		t.Errorf("the last page names a next one: %+v", rest.Paging)
	}
	// Any id works as after, and there is no lag: the object store answers.
	wantIDs(t, list(t, p, "?limit=100&after="+str(ids[20])).ids(), ids[20:]...)
	id := p.Create("contacts", nil)
	wantIDs(t, list(t, p, "?after="+str(ids[24]+1)).ids(), id)
	for _, query := range []string{"?limit=101", "?limit=0", "?limit=x", "?after=b64", "?archived=maybe", "?propertiesWithHistory=email"} {
		do(t, p, "GET", contactsPath+query, "").want(t, 400)
	}
}

func TestListOfArchivedRecords(t *testing.T) {
	p := New(Options{Types: []string{"contacts", "meetings"}})
	a, b, c := p.Create("contacts", nil), p.Create("contacts", nil), p.Create("contacts", nil)
	p.Archive("contacts", c)
	p.Archive("contacts", a)
	wantIDs(t, list(t, p, "").ids(), b)
	pg := list(t, p, "?archived=true&limit=1")
	wantIDs(t, pg.ids(), a)
	if rec := pg.Results[0]; !rec.Archived || rec.ArchivedAt == "" {
		t.Errorf("got %+v, want archived with archivedAt", rec)
	}
	wantIDs(t, list(t, p, "?archived=true&limit=1&after="+pg.Paging.Next.After).ids(), c)

	const meetings = "/crm/objects/2026-09/meetings"
	do(t, p, "GET", meetings, "").want(t, 200)
	do(t, p, "GET", meetings+"?archived=true", "").want(t, 400).says(t, "Paging through deleted objects is not yet supported")
	p.SetArchivedList("meetings", true)
	do(t, p, "GET", meetings+"?archived=true", "").want(t, 200)
	p.SetArchivedList("contacts", false)
	do(t, p, "GET", contactsPath+"?archived=true", "").want(t, 400)
}

func TestValuesAreTextOrNull(t *testing.T) {
	p := calm()
	p.Create("contacts", map[string]string{"firstname": "Ada", "lastname": "", "hubspotscore": "about <twelve> & \"ü\"\n"})
	rec := list(t, p, "?properties=firstname,lastname&properties=city,hubspotscore,nope").Results[0]
	text := func(name string) string {
		v, ok := rec.Properties[name]
		switch {
		case !ok:
			return "absent"
		case v == nil:
			return "null"
		}
		return *v
	}
	for name, want := range map[string]string{
		"firstname":    "Ada",
		"lastname":     "",     // cleared
		"city":         "null", // never set
		"nope":         "absent",
		"email":        "absent", // a default, but the request names others
		"hubspotscore": "about <twelve> & \"ü\"\n",
		"hs_object_id": rec.ID,
		"createdate":   rec.CreatedAt, "lastmodifieddate": rec.UpdatedAt, // always there
	} {
		if got := text(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	rec = list(t, p, "").Results[0]
	if _, ok := rec.Properties["email"]; !ok {
		t.Errorf("got %v though the request names none, want HubSpot's defaults", rec.Properties)
	}
}

func TestTimesHaveMillisecondsOrNoFraction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := calm()
		id := p.Create("contacts", nil)
		if got, want := list(t, p, "").Results[0].UpdatedAt, "2000-01-01T00:00:00Z"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		time.Sleep(1020 * time.Millisecond)
		p.Touch("contacts", id)
		if got, want := list(t, p, "").Results[0].UpdatedAt, "2000-01-01T00:00:01.020Z"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestCreatedAndModifiedPropertiesByType(t *testing.T) {
	p := New(Options{Types: []string{"contacts", "deals", "orders", "notes"}})
	for object, want := range map[string]string{
		"contacts": "createdate hs_object_id lastmodifieddate",
		"deals":    "createdate hs_createdate hs_lastmodifieddate hs_object_id",
		"orders":   "hs_createdate hs_lastmodifieddate hs_object_id",
		"notes":    "hs_createdate hs_lastmodifieddate hs_object_id",
	} {
		p.Create(object, nil)
		rec := do(t, p, "GET", "/crm/objects/2026-09/"+object+"?properties=hs_object_id", "").page(t).Results[0]
		var names []string
		for name := range rec.Properties {
			names = append(names, name)
		}
		if len(names) != len(strings.Fields(want)) {
			t.Errorf("%s: got %v, want %s", object, names, want)
		}
		for name := range strings.FieldsSeq(want) {
			if rec.Properties[name] == nil {
				t.Errorf("%s: no %s in %v", object, name, names)
			}
		}
	}
}

func TestGetOneRecord(t *testing.T) {
	p := calm()
	id := p.Create("contacts", nil)
	do(t, p, "GET", contactsPath+"/"+str(id), "").want(t, 200)
	p.Archive("contacts", id)
	do(t, p, "GET", contactsPath+"/"+str(id), "").want(t, 404)
	do(t, p, "GET", contactsPath+"/"+str(id)+"?archived=true", "").want(t, 200).says(t, `"archived":true`)
	do(t, p, "GET", contactsPath+"/x", "").want(t, 404)
}

// TestListAtAnID: HubSpot does not document what an id is as a place. Its own places
// lead through the whole list, whatever they are.
func TestListAtAnID(t *testing.T) {
	for places, want := range map[Places]int{PlacesAreIDs: 4, PlacesAfterIDs: 5, PlacesGiven: -1, PlacesIgnored: 0, PlacesAreTokens: -1} {
		p := New(Options{Places: places, ListPage: 3, Index: Index{Immediate: true}, Limits: Limits{Off: true}})
		ids := p.Seed("contacts", 9)
		if query := "?limit=100&after=" + str(ids[4]); want < 0 {
			do(t, p, "GET", contactsPath+query, "").want(t, 400)
		} else {
			wantIDs(t, list(t, p, query).ids(), ids[want:want+3]...)
		}
		var got []uint64
		for query := "?limit=100"; ; {
			pg := list(t, p, query)
			got = append(got, pg.ids()...)
			if pg.Paging.Next.After == "" {
				break
			}
			query = "?limit=100&after=" + url.QueryEscape(pg.Paging.Next.After)
		}
		wantIDs(t, got, ids...)
	}
}
