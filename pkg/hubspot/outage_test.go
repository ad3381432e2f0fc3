package hubspot

import (
	"context"
	"net/http"
	"sort"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// away is a HubSpot that can be switched off.
type away struct {
	mu   sync.Mutex
	off  bool
	how  func() (*http.Response, error)
	sent []time.Time // while off
	ok   []time.Time // while on
}

func (a *away) wire(latency time.Duration) wire {
	return func(*http.Request) (*http.Response, error) {
		time.Sleep(latency)
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.off {
			a.sent = append(a.sent, time.Now())
			return a.how()
		}
		a.ok = append(a.ok, time.Now())
		return respond(200, `{"portalId":1,"results":[]}`), nil
	}
}

func (a *away) set(off bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.off = off
}

// While HubSpot is down, 150 streams together make one attempt a second after
// the first few, whatever they call. When it is back, all continue within
// seconds. The log has one line at the beginning and one at the end.
func TestAwayHubSpotIsAskedOnceASecond(t *testing.T) {
	for name, how := range map[string]func() (*http.Response, error){
		"refused": fails(errRefused),
		"503":     answers(503, htmlPage),
		"HTML":    answers(200, htmlPage),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &away{off: true, how: how}
				r := newRig(t, a.wire(20*time.Millisecond))
				var wg sync.WaitGroup
				for i := range 150 {
					wg.Go(func() {
						time.Sleep(time.Duration(i) * 10 * time.Millisecond)
						var err error
						switch i % 3 {
						case 0:
							_, err = r.Search(t.Context(), Call{}, SearchQuery{Object: "contacts", ModifiedProperty: "lastmodifieddate"})
						case 1:
							_, err = r.List(t.Context(), Call{}, "contacts", nil, "", false, 0)
						default:
							_, err = r.Properties(t.Context(), Call{}, "contacts", "")
						}
						if err != nil {
							t.Error(err)
						}
					})
				}
				time.Sleep(10 * time.Minute)
				a.set(false)
				back := time.Now()
				wg.Wait()

				sort.Slice(a.sent, func(i, j int) bool { return a.sent[i].Before(a.sent[j]) })
				// The attempts of the first 50 ms were in flight before any
				// stream could know.
				first := 0
				for a.sent[first].Sub(a.sent[0]) < 50*time.Millisecond {
					first++
				}
				if first > 6 {
					t.Errorf("%d attempts in the first 50 ms", first)
				}
				for i := first + 1; i < len(a.sent); i++ {
					if d := a.sent[i].Sub(a.sent[i-1]); d < time.Second {
						t.Fatalf("attempts %d and %d of %d are %v apart, want a second", i-1, i, len(a.sent), d)
					}
				}
				if len(a.sent) < 300 {
					t.Errorf("%d attempts in ten minutes: too few to notice the end in time", len(a.sent))
				}
				if d := a.ok[len(a.ok)-1].Sub(back); d > 5*time.Second {
					t.Errorf("the last stream continued after %v", d)
				}
				if w, i := r.log.Count("level=WARN"), r.log.Count("level=INFO"); w != 1 || i != 1 {
					t.Errorf("%d warnings and %d infos, want one of each:\n%s", w, i, r.log)
				}
			})
		})
	}
}

// A single request that HubSpot cannot answer holds up no other, and the client
// does not retry it more often because others succeed.
func TestOneFailingRequestHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		poison, good := 0, 0
		r := newRig(t, func(req *http.Request) (*http.Response, error) {
			time.Sleep(50 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			if req.URL.Path == "/crm/objects/2026-09/tasks" {
				poison++
				return respond(500, refusal("INTERNAL", "x")), nil
			}
			good++
			return respond(200, emptyPage), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = r.List(ctx, Call{}, "tasks", nil, "", false, 0) })
		for ctx.Err() == nil {
			_, _ = r.List(ctx, Call{}, "notes", nil, "", false, 0)
			_ = pause(ctx, 450*time.Millisecond, nil, nil)
		}
		wg.Wait()
		if good < 1190 || poison < 10 || poison > 25 {
			t.Errorf("%d good answers (want 1200) and %d attempts that failed (want 10 to 25)", good, poison)
		}
		if n := r.log.Count("level=WARN"); n != 1 {
			t.Errorf("%d warnings, want 1:\n%s", n, r.log)
		}
	})
}

// If one API alone is down, the client asks it once a second; the others
// continue.
func TestOneAPIAwayAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var searches []time.Time
		lists := 0
		r := newRig(t, func(req *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			if req.Method == http.MethodPost {
				searches = append(searches, time.Now())
				return respond(503, ""), nil
			}
			lists++
			return respond(200, emptyPage), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				_, _ = r.Search(ctx, Call{}, SearchQuery{Object: "contacts", ModifiedProperty: "lastmodifieddate"})
			})
		}
		for ctx.Err() == nil {
			_, _ = r.List(ctx, Call{}, "notes", nil, "", false, 0)
			_ = pause(ctx, 250*time.Millisecond, nil, nil)
		}
		wg.Wait()
		if lists < 1100 {
			t.Errorf("%d lists in five minutes, want 1200", lists)
		}
		// 100 were sent at once, before any stream knew.
		if n := len(searches) - 100; n > 300 {
			t.Errorf("%d searches in five minutes, want one a second", n)
		}
	})
}

// If HubSpot stumbles every few seconds, the log does not report each time.
func TestStumblesAreSaidSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r := newRig(t, func(*http.Request) (*http.Response, error) {
			if n++; n%10 == 0 {
				return respond(502, ""), nil
			}
			return respond(200, accountBody), nil
		})
		for range 600 {
			if err := r.ask(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if w := r.log.Count("level=WARN"); w > 10 {
			t.Errorf("%d warnings in ten minutes", w)
		}
	})
}

// Where everybody who waited has given up, the outage is over when HubSpot answers
// the next request, and the log says so once.
func TestACauseEndsAtTheNextAnswerWhenAllGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &away{off: true, how: fails(errRefused)}
		r := newRig(t, a.wire(0))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_ = r.ask(ctx)
		if w, i := r.log.Count("level=WARN"), r.log.Count("level=INFO"); w != 1 || i != 0 {
			t.Errorf("%d warnings and %d infos, want the warning alone:\n%s", w, i, r.log)
		}
		a.set(false)
		if err := r.ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		if i := r.log.Count("HubSpot can be read again"); i != 1 {
			t.Errorf("the end of the outage is in %d lines, want one:\n%s", i, r.log)
		}
	})
}

// Another app that uses up the limit for minutes is worth a warning, and not one each
// time it leaves us a call.
func TestA429ThatRecursIsOneWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r := newRig(t, func(*http.Request) (*http.Response, error) {
			if n++; n%2 == 1 {
				return respond(429, `{"status":"error","policyName":"SECONDLY"}`), nil
			}
			return respond(200, accountBody), nil
		})
		for began := time.Now(); time.Since(began) < 10*time.Minute; time.Sleep(2 * time.Second) {
			if err := r.ask(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if w, i := r.log.Count("level=WARN"), r.log.Count("level=INFO"); w != 1 || i != 1 {
			t.Errorf("%d warnings and %d ends in ten minutes of 429s, want one of each:\n%s", w, i, r.log)
		}
	})
}

// A limit that frees itself within seconds is no warning, however often it is met; one
// that holds something up for a minute is, and the day's limit at once.
func TestAShort429IsNoWarning(t *testing.T) {
	const secondly = `{"status":"error","policyName":"SECONDLY"}`
	for name, c := range map[string]struct {
		refusal string
		lasts   time.Duration
		warns   int
	}{
		"seconds, again and again": {secondly, 10 * time.Second, 0},
		"minutes":                  {secondly, 3 * time.Minute, 4},
		"the day's":                {dailyRefusal, time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, n := time.Now(), 0
				r := newRig(t, func(*http.Request) (*http.Response, error) {
					if n++; time.Since(began) < c.lasts {
						return respond(429, c.refusal), nil
					}
					return respond(200, accountBody), nil
				})
				for range 4 {
					began = time.Now()
					if err := r.ask(t.Context()); err != nil {
						t.Fatal(err)
					}
					time.Sleep(3 * quiet)
				}
				w, i := r.log.Count("level=WARN"), r.log.Count("HubSpot can be read again")
				if c.refusal == dailyRefusal {
					w, i = min(w, 1), min(i, 1)
				}
				if n < 8 || w != c.warns || i != c.warns {
					t.Errorf("%d requests, %d warnings, %d ends, want %d of both:\n%s", n, w, i, c.warns, r.log)
				}
			})
		})
	}
}

// The gate of an API whose requests spend the day as a rate opens again, although
// their turn comes seldom: a turn is a turn at the gate too.
func TestAGateOpensForThoseWhoWaitForTheDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []func() (*http.Response, error){answers(503, ""), answers(503, ""), answers(503, ""), answers(200, emptyPage)}}
		r := newRig(t, s.wire(), func(c *Config) { c.Governor = NewGovernor(Limits{DailyReserve: 0.2}) })
		r.governor.learnDay(DailyUsage{Used: 70_000, Limit: 100_000, ResetsAt: MillisOf(time.Now().Add(20 * time.Hour))}) // 500 an hour
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if err := r.listing(Reconcile)(ctx); err != nil {
					t.Errorf("%v after %d attempts; %d calls of the day are spent", err, len(s.at), r.governor.day.used-70_000)
				}
			})
		}
		wg.Wait()
	})
}
