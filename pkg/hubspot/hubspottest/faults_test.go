package hubspottest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestFaultsByStatus(t *testing.T) {
	p := calm()
	for _, status := range []int{401, 423, 429, 477, 500, 502, 503, 504} {
		p.Inject(Fault{Kind: FaultStatus, Status: status, Count: 1, RetryAfter: 90 * time.Second})
		r := do(t, p, "GET", contactsPath, "").want(t, status).says(t, `"status":"error"`).says(t, "correlationId")
		if got := r.header.Get("Retry-After"); status != 401 && got != "90" {
			t.Errorf("%d: got Retry-After %q, want 90", status, got)
		}
		do(t, p, "GET", contactsPath, "").want(t, 200)
	}
	p.Inject(Fault{Kind: FaultStatus, Status: 429, Policy: "DAILY", Count: 1})
	do(t, p, "GET", contactsPath, "").want(t, 429).says(t, `"policyName":"DAILY"`)
	for _, status := range []int{200, 404, 502} {
		p.Inject(Fault{Kind: FaultHTML, Status: status, Count: 1})
		r := do(t, p, "GET", contactsPath, "").want(t, status).says(t, "<html>")
		if got := r.header.Get("Content-Type"); got != "text/html" {
			t.Errorf("got Content-Type %s", got)
		}
	}
	if got := p.Stats(); got.Faults[FaultStatus] != 9 || got.Faults[FaultHTML] != 3 || len(got.Throttled) != 0 {
		t.Errorf("got %+v, want 9 and 3 faults, nothing throttled", got)
	}
}

func TestFaultsByEndpointObjectTimeAndProbability(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := calm()
		began := p.Now()
		p.Inject(Fault{Kind: FaultStatus, Status: 500, Endpoint: EndpointSearch, Object: "contacts", From: began.Add(time.Minute), Until: began.Add(2 * time.Minute)})
		try := func(want int) {
			t.Helper()
			do(t, p, "POST", searchPath, searchBody(1)).want(t, want)
			do(t, p, "GET", contactsPath, "").want(t, 200)
			do(t, p, "POST", "/crm/objects/2026-09/deals/search", searchBody(1)).want(t, 200)
		}
		try(200)
		time.Sleep(time.Minute)
		try(500)
		time.Sleep(time.Minute)
		try(200)

		remove := p.Inject(Fault{Kind: FaultStatus, Status: 503, Probability: 0.3})
		failed := 0
		for range 500 {
			if do(t, p, "GET", contactsPath, "").status == 503 {
				failed++
			}
		}
		if failed < 100 || failed > 200 {
			t.Errorf("got %d of 500 failed at 0.3", failed)
		}
		remove()
		for range 20 {
			do(t, p, "GET", contactsPath, "").want(t, 200)
		}
	})
}

func TestFaultsOfTheConnection(t *testing.T) {
	p := calm()
	p.Seed("contacts", 20)
	get := func(cl *http.Client, base string) error {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", base+contactsPath, nil)
		r.Header.Set("Authorization", "Bearer x")
		answer, err := cl.Do(r)
		if err != nil {
			return err
		}
		defer func() { _ = answer.Body.Close() }()
		_, err = io.ReadAll(answer.Body)
		return err
	}
	server := httptest.NewServer(p)
	defer server.Close()
	for name, c := range map[string]struct {
		client *http.Client
		base   string
	}{"in process": {p.Client(), "https://api.hubapi.com"}, "on a port": {server.Client(), server.URL}} {
		p.Inject(Fault{Kind: FaultReset, Count: 1})
		if err := get(c.client, c.base); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
			t.Errorf("%s: reset: got %v", name, err)
		}
		p.ClearFaults() // net/http retries a broken connection by itself
		p.Inject(Fault{Kind: FaultCut, Count: 1})
		if err := get(c.client, c.base); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: cut: got %v, want %v", name, err, io.ErrUnexpectedEOF)
		}
		if err := get(c.client, c.base); err != nil {
			t.Errorf("%s: afterwards: got %v", name, err)
		}
		p.Inject(Fault{Kind: FaultNoDate, Count: 1})
		r, _ := http.NewRequestWithContext(t.Context(), "GET", c.base+contactsPath, nil)
		r.Header.Set("Authorization", "Bearer x")
		if got := send(t, c.client, r).want(t, 200).header.Get("Date"); got != "" {
			t.Errorf("%s: got Date %s", name, got)
		}
	}
}

func TestBatchReadCanBeWrongAboutRecords(t *testing.T) {
	p := calm()
	ids := p.Seed("contacts", 50)
	p.Inject(Fault{Kind: FaultForget, Endpoint: EndpointBatchRead, Count: 1})
	if pg := batch(t, p, "", ids...).want(t, 207).page(t); len(pg.Results) != 0 || len(pg.Errors[0].Context["ids"]) != 50 {
		t.Errorf("forget: got %d results, errors %v", len(pg.Results), pg.Errors)
	}
	p.Inject(Fault{Kind: FaultOmit, Share: 0.5, Count: 1})
	if pg := batch(t, p, "", ids...).want(t, 200).page(t); len(pg.Results) == 0 || len(pg.Results) == 50 || pg.NumErrors != 0 {
		t.Errorf("omit: got %d of 50 results, %d errors", len(pg.Results), pg.NumErrors)
	}
	batch(t, p, "", ids...).want(t, 200)
}

func TestLatencyRunsOnTheContextsClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Latency: Span{100 * time.Millisecond, 300 * time.Millisecond}})
		began := time.Now()
		do(t, p, "GET", contactsPath, "").want(t, 200)
		if took := time.Since(began); took < 100*time.Millisecond || took > 300*time.Millisecond {
			t.Errorf("took %s, want 100 to 300 ms", took)
		}
		p.Inject(Fault{Kind: FaultSlow, Latency: 2 * time.Minute})
		began = time.Now()
		r := do(t, p, "GET", contactsPath, "").want(t, 200)
		if took := time.Since(began); took < 2*time.Minute {
			t.Errorf("slow: took %s", took)
		}
		if got, want := r.header.Get("Date"), time.Now().UTC().Format(http.TimeFormat); got != want {
			t.Errorf("Date: got %s, want the time of sending, %s", got, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began = time.Now()
		req, _ := http.NewRequestWithContext(ctx, "POST", "https://x.example"+searchPath, strings.NewReader(searchBody(1)))
		if answer, err := p.Client().Do(req); !errors.Is(err, context.DeadlineExceeded) {
			_ = answer.Body.Close()
			t.Errorf("got %v, want the context's end", err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("the context ended after %s, want 5 s", took)
		}
	})
}

func TestABodyFailsWhenItsContextEnds(t *testing.T) {
	p := calm()
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", "https://x.example"+contactsPath, nil)
	r.Header.Set("Authorization", "Bearer x")
	answer, err := p.Transport().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	cancel()
	if _, err := io.ReadAll(answer.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestHooksWinRaces(t *testing.T) {
	var p *Portal
	var id uint64
	var answered atomic.Int32
	p = New(Options{
		OnRequest: func(r Request) {
			if r.Endpoint == EndpointList {
				p.Update("contacts", id, email("before@example.com"))
			}
		},
		OnAnswer: func(r Request) {
			answered.Add(1)
			p.Update("contacts", id, email("after@example.com"))
		},
	})
	id = p.Create("contacts", email("a@example.com"))
	if got := *list(t, p, "").Results[0].Properties["email"]; got != "before@example.com" {
		t.Errorf("got %s, want what OnRequest wrote", got)
	}
	if got := at(t, p, id).Properties["email"]; got != "after@example.com" || answered.Load() != 1 {
		t.Errorf("got %s, want what OnAnswer wrote", got)
	}
}

// TestFaultsByRecord: IDs and Above hit the requests that ask about records, and the
// pages that have them.
func TestFaultsByRecord(t *testing.T) {
	p := calm()
	ids := p.Seed("contacts", 30)
	batch := func(ids ...uint64) string {
		var inputs []string
		for _, id := range ids {
			inputs = append(inputs, fmt.Sprintf(`{"id":"%d"}`, id))
		}
		return `{"inputs":[` + strings.Join(inputs, ",") + `],"properties":["firstname"],"propertiesWithHistory":[]}`
	}
	remove := p.Inject(Fault{Kind: FaultStatus, Status: 409, IDs: ids[12:13]})
	do(t, p, "GET", contactsPath+"?limit=12", "").want(t, 200)
	do(t, p, "GET", contactsPath+"?limit=13", "").want(t, 409).says(t, `"status":"error"`)
	do(t, p, "POST", contactsPath+"/batch/read", batch(ids[0], ids[13])).want(t, 200)
	do(t, p, "POST", contactsPath+"/batch/read", batch(ids[0], ids[12])).want(t, 409)
	do(t, p, "POST", searchPath, searchBody(200)).want(t, 409)
	remove()
	remove = p.Inject(Fault{Kind: FaultLarge, Above: 10})
	do(t, p, "GET", contactsPath+"?limit=10", "").want(t, 200)
	transport, request := p.Transport(), httptest.NewRequest("GET", "https://hubspot.test"+contactsPath+"?limit=11", nil)
	request.Header.Set("Authorization", "Bearer x")
	if res, err := transport.RoundTrip(request); err != nil || res.ContentLength < 1<<29 {
		t.Errorf("%v, %v, want an answer of a gigabyte", res, err)
	}
	remove()
	p.Inject(Fault{Kind: FaultOdd, IDs: ids[3:4], Member: "updatedAt", Value: `[7]`})
	do(t, p, "GET", contactsPath+"?limit=4", "").want(t, 200).says(t, `"updatedAt":[7]`)
	if r := do(t, p, "GET", contactsPath+"?limit=3", ""); strings.Contains(string(r.body), "[7]") {
		t.Errorf("an odd member of another record: %s", r.body)
	}
}
