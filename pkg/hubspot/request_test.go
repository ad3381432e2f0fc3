package hubspot

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// docs/contract.md section 6: the client waits out HubSpot's passing failures.
func TestTransientFailuresAreRetriedUntilAnswered(t *testing.T) {
	truncated := accountBody[:len(accountBody)-10]
	cases := map[string]struct {
		step  func() (*http.Response, error)
		least time.Duration // before the second attempt
		most  time.Duration
	}{
		"connection refused":       {fails(errRefused), time.Second, 2 * time.Second},
		"reset":                    {fails(errors.New("read: connection reset by peer")), time.Second, 2 * time.Second},
		"500":                      {answers(500, refusal("INTERNAL", "x")), time.Second, 2 * time.Second},
		"502 HTML":                 {answers(502, htmlPage), time.Second, 2 * time.Second},
		"503":                      {answers(503, ""), time.Second, 2 * time.Second},
		"503 with Retry-After":     {answers(503, "", "Retry-After", "7"), 7 * time.Second, 8 * time.Second},
		"504":                      {answers(504, ""), time.Second, 2 * time.Second},
		"521":                      {answers(521, htmlPage), time.Second, 2 * time.Second},
		"524":                      {answers(524, htmlPage), time.Second, 2 * time.Second},
		"530":                      {answers(530, htmlPage), time.Second, 2 * time.Second},
		"423":                      {answers(423, refusal("LOCKED", "x")), 2 * time.Second, 3 * time.Second},
		"423 with Retry-After":     {answers(423, "", "Retry-After", "5"), 5 * time.Second, 6 * time.Second},
		"477":                      {answers(477, "", "Retry-After", "3600"), time.Hour, time.Hour + time.Second},
		"429 secondly":             {answers(429, `{"policyName":"SECONDLY"}`), time.Second, 2 * time.Second},
		"429 ten seconds":          {answers(429, `{"policyName":"TEN_SECONDLY_ROLLING"}`), 2 * time.Second, 10 * time.Second},
		"429 with Retry-After":     {answers(429, `{"policyName":"SECONDLY"}`, "Retry-After", "9"), 9 * time.Second, 10 * time.Second},
		"429 of an edge":           {answers(429, htmlPage), 2 * time.Second, 10 * time.Second},
		"cut body":                 {cut(accountBody), time.Second, 2 * time.Second},
		"truncated JSON":           {answers(200, truncated), time.Second, 2 * time.Second},
		"HTML with 200":            {answers(200, htmlPage), time.Second, 2 * time.Second},
		"nothing with 200":         {answers(200, ""), time.Second, 2 * time.Second},
		"another JSON with 200":    {answers(200, `{"ok":true}`), time.Second, 2 * time.Second},
		"HTML with 404":            {answers(404, htmlPage), time.Second, 2 * time.Second},
		"a gateway's JSON, 404":    {answers(404, `{"message":"no route matched"}`), time.Second, 2 * time.Second},
		"HTML with 400":            {answers(400, htmlPage), time.Second, 2 * time.Second},
		"HTML with 403":            {answers(403, htmlPage), time.Second, 2 * time.Second},
		"HTML with 401":            {answers(401, htmlPage), time.Second, 2 * time.Second},
		"redirect to another host": {answers(302, "", "Location", "https://login.example.com/"), time.Second, 2 * time.Second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{steps: []func() (*http.Response, error){c.step, answers(200, accountBody)}}
				r := newRig(t, s.wire())
				if err := r.ask(t.Context()); err != nil {
					t.Fatal(err)
				}
				if len(s.at) != 2 {
					t.Fatalf("%d attempts, want 2", len(s.at))
				}
				if wait := s.waits()[0]; wait < c.least || wait > c.most {
					t.Errorf("waited %v, want %v to %v", wait, c.least, c.most)
				}
				said := 1
				if strings.HasPrefix(name, "429") { // a matter of seconds
					said = 0
				}
				if w, i := r.log.Count("level=WARN"), r.log.Count("level=INFO"); w != said || i != said {
					t.Errorf("%d warnings and %d infos, want %d of each:\n%s", w, i, said, r.log)
				}
			})
		})
	}
}

func TestWaitsGrowToAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []func() (*http.Response, error){answers(503, "")}}
		r := newRig(t, s.wire())
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		err := r.ask(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "latest: 503") {
			t.Errorf("err = %v, want the context's, with the latest failure", err)
		}
		waits := s.waits()
		for i, d := range waits {
			if d > time.Minute || d < time.Second || i > 0 && i < 5 && d < waits[i-1] {
				t.Errorf("waits %v: not growing from a second to a minute", waits)
				break
			}
		}
		if last := waits[len(waits)-1]; last < 50*time.Second {
			t.Errorf("the last wait is %v, want about a minute", last)
		}
	})
}

func TestACallEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, always(429, `{"policyName":"DAILY"}`))
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(time.Minute / 2)
			cancel()
		}()
		began := time.Now()
		if err := r.ask(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v, want context.Canceled", err)
		}
		if d := time.Since(began); d != time.Minute/2 {
			t.Errorf("ended after %v, want at once", d)
		}
	})
}

// The client gives up an attempt that hangs and makes another.
func TestAnAttemptHasATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		r := newRig(t, func(req *http.Request) (*http.Response, error) {
			if attempts++; attempts == 1 {
				<-req.Context().Done()
				return nil, req.Context().Err()
			}
			return respond(200, accountBody), nil
		})
		if err := r.ask(t.Context()); err != nil || attempts != 2 {
			t.Errorf("err = %v after %d attempts, want none after 2", err, attempts)
		}
	})
}

// HubSpot's own refusals return at once, and say what and where.
// noHeader is how the transport says of HTTP/2 that no header came in time: a time-out
// that is no context.DeadlineExceeded.
type noHeader struct{}

func (noHeader) Error() string   { return "http2: timeout awaiting response headers" }
func (noHeader) Timeout() bool   { return true }
func (noHeader) Temporary() bool { return true }

// TestR18_ATimeOutOfTheTransportIsATimeOut: the tries after it are quick.
func TestR18_ATimeOutOfTheTransportIsATimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lasted []time.Duration
		r := newRig(t, func(req *http.Request) (*http.Response, error) {
			began := time.Now()
			defer func() { lasted = append(lasted, time.Since(began)) }()
			select {
			case <-time.After(60 * time.Second):
				return nil, noHeader{}
			case <-req.Context().Done():
				return nil, req.Context().Err()
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		if _, err := r.List(ctx, Call{Tries: 3}, "contacts", nil, "", false, 0); err == nil || len(lasted) < 3 || lasted[0] != time.Minute || lasted[1] != quickTimeout || lasted[2] != quickTimeout {
			t.Errorf("%v; tries of %v, want one of a minute and two of %v", err, lasted, quickTimeout)
		}
	})
}

func TestLastingErrors(t *testing.T) {
	cases := []struct {
		status int
		body   string
		is     func(error) bool
		text   string
	}{
		{400, refusal("VALIDATION_ERROR", "Paging through deleted objects is not yet supported for this object type."), ArchivedUnsupported, "Paging through deleted objects"},
		{400, refusal("VALIDATION_ERROR", "whatever"), BadRequest, "VALIDATION_ERROR"},
		{400, `{"status":"error","message":"Unable to infer object type from: butterflies","correlationId":"b4c2bed9-bf1f-48a3-949b-256d76b47192"}`, BadRequest, "Unable to infer object type from: butterflies"},
		{403, `{"status":"error","message":"One or more of the following scopes are required.","correlationId":"e06d5f4a-fcde-4985-bc2b-2b89d29568b0","context":{"requiredGranularScopes":["custom-object-read"]},"category":"MISSING_SCOPES"}`, MissingScopes, "custom-object-read"},
		{403, `{"status":"error","message":"This app hasn't been granted all required scopes to make this call. Read more about required scopes here: https://developers.hubspot.com/scopes.","correlationId":"e06d5f4a-fcde-4985-bc2b-2b89d29568b0","errors":[{"message":"One or more of the following scopes are required.","context":{"requiredGranularScopes":["crm.objects.leads.read"]}}],"links":{"scopes":"https://developers.hubspot.com/scopes"},"category":"MISSING_SCOPES"}`, MissingScopes, "scopes: crm.objects.leads.read"},
		{404, refusal("OBJECT_NOT_FOUND", "resource not found"), NotFound, "resource not found"},
		{414, htmlPage, TooLong, "414"},
	}
	for _, c := range cases {
		r := newRig(t, always(c.status, c.body))
		err := r.ask(t.Context())
		e, ok := errors.AsType[*Error](err)
		if !ok || !c.is(err) {
			t.Errorf("%d: err = %v, want the lasting error", c.status, err)
			continue
		}
		if !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), "GET /account-info/2026-09/details") {
			t.Errorf("%d: err = %v, want %q and the path in it", c.status, err, c.text)
		}
		if e.Status != c.status || c.body != "" && c.status != 414 && e.CorrelationID == "" {
			t.Errorf("%d: %+v lacks status or correlation id", c.status, e)
		}
	}
}

// A 403 from HubSpot may have fewer members than usual; one from a proxy has
// fewer still. A 404 with so few is never taken for HubSpot's.
func TestA403WithLittleIsHubSpots(t *testing.T) {
	for body, want := range map[string]bool{
		`{"status":403,"message":"Forbidden"}`:          true,
		`{"errorType":"FORBIDDEN","message":"no"}`:      true,
		`{"category":"MISSING_SCOPES","message":"no"}`:  true,
		`{"status":404,"message":"Forbidden"}`:          false,
		`{"status":"403","message":"Forbidden"}`:        false,
		`{"message":"Forbidden"}`:                       false,
		`{"status":403,"message":{"text":"Forbidden"}}`: false,
		`{"status":403}`:                                false,
		`{"errorType":"FORBIDDEN"}`:                     false,
		htmlPage:                                        false,
	} {
		if v := judge(&request{}, attempt{status: 403, header: http.Header{}, body: []byte(body)}); (v.lasting != nil) != want {
			t.Errorf("403 %s: taken for HubSpot's %v, want %v", body, v.lasting != nil, want)
		}
	}
	for _, body := range []string{`{"status":404,"message":"Not found"}`, `{"errorType":"NOT_FOUND","message":"no"}`} {
		if v := judge(&request{}, attempt{status: 404, header: http.Header{}, body: []byte(body)}); v.lasting != nil {
			t.Errorf("404 %s: taken for HubSpot's", body)
		}
	}
}

// HubSpot's messages repeat the input they reject; an Error does not.
func TestErrorsHoldNoContent(t *testing.T) {
	const email = "johnnie77@hotmail.com"
	for _, body := range []string{
		refusal("VALIDATION_ERROR", "Email address "+email+" is invalid"),
		refusal("VALIDATION_ERROR", "Unable to infer object type from: "+email),
		`{"status":"error","category":"` + email + `","subCategory":{"a":"` + email + `"},"correlationId":"` + email + `"}`,
	} {
		r := newRig(t, always(400, body))
		err := r.ask(t.Context())
		if !BadRequest(err) || strings.Contains(err.Error(), email) || strings.Contains(err.Error(), "hotmail") {
			t.Errorf("err = %v, want a bad request without the address", err)
		}
	}
}

func TestTheTokenStaysInItsHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []func() (*http.Response, error){
			fails(errors.New("malformed header: Bearer " + canary)),
			answers(200, "Bearer "+canary),
			answers(503, canary, "X-HubSpot-Correlation-Id", canary),
			answers(400, refusal("VALIDATION_ERROR", canary)),
		}}
		r := newRig(t, s.wire()) // checks the log at the end
		err := r.ask(t.Context())
		if !BadRequest(err) || strings.Contains(err.Error(), canary) {
			t.Errorf("err = %v", err)
		}
		families, err := r.reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if strings.Contains(f.String(), canary) {
				t.Errorf("the token is in the metric %s", f)
			}
		}
	})
}

func TestRedirectsStayWithinTheOrigin(t *testing.T) {
	var hosts []string
	location := "/account-info/2026-09/moved"
	r := newRig(t, func(req *http.Request) (*http.Response, error) {
		hosts = append(hosts, req.URL.Host)
		if req.Header.Get("Authorization") != "Bearer "+canary {
			t.Errorf("%s: without the token", req.URL)
		}
		if len(hosts) == 1 {
			res := respond(307, "", "Location", location)
			res.Request = req
			return res, nil
		}
		return respond(200, accountBody), nil
	})
	if err := r.ask(t.Context()); err != nil || len(hosts) != 2 || hosts[1] != "api.hubapi.com" {
		t.Errorf("err = %v, hosts %v: want the redirect followed", err, hosts)
	}

	for _, location := range []string{
		"https://evil.example.com/x", "http://api.hubapi.com/x", "https://api.hubapi.com:8443/x", "https://sub.api.hubapi.com/x",
	} {
		synctest.Test(t, func(t *testing.T) {
			attempts := 0
			r := newRig(t, func(req *http.Request) (*http.Response, error) {
				if req.URL.String() != "https://api.hubapi.com/account-info/2026-09/details" {
					t.Errorf("%s was asked", req.URL)
				}
				if attempts++; attempts == 1 {
					res := respond(307, "", "Location", location)
					res.Request = req
					return res, nil
				}
				return respond(200, accountBody), nil
			})
			if err := r.ask(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// A POST answered with 302 would become a GET; the client does not follow.
func TestARedirectThatChangesTheMethodIsNotFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		r := newRig(t, func(req *http.Request) (*http.Response, error) {
			if req.Method != http.MethodPost {
				t.Errorf("a %s was sent", req.Method)
			}
			if attempts++; attempts == 1 {
				res := respond(302, "", "Location", "/elsewhere")
				res.Request = req
				return res, nil
			}
			return respond(200, emptyPage), nil
		})
		if _, err := r.Search(t.Context(), Call{}, SearchQuery{Object: "contacts", ModifiedProperty: "lastmodifieddate"}); err != nil {
			t.Error(err)
		}
	})
}

func zipped(body string) string {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	_, _ = io.WriteString(w, body)
	_ = w.Close()
	return b.String()
}

func TestGzipIsAccepted(t *testing.T) {
	r := newRig(t, func(req *http.Request) (*http.Response, error) {
		if req.Header.Get("Accept-Encoding") != "gzip" || req.Header.Get("User-Agent") != userAgent {
			t.Errorf("header %v lacks gzip or the user agent", req.Header)
		}
		return respond(200, zipped(accountBody), "Content-Encoding", "gzip"), nil
	})
	if a, err := r.Account(t.Context(), Call{}); err != nil || a.PortalID != 4242 {
		t.Errorf("account %+v, err = %v", a, err)
	}
}

// A truncated gzip body is no answer.
func TestGzipThatIsCutIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := zipped(accountBody)
		s := &script{steps: []func() (*http.Response, error){
			answers(200, z[:len(z)-6], "Content-Encoding", "gzip"),
			answers(200, accountBody, "Content-Encoding", "gzip"), // not gzip at all
			answers(200, z, "Content-Encoding", "gzip"),
		}}
		r := newRig(t, s.wire())
		if err := r.ask(t.Context()); err != nil || len(s.at) != 3 {
			t.Errorf("err = %v after %d attempts, want none after 3", err, len(s.at))
		}
	})
}

// The limit applies after decompression: 64 kB of gzip can be 64 MB of text.
func TestAnAnswerIsLimitedAfterDecompression(t *testing.T) {
	big := zipped(strings.Repeat(" ", maxAnswer) + accountBody)
	r := newRig(t, always(200, big, "Content-Encoding", "gzip"))
	if err := r.ask(t.Context()); !Divisible(err) || !strings.Contains(err.Error(), errTooLarge.Error()) {
		t.Errorf("err = %v for %d bytes of gzip, want %v", err, len(big), errTooLarge)
	}
}

// R1: the caller can note sent at the last attempt, right before the client
// writes it.
func TestOnSendComesBeforeEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		steps := 0
		r := newRig(t, func(*http.Request) (*http.Response, error) {
			order = append(order, "sent")
			if steps++; steps < 3 {
				return respond(503, ""), nil
			}
			return respond(200, accountBody), nil
		})
		var times []time.Time
		_, err := r.Account(t.Context(), Call{OnSend: func(Millis) {
			order = append(order, "OnSend")
			times = append(times, time.Now())
		}})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(order, " "); got != "OnSend sent OnSend sent OnSend sent" {
			t.Errorf("order: %s", got)
		}
		if !times[2].After(times[1]) {
			t.Error("OnSend ran for both attempts at the same time")
		}
	})
}

// R3, R21: HubSpot's time is its latest Date that counts plus the time since, also
// for an answer without one; before the first it is our clock less five minutes.
func TestNowIsALowerBoundOfHubSpotsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ahead := -3 * time.Minute // HubSpot's clock and ours differ
		date := true
		r := newRig(t, func(*http.Request) (*http.Response, error) {
			time.Sleep(150 * time.Millisecond)
			res := respond(200, emptyPage, "Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
			if !date {
				res.Header.Del("Date")
			}
			return res, nil
		})
		if got, want := r.Now(), MillisOf(time.Now().Add(-5*time.Minute)); got != want {
			t.Errorf("before any answer: %v, want %v", got, want)
		}
		q := SearchQuery{Object: "contacts", ModifiedProperty: "lastmodifieddate"}
		page, err := r.Search(t.Context(), Call{}, q)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			now := MillisOf(time.Now().Add(ahead))
			if got := r.Now(); got > now || got < now-1000 {
				t.Errorf("Now = %v, want at most a second before %v", got, now)
			}
			time.Sleep(777 * time.Millisecond)
		}
		if page.Date%1000 != 0 || page.Date > r.Now() {
			t.Errorf("Date of the answer: %v", page.Date)
		}
		date = false
		sent := r.Now()
		page, err = r.Search(t.Context(), Call{}, q)
		if err != nil || page.Date != sent {
			t.Errorf("without a header: %v, want %v (err = %v)", page.Date, sent, err)
		}
	})
}

func TestBaseURLIsChecked(t *testing.T) {
	for _, base := range []string{"api.hubapi.com", "ftp://x", "https://user:" + canary + "@x", "https://x?y=z", "://"} {
		_, err := New(Config{BaseURL: base, Auth: AccessToken(nil)})
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%q: err = %v, want one", base, err)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("New accepted a Config without Auth")
	}
}

func TestAPIVersions(t *testing.T) {
	var paths []string
	w := func(req *http.Request) (*http.Response, error) {
		paths = append(paths, req.URL.Path)
		return respond(200, `{"portalId":1,"results":[]}`), nil
	}
	for _, version := range []string{"", "2026-03"} {
		r := newRig(t, w, func(c *Config) { c.APIVersion = version; c.BaseURL = "https://eu.example.com/proxy/" })
		_, _ = r.Account(t.Context(), Call{})
		_, _ = r.Schemas(t.Context(), Call{})
		_, _ = r.Properties(t.Context(), Call{}, "2-17", "")
		_, _ = r.List(t.Context(), Call{}, "contacts", nil, "", false, 0)
	}
	want := `/proxy/account-info/2026-09/details /proxy/crm-object-schemas/2026-09/schemas /proxy/crm/properties/2026-09/2-17 /proxy/crm/objects/2026-09/contacts ` +
		`/proxy/account-info/2026-03/details /proxy/crm-object-schemas/2026-03/schemas /proxy/crm/properties/2026-03/2-17 /proxy/crm/objects/2026-03/contacts`
	if got := strings.Join(paths, " "); got != want {
		t.Errorf("paths\n%s\nwant\n%s", got, want)
	}
}
