package hubspottest

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestFiveSearchesASecondForAllTypes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{})
		for i := range 5 {
			path := searchPath
			if i%2 == 0 {
				path = "/crm/objects/2026-09/deals/search"
			}
			r := do(t, p, "POST", path, searchBody(1)).want(t, 200)
			for name := range r.header {
				if len(name) > 19 && name[:19] == "X-Hubspot-Ratelimit" {
					t.Errorf("a search answer carries %s", name)
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		r := do(t, p, "POST", searchPath, searchBody(1)).want(t, 429)
		r.says(t, `"policyName":"SECONDLY"`).says(t, "You have reached your secondly limit.").says(t, `"errorType":"RATE_LIMIT"`)
		if got := r.header.Get("Retry-After"); got != "" {
			t.Errorf("got Retry-After %s, want none", got)
		}
		do(t, p, "GET", contactsPath, "").want(t, 200) // its own limit
		time.Sleep(500 * time.Millisecond)             // the first search is a second old
		do(t, p, "POST", searchPath, searchBody(1)).want(t, 200)
		do(t, p, "POST", searchPath, searchBody(1)).want(t, 429)
		if got := p.Stats(); got.Throttled["SECONDLY"] != 2 || got.Calls[EndpointSearch] != 8 || got.Status[429] != 2 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestTenSecondsRoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Limits: Limits{TenSecondly: 3, RetryAfter: true}})
		for i := range 3 {
			r := do(t, p, "GET", contactsPath, "").want(t, 200)
			for name, want := range map[string]string{
				"X-HubSpot-RateLimit-Max": "3", "X-HubSpot-RateLimit-Remaining": fmt.Sprint(2 - i),
				"X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
				"X-HubSpot-RateLimit-Daily":                 "625000", "X-HubSpot-RateLimit-Daily-Remaining": fmt.Sprint(624_999 - i),
			} {
				if got := r.header.Get(name); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
			time.Sleep(2 * time.Second)
		}
		r := do(t, p, "GET", contactsPath, "").want(t, 429).says(t, "TEN_SECONDLY_ROLLING").says(t, "ten_secondly_rolling limit")
		if got := r.header.Get("Retry-After"); got != "4" {
			t.Errorf("got Retry-After %q, want 4", got)
		}
		do(t, p, "POST", searchPath, searchBody(1)).want(t, 200) // exempt
		time.Sleep(4 * time.Second)
		do(t, p, "GET", contactsPath, "").want(t, 200)
		do(t, p, "GET", contactsPath, "").want(t, 429)
	})
}

// With Fixed, the count begins at zero with every ten seconds of the clock.
func TestTenSecondsCanBeFixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Limits: Limits{TenSecondly: 3, Fixed: true, RetryAfter: true}})
		time.Sleep(8 * time.Second)
		for range 3 {
			do(t, p, "GET", contactsPath, "").want(t, 200)
		}
		if r := do(t, p, "GET", contactsPath, "").want(t, 429); r.header.Get("Retry-After") != "2" {
			t.Errorf("got Retry-After %q, want 2", r.header.Get("Retry-After"))
		}
		time.Sleep(2 * time.Second)
		for range 3 {
			do(t, p, "GET", contactsPath, "").want(t, 200)
		}
		do(t, p, "GET", contactsPath, "").want(t, 429)
	})
}

func TestTheDayEndsAtMidnightOfTheAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The bubble begins at midnight UTC, 19:00 of the day before in US/Eastern.
		p := New(Options{Limits: Limits{Daily: 10}})
		usage := func() string {
			return string(do(t, p, "GET", "/account-info/2026-09/api-usage/daily/private-apps", "").want(t, 200).body)
		}
		do(t, p, "POST", searchPath, searchBody(1)).want(t, 200) // searches count against the day
		want := `{"results":[{"name":"private-apps-api-calls-daily","usageLimit":10,"currentUsage":2,"collectedAt":"2000-01-01T00:00:00Z","fetchStatus":"SUCCESS","resetsAt":"2000-01-01T05:00:00Z"}]}`
		if got := usage(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		p.UseDaily(8) // other apps
		do(t, p, "GET", contactsPath, "").want(t, 429).says(t, `"policyName":"DAILY"`)
		do(t, p, "POST", searchPath, searchBody(1)).want(t, 429)
		time.Sleep(5*time.Hour - time.Second)
		do(t, p, "GET", contactsPath, "").want(t, 429)
		time.Sleep(time.Second)
		do(t, p, "GET", contactsPath, "").want(t, 200)
	})
}

func TestLimitsCanBeOff(t *testing.T) {
	p := calm()
	for range 300 {
		do(t, p, "POST", searchPath, searchBody(1)).want(t, 200)
		do(t, p, "GET", contactsPath, "").want(t, 200)
	}
}
