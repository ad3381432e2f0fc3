package hubspottest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	linksPath  = "/crm/associations/2026-09/contacts/companies/batch/read"
	labelsPath = "/crm/associations/2026-09/contacts/companies/labels"
)

// linksPage is an answer to a batch read of associations.
type linksPage struct {
	Results []struct {
		From struct{ ID string }
		To   []struct {
			ToObjectID       uint64
			AssociationTypes []struct {
				Category string
				TypeID   int
				Label    *string
			}
		}
		Paging struct{ Next struct{ After string } }
	}
	Errors []struct {
		Category, SubCategory string
		Context               map[string][]string
	}
	NumErrors int
}

// links reads associations; inputs are ids with or without "after".
func links(t testing.TB, p *Portal, path string, status int, inputs ...string) linksPage {
	t.Helper()
	var parts []string
	for _, in := range inputs {
		id, after, _ := strings.Cut(in, " after ")
		part := `{"id":"` + id + `"`
		if after != "" {
			part += `,"after":"` + after + `"`
		}
		parts = append(parts, part+"}")
	}
	var pg linksPage
	r := do(t, p, "POST", path, `{"inputs":[`+strings.Join(parts, ",")+`]}`).want(t, status)
	if err := json.Unmarshal(r.body, &pg); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	return pg
}

// lines writes results as "from>to category type label", sorted.
func (pg linksPage) lines() []string {
	lines := []string{}
	for _, r := range pg.Results {
		for _, to := range r.To {
			for _, a := range to.AssociationTypes {
				label := ""
				if a.Label != nil {
					label = " " + *a.Label
				}
				lines = append(lines, fmt.Sprintf("%s>%d %s %d%s", r.From.ID, to.ToObjectID, a.Category, a.TypeID, label))
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func wantLines(t testing.TB, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// truth writes Links in the same way.
func truth(p *Portal, from, to string) []string {
	lines := []string{}
	for _, l := range p.Links(from, to) {
		lines = append(lines, strings.TrimSuffix(fmt.Sprintf("%d>%d %s %d %s", l.From, l.To, l.Category, l.TypeID, l.Label), " "))
	}
	slices.Sort(lines)
	return lines
}

func TestEachDirectionOfAPairHasItsTypeIDs(t *testing.T) {
	p := New(Options{Types: []string{"contacts", "companies", "deals", "tickets", "products"}})
	car := p.AddCustomType("car").ObjectTypeID
	for path, want := range map[string][]int{
		"contacts/companies": {279, 1}, "companies/contacts": {280, 2},
		"contacts/deals": {4}, "deals/contacts": {3},
		"deals/companies": {341, 5}, "companies/deals": {342, 6},
		"contacts/tickets": {15}, "tickets/contacts": {16},
		"tickets/companies": {339, 26}, "companies/tickets": {340, 25},
		"deals/tickets": {27}, "tickets/deals": {28},
		"0-1/company": {279, 1},
	} {
		var pg struct {
			Results []struct {
				Category string
				TypeID   int
			}
		}
		r := do(t, p, "GET", "/crm/associations/2026-09/"+path+"/labels", "").want(t, 200)
		if err := json.Unmarshal(r.body, &pg); err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, l := range pg.Results {
			got = append(got, l.TypeID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got types %v, want %v", path, got, want)
		}
	}
	for _, path := range []string{"contacts/contacts", "contacts/" + car, car + "/" + car, car + "/tickets"} {
		do(t, p, "GET", "/crm/associations/2026-09/"+path+"/labels", "").want(t, 200).says(t, `"label":null`)
	}
	do(t, p, "GET", "/crm/v4/associations/contacts/companies/labels", "").want(t, 200).says(t, `"label":"Primary"`)
	// A pair that does not exist, an unknown type, a pair that was removed.
	do(t, p, "GET", "/crm/associations/2026-09/contacts/products/labels", "").want(t, 400)
	do(t, p, "GET", "/crm/associations/2026-09/contacts/butterflies/labels", "").want(t, 400)
	p.ForbidPair("deals", "contacts")
	do(t, p, "GET", "/crm/associations/2026-09/contacts/deals/labels", "").want(t, 400)
	do(t, p, "POST", "/crm/associations/2026-09/contacts/deals/batch/read", `{"inputs":[{"id":"1"}]}`).want(t, 400)
}

func TestALinkIsSeenFromBothEnds(t *testing.T) {
	p := calm()
	a, b, c := p.Create("contacts", nil), p.Create("companies", nil), p.Create("companies", nil)
	before := at(t, p, a).UpdatedAt
	if !p.Associate("contacts", a, "companies", b, "HUBSPOT_DEFINED", 1) || p.Associate("companies", b, "contacts", a, "HUBSPOT_DEFINED", 2) {
		t.Error("the second Associate repeats the first from the other end, but changed something")
	}
	p.Associate("contacts", a, "companies", c, "", 0)
	wantLines(t, links(t, p, linksPath, 200, str(a)).lines(),
		fmt.Sprintf("%d>%d HUBSPOT_DEFINED 1 Primary", a, b), fmt.Sprintf("%d>%d HUBSPOT_DEFINED 279", a, b), fmt.Sprintf("%d>%d HUBSPOT_DEFINED 279", a, c))
	back := "/crm/associations/2026-09/companies/contacts/batch/read"
	wantLines(t, links(t, p, back, 200, str(b), str(c)).lines(),
		fmt.Sprintf("%d>%d HUBSPOT_DEFINED 2 Primary", b, a), fmt.Sprintf("%d>%d HUBSPOT_DEFINED 280", b, a), fmt.Sprintf("%d>%d HUBSPOT_DEFINED 280", c, a))
	if at(t, p, a).UpdatedAt != before {
		t.Error("a link moved updatedAt")
	}

	// A contact has one primary company.
	p.Associate("contacts", a, "companies", c, "HUBSPOT_DEFINED", 1)
	wantLines(t, truth(p, "contacts", "companies"),
		fmt.Sprintf("%d>%d HUBSPOT_DEFINED 279", a, b), fmt.Sprintf("%d>%d HUBSPOT_DEFINED 279", a, c), fmt.Sprintf("%d>%d HUBSPOT_DEFINED 1 Primary", a, c))

	// Without the unlabelled type there is no link.
	if !p.Dissociate("companies", c, "contacts", a, "", 0) || p.Dissociate("companies", c, "contacts", a, "", 0) {
		t.Error("want the link removed once")
	}
	wantLines(t, truth(p, "contacts", "companies"), fmt.Sprintf("%d>%d HUBSPOT_DEFINED 279", a, b))
	if p.Associate("contacts", a, "contacts", a, "", 0) || p.Associate("contacts", 1, "companies", b, "", 0) {
		t.Error("a record was linked to itself or to none")
	}
}

func TestLabels(t *testing.T) {
	p := calm()
	a, b := p.Create("contacts", nil), p.Create("contacts", nil)
	boss, report := p.AddLabel("contacts", "contacts", "Boss", "Report")
	mate, same := p.AddLabel("contacts", "contacts", "Mate", "")
	if boss == report || mate != same {
		t.Errorf("got types %d and %d, %d and %d", boss, report, mate, same)
	}
	p.Associate("contacts", a, "contacts", b, "USER_DEFINED", boss)
	p.Associate("contacts", b, "contacts", a, "USER_DEFINED", mate)
	base := p.Links("contacts", "contacts")[0].TypeID
	line := func(from, to uint64, typeID int, label string) string {
		category := "USER_DEFINED"
		if typeID == base {
			category = "HUBSPOT_DEFINED"
		}
		return strings.TrimSuffix(fmt.Sprintf("%d>%d %s %d %s", from, to, category, typeID, label), " ")
	}
	wantLines(t, truth(p, "contacts", "contacts"),
		line(a, b, base, ""), line(b, a, base, ""), line(a, b, boss, "Boss"), line(b, a, report, "Report"), line(a, b, mate, "Mate"), line(b, a, mate, "Mate"))
	p.RenameLabel("contacts", "contacts", report, "Direct report")
	p.RemoveLabel("contacts", "contacts", mate)
	path := "/crm/associations/2026-09/contacts/contacts/batch/read"
	wantLines(t, links(t, p, path, 200, str(a), str(b)).lines(),
		line(a, b, base, ""), line(b, a, base, ""), line(a, b, boss, "Boss"), line(b, a, report, "Direct report"))
	p.Dissociate("contacts", b, "contacts", a, "", 0)
	wantLines(t, truth(p, "contacts", "contacts"))
}

func TestLinksFollowTheirRecords(t *testing.T) {
	p := New(Options{Index: Index{Immediate: true}, Limits: Limits{Off: true}, Types: []string{"contacts", "companies", "deals"}})
	a, b, x := p.Create("contacts", nil), p.Create("contacts", nil), p.Create("companies", nil)
	p.Associate("contacts", a, "companies", x, "", 0)
	link := fmt.Sprintf("%d>%d HUBSPOT_DEFINED 279", a, x)

	p.Archive("companies", x)
	wantLines(t, truth(p, "contacts", "companies"))
	if pg := links(t, p, linksPath, 207, str(a)); pg.NumErrors != 1 || pg.Errors[0].Category != "OBJECT_NOT_FOUND" ||
		pg.Errors[0].SubCategory != "crm.associations.NO_ASSOCIATIONS_FOUND" || !slices.Equal(pg.Errors[0].Context["fromObjectId"], []string{str(a)}) {
		t.Errorf("got %+v", pg)
	}
	p.Restore("companies", x, false)
	wantLines(t, truth(p, "contacts", "companies"), link)
	p.Archive("contacts", a)
	wantLines(t, truth(p, "contacts", "companies"))
	p.Restore("contacts", a, false)
	wantLines(t, links(t, p, linksPath, 200, str(a)).lines(), link)
	p.Archive("companies", x)
	p.Purge("companies", x)
	wantLines(t, truth(p, "contacts", "companies"))

	// A merge moves the links: each once, and only the first's primary company.
	y, z := p.Create("companies", nil), p.Create("companies", nil)
	p.Associate("contacts", a, "companies", y, "HUBSPOT_DEFINED", 1)
	p.Associate("contacts", b, "companies", y, "", 0)
	p.Associate("contacts", b, "companies", z, "HUBSPOT_DEFINED", 1)
	p.Associate("contacts", a, "contacts", b, "", 0)
	s := p.Merge("contacts", a, b)
	wantLines(t, truth(p, "contacts", "companies"),
		fmt.Sprintf("%d>%d HUBSPOT_DEFINED 279", s, y), fmt.Sprintf("%d>%d HUBSPOT_DEFINED 1 Primary", s, y), fmt.Sprintf("%d>%d HUBSPOT_DEFINED 279", s, z))
	wantLines(t, truth(p, "contacts", "contacts"))
	p.MergeInto("companies", z, y)
	wantLines(t, truth(p, "companies", "contacts"), fmt.Sprintf("%d>%d HUBSPOT_DEFINED 280", z, s), fmt.Sprintf("%d>%d HUBSPOT_DEFINED 2 Primary", z, s))
	wantLines(t, truth(p, "contacts", "companies"), links(t, p, linksPath, 200, str(s)).lines()...)

	// Removing a type removes its links.
	car := p.AddCustomType("car").FullyQualifiedName
	p.Associate("contacts", s, car, p.Create(car, nil), "", 0)
	p.RemoveCustomType(car)
	wantLines(t, truth(p, "contacts", car))
	if h := p.LinkHistory("contacts", car); len(h) != 2 || h[1].Op != OpTypeRemoved || h[1].Live {
		t.Errorf("history %+v", h)
	}
}

func TestLosersOfAMergeInTheArchivedListKeepNoLinks(t *testing.T) {
	p := New(Options{MergedInArchive: true})
	a, b, x := p.Create("contacts", nil), p.Create("contacts", nil), p.Create("companies", nil)
	p.Associate("contacts", b, "companies", x, "", 0)
	s := p.Merge("contacts", a, b)
	wantLines(t, truth(p, "contacts", "companies"), fmt.Sprintf("%d>%d HUBSPOT_DEFINED 279", s, x))
	if n := len(p.must("contacts").pair(p.must("companies")).links); n != 1 {
		t.Errorf("%d contacts have links, want the survivor", n)
	}
}

func TestEachRecordHasPagesOfItsOwn(t *testing.T) {
	p := New(Options{LinkPage: 2})
	a, b := p.Create("contacts", nil), p.Create("contacts", nil)
	ids := make([]uint64, 5)
	for i := range ids {
		ids[i] = p.Create("companies", nil)
		p.Associate("contacts", a, "companies", ids[i], "", 0)
	}
	p.Associate("contacts", a, "companies", ids[1], "HUBSPOT_DEFINED", 1)
	p.Associate("contacts", b, "companies", ids[0], "", 0)
	var got []string
	first := links(t, p, linksPath, 200, str(a), str(b))
	for _, r := range first.Results {
		if (r.From.ID == str(b)) != (r.Paging.Next.After == "") {
			t.Errorf("%s has a next page %q", r.From.ID, r.Paging.Next.After)
		}
	}
	got = first.lines()
	after := "2"
	for after != "" {
		pg := links(t, p, linksPath, 200, str(a)+" after "+after)
		got = append(got, pg.lines()...)
		after = pg.Results[0].Paging.Next.After
	}
	slices.Sort(got)
	wantLines(t, got, truth(p, "contacts", "companies")...)
	for _, r := range links(t, p, linksPath, 200, str(a)+" after 99").Results {
		if r.To == nil || len(r.To) != 0 {
			t.Errorf("got %+v after the last page", r)
		}
	}
	do(t, p, "POST", linksPath, `{"inputs":[{"id":"1","after":"x"}]}`).want(t, 400)
}

func TestRecordsThatAreNotLiveHaveNoAssociationsOrAreNotFound(t *testing.T) {
	p := calm()
	a, b := p.Create("contacts", nil), p.Create("contacts", nil)
	p.Associate("contacts", a, "companies", p.Create("companies", nil), "", 0)
	p.Archive("contacts", a)
	for _, notFound := range []bool{false, true} {
		p.opt.LinksNotFound = notFound
		pg := links(t, p, linksPath, 207, str(a), str(b), "77")
		if len(pg.Results) != 0 || pg.NumErrors != 3 {
			t.Fatalf("got %+v", pg)
		}
		for _, e := range pg.Errors {
			live := e.Context["fromObjectId"][0] == str(b)
			if e.Category != "OBJECT_NOT_FOUND" || (e.SubCategory == "") != (notFound && !live) {
				t.Errorf("not found %v: got %+v", notFound, e)
			}
		}
	}
}

func TestAssociationsTake1000InputsAndBothScopes(t *testing.T) {
	p := calm()
	many := slices.Repeat([]string{"7"}, 1001)
	links(t, p, linksPath, 207, many[1:]...)
	links(t, p, linksPath, 400, many...)
	links(t, p, linksPath, 400)
	for _, body := range []string{`{}`, `[]`, `{"inputs":[{}]}`, `{"inputs":[{"id":[]}]}`} {
		do(t, p, "POST", linksPath, body).want(t, 400)
	}
	do(t, p, "POST", linksPath, "").want(t, 415)
	p.SetScopes("crm.objects.contacts.read")
	do(t, p, "GET", labelsPath, "").want(t, 403).says(t, "crm.objects.companies.read")
	p.SetScopes("crm.objects.companies.read")
	do(t, p, "POST", linksPath, `{"inputs":[{"id":"7"}]}`).want(t, 403).says(t, "crm.objects.contacts.read")
}

func TestAssociationsCountForTheDayOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Limits: Limits{TenSecondly: 1, Daily: 30}})
		for range 14 {
			links(t, p, linksPath, 207, "7")
			do(t, p, "GET", labelsPath, "").want(t, 200)
		}
		do(t, p, "GET", contactsPath, "").want(t, 200)
		do(t, p, "GET", contactsPath, "").want(t, 429).says(t, "TEN_SECONDLY_ROLLING")
		do(t, p, "GET", labelsPath, "").want(t, 200)
		do(t, p, "GET", labelsPath, "").want(t, 429).says(t, "DAILY")
	})
}

func TestOmittedAssociationsAreInNeitherListAndCounted(t *testing.T) {
	p := calm()
	a, b := p.Create("contacts", nil), p.Create("contacts", nil)
	p.Associate("contacts", a, "companies", p.Create("companies", nil), "", 0)
	p.Inject(Fault{Kind: FaultOmit, Endpoint: EndpointLinks, Object: "contacts", Count: 1})
	if pg := links(t, p, linksPath, 207, str(a), str(b)); len(pg.Results) != 0 || len(pg.Errors) != 0 || pg.NumErrors != 1 {
		t.Errorf("got %+v", pg)
	}
	if pg := links(t, p, linksPath, 207, str(a), str(b)); len(pg.Results) != 1 || len(pg.Errors) != 1 {
		t.Errorf("got %+v after the fault", pg)
	}
}

// A record whose links cannot be read is an error like one that has none, and may be an
// error that is counted alone.
func TestAFailedReadOfAssociationsIsCountedAndListedLikeAnyError(t *testing.T) {
	for most, want := range map[int]int{0: 2, 1: 1} {
		p := calm()
		p.opt.LinkErrors = most
		a, b, c := p.Create("contacts", nil), p.Create("contacts", nil), p.Create("contacts", nil)
		firm := p.Create("companies", nil)
		p.Associate("contacts", b, "companies", firm, "", 0)
		p.Associate("contacts", c, "companies", firm, "", 0)
		p.Inject(Fault{Kind: FaultFailed, Endpoint: EndpointLinks, Object: "contacts", IDs: []uint64{b}})
		pg := links(t, p, linksPath, 207, str(a), str(b), str(c))
		if len(pg.Results) != 1 || len(pg.Errors) != want || pg.NumErrors != 2 || pg.Errors[0].SubCategory == "" {
			t.Errorf("where %d errors are listed: got %+v", most, pg)
		}
		if pg := links(t, p, linksPath, 207, str(b)); len(pg.Results) != 0 || len(pg.Errors) != 1 || pg.NumErrors != 1 || pg.Errors[0].SubCategory != "" {
			t.Errorf("asked for alone: got %+v", pg)
		}
	}
}

// The folded history of links equals what reads see, in both directions.
func TestLinkHistoryEndsInTheTruth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Harsh(11))
		car := p.AddCustomType("car").FullyQualifiedName
		types := []string{"contacts", "companies", "deals", car}
		for _, object := range types {
			p.Seed(object, 15)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
		defer cancel()
		p.Live(ctx, 5, Life{Seed: 3, Create: 3, Update: 1, Archive: 2, Restore: 2, Merge: 1, Purge: 1, Associate: 30, Dissociate: 4, Relabel: 1})
		ops := map[Op]int{}
		for _, from := range types {
			for _, to := range types {
				fold := map[Link]bool{}
				for _, c := range p.LinkHistory(from, to) {
					ops[c.Op]++
					key := c.Link
					key.Label = ""
					if c.Op != OpRelabel && fold[key] == c.Live {
						t.Fatalf("%s to %s: %+v changes nothing", from, to, c)
					}
					if fold[key] = c.Live; !c.Live {
						delete(fold, key)
					}
				}
				truth := p.Links(from, to)
				if len(fold) != len(truth) {
					t.Errorf("%s to %s: the history leaves %d links, there are %d", from, to, len(fold), len(truth))
				}
				back := map[[2]uint64]int{}
				for _, l := range p.Links(to, from) {
					back[[2]uint64{l.To, l.From}]++
				}
				for _, l := range truth {
					if key := (Link{l.From, l.To, l.Category, l.TypeID, ""}); !fold[key] {
						t.Errorf("%s to %s: the history lacks %+v", from, to, l)
					}
					back[[2]uint64{l.From, l.To}]--
				}
				for key, n := range back {
					if n != 0 {
						t.Errorf("%s to %s: %d links of %v are at one end only", from, to, n, key)
					}
				}
			}
		}
		for _, op := range []Op{OpAssociate, OpDissociate, OpRelabel, OpArchive, OpRestore, OpPurge, OpMerge, OpMergedAway} {
			if ops[op] == 0 {
				t.Errorf("no %s in %v", op, ops)
			}
		}
	})
}
