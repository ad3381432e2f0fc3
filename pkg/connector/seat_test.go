package connector_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// streams reports whether a process is the owner and ready.
func (p *process) streams() bool {
	r := p.ready()
	return r.Role == "owner" && r.Ready
}

func (p *process) standsBy() bool { return p.ready().Role == "standby" }

// terms counts how often a process has become the owner.
func (p *process) terms() int { return p.said("this instance is the owner") }

func (p *process) said(message string) int {
	return strings.Count(strings.ReplaceAll(p.Log.String(), `"`, ""), " msg="+message)
}

// twoInstances starts an owner, and a standby beside it.
func (w *world) twoInstances() (first, second *process) {
	w.T.Helper()
	first = w.startBeside()
	w.SleepUntil(time.Minute, first.streams)
	second = w.startBeside()
	w.SleepUntil(time.Minute, second.standsBy)
	return first, second
}

// within is the longest time that a take-over after a kill may take.
const within = 10 * time.Second

// TestStandby_OneRunsTheOtherTakesOver: a standby disturbs nobody and asks
// nothing of HubSpot. When the owner is killed, the standby takes over within ten
// seconds, and what both published is complete and without duplicates.
func TestStandby_OneRunsTheOtherTakesOver(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 21}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=1s"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 300)
		first, second := w.twoInstances()
		change := func(from, to int) {
			for _, id := range ids[from:to] {
				w.Portal.Update("contacts", id, map[string]string{"firstname": "Changed"})
				time.Sleep(200 * time.Millisecond)
			}
		}
		change(0, 100)
		if n := first.terms(); n != 1 || first.said("streaming") != 1 {
			t.Errorf("the owner was disturbed: %d terms", n)
		}
		if n := second.HubSpot.Requests.Load(); n != 0 {
			t.Errorf("the standby made %d requests of HubSpot", n)
		}
		if r := second.ready(); !r.Ready || len(r.Problems) > 0 {
			t.Errorf("standby: %+v", r)
		}
		if got := second.metric("hubspot_cdc_role"); got != 0 {
			t.Errorf("standby: role %v", got)
		}
		if got := first.metric("hubspot_cdc_role"); got != 1 {
			t.Errorf("owner: role %v", got)
		}

		killed := time.Now()
		first.Kill()
		change(100, 110)
		w.SleepUntil(within, second.streams)
		t.Logf("taken over %v after the kill", time.Since(killed))
		if d := time.Since(killed); d > within {
			t.Errorf("taken over after %v", d)
		}
		change(110, 200)
		time.Sleep(20 * time.Minute)
		second.Leaks()
		second.Stop()
		if r := w.check("contacts"); r.Events != 500 {
			t.Errorf("%d events, want 300 and 200 changes", r.Events)
		}
	})
}

// TestStandby_ADeadOwnersPlaceIsTakenByItsSuccessor: a single instance is killed
// and started again. It is the owner as soon as the group has noticed the death.
func TestStandby_ADeadOwnersPlaceIsTakenByItsSuccessor(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 22}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		w.Portal.Seed("contacts", 30)
		p := w.startBeside()
		w.SleepUntil(time.Minute, p.streams)
		time.Sleep(time.Minute)
		p.Kill()
		began := time.Now()
		p = w.startBeside()
		w.SleepUntil(time.Minute, p.streams)
		if d := time.Since(began); d > connector.SessionTimeout+time.Second {
			t.Errorf("after %v", d)
		}
		p.Stop()
	})
}

// TestStandby_KilledAgainAndAgainWhileItJoins: an instance is killed up to six times
// within seconds, at any step of its joining. The group takes those that died while
// they waited for a join as members until their first session is over, and may give
// one of them the partition. So the next instance waits for a rebalance and a
// session; kfake, which counts those that wait wrongly, may take a rebalance more.
func TestStandby_KilledAgainAndAgainWhileItJoins(t *testing.T) {
	t.Parallel()
	const limit = 3*connector.SessionTimeout + 2*time.Second
	for seed := range uint64(shorter(40, 10)) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			inWorld(t, hubspottest.Options{Seed: seed}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
				rng := rand.New(rand.NewPCG(seed, 0))
				w.Portal.Seed("contacts", 3)
				var dead []*process
				kill := func(p *process) { // does not wait until it has given up on the brokers
					p.Brokers.Cut()
					p.Cancel()
					dead = append(dead, p)
				}
				if rng.IntN(2) == 0 {
					p := w.startBeside()
					w.SleepUntil(time.Minute, p.streams)
					kill(p)
				}
				for range 1 + rng.IntN(6) {
					p := w.startBeside()
					time.Sleep(time.Duration(rng.IntN(1000)) * time.Millisecond)
					kill(p)
				}
				p := w.startBeside()
				took := w.SleepUntil(time.Hour, p.streams)
				if took > limit {
					t.Errorf("killed %d times: the next instance streams after %v", len(dead), took)
				}
				time.Sleep(time.Minute)
				p.Stop()
				for _, p := range dead {
					if err := <-p.Done; err != nil {
						t.Errorf("the connector ended with %v", err)
					}
				}
				w.check("contacts")
			})
		})
	}
}

// TestStandby_AGracefulEndHandsOverAtOnce.
func TestStandby_AGracefulEndHandsOverAtOnce(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 23}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		w.Portal.Seed("contacts", 30)
		first, second := w.twoInstances()
		first.Stop()
		began := time.Now()
		w.SleepUntil(within, second.streams)
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("taken over after %v", d)
		}
		first = w.startBeside()
		w.SleepUntil(within, first.standsBy)
		first.Stop()
		second.Stop()
	})
}

// TestStandby_AnOwnerThatWasCutOffStandsBy: by the time its network is back, the
// group has another owner, and neither disturbs the other.
func TestStandby_AnOwnerThatWasCutOffStandsBy(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 24}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=1s"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 60)
		first, second := w.twoInstances()
		live := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
				w.Portal.Update("contacts", ids[0], map[string]string{"firstname": time.Now().Format(time.TimeOnly)})
			}
		}
		first.Brokers.Cut()
		live(time.Minute)
		if r := first.ready(); r.Ready || len(r.Problems) == 0 {
			t.Errorf("cut off, but reports %+v", r)
		}
		first.Brokers.Mend()
		w.SleepUntil(time.Minute, first.standsBy)
		if !first.counted(`commits_total{result="failed"}`, 1) || !first.counted(`events_total{object="contacts",op="r"}`, 60) {
			t.Error("the counters ended with the run")
		}
		live(5 * time.Minute)
		if first.terms() != 1 || second.terms() != 1 || !second.streams() || !first.standsBy() {
			t.Errorf("terms %d and %d, the second is %+v", first.terms(), second.terms(), second.ready())
		}
		time.Sleep(20 * time.Minute)
		first.Stop()
		second.Stop()
		w.check("contacts")
	})
}

// TestStandby_FencedMeansStandingBy: another process outside the group takes the
// transactional id. The instance logs that once, and comes back when it may.
func TestStandby_FencedMeansStandingBy(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 25}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=1s"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 60)
		first, second := w.twoInstances()
		stranger := w.Kafka.Client(kgo.TransactionalID(sink.TransactionalID("hubspot", 4242)))
		defer stranger.Close()
		if _, _, err := stranger.ProducerID(w.T.Context()); err != nil {
			t.Fatal(err)
		}
		w.Portal.Update("contacts", ids[0], map[string]string{"firstname": "Fenced"})
		w.SleepUntil(time.Minute, second.streams)
		w.SleepUntil(time.Minute, first.standsBy)
		time.Sleep(5 * time.Minute)
		if n := strings.Count(first.Log.String(), "fenced by another process"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
		if first.terms() != 1 || second.terms() != 1 {
			t.Errorf("terms %d and %d, want one each", first.terms(), second.terms())
		}
		second.Stop()
		w.SleepUntil(within, first.streams)
		first.Stop()
		w.check("contacts")
	})
}

// TestStandby_AnOwnerThatWasMissedAsksBeforeItFences: the coordinator has given
// its place to another instance, and its client does not know yet. If it began a
// run now, it would fence the new owner.
func TestStandby_AnOwnerThatWasMissedAsksBeforeItFences(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 26}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=1s"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 60)
		first, second := w.twoInstances()
		w.evictOwner("hubspot.owner")
		w.SleepUntil(within, second.streams)
		w.Portal.Update("contacts", ids[0], map[string]string{"firstname": "Changed"})
		time.Sleep(5 * time.Minute)
		if first.terms() != 1 || second.terms() != 1 || !second.streams() || !first.standsBy() {
			t.Errorf("terms %d and %d", first.terms(), second.terms())
		}
		second.Stop()
		w.SleepUntil(within, first.streams)
		first.Stop()
		w.check("contacts")

		third, err := first.TakeSeat(w.T.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer third.Leave()
		w.SleepUntil(time.Minute, third.Owns)
		w.evictOwner("hubspot.owner")
		before := first.HubSpot.Requests.Load()
		if err := first.Repeat(w.T.Context(), third); !errors.Is(err, connector.ErrNotOwner) {
			t.Errorf("got %v", err)
		}
		if n := first.HubSpot.Requests.Load() - before; n > 0 {
			t.Errorf("a run began: %d requests", n)
		}
	})
}

// TestStandby_ASignalEndsAStandbyInTime: while it stands by, while the brokers
// are away, and while it waits for a dead owner.
func TestStandby_ASignalEndsAStandbyInTime(t *testing.T) {
	t.Parallel()
	both := func(w *world) (ending, other *process) {
		first, second := w.twoInstances()
		return second, first
	}
	for name, prepare := range map[string]func(*world) (ending, other *process){
		"standing by": both,
		"brokers away": func(w *world) (ending, other *process) {
			ending, other = both(w)
			ending.Brokers.Cut()
			time.Sleep(3 * time.Second)
			return ending, other
		},
		"brokers away for long": func(w *world) (ending, other *process) {
			ending, other = both(w)
			ending.Brokers.Cut()
			time.Sleep(3 * time.Minute)
			return ending, other
		},
		"brokers away from the start": func(w *world) (ending, other *process) {
			w.Brokers.Cut()
			ending = w.start()
			time.Sleep(time.Minute)
			return ending, nil
		},
		"waiting for a dead owner": func(w *world) (ending, other *process) {
			first := w.startBeside()
			w.SleepUntil(time.Minute, first.streams)
			first.Kill()
			ending = w.startBeside()
			time.Sleep(time.Second)
			return ending, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, hubspottest.Options{Seed: 27}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
				ending, other := prepare(w)
				began := time.Now()
				ending.Stop()
				if d := time.Since(began); d > 3*time.Second {
					t.Errorf("ended after %v", d)
				}
				if other != nil {
					other.Stop()
				}
			})
		})
	}
}

// TestStandby_AMissingRightIsNamed once, and the instance tries again until it
// has the right.
func TestStandby_AMissingRightIsNamed(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 28}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		w.Portal.Seed("contacts", 3)
		var denied atomic.Bool
		denied.Store(true)
		w.Kafka.ControlKey(kmsg.JoinGroup.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
			w.Kafka.KeepControl()
			if !denied.Load() {
				return nil, nil, false
			}
			resp := req.ResponseKind().(*kmsg.JoinGroupResponse)
			resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
			return resp, nil, true
		})
		p := w.start()
		time.Sleep(2 * time.Minute)
		r := p.ready()
		if r.Ready || len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Action, "--operation Read --group hubspot.owner") {
			t.Errorf("%+v", r)
		}
		if n := strings.Count(p.Log.String(), "--group hubspot.owner"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
		if n := p.HubSpot.Requests.Load(); n > 0 {
			t.Errorf("%d requests of HubSpot", n)
		}
		denied.Store(false)
		w.SleepUntil(time.Minute, p.streams)
		p.Stop()
	})
}

// TestStandby_TheGroupHoldsNoOffsets.
func TestStandby_TheGroupHoldsNoOffsets(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 29}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		p := w.start()
		time.Sleep(10 * time.Minute)
		p.Stop()
		cl := w.Kafka.Client()
		defer cl.Close()
		committed, err := kadm.NewClient(cl).FetchOffsets(w.T.Context(), "hubspot.owner")
		if err != nil || len(committed) > 0 {
			t.Errorf("%v, %v", committed, err)
		}
	})
}

// metric reads one number of /metrics.
func (p *process) metric(name string) float64 {
	p.w.T.Helper()
	for line := range strings.Lines(p.Get("/metrics").Body.String()) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil {
				p.w.T.Fatal(err)
			}
			return n
		}
	}
	p.w.T.Fatalf("no metric %s", name)
	return 0
}

// evictOwner makes the coordinator forget the member that is the owner.
func (w *world) evictOwner(group string) {
	w.T.Helper()
	cl := w.Kafka.Client()
	defer cl.Close()
	described, err := kadm.NewClient(cl).DescribeGroups(w.T.Context(), group)
	if err != nil {
		w.T.Fatal(err)
	}
	for _, m := range described[group].Members {
		if c, ok := m.Assigned.AsConsumer(); ok && len(c.Topics) > 0 {
			req := kmsg.NewPtrLeaveGroupRequest()
			req.Group = group
			member := kmsg.NewLeaveGroupRequestMember()
			req.MemberID, member.MemberID = m.MemberID, m.MemberID
			req.Members = append(req.Members, member)
			if _, err := req.RequestWith(context.WithoutCancel(w.T.Context()), cl); err != nil {
				w.T.Fatal(err)
			}
			return
		}
	}
	w.T.Fatalf("group %s has no owner: %+v", group, described)
}
