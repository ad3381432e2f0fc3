package hubspot

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// docs/contract.md section 7: the client reads a secret's file again after a
// 401.
func TestATokenThatChangedIsTakenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the last 401 waits two seconds
		token, reads := Secret("old\n"), 0
		accepted := "Bearer old"
		r := newRig(t, func(req *http.Request) (*http.Response, error) {
			if req.Header.Get("Authorization") != accepted {
				return respond(401, refusal("INVALID_AUTHENTICATION", "x")), nil
			}
			return respond(200, accountBody), nil
		}, func(c *Config) {
			c.Auth = AccessToken(func() (Secret, error) { reads++; return token, nil })
		})
		for range 3 {
			if err := r.ask(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if reads != 1 {
			t.Errorf("the file was read %d times, want once", reads)
		}
		token, accepted = "new", "Bearer new"
		if err := r.ask(t.Context()); err != nil || reads != 2 {
			t.Errorf("after the change: err = %v, %d reads", err, reads)
		}
		if n := strings.Count(r.log.String(), "the one that its file has now takes its place"); n != 1 {
			t.Errorf("the log says %d times that the token changed, want once", n)
		}
		accepted = "Bearer other"
		if err := r.ask(t.Context()); !Unauthorized(err) || reads != 3 {
			t.Errorf("a refused token: err = %v, %d reads, want Unauthorized after one more", err, reads)
		}
	})
}

// TestATokenThatChangedIsTakenUpWithoutHubSpotsWord: its edge servers refuse a malformed
// token with a 530 (docs/hubspot.md section 7), and not every 401 has HubSpot's JSON.
// Whoever corrects the file need not restart the connector.
func TestATokenThatChangedIsTakenUpWithoutHubSpotsWord(t *testing.T) {
	for _, status := range []int{401, 530} {
		synctest.Test(t, func(t *testing.T) {
			began, refused := time.Now(), 0
			r := newRig(t, func(req *http.Request) (*http.Response, error) {
				if req.Header.Get("Authorization") != "Bearer "+canary {
					refused++
					return respond(status, htmlPage), nil
				}
				return respond(200, accountBody), nil
			}, func(c *Config) {
				c.Auth = AccessToken(func() (Secret, error) {
					if time.Since(began) < 10*time.Minute {
						return "malformed", nil
					}
					return canary, nil
				})
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			if err := r.ask(ctx); err != nil || time.Since(began) > 12*time.Minute || refused < 8 {
				t.Errorf("%d: %v after %v and %d refusals, want an answer once the file is right", status, err, time.Since(began), refused)
			}
		})
	}
}

// TestATokenOfAnotherAccountIsRefused: what it reads would go into the topics of the
// portal that the client followed until then.
func TestATokenOfAnotherAccountIsRefused(t *testing.T) {
	portals := map[string]int{"Bearer old": 7, "Bearer other": 8, "Bearer new": 7}
	token, revoked, asked := Secret("old"), "", map[string]int{}
	r := newRig(t, func(req *http.Request) (*http.Response, error) {
		bearer := req.Header.Get("Authorization")
		if bearer == revoked {
			return respond(401, refusal("INVALID_AUTHENTICATION", "x")), nil
		}
		if !strings.HasPrefix(req.URL.Path, "/account-info/") {
			asked[bearer]++
		}
		return respond(200, fmt.Sprintf(`{"portalId":%d,"results":[]}`, portals[bearer])), nil
	}, func(c *Config) { c.Auth = AccessToken(func() (Secret, error) { return token, nil }) })
	if err := r.ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	owners := func() error {
		_, err := r.Owners(t.Context(), Call{}, "", false, 100)
		return err
	}
	token, revoked = "other", "Bearer old"
	for range 2 {
		err := owners()
		if other, ok := errors.AsType[*OtherAccountError](err); !ok || other.Is != 8 || other.Was != 7 {
			t.Errorf("err = %v", err)
		}
	}
	token = "new"
	if err := owners(); err != nil {
		t.Errorf("a new token of the same account: %v", err)
	}
	if asked["Bearer other"] > 0 || asked["Bearer new"] != 1 {
		t.Errorf("asked %v", asked)
	}
}

// One 401 is no proof: the client sends the same token again after two seconds.
func TestA401OfTheSameTokenIsTriedOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, body := range []string{refusal("INVALID_AUTHENTICATION", "Authentication credentials not found. This API supports …"), ""} {
			s := &script{steps: []func() (*http.Response, error){answers(401, body), answers(200, accountBody)}}
			r := newRig(t, s.wire())
			if err := r.ask(t.Context()); err != nil || len(s.at) != 2 || s.waits()[0] != 2*time.Second {
				t.Errorf("a stray 401: err = %v, waits %v, want one of two seconds", err, s.waits())
			}

			s = &script{steps: []func() (*http.Response, error){answers(401, body)}}
			err := newRig(t, s.wire()).ask(t.Context())
			if !Unauthorized(err) || len(s.at) != 2 || !strings.Contains(err.Error(), "GET /account-info/2026-09/details: HubSpot answered 401") {
				t.Errorf("a 401 that stays: err = %v after %d attempts, want Unauthorized after two", err, len(s.at))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := newRig(t, s.wire()).ask(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("err = %v, want the end of the context", err)
			}
			cancel()
		}
	})
}

func TestAnUnreadableTokenIsAnError(t *testing.T) {
	for name, read := range map[string]func() (Secret, error){
		"no file": func() (Secret, error) { return "", errors.New("no such file") },
		"empty":   func() (Secret, error) { return "\n", nil },
		"binary":  func() (Secret, error) { return canary + "\x00" + canary, nil },
	} {
		r := newRig(t, always(200, accountBody), func(c *Config) { c.Auth = AccessToken(read) })
		if err := r.ask(t.Context()); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: err = %v", name, err)
		}
	}
}

// oauthServer is HubSpot's token endpoint and one API that accepts its tokens.
type oauthServer struct {
	t       *testing.T
	mu      sync.Mutex
	refresh string // the valid refresh token
	issued  int
	revoked int // tokens up to this one are refused
	expires map[int]time.Time
	refused int // requests with an invalid token
	refuse  func() (*http.Response, error)
	latency time.Duration
}

func (s *oauthServer) wire() wire {
	return func(req *http.Request) (*http.Response, error) {
		time.Sleep(s.latency)
		s.mu.Lock()
		defer s.mu.Unlock()
		if req.URL.Path != "/oauth/2026-03/token" {
			var n int
			if _, err := fmt.Sscanf(req.Header.Get("Authorization"), "Bearer access-"+canary+"-%d", &n); err != nil || n <= s.revoked || time.Now().After(s.expires[n]) {
				s.refused++
				return respond(401, refusal("EXPIRED_AUTHENTICATION", "The OAuth token used to make this call expired 5 minutes ago")), nil
			}
			return respond(200, accountBody), nil
		}
		if s.refuse != nil {
			return s.refuse()
		}
		if req.Header.Get("Authorization") != "" || req.URL.RawQuery != "" || req.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			s.t.Errorf("token request with %v %q", req.Header, req.URL)
		}
		form, err := url.ParseQuery(bodyOf(s.t, req))
		if err != nil || form.Get("grant_type") != "refresh_token" || form.Get("client_id") != "app" || form.Get("client_secret") != "secret-"+canary {
			s.t.Errorf("form %v", form)
		}
		if form.Get("refresh_token") != s.refresh {
			s.t.Errorf("refresh token %q, want %q", form.Get("refresh_token"), s.refresh)
		}
		s.issued++
		if s.expires == nil {
			s.expires = map[int]time.Time{}
		}
		s.expires[s.issued] = time.Now().Add(30 * time.Minute)
		s.refresh = fmt.Sprintf("refresh-%s-%d", canary, s.issued)
		return respond(200, fmt.Sprintf(`{"access_token":"access-%s-%d","refresh_token":%q,"expires_in":1800,"token_type":"bearer"}`, canary, s.issued, s.refresh)), nil
	}
}

func (s *oauthServer) rig() *rig {
	s.refresh = "refresh-" + canary
	return newRig(s.t, s.wire(), func(c *Config) {
		c.Auth = OAuth("app",
			func() (Secret, error) { return "secret-" + canary, nil },
			func() (Secret, error) { return "refresh-" + canary, nil })
	})
}

// TestOAuthANewRefreshTokenIsTakenUp once HubSpot refuses the one before it, and not if
// it is of another account. HubSpot's answers hold the same refresh token, a new one or none.
func TestOAuthANewRefreshTokenIsTakenUp(t *testing.T) {
	for _, answered := range []string{"GIVEN", "GIVEN-rotated", ""} {
		aNewRefreshTokenIsTakenUp(t, answered)
	}
}

func aNewRefreshTokenIsTakenUp(t *testing.T, answered string) {
	synctest.Test(t, func(t *testing.T) {
		portals, refresh, revoked := map[string]int{"first": 7, "other": 8, "second": 7}, "first", ""
		read := map[string]int{}
		r := newRig(t, func(req *http.Request) (*http.Response, error) {
			if req.URL.Path == "/oauth/2026-03/token" {
				form, err := url.ParseQuery(bodyOf(t, req))
				given := strings.TrimSuffix(form.Get("refresh_token"), "-rotated")
				if err != nil || given == revoked {
					return respond(400, `{"status":"BAD_REFRESH_TOKEN","message":"missing or invalid refresh token"}`), nil
				}
				return respond(200, fmt.Sprintf(`{"access_token":"access-%s","refresh_token":%q,"expires_in":1800,"token_type":"bearer"}`, given, strings.ReplaceAll(answered, "GIVEN", given))), nil
			}
			of := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer access-")
			if of == revoked {
				return respond(401, refusal("INVALID_AUTHENTICATION", "x")), nil
			}
			if !strings.HasPrefix(req.URL.Path, "/account-info/") {
				read[of]++
			}
			return respond(200, fmt.Sprintf(`{"portalId":%d,"results":[]}`, portals[of])), nil
		}, func(c *Config) {
			c.Auth = OAuth("app", func() (Secret, error) { return "secret", nil }, func() (Secret, error) { return Secret(refresh), nil })
		})
		if err := r.ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		owners := func() error {
			_, err := r.Owners(t.Context(), Call{}, "", false, 100)
			return err
		}
		refresh, revoked = "other", "first"
		if other, ok := errors.AsType[*OtherAccountError](owners()); !ok || other.Is != 8 || other.Was != 7 {
			t.Error("the other account's token is not refused")
		}
		refresh = "second"
		if err := owners(); err != nil {
			t.Errorf("a refresh token of the same account: %v", err)
		}
		if read["other"] > 0 || read["second"] != 1 {
			t.Errorf("read %v", read)
		}
	})
}

func TestOAuthRefreshesAtFourFifths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &oauthServer{t: t, latency: 100 * time.Millisecond}
		r := s.rig()
		for minute := range 91 {
			if err := r.ask(t.Context()); err != nil {
				t.Fatal(err)
			}
			// At 0, 24, 48 and 72 minutes.
			if want := 1 + minute/25; s.issued != want && s.issued != want+1 {
				t.Errorf("minute %d: %d tokens, want %d", minute, s.issued, want)
			}
			time.Sleep(time.Minute)
		}
		if s.issued != 4 {
			t.Errorf("%d tokens in 90 minutes, want 4", s.issued)
		}
	})
}

func TestOAuthManyCallersOneRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &oauthServer{t: t, latency: 100 * time.Millisecond}
		r := s.rig()
		all := func() {
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					if err := r.ask(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		all()
		if s.issued != 1 {
			t.Errorf("%d tokens for 50 callers, want 1", s.issued)
		}
		s.revoked = 1 // all get a 401 for the same token
		all()
		if s.issued != 2 {
			t.Errorf("%d tokens after the 401, want 2", s.issued)
		}
		time.Sleep(25 * time.Minute) // due for renewal, but still valid
		all()
		if s.issued != 3 {
			t.Errorf("%d tokens after 25 minutes, want 3", s.issued)
		}
	})
}

// A request that waited for the day with an old token goes out with a new one,
// and requests that waited for the token together do not go out together.
func TestOAuthTheTokenIsAsFreshAsTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &oauthServer{t: t, latency: 200 * time.Millisecond, refresh: "refresh-" + canary}
		hs := &strict{perSecond: 5, perTen: 190}
		server := s.wire()
		r := newRig(t, func(req *http.Request) (*http.Response, error) {
			res, err := server(req)
			if err == nil && res.StatusCode == 200 && req.URL.Path != "/oauth/2026-03/token" {
				return hs.arrive(req), nil
			}
			return res, err
		}, func(c *Config) {
			c.Governor = NewGovernor(Limits{Share: 0.8})
			c.Auth = OAuth("app",
				func() (Secret, error) { return "secret-" + canary, nil },
				func() (Secret, error) { return "refresh-" + canary, nil })
		})
		for range 5 {
			var wg sync.WaitGroup
			for range 12 {
				wg.Go(func() {
					if err := r.searching(Leading)(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			r.governor.learnDay(DailyUsage{Used: 1000, Limit: 1000, ResetsAt: MillisOf(time.Now().Add(3 * time.Hour))})
		}
		if s.refused > 0 || hs.throttled > 0 || s.issued != 5 {
			t.Errorf("%d requests with an expired token, %d throttled, %d tokens; want 0, 0, 5", s.refused, hs.throttled, s.issued)
		}
	})
}

func TestOAuthA401IsRefreshedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &oauthServer{t: t, revoked: 1 << 30}
		r := s.rig()
		if err := r.ask(t.Context()); !Unauthorized(err) || s.issued != 2 {
			t.Errorf("err = %v after %d tokens, want Unauthorized after 2", err, s.issued)
		}
	})
}

func TestOAuthARefusedRefreshIsUnauthorized(t *testing.T) {
	for _, body := range []string{
		`{"status":"BAD_REFRESH_TOKEN","message":"missing or invalid refresh token","correlationId":"e06d5f4a-fcde-4985-bc2b-2b89d29568b0"}`,
		`{"error":"invalid_grant","error_description":"refresh token ` + canary + `"}`,
	} {
		s := &oauthServer{t: t, refuse: answers(400, body)}
		err := s.rig().ask(t.Context())
		if !Unauthorized(err) || strings.Contains(err.Error(), canary) {
			t.Errorf("err = %v, want Unauthorized without a token", err)
		}
	}
}

func TestOAuthATransientRefusalIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &oauthServer{t: t, refuse: answers(502, htmlPage)}
		r := s.rig()
		go func() {
			time.Sleep(3 * time.Minute)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.refuse = nil
		}()
		if err := r.ask(t.Context()); err != nil || s.issued != 1 {
			t.Errorf("err = %v after %d tokens", err, s.issued)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.ask(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v, want canceled", err)
		}
	})
}

// A token that is still valid is used while HubSpot does not renew it.
func TestOAuthAValidTokenNeedsNoRenewal(t *testing.T) {
	for name, refuse := range map[string]func() (*http.Response, error){
		"away": answers(502, htmlPage), "refused": answers(400, `{"status":"BAD_REFRESH_TOKEN","message":"missing or invalid refresh token"}`),
	} {
		synctest.Test(t, func(t *testing.T) {
			s, asked, began := &oauthServer{t: t, latency: 100 * time.Millisecond}, 0, time.Now()
			r := s.rig()
			server := r.http.Transport
			r.http.Transport = wire(func(req *http.Request) (*http.Response, error) {
				if d := time.Since(began); req.URL.Path == "/oauth/2026-03/token" && d >= 24*time.Minute && d < 29*time.Minute {
					asked++
					return refuse()
				}
				return server.RoundTrip(req)
			})
			for minute := range 40 {
				time.Sleep(time.Until(began.Add(time.Duration(minute) * time.Minute)))
				for range 3 {
					at := time.Now()
					if err := r.ask(t.Context()); err != nil || time.Since(at) > 2*time.Second {
						t.Errorf("%s, minute %d: answered after %v, %v", name, minute, time.Since(at), err)
					}
				}
			}
			if s.issued != 2 || asked < 4 || asked > 10 { // each time with the latest refresh token and, if refused, the configured one
				t.Errorf("%s: %d tokens, want 2; HubSpot was asked %d times in five minutes, want once or twice a minute", name, s.issued, asked)
			}
		})
	}
}
