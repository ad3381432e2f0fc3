package hubspot

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// strict is a HubSpot with rolling limits: it answers 429 as soon as a window,
// wherever it begins, would hold more than its limit.
type strict struct {
	perSecond, perTen int
	latency           time.Duration // round trip
	jitter            time.Duration // added on the way there

	mu        sync.Mutex
	searches  []time.Time // arrivals
	calls     []time.Time
	throttled int
	others    func(now time.Time) int // other apps' calls in the latest ten seconds
}

// latest drops what is older than d and counts the rest.
func latest(at *[]time.Time, now time.Time, d time.Duration) int {
	old := 0
	for old < len(*at) && now.Sub((*at)[old]) >= d {
		old++
	}
	*at = (*at)[old:]
	return len(*at)
}

func (s *strict) wire() wire {
	return func(req *http.Request) (*http.Response, error) {
		time.Sleep(s.latency/2 + time.Duration(rand.Int64N(int64(s.jitter)+1)))
		res := s.arrive(req)
		time.Sleep(s.latency / 2)
		return res, nil
	}
}

func (s *strict) arrive(req *http.Request) *http.Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if req.Method == http.MethodPost {
		if latest(&s.searches, now, time.Second) >= s.perSecond {
			s.throttled++
			return respond(429, `{"status":"error","message":"You have reached your secondly limit.","errorType":"RATE_LIMIT"}`)
		}
		s.searches = append(s.searches, now)
		return respond(200, emptyPage)
	}
	used := latest(&s.calls, now, 10*time.Second)
	if s.others != nil {
		used += s.others(now)
	}
	if used >= s.perTen {
		s.throttled++
		return respond(429, `{"status":"error","policyName":"TEN_SECONDLY_ROLLING"}`)
	}
	s.calls = append(s.calls, now)
	return respond(200, emptyPage,
		"X-HubSpot-RateLimit-Max", strconv.Itoa(s.perTen),
		"X-HubSpot-RateLimit-Remaining", strconv.Itoa(s.perTen-used-1),
		"X-HubSpot-RateLimit-Interval-Milliseconds", "10000")
}

// load keeps n callers calling until ctx ends, and counts the answers.
func load(ctx context.Context, wg *sync.WaitGroup, n int, call func(ctx context.Context) error) *atomic.Int64 {
	count := new(atomic.Int64)
	for range n {
		wg.Go(func() {
			for call(ctx) == nil {
				count.Add(1)
			}
		})
	}
	return count
}

func (r *rig) searching(p Priority) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := r.Search(ctx, Call{Priority: p}, SearchQuery{Object: "contacts", ModifiedProperty: "lastmodifieddate"})
		return err
	}
}

func (r *rig) listing(p Priority) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := r.List(ctx, Call{Priority: p}, "contacts", nil, "", false, 0)
		return err
	}
}

// Promise 6 (a good guest): at the limits of a Professional account, with a
// round trip of 200 ms plus jitter, HubSpot never has to answer 429, and we use
// nearly all of our share.
func TestLimitsAreKeptAndUsed(t *testing.T) {
	for _, jitter := range []time.Duration{0, 50 * time.Millisecond, 200 * time.Millisecond} {
		t.Run(jitter.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hs := &strict{perSecond: 5, perTen: 190, latency: 200 * time.Millisecond, jitter: jitter}
				r := newRig(t, hs.wire(), func(c *Config) { c.Governor = NewGovernor(Limits{Share: 0.8}) })
				// The governor learns the limit from the first answers.
				if err := r.listing(Schema)(t.Context()); err != nil {
					t.Fatal(err)
				}
				const lasts = 10 * time.Minute
				ctx, cancel := context.WithTimeout(t.Context(), lasts)
				defer cancel()
				var wg sync.WaitGroup
				searches := load(ctx, &wg, 10, r.searching(Leading))
				lists := load(ctx, &wg, 20, r.listing(Backfill))
				wg.Wait()
				if hs.throttled > 0 {
					t.Errorf("%d 429 answers", hs.throttled)
				}
				if got, want := float64(lists.Load())/lasts.Seconds(), 0.97*15.2; got < want || got > 15.25 {
					t.Errorf("%.2f calls a second, want %.2f to 15.25", got, want)
				}
				if got, want := float64(searches.Load())/lasts.Seconds(), 0.9*4; got < want || got > 4.01 {
					t.Errorf("%.2f searches a second, want %.2f to 4", got, want)
				}
			})
		})
	}
}

// passes reports whether a call may be sent.
func passes(_ *pass, err error) bool { return err == nil }

// docs/contract.md section 3: the ten seconds are filled. With round trips of 150 to
// 300 ms, of which a random part lies before HubSpot counts the call, we use at least
// 97 % of our share, whether HubSpot's interval rolls or is fixed, alone or beside
// another app that takes no more than we leave it. In ten minutes HubSpot answers none
// of our calls with 429, nor if the other app takes of what would be ours.
func TestTheTenSecondsAreFilled(t *testing.T) {
	for _, c := range []struct {
		share       float64
		fixed       bool
		others      int // another app's calls in ten seconds
		least, most float64
	}{
		{0.8, false, 0, 0.97 * 152, 152},
		{0.8, true, 0, 0.97 * 152, 152},
		{0.8, false, 25, 0.97 * 152, 152},
		{0.8, true, 25, 0.97 * 152, 152},
		{1, false, 0, 0.97 * 190, 190},
		{1, true, 0, 0.97 * 190, 190},
		{1, false, 20, 0.9 * 170, 170},
		{1, true, 20, 0.9 * 170, 170},
	} {
		t.Run(fmt.Sprintf("share %v, fixed %v, others %d", c.share, c.fixed, c.others), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				portal := hubspottest.New(hubspottest.Options{
					Seed: 1, Types: []string{"contacts"}, Limits: hubspottest.Limits{Fixed: c.fixed},
					Latency: hubspottest.Span{Min: 150 * time.Millisecond, Max: 300 * time.Millisecond},
				})
				r := newRig(t, portal.Transport().RoundTrip, func(cfg *Config) { cfg.Governor = NewGovernor(Limits{Share: c.share}) })
				lasts := 10 * time.Minute
				if testing.Short() {
					lasts = time.Minute
				}
				ctx, cancel := context.WithTimeout(t.Context(), lasts+30*time.Second)
				defer cancel()
				var wg sync.WaitGroup
				if c.others > 0 {
					wg.Go(func() { another(ctx, portal.Client(), 10*time.Second/time.Duration(c.others)) })
				}
				lists := load(ctx, &wg, 12, r.listing(Backfill))
				time.Sleep(30 * time.Second)
				before := lists.Load()
				wg.Wait()
				if n := testkit.Metric(t, r.reg, "hubspot_cdc_throttled_total", policyTenSeconds); n > 0 {
					t.Errorf("%v of our calls were answered 429", n)
				}
				got := float64(lists.Load()-before) / lasts.Seconds() * 10
				t.Logf("%.1f calls in ten seconds, %.1f %% of %v", got, 100*got/c.most, c.most)
				if got < c.least || got > c.most+1 {
					t.Errorf("%.1f calls in ten seconds, want %.1f to %v", got, c.least, c.most)
				}
			})
		})
	}
}

// another is another app, which calls at random times with the given mean interval
// until ctx ends.
func another(ctx context.Context, client *http.Client, mean time.Duration) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for pause(ctx, mean/2+rand.N(mean), nil, nil) == nil {
		wg.Go(func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://hubspot.test/crm/objects/2026-09/contacts", nil)
			if err != nil {
				return
			}
			req.Header.Set("Authorization", "Bearer pat-of-another-app")
			if res, err := client.Do(req); err == nil {
				_ = res.Body.Close()
			}
		})
	}
}

// No window of ten seconds holds more calls than our share, from the first call
// on and after pauses. No second holds more searches than HubSpot allows.
func TestNoWindowHoldsMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGovernor(Limits{Share: 0.8, TenSeconds: 190})
		var mu sync.Mutex
		sent := map[class][]time.Time{}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				c := class(i % 2)
				for passes(g.acquire(ctx, c, Backfill, false, time.Now())) {
					mu.Lock()
					sent[c] = append(sent[c], time.Now())
					n := len(sent[c])
					mu.Unlock()
					if n%400 == 0 {
						_ = pause(ctx, 15*time.Second, nil, nil)
					}
				}
			})
		}
		wg.Wait()
		for c, w := range map[class]struct {
			length time.Duration
			most   int
		}{searches: {time.Second, 5}, objectCalls: {10 * time.Second, 152}} {
			at, first := sent[c], 0
			for i := range at {
				for at[i].Sub(at[first]) > w.length { // closed at both ends
					first++
				}
				if n := i - first + 1; n > w.most {
					t.Fatalf("class %d: %d calls within %v, want at most %d", c, n, w.length, w.most)
				}
			}
		}
	})
}

// order returns the order in which requests pass that all wait at once.
func order(t *testing.T, g *Governor, c class, priorities ...Priority) []Priority {
	t.Helper()
	var got []Priority
	var mu sync.Mutex
	var wg sync.WaitGroup
	made := time.Now()
	for _, p := range priorities {
		wg.Go(func() {
			if _, err := g.acquire(t.Context(), c, p, false, made); err != nil {
				t.Error(err)
			}
			mu.Lock()
			got = append(got, p)
			mu.Unlock()
		})
	}
	wg.Wait()
	return got
}

// docs/contract.md section 3: the order of priority.
func TestTheMoreUrgentPassesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGovernor(Limits{Share: 0.8})
		for _, c := range []class{searches, objectCalls} {
			for g.lines[c].limiter.TokensAt(time.Now()) >= 1 { // so that all wait
				if _, err := g.acquire(t.Context(), c, Leading, false, time.Now()); err != nil {
					t.Fatal(err)
				}
			}
			got := order(t, g, c, Backfill, Reconcile, AssociationSweep, Archive, Snapshot, Reference, Schema, Census, ChangedAssociations, Trailing, Confirm, Leading)
			want := []Priority{Leading, Confirm, Trailing, ChangedAssociations, Census, Schema, Reference, Snapshot, Archive, AssociationSweep, Reconcile, Backfill}
			if !slices.Equal(got, want) {
				t.Errorf("class %d: passed in the order %v, want %v", c, got, want)
			}
		}
	})
}

// A backfill gets its turn even while leading reads would use everything.
func TestNobodyStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hs := &strict{perSecond: 5, perTen: 100, latency: 200 * time.Millisecond}
		r := newRig(t, hs.wire(), func(c *Config) { c.Governor = NewGovernor(Limits{Share: 0.8}) })
		const lasts = 10 * time.Minute
		ctx, cancel := context.WithTimeout(t.Context(), lasts)
		defer cancel()
		var wg sync.WaitGroup
		leading := load(ctx, &wg, 20, r.listing(Leading))
		backfill := load(ctx, &wg, 1, r.listing(Backfill))
		wg.Wait()
		// After eleven agings of five seconds at the latest.
		if backfill.Load() < 10 {
			t.Errorf("%d backfill calls in ten minutes, want one every minute", backfill.Load())
		}
		if leading.Load() < backfill.Load()*20 {
			t.Errorf("%d leading calls, %d of the backfill", leading.Load(), backfill.Load())
		}
	})
}

// The turn of a caller that gave up goes to the next.
func TestAWaiterThatGivesUpHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGovernor(Limits{Share: 0.8})
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_, _ = g.acquire(ctx, searches, Leading, false, time.Now())
			cancel()
		}
		began := time.Now()
		if _, err := g.acquire(t.Context(), searches, Backfill, false, time.Now()); err != nil || time.Since(began) > time.Second/2 {
			t.Errorf("passed after %v, err = %v", time.Since(began), err)
		}
		if n := len(g.lines[searches].waiting); n != 0 {
			t.Errorf("%d still wait", n)
		}
	})
}

// Promise 6: we give way to other apps under the same limit. The headers show
// how much they use.
func TestOthersOnTheSameLimitSlowUsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := false
		hs := &strict{perSecond: 5, perTen: 190, latency: 200 * time.Millisecond, jitter: 50 * time.Millisecond}
		hs.others = func(time.Time) int {
			if busy {
				return 90
			}
			return 10
		}
		r := newRig(t, hs.wire(), func(c *Config) { c.Governor = NewGovernor(Limits{Share: 0.8}) })
		measure := func(d time.Duration) float64 {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			var wg sync.WaitGroup
			n := load(ctx, &wg, 20, r.listing(Backfill))
			wg.Wait()
			return float64(n.Load()) / d.Seconds()
		}
		measure(30 * time.Second)
		quiet := measure(2 * time.Minute)
		busy = true
		measure(time.Minute) // until the governor notices
		hs.throttled = 0
		slow := measure(2 * time.Minute)
		if slow > 9.5 || slow < 6 || hs.throttled > 0 {
			t.Errorf("%.1f calls a second and %d 429 answers beside 90 calls of others in ten seconds, want 6 to 9.5 and none", slow, hs.throttled)
		}
		busy = false
		measure(2 * time.Minute)
		if again := measure(2 * time.Minute); again < 0.95*quiet {
			t.Errorf("%.1f calls a second when they are gone, %.1f before", again, quiet)
		}
	})
}

// A 429 stops the whole class, not only the request that got it; a 429 DAILY
// stops everything.
func TestA429StopsItsClass(t *testing.T) {
	for policy, want := range map[string]struct {
		least, most time.Duration
		all         bool
	}{
		policySecond:     {time.Second, 1200 * time.Millisecond, false},
		policyTenSeconds: {2500 * time.Millisecond, 3 * time.Second, false},
		policyDay:        {time.Minute, time.Minute + time.Second, true},
	} {
		for c := range classes {
			synctest.Test(t, func(t *testing.T) {
				g := NewGovernor(Limits{})
				g.throttled(searches, false, policy, 0, time.Now())
				began := time.Now()
				if _, err := g.acquire(t.Context(), c, Leading, false, time.Now()); err != nil {
					t.Fatal(err)
				}
				d := time.Since(began)
				if stopped := c == searches || want.all; stopped && (d < want.least || d > want.most) || !stopped && d != 0 {
					t.Errorf("%s: class %d waited %v", policy, c, d)
				}
			})
		}
	}
}

// The waits of one policy grow with each answer. Answers to requests that were
// in flight together count as one.
func TestThrottledWaitsGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGovernor(Limits{})
		var waits []time.Duration
		for range 12 {
			sent := time.Now()
			time.Sleep(100 * time.Millisecond)
			for range 5 { // in flight together
				g.throttled(searches, false, policySecond, 0, sent)
			}
			waits = append(waits, time.Until(g.lines[searches].paused))
			time.Sleep(time.Until(g.lines[searches].paused))
		}
		for i, w := range waits {
			base := min(time.Duration(i+1)*time.Second, 10*time.Second)
			if w < base || w > base+base/5 {
				t.Errorf("wait %d is %v, want about %v", i+1, w, base)
			}
		}
		sent := time.Now()
		g.observe(searches, false, http.Header{}, sent, nil)
		g.throttled(searches, false, policySecond, 0, time.Now())
		if w := time.Until(g.lines[searches].paused); w > 1200*time.Millisecond {
			t.Errorf("after a good answer the wait is %v, want a second again", w)
		}
	})
}

// A limit of seconds frees itself. One answer that asks for a longer wait, perhaps not
// even HubSpot's, does not stop a class, or the renewal of the token, for a day.
func TestA429HeedsARetryAfterForAWhile(t *testing.T) {
	for asks, want := range map[string]time.Duration{"90": 90 * time.Second, "86400": longestHold} {
		for name, ask := range map[string]func(*rig, context.Context) error{
			"search": func(r *rig, ctx context.Context) error { return r.searching(Leading)(ctx) },
			"list":   func(r *rig, ctx context.Context) error { return r.listing(Leading)(ctx) },
			"token": func(r *rig, ctx context.Context) error {
				return (&oauthState{}).ask(ctx, r.Client, Call{}, nil)
			},
		} {
			synctest.Test(t, func(t *testing.T) {
				s := &script{steps: []func() (*http.Response, error){
					answers(429, `{"status":"error"}`, "Retry-After", asks), answers(200, `{"results":[],"access_token":"a","expires_in":1800}`),
				}}
				if err := ask(newRig(t, s.wire()), t.Context()); err != nil || s.waits()[0].Round(time.Second) != want {
					t.Errorf("%s, Retry-After %s: waits %v, %v, want %v", name, asks, s.waits(), err, want)
				}
			})
		}
	}
}

func TestPolicyOfA429(t *testing.T) {
	for _, c := range []struct {
		class class
		body  string
		want  string
	}{
		{objectCalls, `{"policyName":"SECONDLY"}`, policySecond},
		{searches, `{"policyName":"TEN_SECONDLY_ROLLING"}`, policyTenSeconds},
		{searches, `{"policyName":"DAILY"}`, policyDay},
		{searches, `{"message":"You have reached your secondly limit."}`, policySecond},
		{objectCalls, `{"message":"You have reached your ten_secondly_rolling limit."}`, policyTenSeconds},
		{objectCalls, `{"message":"You have reached your daily limit."}`, policyDay},
		{searches, `{}`, policySecond},
		{searches, htmlPage, policySecond},
		{objectCalls, ``, policyTenSeconds},
	} {
		v := judge(&request{class: c.class}, attempt{status: 429, header: http.Header{}, body: []byte(c.body)})
		if v.policy != c.want {
			t.Errorf("class %d %s: policy %q, want %q", c.class, c.body, v.policy, c.want)
		}
	}
}

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGovernor(Limits{Share: 0.5, DailyReserve: 0.25, TenSeconds: 100, SearchPerSecond: 4})
		if r := g.Rates(); r.Search != 2 || r.Objects < 4.5 || r.Objects > 5 || !math.IsInf(r.Day, 1) {
			t.Errorf("rates %+v", r)
		}
		g.learnDay(DailyUsage{Used: 5_000, Limit: 100_000, ResetsAt: MillisOf(time.Now().Add(7 * time.Hour))})
		if r := g.Rates(); math.Abs(r.Day-70_000.0/7/3600) > 0.01 {
			t.Errorf("the day's rate is %v, want 70,000 in seven hours", r.Day)
		}
	})
}
