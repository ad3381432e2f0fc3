package hubspottest

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// said is a request of the client's and the portal's answer to it.
type said struct {
	operation, request, answer string
	status                     int
}

// scribe keeps what a client and the portal say to each other.
type scribe struct {
	next http.RoundTripper
	said []said
}

func (s *scribe) RoundTrip(req *http.Request) (*http.Response, error) {
	var question []byte
	if req.Body != nil {
		var err error
		if question, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(question))
	}
	plain := req.Clone(req.Context())
	plain.Header.Del("Accept-Encoding")
	res, err := s.next.RoundTrip(plain)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(res.Body)
	res.Body = io.NopCloser(bytes.NewReader(text))
	s.said = append(s.said, said{req.Method + " " + req.URL.Path, string(question), string(text), res.StatusCode})
	return res, err
}

// TestTheJournalFitsHubSpotsOpenAPIFiles checks what the client asks and what the
// portal answers against the files: both may be wrong in the same way.
func TestTheJournalFitsHubSpotsOpenAPIFiles(t *testing.T) {
	journal, oauth := loadSpec(t, "2026-03-webhooksJournal.json"), loadSpec(t, "2026-03-oauth.json")
	synctest.Test(t, func(t *testing.T) {
		seen := map[string]int{}
		for _, x := range conversation(t) {
			switch path := strings.SplitN(x.operation, " ", 2)[1]; {
			case strings.HasPrefix(path, "/oauth/"):
				seen["POST /oauth/2026-03/token"]++
				checkToken(t, oauth, x)
			case strings.HasPrefix(path, "/webhooks-journal/"):
				seen[checkJournal(t, journal, x)]++
			default:
				seen["a file"]++
			}
		}
		const root = "/webhooks-journal/journal/2026-03/"
		for _, operation := range []string{
			"POST /oauth/2026-03/token", "a file", "GET " + root + "latest", "GET " + root + "earliest", "GET " + root + "offset/{offset}/next",
			"GET " + root + "batch/{offset}/next/{count}", "POST " + root + "batch/read",
			"GET /webhooks-journal/subscriptions/2026-03", "POST /webhooks-journal/subscriptions/2026-03", "DELETE /webhooks-journal/subscriptions/2026-03/{subscriptionId}",
		} {
			if seen[operation] == 0 {
				t.Errorf("the client never asked for %s", operation)
			}
		}
	})
}

// conversation is one of each of the client's requests.
func conversation(t *testing.T) []said {
	p := journalPortal(Journal{FileEvents: 1})
	s := &scribe{next: p.Client().Transport}
	c, err := hubspot.New(hubspot.Config{
		BaseURL: "https://api.hubapi.com", Transport: s,
		Auth: hubspot.AccessToken(func() (hubspot.Secret, error) { return "pat-na1-test", nil }),
	})
	if err != nil {
		t.Fatal(err)
	}
	j := hubspot.NewJournal(c, hubspot.ClientCredentials("app", func() (hubspot.Secret, error) { return "app-secret", nil }))
	ctx, once := t.Context(), hubspot.Call{Tries: 1}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	e, err := j.Latest(ctx, once)
	if ok(err); e != nil {
		t.Fatalf("a new journal has %v", e)
	}
	for _, wanted := range hubspot.WantedSubscriptions(4242, []string{"0-1"}) {
		ok(j.Subscribe(ctx, once, wanted))
	}
	for range 3 {
		p.Create("contacts", nil)
	}
	time.Sleep(time.Minute)
	first, err := j.Earliest(ctx, once)
	ok(err)
	second, err := j.Next(ctx, once, first.Offset)
	ok(err)
	more, err := j.NextBatch(ctx, once, second.Offset, 100)
	if ok(err); len(more) != 1 {
		t.Fatalf("%d entries after the second, want one", len(more))
	}
	if e, err = j.Latest(ctx, once); err != nil || e.Offset != more[0].Offset {
		t.Fatalf("the latest is %v, %v", e, err)
	}
	time.Sleep(time.Hour) // its address expires
	file, err := j.File(ctx, once, first)
	if ok(err); len(file.Events) != 1 || file.Offset != first.Offset {
		t.Fatalf("got %+v", file)
	}
	_, err = j.File(ctx, once, &hubspot.JournalEntry{Offset: "0190aaaa-0000-7000-8000-000000000000"})
	if !hubspot.Unreadable(err) {
		t.Fatalf("an unknown offset: %v", err)
	}
	if _, err = j.Next(ctx, once, "0190aaaa-0000-7000-8000-000000000000"); !hubspot.PlaceLost(err) {
		t.Fatalf("an unknown offset: %v", err)
	}
	all, err := j.Subscriptions(ctx, once)
	if ok(err); len(all) != 3 || len(hubspot.MissingSubscriptions(hubspot.WantedSubscriptions(4242, []string{"0-1"}), all)) != 0 {
		t.Fatalf("got %+v", all)
	}
	ok(j.Unsubscribe(ctx, once, all[0].ID))
	return s.said
}

// checkToken checks the form and the answer of the client_credentials grant.
func checkToken(t *testing.T, s spec, x said) {
	t.Helper()
	form, err := url.ParseQuery(x.request)
	if err != nil {
		t.Fatal(err)
	}
	members := s.at(t, s["paths"], "/oauth/2026-03/token", "post", "requestBody", "content", "application/x-www-form-urlencoded", "schema", "properties")
	for name, values := range form {
		if len(values) != 1 {
			t.Errorf("the form has %d of %s", len(values), name)
		}
		s.at(t, members, name)
	}
	if grants := s.at(t, members, "grant_type").(map[string]any)["enum"]; !slices.Contains(grants.([]any), any(form.Get("grant_type"))) {
		t.Errorf("the grant %s is none of %v", form.Get("grant_type"), grants)
	}
	check(t, &walker{spec: s}, s.at(t, s["components"], "schemas", "ClientCredentialsTokenResponse"), x.answer)
}

// checkJournal checks a request and its answer, and returns the file's name for it.
func checkJournal(t *testing.T, s spec, x said) string {
	t.Helper()
	method, path, _ := strings.Cut(x.operation, " ")
	template := ""
	for known, methods := range s["paths"].(map[string]any) {
		if fits(known, path) && methods.(map[string]any)[strings.ToLower(method)] != nil {
			template = known
		}
	}
	operation := s.at(t, s["paths"], template, strings.ToLower(method))
	if x.request != "" {
		check(t, &walker{spec: s}, s.at(t, operation, "requestBody", "content", "application/json", "schema"), x.request)
	}
	schemas := func(name string) any { return s.at(t, s["components"], "schemas", name) }
	switch {
	case x.status >= 400:
		check(t, &walker{spec: s, extra: set([]string{"status"})}, schemas("Error"), x.answer)
	case x.status == http.StatusNoContent:
		if x.answer != "" {
			t.Errorf("%s: a 204 with %s", x.operation, x.answer)
		}
	case x.status == http.StatusMultiStatus:
		check(t, &walker{spec: s}, schemas("BatchResponseJournalFetchResponseWithErrors"), x.answer)
	case strings.HasSuffix(template, "/latest"), strings.HasSuffix(template, "/earliest"), strings.HasSuffix(template, "/offset/{offset}/next"):
		check(t, &walker{spec: s}, schemas("JournalFetchResponse"), x.answer) // the file has no answer but the default
	default:
		check(t, &walker{spec: s}, s.at(t, operation, "responses", "200", "content", "application/json", "schema"), x.answer)
	}
	return method + " " + template
}

// fits reports whether a path is one of a template's.
func fits(template, path string) bool {
	return slices.EqualFunc(strings.Split(template, "/"), strings.Split(path, "/"), func(part, given string) bool {
		return part == given || strings.HasPrefix(part, "{")
	})
}
