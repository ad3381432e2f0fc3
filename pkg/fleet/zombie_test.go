package fleet_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/fleet"
)

// TestFleet_AZombieIsFencedAndSaysSo: an instance does not reach the coordinator of the
// group any more, and nobody tells it, while its portals' producers reach the brokers.
// Others get its portals: each is followed twice for seconds at most, published once, and
// the instance is not ready until the coordinator answers again.
func TestFleet_AZombieIsFencedAndSaysSo(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		all := names(0, 8)
		w.add(3, all...)
		a, b := w.start(), w.start()
		w.until(2*time.Minute, func() bool { return a.stream() && len(owners(a.status())) == 2 })
		time.Sleep(time.Minute)
		before := of(a.status())

		a.group.Hang()
		var twice time.Duration
		unready := false
		const look = 250 * time.Millisecond
		for n := range int(time.Minute / look) {
			elsewhere := of(b.alone())
			for name, p := range of(a.alone()) {
				if p.State == fleet.StateStreaming && elsewhere[name].State == fleet.StateStreaming {
					twice += look
				}
			}
			ready := a.get("/readyz").Code == http.StatusOK
			if ready && unready {
				if n := len(a.alone().Portals); n > 0 { // without portals it is about to say that it is not in the group
					t.Fatalf("it is ready again with %d portals", n)
				}
			}
			unready = unready || !ready
			w.change(all[n%len(all)], n)
			time.Sleep(look)
		}
		if twice > 10*time.Second {
			t.Errorf("portals were followed twice for %v together", twice)
		}
		if s := a.alone(); len(s.Portals) > 0 || len(s.Problems) == 0 || s.Ready {
			t.Errorf("%d portals, %+v", len(s.Portals), s.Problems)
		}
		// That it was fenced gives way to why it cannot ask who has the portal.
		if n := strings.Count(w.log.String(), "the problem is over"); n > owners(&fleet.Status{Portals: slices.Collect(maps.Values(before))})[a.addr] {
			t.Errorf("it says %d times that the problem is over", n)
		}
		for name, p := range of(b.alone()) {
			if before[name].Instance == b.addr && !p.Since.Equal(before[name].Since) {
				t.Errorf("%s was touched", name)
			}
		}
		a.group.Mend()
		w.until(time.Minute, func() bool { return a.stream() && b.stream() && len(owners(a.status())) == 2 })
		time.Sleep(15 * time.Minute)
		a.stop()
		b.stop()
		w.check(all...)
	})
}

// TestFleet_PortalsThatReachNoBrokerAreNotReady: an instance is in the group, and its
// portals do not reach the brokers. The status, /readyz and the metrics agree.
func TestFleet_PortalsThatReachNoBrokerAreNotReady(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.add(3, "acme")
		a := w.start()
		w.until(2*time.Minute, a.stream)
		a.brokers.Cut()
		w.change("acme", 1)
		agree := func(state string, code int, ready string) {
			t.Helper()
			if got := of(a.status())["acme"].State; got != state {
				t.Errorf("it is %s, want %s", got, state)
			}
			if got := a.get("/readyz").Code; got != code {
				t.Errorf("readyz answers %d, want %d", got, code)
			}
			if want := `hubspot_cdc_ready{portal_name="acme"} ` + ready + "\n"; !strings.Contains(a.get("/metrics").Body.String(), want) {
				t.Errorf("the metrics do not say %s", want)
			}
		}
		time.Sleep(time.Minute)
		agree(fleet.StateFailing, http.StatusServiceUnavailable, "0")
		a.brokers.Mend()
		w.until(3*time.Minute, a.stream)
		agree(fleet.StateStreaming, http.StatusOK, "1")
		a.stop()
	})
}
