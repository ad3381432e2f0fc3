package hubspot

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"
)

var errTimeOver = errors.New("time is over")

// TestPatience_DoesNotPassWhileRequestsWaitForTheLimits: six requests at one in ten
// seconds, each answered after a second, within three seconds of patience.
func TestPatience_DoesNotPassWhileRequestsWaitForTheLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return respond(200, `{"results":[]}`), nil
		}, func(c *Config) { c.Governor = NewGovernor(Limits{Share: 1, TenSeconds: 1}) })
		began := time.Now()
		outer, others := WithPatience(t.Context(), 7*time.Second, errTimeOver)
		defer others.Stop()
		ctx, patience := WithPatience(outer, 3*time.Second, errTimeOver)
		defer patience.Stop()
		var g errgroup.Group
		for range 6 {
			g.Go(func() error {
				err := r.listing(Schema)(ctx)
				patience.Again(3 * time.Second)
				return err
			})
		}
		if err := g.Wait(); err != nil || ctx.Err() != nil {
			t.Errorf("%v, %v", err, context.Cause(ctx))
		}
		if took := time.Since(began); took < 50*time.Second {
			t.Errorf("six requests took %s: they did not wait for the limit", took)
		}
	})
}

// TestPatience_EndsWhereHubSpotDoesNotAnswer, whoever waits for the limits beside that,
// and also within another's.
func TestPatience_EndsWhereHubSpotDoesNotAnswer(t *testing.T) {
	for name, limit := range map[string][2]time.Duration{"its own": {time.Hour, 3 * time.Second}, "another's": {3 * time.Second, time.Hour}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(req *http.Request) (*http.Response, error) {
					<-req.Context().Done()
					return nil, req.Context().Err()
				}, func(c *Config) { c.Governor = NewGovernor(Limits{Share: 1, TenSeconds: 1}) })
				began := time.Now()
				outer, others := WithPatience(t.Context(), limit[0], errTimeOver)
				defer others.Stop()
				ctx, patience := WithPatience(outer, limit[1], errTimeOver)
				defer patience.Stop()
				var g errgroup.Group
				for range 3 {
					g.Go(func() error { return r.listing(Schema)(ctx) })
				}
				if err := g.Wait(); err == nil || !errors.Is(context.Cause(ctx), errTimeOver) {
					t.Errorf("%v, %v", err, context.Cause(ctx))
				}
				if took := time.Since(began); took != 3*time.Second {
					t.Errorf("it ended after %s, want 3s", took)
				}
			})
		})
	}
}

// TestPatience_WithoutLimitUntilItGetsOne: the time begins with Again.
func TestPatience_WithoutLimitUntilItGetsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		})
		ctx, patience := WithPatience(t.Context(), 0, errTimeOver)
		defer patience.Stop()
		began, done := time.Now(), make(chan error, 1)
		go func() { done <- r.listing(Schema)(ctx) }()
		time.Sleep(time.Hour)
		patience.Again(2 * time.Second)
		err := <-done
		if took := time.Since(began); err == nil || took != time.Hour+2*time.Second {
			t.Errorf("%v after %s", err, took)
		}
	})
}
