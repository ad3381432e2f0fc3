package hubspottest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// reader is an app that reads the journal.
type reader struct {
	t     testing.TB
	p     *Portal
	token string
}

func journalPortal(j Journal) *Portal {
	j.App = &JournalApp{"app", "app-secret"}
	return New(Options{Journal: j})
}

func newReader(t testing.TB, p *Portal) *reader {
	t.Helper()
	answer := grant(t, p, strings.Join(journalScopes, " ")).want(t, 200)
	var token struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	decode(t, answer, &token)
	if token.ExpiresIn != 1800 {
		t.Errorf("got a token for %d s, want 1800", token.ExpiresIn)
	}
	return &reader{t, p, token.AccessToken}
}

func grant(t testing.TB, p *Portal, scope string) reply {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {"app-secret"}, "scope": {scope}}
	r, _ := http.NewRequestWithContext(t.Context(), "POST", "https://api.hubapi.com/oauth/2026-03/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return send(t, p.Client(), r)
}

func decode(t testing.TB, r reply, into any) {
	t.Helper()
	if err := json.Unmarshal(r.body, into); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
}

func (r *reader) call(method, path, body string) reply {
	r.t.Helper()
	request, _ := http.NewRequestWithContext(r.t.Context(), method, "https://api.hubapi.com/webhooks-journal/"+path, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+r.token)
	request.Header.Set("Content-Type", "application/json")
	return send(r.t, r.p.Client(), request)
}

func (r *reader) subscribe(kind, typeID string, actions ...string) reply {
	r.t.Helper()
	return r.call("POST", "subscriptions/2026-03", fmt.Sprintf(
		`{"subscriptionType":%q,"portalId":4242,"objectTypeId":%q,"actions":%s,"properties":[],"objectIds":[],"associatedObjectTypeIds":[]}`, kind, typeID, encode(actions)))
}

func (r *reader) subscribeAll() {
	r.t.Helper()
	for _, typeID := range []string{"0-1", "0-2", "0-3"} {
		for kind, actions := range journalKinds {
			r.subscribe(kind, typeID, actions...).want(r.t, 200)
		}
	}
}

// fetched is a file as a reader sees it.
type fetched struct {
	Offset        string
	JournalEvents []map[string]any
	PublishedAt   string
}

func (r *reader) fetch(address, authorization string) reply {
	r.t.Helper()
	request, _ := http.NewRequestWithContext(r.t.Context(), "GET", address, nil)
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	return send(r.t, r.p.Client(), request)
}

// all reads the journal from its beginning.
func (r *reader) all() (events []map[string]any) {
	r.t.Helper()
	for path := "journal/2026-03/earliest"; ; {
		answer := r.call("GET", path, "")
		if answer.status == 204 {
			return events
		}
		var entry journalEntry
		decode(r.t, answer.want(r.t, 200), &entry)
		var file fetched
		decode(r.t, r.fetch(entry.URL, "").want(r.t, 200), &file)
		if file.Offset != entry.Offset {
			r.t.Fatalf("the file of %s says %s", entry.Offset, file.Offset)
		}
		events = append(events, file.JournalEvents...)
		path = "journal/2026-03/offset/" + entry.Offset + "/next"
	}
}

func told(events []map[string]any) (lines []string) {
	for _, e := range events {
		id := e["objectId"]
		if id == nil {
			id = fmt.Sprint(e["fromObjectId"], ">", e["toObjectId"])
		}
		lines = append(lines, fmt.Sprint(e["action"], " ", id))
	}
	return lines
}

func wantTold(t testing.TB, events []map[string]any, want ...string) {
	t.Helper()
	if got := told(events); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestJournalTellsWhatItIsSubscribedTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := journalPortal(Journal{})
		r := newReader(t, p)
		p.Create("contacts", nil)
		time.Sleep(5 * time.Second)
		r.call("GET", "journal/2026-03/latest", "").want(t, 204)
		r.subscribeAll()

		a := p.Create("contacts", nil)
		b := p.Create("contacts", nil)
		deal := p.Create("deals", nil)
		p.Update("contacts", a, map[string]string{"firstname": "Ada"})
		p.UpdateCalculated("contacts", a, map[string]string{"lastname": "Bo"})
		p.Touch("contacts", a)
		p.Associate("contacts", a, "deals", deal, "", 0)
		p.Dissociate("contacts", a, "deals", deal, "", 0)
		p.Archive("contacts", a)
		p.Restore("contacts", a, false)
		c := p.Merge("contacts", a, b)
		p.Purge("contacts", c)
		time.Sleep(999 * time.Millisecond)
		r.call("GET", "journal/2026-03/latest", "").want(t, 204) // the publish delay
		time.Sleep(2001 * time.Millisecond)
		events := r.all()
		wantTold(t, events,
			fmt.Sprint("CREATE ", a), fmt.Sprint("CREATE ", b), fmt.Sprint("CREATE ", deal), fmt.Sprint("UPDATE ", a),
			fmt.Sprintf("ASSOCIATION_ADDED %d>%d", a, deal), fmt.Sprintf("ASSOCIATION_ADDED %d>%d", deal, a),
			fmt.Sprintf("ASSOCIATION_REMOVED %d>%d", a, deal), fmt.Sprintf("ASSOCIATION_REMOVED %d>%d", deal, a),
			fmt.Sprint("DELETE ", a), fmt.Sprint("RESTORE ", a), fmt.Sprint("MERGE ", c), fmt.Sprint("GDPR_DELETE ", c))
		if got, want := fmt.Sprint(events[10]["mergedObjectIds"]), fmt.Sprint([]uint64{a, b}); got != want {
			t.Errorf("got merged ids %s, want %s", got, want)
		}
		if got := fmt.Sprint(events[3]["propertyChanges"]); got != "map[firstname:Ada]" {
			t.Errorf("got changes %s", got)
		}
		if got := p.JournalCounts().Absent["contacts"]; got != 2 {
			t.Errorf("got %d changes that the journal does not tell, want 2", got)
		}

		// The bin is emptied without a word.
		d := p.Create("contacts", nil)
		p.Archive("contacts", d)
		time.Sleep(91 * 24 * time.Hour)
		p.Records("contacts")
		p.Archived("contacts")
		p.Create("deals", nil)
		time.Sleep(3 * time.Second)
		if lines := told(r.again().all()); len(lines) != 1 || !strings.HasPrefix(lines[0], "CREATE") {
			t.Errorf("got %q, want one CREATE", lines)
		}
	})
}

// again returns a reader with a token of now.
func (r *reader) again() *reader { return newReader(r.t, r.p) }

func TestJournalNeedsTheAppsTokenAndOnlyTheJournalTakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := journalPortal(Journal{})
		r := newReader(t, p)
		do(t, p, "GET", "/webhooks-journal/journal/2026-03/latest", "").want(t, 401)
		request, _ := http.NewRequestWithContext(t.Context(), "GET", "https://api.hubapi.com"+contactsPath, nil)
		request.Header.Set("Authorization", "Bearer "+r.token)
		send(t, p.Client(), request).want(t, 401)
		r.call("GET", "journal/2026-03/latest", "").want(t, 204)
		time.Sleep(30 * time.Minute)
		r.call("GET", "journal/2026-03/latest", "").want(t, 401).says(t, "EXPIRED_AUTHENTICATION")

		var narrow struct {
			AccessToken string `json:"access_token"`
		}
		decode(t, grant(t, p, scopeJournal).want(t, 200), &narrow)
		r = &reader{t, p, narrow.AccessToken}
		r.call("GET", "subscriptions/2026-03", "").want(t, 403).says(t, "MISSING_SCOPES")
		r.call("GET", "journal/2026-03/latest", "").want(t, 204)
		app := JournalApp{"app", "app-secret"}
		p.SetJournal(Journal{App: &app, Refuse: RefuseScopes})
		r.call("GET", "journal/2026-03/latest", "").want(t, 403).says(t, "MISSING_SCOPES")
		p.SetJournal(Journal{App: &app, DownStatus: 503})
		r.call("GET", "journal/2026-03/latest", "").want(t, 503)
		p.SetJournal(Journal{App: &app, OtherScopes: []string{}})
		grant(t, p, scopeJournal).want(t, 400)
		p.SetJournal(Journal{App: &app, NotInstalled: true})
		r = newReader(t, p)
		r.subscribe("OBJECT", "0-1", "CREATE").want(t, 403)
		r.call("GET", "journal/2026-03/latest", "").want(t, 204)
		p.SetJournal(Journal{App: &app, NotInstalled: true, NoReads: true})
		r.call("GET", "journal/2026-03/latest", "").want(t, 403).says(t, "not installed")
		p.SetJournal(Journal{App: &app, Refuse: RefuseToken})
		grant(t, p, scopeJournal).want(t, 400)
		r.call("GET", "journal/2026-03/latest", "").want(t, 401)
	})
}

func TestJournalAddressesExpireAndOffsetsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := journalPortal(Journal{FileEvents: 2})
		r := newReader(t, p)
		r.subscribe("OBJECT", "0-1", "CREATE").want(t, 200)
		for range 5 {
			p.Create("contacts", nil)
		}
		time.Sleep(3 * time.Second)
		offsets := p.JournalOffsets()
		if len(offsets) != 3 || !slices.IsSorted(offsets) {
			t.Fatalf("got offsets %q, want three", offsets)
		}
		var batch struct{ Results []journalEntry }
		decode(t, r.call("GET", "journal/2026-03/batch/latest/2", "").want(t, 200), &batch)
		if len(batch.Results) != 2 || batch.Results[1].Offset != offsets[2] {
			t.Fatalf("got %v, want the latest two of %v, oldest first", batch.Results, offsets)
		}
		address := batch.Results[0].URL
		r.fetch(address, "").want(t, 200)
		r.fetch(address, "Bearer "+r.token).want(t, 400)
		r.fetch(strings.Replace(address, "Expires=", "Expires=1", 1), "").want(t, 403)
		time.Sleep(10 * time.Minute)
		r.fetch(address, "").want(t, 403)
		body := fmt.Sprintf(`{"inputs":[%q,"0190aaaa-0000-7000-8000-000000000000"]}`, offsets[0])
		decode(t, r.call("POST", "journal/2026-03/batch/read", body).want(t, 207), &batch)
		if len(batch.Results) != 1 {
			t.Fatalf("got %v", batch.Results)
		}
		r.fetch(batch.Results[0].URL, "").want(t, 200)

		time.Sleep(3 * 24 * time.Hour)
		r = r.again()
		r.call("GET", "journal/2026-03/offset/"+offsets[0]+"/next", "").want(t, 404)
		r.call("GET", "journal/2026-03/earliest", "").want(t, 204)
		if n := p.Stats().Calls[EndpointJournalFile]; n != 5 {
			t.Errorf("got %d fetches in the statistics, want 5", n)
		}
	})
}

// TestJournalFitsHubSpotsOpenAPIFile checks what the journal accepts and sends
// against the file, call by call.
func TestJournalFitsHubSpotsOpenAPIFile(t *testing.T) {
	s := loadSpec(t, "2026-03-webhooksJournal.json")
	synctest.Test(t, func(t *testing.T) {
		p := journalPortal(Journal{})
		r := newReader(t, p)
		grantSpec := loadSpec(t, "2026-03-oauth.json")
		check(t, &walker{spec: grantSpec}, grantSpec.at(t, grantSpec["components"], "schemas", "ClientCredentialsTokenResponse"), string(grant(t, p, scopeJournal).body))
		r.subscribeAll()
		p.Create("contacts", nil)
		time.Sleep(3 * time.Second)
		offset := p.JournalOffsets()[0]
		for _, c := range []struct {
			method, path, body, schema string
			status                     int
		}{
			{"GET", "journal/2026-03/latest", "", "JournalFetchResponse", 200},
			{"GET", "journal/2026-03/earliest?installPortalId=4242", "", "JournalFetchResponse", 200},
			{"GET", "journal-local/2026-03/latest?installPortalId=4242", "", "JournalFetchResponse", 200},
			{"GET", "journal/2026-03/offset/0190aaaa-0000-7000-8000-000000000000/next", "", "Error", 404},
			{"GET", "journal/2026-03/batch/earliest/100", "", "BatchResponseJournalFetchResponse", 200},
			{"GET", "journal/2026-03/batch/earliest/101", "", "Error", 400},
			{"GET", "journal/2026-03/batch/" + offset + "/next/5", "", "BatchResponseJournalFetchResponse", 200},
			{"POST", "journal/2026-03/batch/read", `{"inputs":["` + offset + `"]}`, "BatchResponseJournalFetchResponse", 200},
			{"POST", "journal/2026-03/batch/read", `{"inputs":["x"]}`, "BatchResponseJournalFetchResponseWithErrors", 207},
			{"GET", "subscriptions/2026-03", "", "CollectionResponseSubscriptionResponseNoPaging", 200},
			{"GET", "subscriptions/2026-03/1", "", "SubscriptionResponse", 200},
			{"POST", "subscriptions/2026-03", `{"subscriptionType":"OBJECT","portalId":4242,"objectTypeId":"0-1","actions":["CREATE"],"properties":[],"objectIds":[]}`, "SubscriptionResponse", 200},
			{"POST", "subscriptions/2026-03", `{"subscriptionType":"OBJECT"}`, "Error", 400},
		} {
			w := &walker{spec: s}
			if c.status >= 400 {
				w.extra = set([]string{"status"}) // recorded, not in the file
			}
			check(t, w, s.at(t, s["components"], "schemas", c.schema), string(r.call(c.method, c.path, c.body).want(t, c.status).body))
		}
	})
}

// TestJournalCallsAreExemptFromTheLimits, and the statistics count them.
func TestJournalCallsAreExemptFromTheLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Journal: Journal{App: &JournalApp{"app", "app-secret"}}, Limits: Limits{TenSecondly: 10, Daily: 10}})
		r := newReader(t, p)
		for range 50 {
			r.call("GET", "journal/2026-03/latest", "").want(t, 204)
		}
		do(t, p, "GET", contactsPath, "").want(t, 200)
		if n := p.Stats().Calls[EndpointJournalLatest]; n != 50 {
			t.Errorf("got %d calls in the statistics, want 50", n)
		}
	})
}

func TestJournalFilesMayBeGarbageOrOfOneAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := journalPortal(Journal{Garbage: 1})
		r := newReader(t, p)
		r.subscribeAll()
		p.Create("contacts", nil)
		time.Sleep(3 * time.Second)
		address := func(path string) string {
			var entry journalEntry
			decode(t, r.call("GET", path, "").want(t, 200), &entry)
			return entry.URL
		}
		if body := r.fetch(address("journal/2026-03/latest"), "").want(t, 200).body; json.Valid(body) {
			t.Errorf("got %s, want garbage", body)
		}
		if c := p.JournalCounts(); c.Garbled["contacts"] != 1 || c.Written["contacts"] != 1 {
			t.Errorf("got %+v", c)
		}
		p.SetJournal(Journal{App: &JournalApp{"app", "app-secret"}, Foreign: 1})
		p.Create("contacts", nil)
		time.Sleep(3 * time.Second)
		for path, want := range map[string]int{"journal/2026-03/latest": 2, "journal-local/2026-03/latest?installPortalId=4242": 1} {
			var file fetched
			decode(t, r.fetch(address(path), "").want(t, 200), &file)
			if len(file.JournalEvents) != want {
				t.Errorf("%s: got %d events, want %d", path, len(file.JournalEvents), want)
			}
		}
	})
}

func TestJournalAddressesLeadToTheSocketThatServes(t *testing.T) {
	p := journalPortal(Journal{Delay: Span{Max: 1}})
	r := newReader(t, p)
	r.subscribeAll()
	p.Create("contacts", nil)
	origin, stop, err := p.Serve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	request, _ := http.NewRequestWithContext(t.Context(), "GET", origin+"/webhooks-journal/journal/2026-03/latest", nil)
	request.Header.Set("Authorization", "Bearer "+r.token)
	var entry journalEntry
	decode(t, send(t, http.DefaultClient, request).want(t, 200), &entry)
	request, _ = http.NewRequestWithContext(t.Context(), "GET", entry.URL, nil)
	var file fetched
	decode(t, send(t, http.DefaultClient, request).want(t, 200), &file)
	if !strings.HasPrefix(entry.URL, origin) || len(file.JournalEvents) != 1 {
		t.Errorf("got %+v at %s", file, entry.URL)
	}
}

// TestOffsetsOfOneMillisecondKeepTheirOrder, even more of them than a UUIDv7 counts.
func TestOffsetsOfOneMillisecondKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := journalPortal(Journal{FileEvents: 1})
		newReader(t, p).subscribeAll()
		ids := p.Seed("contacts", 5000)
		p.BulkUpdate("contacts", ids, map[string]string{"firstname": "X"})
		time.Sleep(3 * time.Second)
		offsets := p.JournalOffsets()
		if n := len(slices.Compact(slices.Clone(offsets))); n != len(ids) || !slices.IsSorted(offsets) {
			t.Errorf("got %d different offsets, sorted: %t, want %d", n, slices.IsSorted(offsets), len(ids))
		}
	})
}

func TestSubscriptionsReplaceOrConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := journalPortal(Journal{})
		r := newReader(t, p)
		var first, second subscription
		decode(t, r.subscribe("OBJECT", "0-1", "CREATE").want(t, 200), &first)
		decode(t, r.subscribe("OBJECT", "0-1", "DELETE").want(t, 200), &second)
		if first.ID != second.ID || !slices.Equal(second.Actions, []string{"DELETE"}) {
			t.Errorf("got %+v after %+v, want a replacement", second, first)
		}
		id := p.Create("contacts", nil)
		p.Archive("contacts", id)
		time.Sleep(3 * time.Second)
		wantTold(t, r.all(), fmt.Sprint("DELETE ", id))
		p.SetJournal(Journal{App: &JournalApp{"app", "app-secret"}, Conflict: true})
		r.subscribe("OBJECT", "0-1", "CREATE").want(t, 409)
		var list struct{ Results []subscription }
		decode(t, r.call("GET", "subscriptions/2026-03", "").want(t, 200), &list)
		if len(list.Results) != 1 || list.Results[0].ID != first.ID {
			t.Errorf("got %+v", list.Results)
		}
		r.call("DELETE", fmt.Sprint("subscriptions/2026-03/", first.ID), "").want(t, 204)
		r.call("DELETE", fmt.Sprint("subscriptions/2026-03/", first.ID), "").want(t, 404)
		p.Archive("contacts", p.Create("contacts", nil))
		time.Sleep(3 * time.Second)
		if n := len(r.all()); n != 1 {
			t.Errorf("got %d events, want no new one without a subscription", n)
		}
	})
}

// TestJournalCountsItsTrouble: what a reader gets and what the counters say agree.
func TestJournalOfAnAppThatIsUninstalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := journalPortal(Journal{})
		r := newReader(t, p)
		portals := func() (ids []any) {
			for _, e := range r.all() {
				ids = append(ids, e["portalId"])
			}
			return ids
		}
		change := func() {
			p.Create("contacts", nil)
			p.ForeignEvent("0-1", 7)
			time.Sleep(10 * time.Second)
		}
		const own, other = 4242.0, 990099.0
		r.subscribe("OBJECT", "0-1", "CREATE").want(t, 200)
		change()
		if got := portals(); !slices.Equal(got, []any{own, other}) {
			t.Errorf("events of %v", got)
		}
		app := p.opt.Journal
		uninstalled := app
		uninstalled.NotInstalled, uninstalled.Forgets = true, true
		p.SetJournal(uninstalled)
		change()
		if got := portals(); !slices.Equal(got, []any{own, other, other}) {
			t.Errorf("events of %v, once the app is not installed", got)
		}
		p.SetJournal(app)
		r.call("GET", "subscriptions/2026-03", "").want(t, 200).says(t, `"results":[]`)
	})
}

func TestJournalCountsItsTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := journalPortal(Journal{Lost: 0.1, Doubled: 0.2, Late: 0.1, Disorder: 0.1, Unknown: 0.1, Foreign: 0.1, TextIDs: 0.5})
		r := newReader(t, p)
		r.subscribeAll()
		const n = 2000
		for range n {
			p.Create("contacts", nil)
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(11 * time.Minute)
		counts := p.JournalCounts()
		seen, times := map[string]int{}, []string{}
		other, unknown, texts := 0, 0, 0
		for _, e := range r.all() {
			switch {
			case e["type"] != "crmObject":
				unknown++
			case e["portalId"] != 4242.0:
				other++
			default:
				if _, text := e["objectId"].(string); text {
					texts++
				}
				seen[fmt.Sprint(e["objectId"])]++
				times = append(times, e["occurredAt"].(string))
			}
		}
		if len(seen) != counts.Written["contacts"] || len(counts.Losses) != counts.Lost["contacts"] || len(seen)+len(counts.Losses) != n {
			t.Errorf("got %d of %d, the counters say %d written, %d lost", len(seen), n, counts.Written["contacts"], counts.Lost["contacts"])
		}
		for _, loss := range counts.Losses {
			if seen[fmt.Sprint(loss.ID)] > 0 {
				t.Errorf("contact %d counts as lost and was told", loss.ID)
			}
		}
		doubled := 0
		for times := range maps.Values(seen) {
			doubled += times - 1
		}
		for what, got := range map[string]int{"lost": len(counts.Losses), "doubled": doubled / 2, "other accounts": other, "unknown": unknown, "texts": texts / 5} {
			if got < n/20 || got > n/5 {
				t.Errorf("%s: got %d, want about %d", what, got, n/10)
			}
		}
		if slices.IsSorted(times) {
			t.Error("everything came in order")
		}
	})
}
