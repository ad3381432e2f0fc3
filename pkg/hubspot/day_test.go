package hubspot

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// spend makes calls as fast as it may until ctx ends, and returns how many
// passed.
func spend(ctx context.Context, g *Governor, p Priority) int {
	n := 0
	for passes(g.acquire(ctx, exemptCalls, p, false, time.Now())) {
		n++
	}
	return n
}

// R15: patient requests spend the day as a rate, urgent ones may spend ahead,
// none touches the reserve, and all continue at the reset.
func TestTheDayIsSpentDownToTheReserve(t *testing.T) {
	for _, p := range []Priority{Leading, Confirm, Trailing, ChangedAssociations, Schema, Snapshot, Backfill} {
		synctest.Test(t, func(t *testing.T) {
			g := NewGovernor(Limits{DailyReserve: 0.2})
			resets := time.Now().Add(6 * time.Hour)
			g.learnDay(DailyUsage{Used: 4_000, Limit: 10_000, ResetsAt: MillisOf(resets)})
			ctx, cancel := context.WithDeadline(t.Context(), resets.Add(-time.Second))
			defer cancel()
			if n := spend(ctx, g, p); n != 4_000 {
				t.Errorf("priority %d spent %d calls of the day, want 4,000", p, n)
			}
			if _, err := g.acquire(t.Context(), exemptCalls, p, false, time.Now()); err != nil {
				t.Fatal(err)
			}
			if time.Now().Before(resets) || time.Since(resets) > time.Second {
				t.Errorf("continued at %v, want the reset at %v", time.Now(), resets)
			}
		})
	}
}

func TestThePatientSpendTheDayAsARate(t *testing.T) {
	for _, p := range []Priority{Census, Reference, Archive, AssociationSweep, Reconcile} {
		synctest.Test(t, func(t *testing.T) {
			g := NewGovernor(Limits{DailyReserve: 0.2})
			resets := time.Now().Add(10 * time.Hour)
			g.learnDay(DailyUsage{Used: 2_000, Limit: 10_000, ResetsAt: MillisOf(resets)}) // 6,000 in 10 h
			for hour := range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				if n := spend(ctx, g, p); n < 590 || n > 610 {
					t.Errorf("priority %d spent %d calls in hour %d, want 600", p, n, hour)
				}
				cancel()
			}
			// Calls that urgent requests spend ahead are missing for patient ones.
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			ahead := spend(ctx, g, Leading)
			cancel()
			ctx, cancel = context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			want := (4_200 - ahead) / 7
			if n := spend(ctx, g, p); n < want-want/20 || n > want+want/20+1 {
				t.Errorf("after %d calls ahead: %d in an hour, want about %d", ahead, n, want)
			}
		})
	}
}

// A patient request does not block one that may pass.
func TestThePatientHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGovernor(Limits{DailyReserve: 0.2})
		g.learnDay(DailyUsage{Used: 7_900, Limit: 10_000, ResetsAt: MillisOf(time.Now().Add(24 * time.Hour))})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { spend(ctx, g, Census) })
		time.Sleep(time.Second)
		began := time.Now()
		for range 50 {
			if _, err := g.acquire(ctx, exemptCalls, Backfill, false, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("50 backfill calls took %v beside a census that waits for the day", d)
		}
		cancel()
		wg.Wait()
	})
}

// The client may always ask how much of the day is left; the answer frees the
// rest.
func TestASpentDayThatIsNotSpentIsFoundOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		used := 9_000
		r := newRig(t, func(req *http.Request) (*http.Response, error) {
			if req.URL.Path == "/account-info/2026-09/api-usage/daily/private-apps" {
				return respond(200, `{"results":[
					{"name":"other","usageLimit":0,"currentUsage":0,"fetchStatus":"NOTFOUND","collectedAt":"2026-11-24T10:00:00Z"},
					{"name":"private-apps-api-calls-daily","usageLimit":10000,"currentUsage":`+strconv.Itoa(used)+`,"fetchStatus":"SUCCESS",
					"collectedAt":"2026-11-24T10:00:00Z","resetsAt":"`+time.Now().Add(5*time.Hour).UTC().Format(time.RFC3339)+`"}]}`), nil
			}
			return respond(200, emptyPage), nil
		}, func(c *Config) { c.Governor = NewGovernor(Limits{DailyReserve: 0.2}) })
		u, err := r.DailyUsage(t.Context(), Call{Priority: Schema})
		if err != nil || u.Used != 9_000 || u.Limit != 10_000 || u.ResetsAt == 0 {
			t.Fatalf("usage %+v, err = %v", u, err)
		}
		began := time.Now()
		done := make(chan time.Duration, 1)
		go func() {
			_ = r.listing(Leading)(t.Context())
			done <- time.Since(began)
		}()
		time.Sleep(time.Hour)
		used = 100
		if _, err := r.DailyUsage(t.Context(), Call{Priority: Schema}); err != nil {
			t.Fatal(err)
		}
		if d := <-done; d < time.Hour || d > time.Hour+time.Second {
			t.Errorf("the reading passed after %v, want an hour", d)
		}
	})
}

// If HubSpot says nothing else, the account's time zone decides when the day
// ends.
func TestTheDayEndsAtMidnightOfTheAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight UTC
		r := newRig(t, func(req *http.Request) (*http.Response, error) {
			if req.URL.Path == "/account-info/2026-09/details" {
				return respond(200, accountBody), nil
			}
			return respond(200, emptyPage, "X-HubSpot-RateLimit-Daily", "1000", "X-HubSpot-RateLimit-Daily-Remaining", "200"), nil
		}, func(c *Config) { c.Governor = NewGovernor(Limits{DailyReserve: 0.2}) })
		a, err := r.Account(t.Context(), Call{})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.listing(Leading)(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.listing(Leading)(t.Context()); err != nil {
			t.Fatal(err)
		}
		now := time.Now().In(a.location())
		if now.Hour() != 0 || now.Minute() != 0 {
			t.Errorf("continued at %v, want midnight in %s", now, a.TimeZone)
		}
	})
}

// If HubSpot does not say when the day ends, the waits grow from one minute.
func TestDaily429WithoutAReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []func() (*http.Response, error){
			answers(429, dailyRefusal), answers(429, dailyRefusal), answers(429, dailyRefusal), answers(200, emptyPage),
		}}
		r := newRig(t, s.wire(), func(c *Config) { c.Governor = NewGovernor(Limits{DailyReserve: 0.2, Daily: 1000}) })
		if err := r.listing(Leading)(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
			if w := s.waits()[i]; w < want || w > want+time.Second {
				t.Errorf("waits %v, want 1, 2, 4 minutes", s.waits())
			}
		}
	})
}

const dailyRefusal = `{"policyName":"DAILY"}`

// One stray 429 DAILY costs a minute, not the day.
func TestAStrayDaily429CostsAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []func() (*http.Response, error){answers(429, dailyRefusal), answers(200, emptyPage), answers(429, dailyRefusal), answers(200, emptyPage)}}
		r := newRig(t, s.wire(), func(c *Config) { c.Governor = NewGovernor(Limits{DailyReserve: 0.2}) })
		r.governor.learnDay(DailyUsage{Used: 10, Limit: 1000, ResetsAt: MillisOf(time.Now().Add(3 * time.Hour))})
		for range 2 {
			if err := r.listing(Leading)(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, i := range []int{0, 2} { // again a minute the second time
			if w := s.waits()[i]; w < time.Minute || w > time.Minute+time.Second {
				t.Errorf("waits %v, want a minute after each refusal", s.waits())
			}
		}
	})
}

// On a day that is really spent, all streams together ask a few times per
// quarter of an hour. They all continue soon after the day ends, even if
// HubSpot's clock is a little behind.
func TestDaily429WaitsForTheReset(t *testing.T) {
	for _, late := range []time.Duration{0, 10 * time.Second, 3 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			resets := began.Add(3 * time.Hour)
			var mu sync.Mutex
			var refused []time.Time
			r := newRig(t, func(*http.Request) (*http.Response, error) {
				time.Sleep(100 * time.Millisecond)
				mu.Lock()
				defer mu.Unlock()
				if time.Now().Before(resets.Add(late)) {
					refused = append(refused, time.Now())
					return respond(429, dailyRefusal), nil
				}
				return respond(200, emptyPage), nil
			}, func(c *Config) { c.Governor = NewGovernor(Limits{DailyReserve: 0.2}) })
			r.governor.learnDay(DailyUsage{Used: 10, Limit: 1000, ResetsAt: MillisOf(resets)})
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					if err := r.listing(Leading)(t.Context()); err != nil {
						t.Error(err)
					}
				})
				wg.Go(func() {
					if err := r.searching(Leading)(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if d := time.Since(resets); d < late || d > 2*late+90*time.Second {
				t.Errorf("continued %v after the day's end, HubSpot's was %v late", d, late)
			}
			perQuarter := map[int]int{}
			for _, at := range refused {
				if d := at.Sub(began); d > time.Second && at.Before(resets) { // not the calls in flight together
					perQuarter[int(d/(15*time.Minute))]++
				}
			}
			for q, n := range perQuarter {
				if n > 4 {
					t.Errorf("%d attempts in quarter %d of a spent day, want at most 4", n, q)
				}
			}
			if len(perQuarter) < 11 {
				t.Errorf("attempts in the quarters %v, want one in each", perQuarter)
			}
		})
	}
}

// A Retry-After lengthens the wait, up to a quarter of an hour but not beyond
// the day's end.
func TestDaily429HeedsARetryAfter(t *testing.T) {
	for _, c := range []struct {
		asks     string
		ends     time.Duration
		min, max time.Duration
	}{
		{"300", 3 * time.Hour, 5 * time.Minute, 5*time.Minute + time.Second},
		{"80000", 3 * time.Hour, 15 * time.Minute, 15*time.Minute + time.Second},
		{"80000", 2 * time.Minute, 2 * time.Minute, 2*time.Minute + 6*time.Second},
		{"5", 3 * time.Hour, time.Minute, time.Minute + time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{steps: []func() (*http.Response, error){answers(429, dailyRefusal, "Retry-After", c.asks), answers(200, emptyPage)}}
			r := newRig(t, s.wire(), func(c *Config) { c.Governor = NewGovernor(Limits{DailyReserve: 0.2}) })
			r.governor.learnDay(DailyUsage{Used: 10, Limit: 1000, ResetsAt: MillisOf(time.Now().Add(c.ends))})
			if err := r.listing(Leading)(t.Context()); err != nil {
				t.Fatal(err)
			}
			if w := s.waits()[0]; w < c.min || w > c.max {
				t.Errorf("Retry-After %s, the day ends in %v: waited %v, want %v to %v", c.asks, c.ends, w, c.min, c.max)
			}
		})
	}
}

// Even after a 429 DAILY the client may ask how much of the day is left. If the
// answer is that calls are left, one call probes at once and the rest follow.
func TestACountThatLeavesSomethingEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		spent, refused, used := true, 0, 1000
		r := newRig(t, func(req *http.Request) (*http.Response, error) {
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			if req.URL.Path == "/account-info/2026-09/api-usage/daily/private-apps" {
				return respond(200, `{"results":[{"usageLimit":1000,"currentUsage":`+strconv.Itoa(used)+`,"fetchStatus":"SUCCESS"}]}`), nil
			}
			if spent {
				refused++
				return respond(429, dailyRefusal, "Retry-After", "80000"), nil
			}
			return respond(200, emptyPage), nil
		}, func(c *Config) { c.Governor = NewGovernor(Limits{DailyReserve: 0.2}) })
		ask := func(count int) {
			began := time.Now()
			mu.Lock()
			used = count
			mu.Unlock()
			if _, err := r.DailyUsage(t.Context(), Call{Priority: Schema}); err != nil || time.Since(began) > time.Second {
				t.Errorf("the question took %v, err = %v", time.Since(began), err)
			}
			time.Sleep(20 * time.Second)
		}
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := r.searching(Leading)(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		calls := func() int {
			mu.Lock()
			defer mu.Unlock()
			return refused
		}
		time.Sleep(time.Minute)
		first := calls()
		ask(1000)
		ask(900) // what is left is the others' reserve
		if n := calls() - first; n != 0 {
			t.Errorf("%d calls after a count that leaves nothing", n)
		}
		ask(100) // too early: HubSpot still refuses
		if n := calls() - first; n != 1 {
			t.Errorf("%d calls probed a day that is still spent, want one", n)
		}
		mu.Lock()
		spent = false
		mu.Unlock()
		began := time.Now()
		ask(100)
		wg.Wait()
		if d := time.Since(began); d > 21*time.Second {
			t.Errorf("the rest continued after %v, want at once", d)
		}
	})
}

// A wait that began before the day's end was known ends with the day too.
func TestAWaitDoesNotOutlastTheDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGovernor(Limits{DailyReserve: 0.2})
		g.throttled(searches, false, policyDay, time.Hour, time.Now())
		g.learnDay(DailyUsage{Used: 1000, Limit: 1000, ResetsAt: MillisOf(time.Now().Add(2 * time.Minute))})
		began := time.Now()
		if _, err := g.acquire(t.Context(), searches, Leading, false, time.Now()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d < 2*time.Minute || d > 2*time.Minute+6*time.Second {
			t.Errorf("waited %v, want the two minutes to the reset", d)
		}
	})
}

// If HubSpot refuses Account calls too, they wait as well and hold up nothing
// else.
func TestARefusedAccountCallWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		r := newRig(t, func(req *http.Request) (*http.Response, error) {
			if req.URL.Path == "/account-info/2026-09/details" {
				asked++
				return respond(429, dailyRefusal), nil
			}
			return respond(200, emptyPage), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { _ = r.ask(ctx) })
		time.Sleep(time.Second)
		began := time.Now()
		if err := r.listing(Leading)(t.Context()); err != nil || time.Since(began) > time.Second {
			t.Errorf("a reading took %v, err = %v", time.Since(began), err)
		}
		wg.Wait()
		if asked > 9 {
			t.Errorf("asked %d times in an hour", asked)
		}
	})
}

// A limit from the settings overrides HubSpot's.
func TestAFixedDayStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGovernor(Limits{Daily: 1_000})
		g.learnDay(DailyUsage{Used: 400, Limit: 10_000, ResetsAt: MillisOf(time.Now().Add(time.Hour))})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Minute)
		defer cancel()
		if n := spend(ctx, g, Backfill); n != 600 {
			t.Errorf("spent %d calls, want 600", n)
		}
	})
}

// If HubSpot never says when the day ends, it ends after 24 hours.
func TestADayOfUnknownEndDoesNotLastForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGovernor(Limits{Daily: 100})
		ctx, cancel := context.WithTimeout(t.Context(), 49*time.Hour)
		defer cancel()
		if n := spend(ctx, g, Backfill); n != 300 {
			t.Errorf("spent %d calls in 49 hours of a hundred a day, want 300", n)
		}
	})
}

// docs/contract.md section 3: no caller starves. The calls of all classes share the
// day's rate, and the most urgent of them takes the next turn.
func TestThePatientOfAllClassesShareTheDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGovernor(Limits{DailyReserve: 0.2})
		g.learnDay(DailyUsage{Used: 2_000, Limit: 10_000, ResetsAt: MillisOf(time.Now().Add(10 * time.Hour))}) // 600 an hour
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var wg sync.WaitGroup
		passed := make([]int, classes)
		for c, p := range map[class]Priority{searches: Census, objectCalls: Reconcile, exemptCalls: AssociationSweep} {
			for range 3 { // so that one always waits
				wg.Go(func() {
					for passes(g.acquire(ctx, c, p, false, time.Now())) {
						g.mu.Lock()
						passed[c]++
						g.mu.Unlock()
					}
				})
			}
		}
		wg.Wait()
		for c, n := range passed {
			if n < 60 {
				t.Errorf("class %d: %d calls in an hour, want a fair part of 600: %v", c, n, passed)
			}
		}
	})
}

// A count of the day that has just ended does not hold up the new one: that of an answer
// that was on its way at midnight, of a HubSpot whose midnight comes later than ours, or
// one that HubSpot kept from before.
func TestACountOfTheDayBeforeIsNotTheNewDays(t *testing.T) {
	for _, late := range []time.Duration{100 * time.Millisecond, 3 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			resets, spent := time.Now().Add(time.Hour), "2000" // what is left of 10,000: the reserve
			r := newRig(t, func(*http.Request) (*http.Response, error) {
				left := spent
				if !time.Now().Before(resets.Add(late)) {
					left = "9990"
				}
				time.Sleep(300 * time.Millisecond)
				return respond(200, emptyPage, "X-HubSpot-RateLimit-Daily", "10000", "X-HubSpot-RateLimit-Daily-Remaining", left), nil
			}, func(c *Config) { c.Governor = NewGovernor(Limits{DailyReserve: 0.2}) })
			r.governor.learnDay(DailyUsage{Used: 8_000, Limit: 10_000, ResetsAt: MillisOf(resets)})
			for i := range 10 { // the first one waits for midnight
				time.Sleep(time.Until(resets.Add(time.Duration(i) * 30 * time.Second)))
				began := time.Now()
				if err := r.listing(Leading)(t.Context()); err != nil || time.Since(began) > time.Second {
					t.Errorf("HubSpot's midnight %v late: a call %v after ours was answered after %v, %v", late, began.Sub(resets), time.Since(began), err)
				}
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		resets := MillisOf(time.Now().Add(time.Hour))
		g := NewGovernor(Limits{DailyReserve: 0.2})
		g.learnDay(DailyUsage{Used: 8_000, Limit: 10_000, ResetsAt: resets})
		if _, err := g.acquire(t.Context(), searches, Leading, false, time.Now()); err != nil {
			t.Fatal(err)
		}
		g.learnDay(DailyUsage{Used: 8_000, Limit: 10_000, ResetsAt: resets})
		began := time.Now()
		if _, err := g.acquire(t.Context(), searches, Leading, false, time.Now()); err != nil || time.Since(began) > time.Minute {
			t.Errorf("a kept count: passed after %v, %v; want at once", time.Since(began), err)
		}
	})
}

// Where the clocks change at midnight, the day that has none begins when they have.
func TestTheDayEndsWhereThereIsNoMidnight(t *testing.T) {
	for zone, ends := range map[string]string{
		"America/Santiago": "2026-09-06T01:00:00-03:00", "America/Havana": "2026-03-08T01:00:00-04:00", "Africa/Cairo": "2026-04-24T01:00:00+03:00",
		"America/New_York": "2026-03-08T00:00:00-05:00",
	} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		want, err := time.Parse(time.RFC3339, ends)
		if err != nil {
			t.Fatal(err)
		}
		for _, before := range []time.Duration{time.Second, 30 * time.Minute, 23 * time.Hour} {
			if got := nextMidnight(want.Add(-before), loc); !got.Equal(want) {
				t.Errorf("%s, %v before: the day ends at %v, want %v", zone, before, got, want)
			}
		}
	}
}
