package hubspot

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var readOnce = Call{Tries: 1}

// The rig checks that each request has the token that it takes.
func TestTheJournalHasATokenOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournalRig(t, map[string]func() (*http.Response, error){"GET " + journalRoot + "/latest": answers(204, "")})
		for range 80 {
			if _, err := j.Latest(t.Context(), Call{}); err != nil {
				t.Fatal(err)
			}
			if err := j.ask(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if n := len(j.expires); n != 4 || j.count("401") > 0 {
			t.Errorf("%d tokens in 80 minutes and %d of them refused, want 4, renewed before they end", n, j.count("401"))
		}
		j.revoked = len(j.expires)
		if _, err := j.Latest(t.Context(), Call{}); err != nil || j.count("401") != 1 || len(j.expires) != 5 {
			t.Errorf("err = %v after %d refusals and %d tokens, want one more token", err, j.count("401"), len(j.expires))
		}
		j.revoked = 1000
		_, err := j.Latest(t.Context(), Call{})
		if !Unauthorized(err) || j.count("401") != 3 || len(j.expires) != 6 {
			t.Errorf("err = %v after %d refusals and %d tokens, want Unauthorized after one more token", err, j.count("401"), len(j.expires))
		}
	})
}

func TestOnlyA204IsNothingNew(t *testing.T) {
	for name, ask := range map[string]func(*journalRig, context.Context) (*JournalEntry, error){
		"latest":   func(j *journalRig, ctx context.Context) (*JournalEntry, error) { return j.Latest(ctx, Call{}) },
		"earliest": func(j *journalRig, ctx context.Context) (*JournalEntry, error) { return j.Earliest(ctx, Call{}) },
		"offset/" + offset1 + "/next": func(j *journalRig, ctx context.Context) (*JournalEntry, error) {
			return j.Next(ctx, Call{}, offset1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path, expires := "GET "+journalRoot+"/"+name, MillisOf(time.Now().Add(time.Hour))
				j := newJournalRig(t, map[string]func() (*http.Response, error){path: inTurn(
					answers(204, ""), answers(200, ""), answers(200, `{}`), answers(200, htmlPage), answers(404, htmlPage), answers(503, ""),
					answers(200, entryJSON(offset2, "1", expires.Time())))})
				if e, err := ask(j, t.Context()); e != nil || err != nil {
					t.Errorf("204: %v, %v, want neither", e, err)
				}
				e, err := ask(j, t.Context())
				if err != nil || e == nil || e.Offset != offset2 || e.Expires != expires {
					t.Errorf("%+v, %v, want the entry after five answers that are none", e, err)
				}
				if n := j.count(path); n != 7 {
					t.Errorf("asked %d times, want 7", n)
				}
			})
		})
	}
}

// TestNothingNewMayBeCalledGzip: a server or a proxy names the encoding of a body that
// is not there.
func TestNothingNewMayBeCalledGzip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const path = "GET " + journalRoot + "/latest"
		j := newJournalRig(t, map[string]func() (*http.Response, error){path: answers(204, "", "Content-Encoding", "gzip")})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if e, err := j.Latest(ctx, Call{}); e != nil || err != nil || j.count(path) != 1 {
			t.Errorf("%v, %v after %d answers, want neither after one", e, err, j.count(path))
		}
	})
}

func TestAPlaceIsLostOnlyByHubSpotsWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const path = "GET " + journalRoot + "/offset/" + offset1 + "/next"
		for _, status := range []int{400, 404, 410} {
			j := newJournalRig(t, map[string]func() (*http.Response, error){path: inTurn(answers(status, htmlPage), answers(status, refusal("OBJECT_NOT_FOUND", "x")))})
			_, err := j.Next(t.Context(), Call{}, offset1)
			if !PlaceLost(err) || j.count(path) != 2 || JournalRefused(err) != "" {
				t.Errorf("%d: err = %v after %d answers, want a lost place by the second", status, err, j.count(path))
			}
		}
		for _, status := range []int{401, 403} {
			j := newJournalRig(t, map[string]func() (*http.Response, error){path: answers(status, refusal("X", "x"))})
			if _, err := j.Next(t.Context(), Call{}, offset1); err == nil || PlaceLost(err) {
				t.Errorf("%d: err = %v, want one that is no lost place", status, err)
			}
		}
		j := newJournalRig(t, map[string]func() (*http.Response, error){"GET " + journalRoot + "/latest": answers(404, refusal("OBJECT_NOT_FOUND", "x"))})
		if _, err := j.Latest(t.Context(), Call{}); !NotFound(err) || PlaceLost(err) {
			t.Errorf("no journal: err = %v, want one that is no lost place", err)
		}
	})
}

func TestOffsetsAreEscaped(t *testing.T) {
	j := newJournalRig(t, map[string]func() (*http.Response, error){"GET " + journalRoot + "/offset/a%2Fb%3F/next": answers(204, "")})
	if _, err := j.Next(t.Context(), readOnce, "a/b?"); err != nil {
		t.Error(err)
	}
}

func TestABatchIsOldestFirstUpToWhatCannotBeUnderstood(t *testing.T) {
	const path = "GET " + journalRoot + "/batch/" + offset1 + "/next/100"
	batch := func(entries ...string) func() (*http.Response, error) {
		return answers(200, `{"status":"COMPLETE","startedAt":"2026-11-29T07:00:00Z","completedAt":"2026-11-29T07:00:00Z","results":[`+strings.Join(entries, ",")+`]}`)
	}
	for name, c := range map[string]struct {
		answer func() (*http.Response, error)
		want   []string
	}{
		"two":               {batch(goodEntry(offset2), goodEntry(offset3)), []string{offset2, offset3}},
		"none":              {batch(), nil},
		"204":               {answers(204, ""), nil},
		"without an offset": {batch(goodEntry(offset2), `{"url":"https://files.example.com/x"}`, goodEntry(offset3)), []string{offset2}},
		"without a url":     {batch(`{"currentOffset":"`+offset2+`","url":7}`, goodEntry(offset3)), []string{offset2, offset3}},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJournalRig(t, map[string]func() (*http.Response, error){path: c.answer})
			entries, err := j.NextBatch(t.Context(), readOnce, offset1, 100)
			var got []string
			for i := range entries {
				got = append(got, entries[i].Offset)
			}
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%q, %v, want %q", got, err, c.want)
			}
		})
	}
}

// TestABatchOfTheJournalThatIsUnderWaySaysNothing: no file is given up for it.
func TestABatchOfTheJournalThatIsUnderWaySaysNothing(t *testing.T) {
	for _, status := range []string{"PENDING", "PROCESSING", "CANCELED"} {
		synctest.Test(t, func(t *testing.T) {
			const path = "POST " + journalRoot + "/batch/read"
			j := newJournalRig(t, map[string]func() (*http.Response, error){path: inTurn(
				answers(200, `{"status":"`+status+`","results":[]}`), answers(207, `{"results":[`+goodEntry(offset1)+`],"status":"COMPLETE"}`))})
			if e, err := j.again(t.Context(), Call{}, offset1); err != nil || e.Offset != offset1 || j.count(path) != 2 {
				t.Errorf("%s: %+v, %v after %d answers, want the entry after two", status, e, err, j.count(path))
			}
		})
	}
}

func TestAnEntrysAgeIsInItsOffset(t *testing.T) {
	for offset, want := range map[string]Millis{
		offset1:                                1755578433536,
		"0198C0A100007000800000000000000A":     1755578433536,
		"0198c0a1-0000-4000-8000-000000000001": 0, // another version
		"+198c0a1-0000-7000-8000-000000000001": 0,
		"17":                                   0,
		"":                                     0,
	} {
		if at, ok := (&JournalEntry{Offset: offset}).Made(); at != want || ok != (want != 0) {
			t.Errorf("%q: made at %d, %v, want %d", offset, at, ok, want)
		}
	}
}

func TestTheJournalCountsAgainstNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const latest = "GET " + journalRoot + "/latest"
		on := map[string]func() (*http.Response, error){
			latest:             answers(204, "", "X-HubSpot-RateLimit-Max", "1", "X-HubSpot-RateLimit-Remaining", "0", "X-HubSpot-RateLimit-Interval-Milliseconds", "10000"),
			"FILE /" + offset1: answers(200, fileJSON(offset1)),
		}
		j := newJournalRig(t, on, func(c *Config) { c.Governor = NewGovernor(Limits{}) })
		if err := j.ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		j.governor.learnDay(DailyUsage{Used: 1000, Limit: 1000, ResetsAt: MillisOf(time.Now().Add(3 * time.Hour))})
		j.governor.throttled(objectCalls, false, policyTenSeconds, time.Hour, time.Now())
		calls, began := j.metric(t, "hubspot_cdc_calls_total"), time.Now()
		for range 30 {
			if _, err := j.Latest(t.Context(), readOnce); err != nil {
				t.Fatal(err)
			}
		}
		e := &JournalEntry{Offset: offset1, Expires: NoTime, address: secretOf("https://" + fileHost + "/" + offset1)}
		if _, err := j.File(t.Context(), readOnce, e); err != nil {
			t.Error(err)
		}
		if d := time.Since(began); d > 0 || j.metric(t, "hubspot_cdc_calls_total") != calls {
			t.Errorf("took %v and %g calls of the day, want neither", d, j.metric(t, "hubspot_cdc_calls_total")-calls)
		}
		for range 70 {
			if _, err := j.Latest(t.Context(), readOnce); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(began); d < time.Second || d > 2*time.Second {
			t.Errorf("100 requests took %v, want 40 a second after the first 40", d)
		}

		j.on[latest] = inTurn(answers(429, `{"policyName":"DAILY"}`, "Retry-After", "7"), answers(204, ""))
		began = time.Now()
		if _, err := j.Latest(t.Context(), Call{}); err != nil || time.Since(began) < 7*time.Second || time.Since(began) > 8*time.Second {
			t.Errorf("err = %v after %v, want to wait as long as the journal says", err, time.Since(began))
		}
		if n := j.metric(t, "hubspot_cdc_throttled_total"); n != 0 {
			t.Errorf("%g throttled, want none: it is no limit of the portal's", n)
		}
	})
}

func secretOf(text string) *Secret {
	s := Secret(text)
	return &s
}

// metric is the sum of a metric's values.
func (r *rig) metric(t testing.TB, name string) (sum float64) {
	t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
