package connector_test

import (
	"context"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// sharing makes connectors that have everything in common that they can.
func (w *world) sharing(n int) (all []*connector.Connector) {
	w.T.Helper()
	o := w.Options(w.Portal.Transport(), testkit.NewCable(w.Kafka.Network.DialContext))
	o.Shared, o.Logger = connector.NewShared(w.Log.Logger()), w.Log.Logger()
	for range n {
		c, err := connector.New(w.Config, o)
		if err != nil {
			w.T.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// TestShared_AFewStartAndLoadAtATime: others wait for their turn, and not for long: whose
// brokers do not answer does not keep everybody waiting.
func TestShared_AFewStartAndLoadAtATime(t *testing.T) {
	t.Parallel()
	for _, work := range []struct {
		name, waits string
		turn        func(*connector.Connector, context.Context) (func(), error)
		atOnce      int
		most        time.Duration
	}{
		{"start", "waits until fewer start", (*connector.Connector).Start, 8 * runtime.GOMAXPROCS(0), 2 * time.Minute},
		{"load", "waits until less is loaded", (*connector.Connector).Load, 4, time.Minute},
	} {
		t.Run(work.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, hubspottest.Options{Seed: 1}, nil, func(w *world) {
				all := w.sharing(2*work.atOnce + 1)
				var working atomic.Int64
				first := make(chan struct{})
				for _, c := range all {
					go func() {
						done, err := work.turn(c, w.T.Context())
						if err != nil {
							t.Error(err)
						}
						working.Add(1)
						<-first
						done()
						done() // does no harm
					}()
					synctest.Wait()
				}
				if n := working.Load(); n != int64(work.atOnce) {
					t.Errorf("%d at the same time", n)
				}
				if p := all[len(all)-1].Brief().Problems; len(p) != 1 || p[0].Area != "loading" || !strings.Contains(p[0].Problem, work.waits) {
					t.Errorf("%+v", p)
				}
				time.Sleep(work.most + time.Second)
				synctest.Wait()
				if n := working.Load(); n != int64(2*work.atOnce) {
					t.Errorf("%d have begun after %v", n, work.most)
				}
				close(first)
				synctest.Wait()
				if n := working.Load(); n != int64(len(all)) {
					t.Errorf("%d have begun", n)
				}
				for _, c := range all {
					c.Unshare()
				}
			})
		})
	}
}

// TestShared_OverTheMemoryLimitNothingIsLoaded, and the connector says so. It goes on
// when there is memory.
func TestShared_OverTheMemoryLimitNothingIsLoaded(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	inWorld(t, hubspottest.Options{Seed: 1}, nil, func(w *world) {
		c := w.sharing(1)[0]
		debug.SetMemoryLimit(1)
		loaded := make(chan func(), 1)
		go func() {
			done, err := c.Load(w.T.Context())
			if err != nil {
				t.Error(err)
			}
			loaded <- done
		}()
		time.Sleep(time.Minute)
		if p := c.Brief().Problems; len(loaded) > 0 || len(p) != 1 || !strings.Contains(p[0].Problem, "GOMEMLIMIT") || !strings.Contains(p[0].Action, "another instance") {
			t.Errorf("%d loaded, %+v", len(loaded), p)
		}
		debug.SetMemoryLimit(before)
		time.Sleep(time.Minute)
		if len(loaded) != 1 {
			t.Fatal("it does not go on")
		}
		(<-loaded)()
		ctx, cancel := context.WithCancel(w.T.Context())
		cancel()
		debug.SetMemoryLimit(1)
		if _, err := c.Load(ctx); err == nil {
			t.Error("it loads after its context has ended")
		}
		c.Unshare()
	})
}

// TestShared_OneRegistryAnswerForAll: a thousand connectors do not ask a thousand times.
func TestShared_OneRegistryAnswerForAll(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 1}, nil, func(w *world) {
		ctx, cancel := context.WithCancel(w.T.Context())
		own := func(context.Context) error { return nil }
		o := w.Options(w.Portal.Transport(), testkit.NewCable(w.Kafka.Network.DialContext))
		o.Shared, o.Logger, o.Own = connector.NewShared(w.Log.Logger()), w.Log.Logger(), own
		const n = 5
		done := make(chan error, n)
		for i := range n {
			cfg := w.Config
			cfg.Kafka.TopicPrefix = "hubspot." + string(rune('a'+i))
			c, err := connector.New(cfg, o)
			if err != nil {
				t.Fatal(err)
			}
			go func() { done <- c.Run(ctx) }()
		}
		time.Sleep(5 * time.Minute)
		before := w.Registry.Requests.Load()
		time.Sleep(10 * time.Minute)
		if calls := w.Registry.Requests.Load() - before; calls > 10*60/5+5 {
			t.Errorf("%d requests in ten minutes", calls)
		}
		cancel()
		for range n {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestShared_WhatCannotBeMadeKeepsNothing: a fleet tries again and again.
func TestShared_WhatCannotBeMadeKeepsNothing(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 1}, nil, func(w *world) {
		o := w.Options(w.Portal.Transport(), testkit.NewCable(w.Kafka.Network.DialContext))
		o.Shared, o.Logger = connector.NewShared(w.Log.Logger()), w.Log.Logger()
		for what, wrong := range map[string]func(c *connector.Config){
			"HubSpot's address": func(c *connector.Config) { c.HubSpot.BaseURL = "https://hubspot.test?a=b" },
			"a broker":          func(c *connector.Config) { c.Kafka.Brokers = []string{"broker:port"} },
		} {
			cfg := w.Config
			wrong(&cfg)
			if _, err := connector.New(cfg, o); err == nil {
				t.Errorf("%s is accepted", what)
			}
			if n := o.Shared.Users(); n != 0 {
				t.Errorf("%s: %d users", what, n)
			}
		}
		c, err := connector.New(w.Config, o)
		if err != nil {
			t.Fatal(err)
		}
		if n := o.Shared.Users(); n != 2 {
			t.Errorf("%d users", n)
		}
		c.Unshare()
		if n := o.Shared.Users(); n != 0 {
			t.Errorf("%d users afterwards", n)
		}
	})
}

// TestShared_NobodyWaitsForAClosingClient: the last connector that uses a client closes it,
// and the brokers take their time. What other connectors have in common is not locked
// meanwhile.
func TestShared_NobodyWaitsForAClosingClient(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 1}, nil, func(w *world) {
		ctx, cancel := context.WithCancel(w.T.Context())
		o := w.Options(w.Portal.Transport(), testkit.NewCable(w.Kafka.Network.DialContext))
		o.Shared, o.Logger, o.Own = connector.NewShared(w.Log.Logger()), w.Log.Logger(), func(context.Context) error { return nil }
		c, err := connector.New(w.Config, o)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		time.Sleep(5 * time.Minute)
		var closing atomic.Bool
		w.Kafka.ControlKey(kmsg.Fetch.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
			w.Kafka.KeepControl()
			if r.(*kmsg.FetchRequest).SessionEpoch == -1 && !closing.Swap(true) { // the client ends its session
				w.Kafka.SleepControl(func() { time.Sleep(500 * time.Millisecond) })
			}
			return nil, nil, false
		})
		cancel()
		for range 50 {
			time.Sleep(100 * time.Millisecond)
			if o.Shared.Locked() {
				t.Error("what connectors share is locked while a client of theirs is closed")
				break
			}
		}
		if !closing.Load() {
			t.Error("no client was closed")
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
