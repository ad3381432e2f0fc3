package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// streams says that a process is the owner and ready.
func (p *process) streams() bool {
	r := p.ready()
	return r.Role == "owner" && r.Ready
}

func (p *process) standsBy() bool { return p.ready().Role == "standby" }

// terms counts how often a process has become the owner.
func (p *process) terms() int { return p.said("this instance is the owner") }

func (p *process) said(message string) int {
	return strings.Count(strings.ReplaceAll(p.log.String(), `"`, ""), " msg="+message)
}

// twoInstances starts an owner, and beside it a standby.
func (w *world) twoInstances() (first, second *process) {
	w.t.Helper()
	first = w.startBeside()
	w.sleepUntil(time.Minute, first.streams)
	second = w.startBeside()
	w.sleepUntil(time.Minute, second.standsBy)
	return first, second
}

// within is the longest that a take-over after a kill may take (issue 5).
const within = 10 * time.Second

// TestStandby_OneRunsTheOtherTakesOver: a standby disturbs nobody and asks
// nothing of HubSpot; when the owner is killed it goes on within ten seconds,
// and what both published is complete and without doubles.
func TestStandby_OneRunsTheOtherTakesOver(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 21}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=1s"}, func(w *world) {
		ids := w.portal.Seed("contacts", 300)
		first, second := w.twoInstances()
		change := func(from, to int) {
			for _, id := range ids[from:to] {
				w.portal.Update("contacts", id, map[string]string{"firstname": "Changed"})
				time.Sleep(200 * time.Millisecond)
			}
		}
		change(0, 100)
		if n := first.terms(); n != 1 || first.said("streaming") != 1 {
			t.Errorf("the owner was disturbed: %d terms", n)
		}
		if n := second.hubspot.requests.Load(); n != 0 {
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
		first.kill()
		change(100, 110)
		w.sleepUntil(within, second.streams)
		t.Logf("taken over %v after the kill", time.Since(killed))
		if d := time.Since(killed); d > within {
			t.Errorf("taken over after %v", d)
		}
		change(110, 200)
		time.Sleep(20 * time.Minute)
		second.leaks()
		second.stop()
		if r := w.check("contacts"); r.Events != 500 {
			t.Errorf("%d events, want 300 and 200 changes", r.Events)
		}
	})
}

// TestStandby_ADeadOwnersPlaceIsTakenByItsSuccessor: one instance, killed and
// started again, is the owner as soon as the group has missed it.
func TestStandby_ADeadOwnersPlaceIsTakenByItsSuccessor(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 22}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		w.portal.Seed("contacts", 30)
		p := w.startBeside()
		w.sleepUntil(time.Minute, p.streams)
		time.Sleep(time.Minute)
		p.kill()
		began := time.Now()
		p = w.startBeside()
		w.sleepUntil(time.Minute, p.streams)
		if d := time.Since(began); d > sessionTimeout+time.Second {
			t.Errorf("after %v", d)
		}
		p.stop()
	})
}

// TestStandby_WhoDiedHere: only a process that lived on this machine, since it
// was booted and among the same process ids, is known to be dead.
func TestStandby_WhoDiedHere(t *testing.T) {
	where := processes()
	if where == "" {
		t.Skip("the kernel does not say where process ids mean something")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(exe, "-test.run", "^$")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	dead := child.Process.Pid
	for id, want := range map[string]bool{
		memberClientID(where, dead):             true,
		memberClientID(where, os.Getpid()):      false,
		memberClientID(where, 1):                false,
		memberClientID("another-machine", dead): false,
		memberClientID("", dead):                false,
		memberClientID(where, 0):                false,
		memberClientID(where, -dead):            false,
		memberClientID(where, dead) + "x":       false,
		"hubspot-cdc":                           false,
	} {
		if got := died(where, id); got != want {
			t.Errorf("%s: died %v, want %v", id, got, want)
		}
	}
	if died("", memberClientID("", dead)) {
		t.Error("nobody can know")
	}
}

// TestStandby_AGracefulEndHandsOverAtOnce.
func TestStandby_AGracefulEndHandsOverAtOnce(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 23}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		w.portal.Seed("contacts", 30)
		first, second := w.twoInstances()
		first.stop()
		began := time.Now()
		w.sleepUntil(within, second.streams)
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("taken over after %v", d)
		}
		first = w.startBeside()
		w.sleepUntil(within, first.standsBy)
		first.stop()
		second.stop()
	})
}

// TestStandby_AnOwnerThatWasCutOffStandsBy: it was missed, another one is the
// owner when the network is back, and that is the end of it.
func TestStandby_AnOwnerThatWasCutOffStandsBy(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 24}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=1s"}, func(w *world) {
		ids := w.portal.Seed("contacts", 60)
		first, second := w.twoInstances()
		live := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
				w.portal.Update("contacts", ids[0], map[string]string{"firstname": time.Now().Format(time.TimeOnly)})
			}
		}
		first.brokers.cut()
		live(time.Minute)
		if r := first.ready(); r.Ready || len(r.Problems) == 0 {
			t.Errorf("cut off, and says %+v", r)
		}
		first.brokers.mend()
		w.sleepUntil(time.Minute, first.standsBy)
		if !first.counted(`commits_total{result="failed"}`, 1) || !first.counted(`events_total{object="contacts",op="r"}`, 60) {
			t.Error("the run that ended took its counters with it")
		}
		live(5 * time.Minute)
		if first.terms() != 1 || second.terms() != 1 || !second.streams() || !first.standsBy() {
			t.Errorf("terms %d and %d, the second is %+v", first.terms(), second.terms(), second.ready())
		}
		time.Sleep(20 * time.Minute)
		first.stop()
		second.stop()
		w.check("contacts")
	})
}

// TestStandby_FencedMeansStandingBy: another process that uses the
// transactional id, in no group, takes it away; that is said once, and the
// instance comes back when it may.
func TestStandby_FencedMeansStandingBy(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 25}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=1s"}, func(w *world) {
		ids := w.portal.Seed("contacts", 60)
		first, second := w.twoInstances()
		stranger := w.client(kgo.TransactionalID(sink.TransactionalID("hubspot", 4242)))
		defer stranger.Close()
		if _, _, err := stranger.ProducerID(w.t.Context()); err != nil {
			t.Fatal(err)
		}
		w.portal.Update("contacts", ids[0], map[string]string{"firstname": "Fenced"})
		w.sleepUntil(time.Minute, second.streams)
		w.sleepUntil(time.Minute, first.standsBy)
		time.Sleep(5 * time.Minute)
		if n := strings.Count(first.log.String(), "fenced by another process"); n != 1 {
			t.Errorf("said %d times", n)
		}
		if first.terms() != 1 || second.terms() != 1 {
			t.Errorf("terms %d and %d, want one each", first.terms(), second.terms())
		}
		second.stop()
		w.sleepUntil(within, first.streams)
		first.stop()
		w.check("contacts")
	})
}

// TestStandby_AnOwnerThatWasMissedAsksBeforeItFences: the coordinator has given
// its place to another instance, and its client does not know yet. A run that
// is begun now would fence the new owner.
func TestStandby_AnOwnerThatWasMissedAsksBeforeItFences(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 26}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=1s"}, func(w *world) {
		ids := w.portal.Seed("contacts", 60)
		first, second := w.twoInstances()
		w.evictOwner("hubspot.owner")
		w.sleepUntil(within, second.streams)
		w.portal.Update("contacts", ids[0], map[string]string{"firstname": "Changed"})
		time.Sleep(5 * time.Minute)
		if first.terms() != 1 || second.terms() != 1 || !second.streams() || !first.standsBy() {
			t.Errorf("terms %d and %d", first.terms(), second.terms())
		}
		second.stop()
		w.sleepUntil(within, first.streams)
		first.stop()
		w.check("contacts")

		third, err := newSeat(w.t.Context(), first.sinkConfig())
		if err != nil {
			t.Fatal(err)
		}
		defer third.leave()
		w.sleepUntil(time.Minute, func() bool { role, _, _ := third.now(); return role == owner })
		w.evictOwner("hubspot.owner")
		before := first.hubspot.requests.Load()
		if err := first.repeat(w.t.Context(), third); !errors.Is(err, errNotOwner) {
			t.Errorf("got %v", err)
		}
		if n := first.hubspot.requests.Load() - before; n > 0 {
			t.Errorf("a run was begun: %d requests", n)
		}
	})
}

// TestStandby_ASignalEndsAStandbyInTime: while it stands by, with the brokers
// away, and while it waits for an owner that is dead.
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
			ending.brokers.cut()
			time.Sleep(3 * time.Second)
			return ending, other
		},
		"brokers away for long": func(w *world) (ending, other *process) {
			ending, other = both(w)
			ending.brokers.cut()
			time.Sleep(3 * time.Minute)
			return ending, other
		},
		"brokers away from the start": func(w *world) (ending, other *process) {
			w.brokers.cut()
			ending = w.start()
			time.Sleep(time.Minute)
			return ending, nil
		},
		"waiting for a dead owner": func(w *world) (ending, other *process) {
			first := w.startBeside()
			w.sleepUntil(time.Minute, first.streams)
			first.kill()
			ending = w.startBeside()
			time.Sleep(time.Second)
			return ending, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, hubspottest.Options{Seed: 27}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
				ending, other := prepare(w)
				began := time.Now()
				ending.stop()
				if d := time.Since(began); d > 3*time.Second {
					t.Errorf("ended after %v", d)
				}
				if other != nil {
					other.stop()
				}
			})
		})
	}
}

// TestStandby_AMissingRightIsNamed, once, and tried again until it is given.
func TestStandby_AMissingRightIsNamed(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 28}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		w.portal.Seed("contacts", 3)
		var denied atomic.Bool
		denied.Store(true)
		w.kafka.ControlKey(kmsg.JoinGroup.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
			w.kafka.KeepControl()
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
		if r.Ready || len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Problem, "--operation Read --group hubspot.owner") {
			t.Errorf("%+v", r)
		}
		if n := strings.Count(p.log.String(), "--group hubspot.owner"); n != 1 {
			t.Errorf("said %d times", n)
		}
		if n := p.hubspot.requests.Load(); n > 0 {
			t.Errorf("%d requests of HubSpot", n)
		}
		denied.Store(false)
		w.sleepUntil(time.Minute, p.streams)
		p.stop()
	})
}

// TestStandby_TheGroupHoldsNoOffsets.
func TestStandby_TheGroupHoldsNoOffsets(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 29}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		p := w.start()
		time.Sleep(10 * time.Minute)
		p.stop()
		cl := w.client()
		defer cl.Close()
		committed, err := kadm.NewClient(cl).FetchOffsets(w.t.Context(), "hubspot.owner")
		if err != nil || len(committed) > 0 {
			t.Errorf("%v, %v", committed, err)
		}
	})
}

// metric reads one number of /metrics.
func (p *process) metric(name string) float64 {
	p.w.t.Helper()
	families, err := p.health.gather()
	if err != nil {
		p.w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	p.w.t.Fatalf("no metric %s", name)
	return 0
}

// evictOwner has the coordinator forget the member that is the owner.
func (w *world) evictOwner(group string) {
	w.t.Helper()
	cl := w.client()
	defer cl.Close()
	described, err := kadm.NewClient(cl).DescribeGroups(w.t.Context(), group)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range described[group].Members {
		if c, ok := m.Assigned.AsConsumer(); ok && len(c.Topics) > 0 {
			req := kmsg.NewPtrLeaveGroupRequest()
			req.Group = group
			member := kmsg.NewLeaveGroupRequestMember()
			req.MemberID, member.MemberID = m.MemberID, m.MemberID
			req.Members = append(req.Members, member)
			if _, err := req.RequestWith(context.WithoutCancel(w.t.Context()), cl); err != nil {
				w.t.Fatal(err)
			}
			return
		}
	}
	w.t.Fatalf("group %s has no owner: %+v", group, described)
}
