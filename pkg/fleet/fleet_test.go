package fleet_test

import (
	"context"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/fleet"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// shorter is how much of something a test does: with -short the second.
func shorter(whole, short int) int {
	if testing.Short() {
		return short
	}
	return whole
}

// owners counts the portals of each instance.
func owners(s *fleet.Status) map[string]int {
	n := map[string]int{}
	for _, p := range s.Portals {
		n[p.Instance]++
	}
	return n
}

// TestFleet_SharesThePortalsOut: each runs once, on any of the instances, and every
// instance tells of all of them.
func TestFleet_SharesThePortalsOut(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		all := names(0, 12)
		w.add(20, all...)
		a, b, c := w.start(), w.start(), w.start()
		w.until(2*time.Minute, func() bool { return a.stream() && b.stream() && c.stream() && len(a.status().Instances) == 3 })
		s := a.status()
		if n := owners(s); len(n) != 3 || n[""] > 0 {
			t.Errorf("owners %v", n)
		}
		for _, one := range s.Instances {
			if one.Problem != "" || one.Self != (one.Address == a.addr) || one.Portals != owners(s)[one.Address] {
				t.Errorf("%+v", one)
			}
		}
		for _, p := range s.Portals {
			if len(p.Problems) > 0 || p.Live != 20 || p.Portal == 0 {
				t.Errorf("%+v", p)
			}
		}
		for _, i := range []*instance{a, b, c} {
			if r := i.get("/readyz"); r.Code != http.StatusOK {
				t.Errorf("%s: readyz answers %d %s", i.addr, r.Code, r.Body)
			}
			if r := i.get("/healthz"); r.Code != http.StatusOK {
				t.Errorf("%s: healthz answers %d", i.addr, r.Code)
			}
			// A portal's page is there on every instance.
			for _, path := range []string{"/portals/portal-003/", "/portals/portal-003/status", "/portals/portal-003/readyz"} {
				if r := i.get(path); r.Code != http.StatusOK || !strings.Contains(r.Body.String(), "owner") {
					t.Errorf("%s%s answers %d", i.addr, path, r.Code)
				}
			}
			if page := i.get("/portals/portal-003/").Body.String(); !strings.Contains(page, `<a href="../../">All portals</a>`) || !strings.Contains(page, ".portal-003.*") {
				t.Errorf("%s: the portal's page has no way back, or not its topics:\n%s", i.addr, page)
			}
			if r := i.get("/portals/nobody/"); r.Code != http.StatusNotFound {
				t.Errorf("%s: a portal that does not exist: %d", i.addr, r.Code)
			}
		}
		for _, i := range []*instance{a, b, c} {
			i.stop()
		}
		if n := w.check(all...); n != 12*20 {
			t.Errorf("%d events", n)
		}
	})
}

// TestFleet_AKilledInstancesPortalsMove within twenty seconds, and those of the others
// do not notice.
func TestFleet_AKilledInstancesPortalsMove(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		all := names(0, 30)
		w.add(5, all...)
		a, b, c := w.start(), w.start(), w.start()
		w.until(2*time.Minute, func() bool { return a.stream() && len(owners(a.status())) == 3 })
		time.Sleep(time.Minute)
		before := of(a.status())
		c.kill()
		took := w.until(20*time.Second, func() bool { return a.stream() && owners(a.status())[c.addr] == 0 })
		t.Logf("after %v", took)
		moved := 0
		for name, p := range of(a.status()) {
			switch was := before[name]; {
			case was.Instance == c.addr:
				moved++
			case was.Instance != p.Instance || !was.Since.Equal(p.Since):
				t.Errorf("%s ran on %s since %v, and now on %s since %v", name, was.Instance, was.Since, p.Instance, p.Since)
			}
		}
		if moved == 0 {
			t.Error("the killed instance had no portal")
		}
		a.stop()
		b.stop()
		w.check(all...)
	})
}

var (
	rounds  = flag.Int("rounds", 12, "how often TestFleet_KillsAndRollingRestartsLoseNothing kills or restarts an instance")
	portals = flag.Int("portals", 25, "the portals of that test")
	swap    = flag.Int("swap", 5, "how many portals come, how many change and how many go in TestFleet_AFolderSwapMovesNothingElse; twice as many stay")
)

// TestFleet_KillsAndRollingRestartsLoseNothing: instances are killed, or told to stop,
// and started again, while portals change.
func TestFleet_KillsAndRollingRestartsLoseNothing(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		rng := rand.New(rand.NewPCG(1, 0))
		all := names(0, shorter(*portals, 5))
		w.add(5, all...)
		running := []*instance{w.start(), w.start(), w.start()}
		w.until(3*time.Minute, running[0].stream)
		n := 0
		work := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); n++ {
				w.change(all[rng.IntN(len(all))], n)
				time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
			}
		}
		kills, restarts := 0, 0
		for range shorter(*rounds, 3) {
			i := rng.IntN(len(running))
			if rng.IntN(2) == 0 {
				running[i].kill()
				kills++
			} else {
				running[i].stop()
				restarts++
			}
			work(time.Duration(rng.IntN(12)) * time.Second)
			running[i] = w.start()
			work(time.Duration(rng.IntN(20)) * time.Second)
		}
		w.until(time.Minute, running[0].stream)
		time.Sleep(15 * time.Minute)
		for _, i := range running {
			i.stop()
		}
		events := w.check(all...)
		t.Logf("%d kills, %d restarts, %d changes, %d events", kills, restarts, n, events)
		if events < n {
			t.Errorf("%d events of %d changes", events, n)
		}
	})
}

// TestFleet_AFolderSwapMovesNothingElse: of a folder in which portals come, change and
// go, exactly these start, begin again, and end.
func TestFleet_AFolderSwapMovesNothingElse(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		n := *swap
		stay, change, leave, come := names(0, 2*n), names(2*n, 3*n), names(3*n, 4*n), names(4*n, 5*n)
		w.add(3, stay...)
		w.add(3, change...)
		w.add(3, leave...)
		a, b := w.start(), w.start()
		w.until(time.Duration(2+n/10)*time.Minute, func() bool { return a.stream() && len(owners(a.status())) == 2 })
		time.Sleep(time.Minute)
		before := of(a.status())

		w.add(3, come...)
		w.remove(leave...)
		for _, name := range change {
			w.write(name, "HUBSPOT_ACCESS_TOKEN=pat-"+name+"\nSYNC_LEADING_INTERVAL=2s")
		}
		w.mu.Lock()
		w.shift = 3 // comments; what the files set is the same
		w.mu.Unlock()
		swapped := time.Now()
		w.until(30*time.Second*time.Duration(1+n/50), func() bool { // sixteen start at a time
			now := of(a.status())
			for _, name := range append(change, come...) {
				if p := now[name]; p.State != fleet.StateStreaming || !p.Since.After(swapped) {
					return false
				}
			}
			return true
		})
		now := of(a.status())
		for _, name := range leave {
			if p, there := now[name]; there {
				t.Errorf("%s is still there: %+v", name, p)
			}
		}
		for _, name := range stay {
			if !now[name].Since.Equal(before[name].Since) || now[name].Instance != before[name].Instance {
				t.Errorf("%s was touched: %+v, before %+v", name, now[name], before[name])
			}
		}
		// What cannot be read stays as it was.
		w.mu.Lock()
		w.gone, w.files = errors.New("permission denied"), map[string]string{}
		w.mu.Unlock()
		away := time.Now()
		time.Sleep(time.Minute)
		s := a.status()
		if s.Counts()[fleet.StateStreaming] != 4*n || len(s.Problems) != 1 || !strings.Contains(s.Problems[0].Problem, "permission denied") || s.Problems[0].Since.Before(away.Truncate(time.Millisecond)) {
			t.Errorf("%v %+v", s.Counts(), s.Problems)
		}
		a.stop()
		b.stop()
		w.check(append(append(stay, change...), come...)...)
	})
}

// TestFleet_APortalsProblemIsItsOwn: a bad token, a wrong file, a deleted state topic, an
// account used twice are named, and the other portals go on.
func TestFleet_APortalsProblemIsItsOwn(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		well := names(0, 6)
		w.add(3, well...)
		w.add(3, "deleted", "twin")
		a, b := w.start(), w.start()
		w.until(2*time.Minute, func() bool { return a.stream() && len(owners(a.status())) == 2 })
		time.Sleep(time.Minute)
		before := of(a.status())

		w.write("bad-token", "HUBSPOT_ACCESS_TOKEN=pat-of-nobody")
		w.write("wrong-file", "HUBSPOT_ACCESS_TOKEN=pat-wrong\nHUBSPOT_TOKEN=pat-canary\nno assignment")
		w.write("wrong-variable", "HUBSPOT_ACCESS_TOKEN=pat-wrong\nHUBSPOT_TOKEN=pat-canary")
		w.write("twin-2", "HUBSPOT_ACCESS_TOKEN=pat-twin")
		if _, err := w.kafka.Admin().DeleteTopics(w.Context(), prefix+".deleted.state"); err != nil {
			t.Fatal(err)
		}
		w.change("deleted", 1) // which nobody can remember
		time.Sleep(3 * time.Minute)
		s := b.status()
		now := of(s)
		for name, want := range map[string]struct{ state, problem string }{
			"bad-token":      {fleet.StateFailing, "HubSpot refuses the token"},
			"wrong-file":     {fleet.StateStopped, "wrong-file.env:3: is not of the form VARIABLE=value"},
			"wrong-variable": {fleet.StateStopped, "wrong-variable.env:2: HUBSPOT_TOKEN: there is no such variable"},
			"deleted":        {"", "deleted.state"},
			"twin":           {fleet.StateStreaming, "same HubSpot account (8) as that of twin-2"},
			"twin-2":         {fleet.StateStreaming, "same HubSpot account (8) as that of twin:"},
		} {
			p := now[name]
			text := fmt.Sprint(p.Problems)
			if want.state != "" && p.State != want.state || !strings.Contains(text, want.problem) {
				t.Errorf("%s is %s: %s, want %s: %s", name, p.State, text, want.state, want.problem)
			}
			if strings.Contains(text, "canary") {
				t.Errorf("%s shows a token", name)
			}
		}
		// The problem has lasted since the later of them streams, not since it is looked at.
		if since := now["twin"].Problems[0].Since; !since.Equal(now["twin-2"].Since) {
			t.Errorf("twin has its problem since %v, and twin-2 streams since %v", since, now["twin-2"].Since)
		}
		for _, name := range append(well, "twin") {
			if !now[name].Since.Equal(before[name].Since) || now[name].Instance != before[name].Instance || now[name].State != fleet.StateStreaming {
				t.Errorf("%s was touched: %+v, before %+v", name, now[name], before[name])
			}
		}
		if s.Wrong() != 6 {
			t.Errorf("%d portals count as wrong: %s", s.Wrong(), s.Headline())
		}
		if r := a.get("/portals/wrong-file/"); r.Code != http.StatusNotFound || !strings.Contains(r.Body.String(), "wrong-file.env:3: is not of the form VARIABLE=value; correct the file") {
			t.Errorf("the page of a portal whose file is wrong: %d %s", r.Code, r.Body)
		}
		unready := 0
		for _, i := range []*instance{a, b} {
			if r := i.get("/readyz"); r.Code != http.StatusOK {
				unready++
				if !strings.Contains(r.Body.String(), `"failing":[{`) {
					t.Errorf("readyz names nobody: %s", r.Body)
				}
			}
		}
		if unready == 0 {
			t.Error("both instances are ready")
		}
		// Put right, each starts by itself.
		w.add(1, "of-nobody")
		w.remove("of-nobody", "twin-2")
		for _, name := range []string{"wrong-file", "wrong-variable"} {
			w.add(1, name)
		}
		w.until(30*time.Minute, func() bool {
			now := of(a.status())
			return now["bad-token"].State == fleet.StateStreaming && now["wrong-file"].State == fleet.StateStreaming && now["wrong-variable"].State == fleet.StateStreaming
		})
		a.stop()
		b.stop()
		w.check(well...)
	})
}

// TestFleet_APortalThatIsTriedAgainIsStillStopped: until it streams, its operator, /readyz
// and the alerts see why it needs him, though a try takes longer than a scrape.
func TestFleet_APortalThatIsTriedAgainIsStillStopped(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.add(3, "acme", "globex")
		a := w.start()
		w.until(2*time.Minute, a.stream)
		w.mu.Lock()
		w.silent = func(name string) bool { // it answers slowly
			if name == "globex" {
				time.Sleep(20 * time.Second)
			}
			return false
		}
		w.mu.Unlock()
		w.remove("globex")
		w.write("acme", "HUBSPOT_ACCESS_TOKEN=pat-globex")
		stopped := func() bool { return of(a.alone())["acme"].State == fleet.StateStopped }
		w.until(2*time.Minute, stopped)
		first := of(a.alone())["acme"]
		if action := first.Problems[0].Action; !strings.Contains(action, "tried again by itself") {
			t.Errorf("what to do: %s", action)
		}
		for range 30 * 12 {
			time.Sleep(5 * time.Second)
			if p := of(a.alone())["acme"]; p.State != first.State || fmt.Sprint(p.Problems) != fmt.Sprint(first.Problems) || a.get("/readyz").Code == http.StatusOK {
				t.Fatalf("%v: it is %s: %+v, was %+v", time.Now(), p.State, p.Problems, first.Problems)
			}
		}
		if n := strings.Count(w.log.String(), "the portal needs its operator"); n < 3 {
			t.Errorf("it is tried %d times", n)
		}
		w.write("acme", "HUBSPOT_ACCESS_TOKEN=pat-acme")
		w.until(time.Minute, a.stream)
		a.stop()
	})
}

// TestFleet_ASecretsFileMayComeLater than the portal's file, and may change: a mounted
// Secret is another volume than a mounted ConfigMap.
func TestFleet_ASecretsFileMayComeLater(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.add(3, "acme")
		secret := filepath.Join(t.TempDir(), "token")
		w.write("acme", "HUBSPOT_ACCESS_TOKEN_FILE="+secret)
		a := w.start()
		time.Sleep(time.Minute)
		if p := of(a.status())["acme"]; p.State != fleet.StateStopped || !strings.Contains(fmt.Sprint(p.Problems), "no such file") {
			t.Errorf("%+v", p)
		}
		if n := strings.Count(w.log.String(), "a portal's file is wrong"); n != 1 {
			t.Errorf("it is logged %d times", n)
		}
		put := func(token string) {
			if err := os.WriteFile(secret, []byte(token), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		put("pat-acme\n")
		w.until(30*time.Second, a.stream)
		since := of(a.status())["acme"].Since
		// HubSpot takes another token from now on, which somebody puts into the file.
		w.mu.Lock()
		w.portals["rotated"] = w.portals["acme"]
		delete(w.portals, "acme")
		w.mu.Unlock()
		put("pat-rotated\n")
		time.Sleep(time.Minute)
		if p := of(a.status())["acme"]; p.State != fleet.StateStreaming || !p.Since.Equal(since) {
			t.Errorf("%+v, before since %v", p, since)
		}
		a.stop()
	})
}

// TestFleet_AFileThatCannotBeReadNowChangesNothing, as on a disk that fails for a moment.
func TestFleet_AFileThatCannotBeReadNowChangesNothing(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		all := names(0, 4)
		w.add(3, all...)
		a := w.start()
		w.until(2*time.Minute, a.stream)
		before := a.status()
		unread := func(why error, names ...string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.unread = map[string]error{}
			for _, name := range names {
				w.unread[name] = why
			}
		}
		w.add(3, "new")
		unread(errors.New("input/output error"), append(all, "new")...)
		time.Sleep(time.Minute)
		s := a.status()
		for _, name := range all {
			if p := of(s)[name]; p.State != fleet.StateStreaming || !p.Since.Equal(of(before)[name].Since) {
				t.Errorf("%+v", p)
			}
		}
		if p := of(s)["new"]; p.State != fleet.StateStopped || !strings.Contains(fmt.Sprint(p.Problems), "input/output error") {
			t.Errorf("%+v", p)
		}
		if len(s.Problems) != 1 || !strings.Contains(s.Problems[0].Problem, "cannot be read: input/output error") {
			t.Errorf("%+v", s.Problems)
		}
		unread(nil)
		w.until(time.Minute, a.stream)
		if s := a.status(); len(s.Problems) > 0 {
			t.Errorf("%+v", s.Problems)
		}
		a.stop()
		w.check(all...)
	})
}

// TestFleet_AFolderThatDoesNotAnswerHoldsNothingUp: while its disk hangs, the instance
// takes the portals of another that dies, says what is wrong, and ends when it is told to.
func TestFleet_AFolderThatDoesNotAnswerHoldsNothingUp(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		all := names(0, 6)
		w.add(3, all...)
		var hangs atomic.Bool
		answers := make(chan struct{})
		read := func() ([]fleet.File, error) {
			if hangs.Load() {
				<-answers
			}
			return w.read()
		}
		a, b := w.startAt("10.0.0.8:8080", read), w.start()
		w.until(2*time.Minute, func() bool { return a.stream() && len(owners(a.status())) == 2 })
		hangs.Store(true)
		time.Sleep(time.Minute)
		b.kill()
		w.until(20*time.Second, a.stream)
		if s := a.status(); len(s.Problems) != 1 || !strings.Contains(s.Problems[0].Problem, "cannot be read: it does not answer") || s.Time.Sub(s.Problems[0].Since) < 50*time.Second {
			t.Errorf("%+v", s.Problems)
		}
		w.add(3, "new")
		hangs.Store(false)
		answers <- struct{}{}
		w.until(time.Minute, a.stream)
		if s := a.status(); len(s.Problems) > 0 {
			t.Errorf("%+v", s.Problems)
		}
		hangs.Store(true)
		time.Sleep(time.Minute)
		a.cancel()
		select {
		case err := <-a.done:
			a.done <- err
		case <-time.After(10 * time.Second):
			t.Error("it does not end")
		}
		c := w.startAt("10.0.0.9:8080", read) // it has never seen the folder
		time.Sleep(time.Minute)
		if s := c.status(); len(s.Problems) != 1 || !strings.Contains(s.Problems[0].Problem, "does not answer") {
			t.Errorf("%s: %+v", s.Headline(), s.Problems)
		}
		close(answers)
		w.until(time.Minute, c.stream)
		a.stop()
		c.stop()
		w.check(all...)
	})
}

// TestFleet_APortalThatDoesNotEndHoldsNoOtherUp: the instance ends in time, and others get
// its portals.
func TestFleet_APortalThatDoesNotEndHoldsNoOtherUp(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		all := names(0, 6)
		w.add(3, all...)
		a, b := w.start(), w.start()
		w.until(2*time.Minute, func() bool { return a.stream() && len(owners(a.status())) == 2 })
		stuck, answers := "", make(chan struct{})
		for name, p := range of(a.status()) {
			if p.Instance == a.addr {
				stuck = name
			}
		}
		w.mu.Lock()
		w.silent = func(name string) bool { // nothing ends its requests
			if name == stuck {
				<-answers
			}
			return false
		}
		w.mu.Unlock()
		time.Sleep(10 * time.Second)
		a.cancel()
		select {
		case err := <-a.done:
			a.done <- err
		case <-time.After(10 * time.Second):
			t.Error("it does not end")
		}
		if !w.log.Has("some portals do not end") {
			t.Error("the log does not say so")
		}
		w.until(20*time.Second, func() bool {
			s := b.status()
			return s.Counts()[fleet.StateStreaming] == len(all)-1 && owners(s)[b.addr] == len(all)
		})
		close(answers)
		a.stop()
		w.until(2*time.Minute, b.stream)
		b.stop()
		w.check(all...)
	})
}

// TestFleet_WhoHasAPortalTellsHowItIs, not an instance that is still ending it.
func TestFleet_WhoHasAPortalTellsHowItIs(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		all := names(0, 12)
		w.add(3, all...)
		a := w.start()
		w.until(2*time.Minute, a.stream)
		var stuck atomic.Bool
		answers := make(chan struct{})
		w.mu.Lock()
		w.silent = func(string) bool { // what is asked now is answered late, and nothing ends it
			if stuck.Load() {
				<-answers
			}
			return false
		}
		w.mu.Unlock()
		stuck.Store(true)
		time.Sleep(10 * time.Second)
		stuck.Store(false)
		b := w.start()
		w.until(20*time.Second, func() bool { return b.alone().Counts()[fleet.StateStreaming] > 0 })
		time.Sleep(10 * time.Second)
		for _, i := range []*instance{a, b} {
			for name, p := range of(b.alone()) {
				if now := of(i.status())[name]; now.Instance != b.addr || now.State != p.State {
					t.Errorf("%s says that %s is %s on %s, and there it is %s", i.addr, name, now.State, now.Instance, p.State)
				}
			}
		}
		close(answers)
		w.until(time.Minute, func() bool { return a.stream() && b.stream() })
		a.stop()
		b.stop()
		w.check(all...)
	})
}

// TestFleet_AnEmptyFolderIsSaid: all portals end, and nobody takes that for all is well.
func TestFleet_AnEmptyFolderIsSaid(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		all := names(0, 3)
		w.add(3, all...)
		a := w.start()
		w.until(2*time.Minute, a.stream)
		w.remove(all...)
		time.Sleep(time.Minute)
		if s := a.status(); len(s.Portals) > 0 || s.Headline() != "No portals" || s.Colour() == "good" || !strings.Contains(s.Sentence(), "FLEET_DIR") {
			t.Errorf("%q, %q, %s", s.Headline(), s.Sentence(), s.Colour())
		}
		if !w.log.Has("the folder has no file of a portal any more") {
			t.Error("the log does not say so")
		}
		a.stop()
	})
}

// TestFleet_WithoutMemoryNoPortalStarts, neither an old one nor a new one, and each says
// what to do. They start when there is memory.
func TestFleet_WithoutMemoryNoPortalStarts(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	inWorld(t, func(w *world) {
		w.add(3, "old")
		a := w.start()
		w.until(2*time.Minute, a.stream)
		a.stop()
		w.add(3, "new")
		debug.SetMemoryLimit(1)
		b := w.start()
		time.Sleep(2 * time.Minute)
		s := b.status()
		for _, name := range []string{"old", "new"} {
			if p := of(s)[name]; p.State != fleet.StateFailing || len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Action, "start another instance") {
				t.Errorf("%s: %+v", name, p)
			}
		}
		if code := b.get("/readyz").Code; code != http.StatusServiceUnavailable {
			t.Errorf("/readyz answers %d", code)
		}
		debug.SetMemoryLimit(before)
		w.until(time.Minute, b.stream)
		b.stop()
		w.check("old", "new")
	})
}

// TestFleet_LearnsItsAddressOnceTheBrokersAnswer: before, it may not be known which of
// the machine's addresses leads to them.
func TestFleet_LearnsItsAddressOnceTheBrokersAnswer(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.add(1, names(0, 4)...)
		w.begin = func(i *instance) {
			i.hidden.Store(true)
			i.group.Cut()
		}
		a, b := w.start(), w.start()
		time.Sleep(time.Minute)
		for _, i := range []*instance{a, b} {
			i.hidden.Store(false)
			i.group.Mend()
		}
		w.until(2*time.Minute, func() bool { return a.stream() && len(owners(a.status())) == 2 })
		a.stop()
		b.stop()
	})
}

// TestFleet_APortalThatComesBackSaysSoSoon: its notifications topic is read first, by a
// client that waits for news of other portals' topics.
func TestFleet_APortalThatComesBackSaysSoSoon(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		all := names(0, 3)
		w.add(3, all...)
		a := w.start()
		w.until(2*time.Minute, a.stream)
		told := func() int { return len(w.records(prefix + "." + all[0] + ".notifications")) }
		w.until(time.Minute, func() bool { return told() > 0 })
		for phase := range 4 {
			text := w.files[all[0]]
			w.remove(all[0])
			w.until(time.Minute, a.stream)
			time.Sleep(time.Duration(20+7*phase) * time.Second)
			before := told()
			w.write(all[0], text)
			w.until(time.Minute, a.stream)
			w.until(20*time.Second, func() bool { return told() > before })
		}
		a.stop()
	})
}

// TestFleet_BrokersAway: the instances say so, run again when the brokers are back, and
// nothing is lost.
func TestFleet_BrokersAway(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		all := names(0, 4)
		w.add(3, all...)
		a := w.start()
		w.until(2*time.Minute, a.stream)
		a.cut()
		w.change(all[0], 1)
		time.Sleep(2 * time.Minute)
		if s := a.status(); s.Ready || a.get("/readyz").Code == http.StatusOK || len(s.Problems) == 0 {
			t.Errorf("%+v", s.Problems)
		}
		a.mend()
		w.until(3*time.Minute, a.stream)
		time.Sleep(15 * time.Minute)
		a.stop()
		w.check(all...)
	})
}

// TestFleet_ConnectorRunHasThePortalFirst: a fleet does not fence a connector that runs
// for a portal of its own accord, and takes over when that ends.
func TestFleet_ConnectorRunHasThePortalFirst(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.add(3, "acme", "globex")
		files, _ := w.read()
		cfg := w.configure(&files[0])
		name := files[0].Name
		own, err := connector.New(cfg, connector.Options{HubSpot: w, Registry: w.registry, Kafka: w.kafka.Options()[1:], Logger: w.log.Logger()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(w.Context())
		done := make(chan error, 1)
		go func() { done <- own.Run(ctx) }()
		w.until(time.Minute, func() bool { return own.Brief().Ready })
		since := own.Brief().Since
		a := w.start()
		time.Sleep(2 * time.Minute)
		p := of(a.status())[name]
		if !own.Brief().Ready || !own.Brief().Since.Equal(since) {
			t.Errorf("the connector was fenced: %+v", own.Brief())
		}
		if p.State != fleet.StateFailing || !strings.Contains(fmt.Sprint(p.Problems), "follows this portal too, with KAFKA_TOPIC_PREFIX="+prefix+"."+name) || p.Problems[0].Area != "connector" {
			t.Errorf("%+v", p)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		w.until(3*time.Minute, a.stream)
		a.stop()
		w.check("acme", "globex")
	})
}

// TestFleet_WhoAnswersInAnothersPlaceIsNotBelieved: of two instances that give one
// address, as 127.0.0.1 on two machines, one cannot be reached by the other.
func TestFleet_WhoAnswersInAnothersPlaceIsNotBelieved(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.add(1, names(0, 6)...)
		a, b := w.start(), w.start()
		w.until(2*time.Minute, func() bool { return a.stream() && len(owners(a.status())) == 2 })
		w.mu.Lock()
		w.hosts[b.addr] = a
		w.mu.Unlock()
		s := a.status()
		for _, one := range s.Instances {
			if one.Self != (one.Problem == "") || !one.Self && !strings.Contains(one.Problem, "somebody else answers at "+b.addr) {
				t.Errorf("%+v", one)
			}
		}
		if headline := s.Headline(); headline != "1 instance does not answer" {
			t.Error(headline)
		}
		if n := s.Counts(); n[fleet.StateUnknown] == 0 || n[fleet.StateUnknown]+n[fleet.StateStreaming] != 6 {
			t.Errorf("%v", n)
		}
		w.mu.Lock()
		w.hosts[b.addr] = b
		w.mu.Unlock()
		a.stop()
		b.stop()
	})
}

// TestFleet_ThePageOfAPortalSaysWhoHasIt where its instance cannot be asked.
func TestFleet_ThePageOfAPortalSaysWhoHasIt(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.add(1, names(0, 6)...)
		a, b := w.start(), w.start()
		w.begin = func(i *instance) { i.hidden.Store(true) }
		c := w.start()
		w.until(2*time.Minute, func() bool { return len(owners(a.status())) == 3 })
		for name, p := range of(c.status()) {
			if p.Instance == "" {
				t.Errorf("%s is %s, and nobody has it", name, p.State)
			}
		}
		said := map[string]string{}
		w.mu.Lock()
		delete(w.hosts, b.addr)
		w.mu.Unlock()
		for name, p := range of(a.status()) {
			if p.Instance == a.addr {
				continue
			}
			r := a.get("/portals/" + name + "/status")
			want := p.Instance + " has " + name + ", and does not answer: dial tcp " + b.addr
			if p.Instance != b.addr {
				want = "the instance on " + p.Instance + " has " + name + ", and it answers nowhere"
			}
			if said[p.Instance] = r.Body.String(); r.Code != http.StatusBadGateway || !strings.Contains(said[p.Instance], want) {
				t.Errorf("%d %q, want %s", r.Code, said[p.Instance], want)
			}
		}
		if len(said) != 2 {
			t.Errorf("%v", said)
		}
		w.mu.Lock()
		w.hosts[b.addr] = b
		w.mu.Unlock()
		a.cut()
		time.Sleep(2 * time.Minute)
		if r := a.get("/portals/" + names(0, 1)[0] + "/"); r.Code != http.StatusServiceUnavailable || !strings.Contains(r.Body.String(), "not in the group of the fleet's instances, and does not know who has") {
			t.Errorf("without Kafka: %d %s", r.Code, r.Body)
		}
		a.mend()
		for _, i := range []*instance{a, b, c} {
			i.stop()
		}
	})
}

// TestFleet_MorePartitions: an operator adds partitions to the fleet's topic while it
// runs. Each portal still runs once.
func TestFleet_MorePartitions(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.parts = 2
		all := names(0, 8)
		w.add(3, all...)
		a, b := w.start(), w.start()
		w.until(2*time.Minute, a.stream)
		adm := kadm.NewClient(w.kafka.Client())
		if _, err := adm.UpdatePartitions(w.Context(), 7, prefix+".fleet"); err != nil {
			t.Fatal(err)
		}
		// Portals of new partitions run nowhere until the group has shared these out.
		w.until(time.Minute, func() bool { return a.status().Partitions == 7 && b.status().Partitions == 7 && a.stream() })
		time.Sleep(10 * time.Minute)
		if !a.stream() || !b.stream() {
			t.Errorf("%v %v", a.status().Counts(), b.status().Counts())
		}
		a.stop()
		b.stop()
		w.check(all...)
	})
}

// TestFleet_ABrokerKnowsLateOfMorePartitions: the instance that asks it runs nothing that
// others run too, once it knows better.
func TestFleet_ABrokerKnowsLateOfMorePartitions(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.parts = 2
		all := names(0, 8)
		w.add(3, all...)
		a, b := w.start(), w.start()
		w.until(2*time.Minute, func() bool { return a.stream() && b.stream() })
		ask := kmsg.NewPtrMetadataRequest()
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(prefix + ".fleet")
		ask.Topics = append(ask.Topics, topic)
		old, err := ask.RequestWith(w.Context(), w.kafka.Client())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.kafka.Admin().UpdatePartitions(w.Context(), 7, prefix+".fleet"); err != nil {
			t.Fatal(err)
		}
		var late atomic.Bool
		w.kafka.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
			m := r.(*kmsg.MetadataRequest)
			if len(m.Topics) != 1 || m.Topics[0].Topic == nil || *m.Topics[0].Topic != prefix+".fleet" || late.Swap(true) {
				w.kafka.KeepControl()
				return nil, nil, false
			}
			answer := *old
			answer.Version = r.GetVersion()
			return &answer, nil, true
		})
		w.until(15*time.Minute, func() bool { return a.status().Partitions == 7 && b.status().Partitions == 7 && a.stream() })
		time.Sleep(15 * time.Minute) // in which the clients hear of the new partitions
		before := of(a.status())
		time.Sleep(10 * time.Minute)
		for name, p := range of(a.status()) {
			if !p.Since.Equal(before[name].Since) {
				t.Errorf("%s began again at %v", name, p.Since)
			}
		}
		if !late.Load() {
			t.Error("nobody has asked")
		}
		a.stop()
		b.stop()
		w.check(all...)
	})
}

// TestFleet_AnInstanceWithoutTheFiles: the others say which portals nobody runs because
// of it.
func TestFleet_AnInstanceWithoutTheFiles(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		all := names(0, 8)
		w.add(3, all...)
		a := w.start()
		w.until(2*time.Minute, a.stream)
		b := w.startAt("10.0.0.9:8080", func() ([]fleet.File, error) { return nil, nil })
		time.Sleep(3 * time.Minute)
		s := a.status()
		unowned := 0
		for _, p := range s.Portals {
			switch p.State {
			case fleet.StateStreaming:
			case fleet.StateUnowned:
				unowned++
				if want := b.addr + " should run it, and does not see its file " + p.Name + ".env"; len(p.Problems) != 1 || p.Problems[0].Problem != want {
					t.Errorf("%+v, want %s", p.Problems, want)
				}
			default:
				t.Errorf("%+v", p)
			}
		}
		if unowned == 0 || s.Wrong() != unowned {
			t.Errorf("%d unowned, %d wrong", unowned, s.Wrong())
		}
		// The one instance is well, and the other too. The metric tells.
		metric := func(n int) bool {
			return strings.Contains(a.get("/metrics").Body.String(), fmt.Sprintf("\nhubspot_cdc_fleet_unowned_portals %d\n", n))
		}
		if !metric(unowned) || !w.log.Has("some portals have no instance") {
			t.Error("neither metric nor log say how many portals no instance has")
		}
		w.mu.Lock()
		delete(w.hosts, b.addr) // it does not answer: nobody knows more than before
		w.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if n := a.status().Counts(); !metric(unowned) || n[fleet.StateUnknown] != unowned || w.log.Has("every portal has an instance again") {
			t.Errorf("%v, and it says that every portal has an instance", n)
		}
		b.stop()
		w.until(time.Minute, a.stream)
		time.Sleep(time.Minute)
		if !metric(0) || !w.log.Has("every portal has an instance again") {
			t.Error("the metric stays")
		}
		a.stop()
		w.check(all...)
	})
}

// TestFleet_WhoHasAPortalIsUnknownWhileKafkaDoesNotTell: that is not to say that nobody
// has it, which would have an operator look at the folders.
func TestFleet_WhoHasAPortalIsUnknownWhileKafkaDoesNotTell(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.add(1, names(0, 6)...)
		a, b := w.start(), w.start()
		w.until(2*time.Minute, func() bool { return a.stream() && len(owners(a.status())) == 2 })
		a.group.Cut()
		s := a.status()
		if n := s.Counts(); n[fleet.StateUnknown] == 0 || n[fleet.StateUnowned] > 0 || len(s.Problems) == 0 {
			t.Errorf("%v, %+v", n, s.Problems)
		}
		time.Sleep(90 * time.Second)
		if !strings.Contains(a.get("/metrics").Body.String(), "\nhubspot_cdc_fleet_unowned_portals 0\n") || w.log.Has("some portals have no instance") {
			t.Error("it says that portals have no instance")
		}
		a.group.Mend()
		w.until(3*time.Minute, a.stream)
		a.stop()
		b.stop()
	})
}

// TestFleet_SignalsWhilePortalsMove: each is obeyed once.
func TestFleet_SignalsWhilePortalsMove(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		rng := rand.New(rand.NewPCG(3, 0))
		const contacts = 5
		all := names(0, 6)
		w.add(contacts, all...)
		running := []*instance{w.start(), w.start()}
		w.until(2*time.Minute, running[0].stream)
		sent := map[string]int{}
		send := func() {
			for range 40 {
				name := all[rng.IntN(len(all))]
				value := fmt.Sprintf(`{"id":"%d","type":"execute-snapshot","data":{"data-collections":["contacts"]}}`, sent[name])
				if _, err := sink.SendSignal(w.Context(), w.kafka.Options(), prefix+"."+name, []byte(value)); err != nil {
					t.Fatal(err)
				}
				sent[name]++
				time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
			}
		}
		for round := range shorter(6, 2) {
			i := round % 2
			if rng.IntN(2) == 0 {
				running[i].kill()
			} else {
				running[i].stop()
			}
			send()
			running[i] = w.start()
			send()
		}
		w.until(5*time.Minute, running[0].stream)
		time.Sleep(5 * time.Minute)
		for _, i := range running {
			i.stop()
		}
		for _, name := range all {
			if n, want := len(w.records(prefix+"."+name+".contacts")), contacts*(1+sent[name]); n != want {
				t.Errorf("%s: %d events after %d snapshots, want %d", name, n, sent[name], want)
			}
		}
	})
}

// TestHolder_IsWhoeverHasThePortal: while its file is there, and nobody afterwards.
func TestHolder_IsWhoeverHasThePortal(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.add(1, "acme", "globex")
		holder := func(prefix string) string {
			at, err := fleet.Holder(w.Context(), w.kafka.Options(), prefix, network{w})
			if err != nil {
				t.Error(err)
			}
			return at
		}
		if at := holder(prefix + ".acme"); at != "" {
			t.Errorf("before the fleet: %s", at)
		}
		a, b := w.start(), w.start()
		w.until(2*time.Minute, func() bool { return a.stream() && b.stream() })
		for name, p := range of(a.status()) {
			if at := holder(prefix + "." + name); at != p.Instance {
				t.Errorf("%s: %s, want %s", name, at, p.Instance)
			}
		}
		for _, other := range []string{prefix, "hubspot", prefix + ".nobody", "other.acme"} {
			if at := holder(other); at != "" {
				t.Errorf("%s: %s", other, at)
			}
		}
		w.remove("acme")
		time.Sleep(30 * time.Second)
		if at := holder(prefix + ".acme"); at != "" {
			t.Errorf("without its file: %s", at)
		}
		a.stop()
		b.stop()
		if at := holder(prefix + ".globex"); at != "" {
			t.Errorf("after the fleet: %s", at)
		}
	})
}

// deafTo carries the requests to all instances but one, which does not answer.
type deafTo struct {
	network
	host string
}

func (d deafTo) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != d.host {
		return d.network.RoundTrip(r)
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// TestHolder_IsNotWhoeverDoesNotAnswer where another instance says that it has the portal.
func TestHolder_IsNotWhoeverDoesNotAnswer(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.add(1, names(0, 6)...)
		a, b, c := w.start(), w.start(), w.start()
		w.until(2*time.Minute, func() bool { return a.stream() && len(owners(a.status())) == 3 })
		for _, silent := range []*instance{a, b, c} {
			for name, p := range of(a.status()) {
				ctx, cancel := context.WithTimeout(w.Context(), 5*time.Second)
				if at, err := fleet.Holder(ctx, w.kafka.Options(), prefix+"."+name, deafTo{network{w}, silent.addr}); err != nil || at != p.Instance {
					t.Errorf("%s: %s %v, want %s; %s does not answer", name, at, err, p.Instance, silent.addr)
				}
				cancel()
			}
		}
		for _, i := range []*instance{a, b, c} {
			i.stop()
		}
	})
}

// TestFleet_Metrics have the portal's name, whether they are sums or all there is.
func TestFleet_Metrics(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.add(7, "acme", "globex")
		a := w.start()
		w.until(2*time.Minute, a.stream)
		time.Sleep(time.Minute)
		text := a.get("/metrics").Body.String()
		for _, want := range []string{
			`hubspot_cdc_events_total{op="r",portal_name="acme"} 7`, `hubspot_cdc_events_total{op="d",portal_name="acme"} 0`, `hubspot_cdc_ready{portal_name="globex"} 1`, `hubspot_cdc_problems{area="kafka",portal_name="acme"} 0`,
			`hubspot_cdc_fleet_portals{state="streaming"} 2`, `hubspot_cdc_fleet_portals{state="failing"} 0`, "hubspot_cdc_fleet_in_group 1", "hubspot_cdc_fleet_portals_without_metrics 0",
		} {
			if !strings.Contains(text, want+"\n") {
				t.Errorf("no %s in\n%s", want, text)
			}
		}
		if n := strings.Count(text, `portal_name="acme"`); n > 40 {
			t.Errorf("a portal has %d series", n)
		}
		a.stop()
	})
}

// Where only sums are shown, nothing keeps the zeros of single objects; where all is
// shown, an alert needs them.
func TestFleet_ZerosOfSingleObjects(t *testing.T) {
	t.Parallel()
	for what, want := range map[string]bool{fleet.MetricsPortal: false, fleet.MetricsFull: true} {
		inWorld(t, func(w *world) {
			w.metrics = what
			w.add(7, "acme")
			a := w.start()
			w.until(2*time.Minute, a.stream)
			text := a.get("/portals/acme/metrics").Body.String()
			for _, series := range []string{
				`hubspot_cdc_rereads_total{cause="generation",object="contacts"}`, `hubspot_cdc_found_first_total{finder="census",object="contacts"}`,
				`hubspot_cdc_journal_missed_total{object="contacts"}`, `hubspot_cdc_omitted_values_total{object="owners"}`, `hubspot_cdc_polling_missed_total{object="contacts"}`,
			} {
				if strings.Contains(text, series+" 0\n") != want {
					t.Errorf("%s: that %s is there is not %v in\n%s", what, series, want, text)
				}
			}
			a.stop()
		})
	}
}

// TestFleet_MetricsEachTime: Prometheus asks again and again, and two may ask at once.
func TestFleet_MetricsEachTime(t *testing.T) {
	t.Parallel()
	for _, what := range []string{fleet.MetricsPortal, fleet.MetricsFull} {
		inWorld(t, func(w *world) {
			w.metrics = what
			w.add(7, "acme", "globex")
			a := w.start()
			w.until(2*time.Minute, a.stream)
			time.Sleep(time.Minute)
			var asked sync.WaitGroup
			for range 4 {
				asked.Go(func() {
					for range 3 {
						r := a.get("/metrics")
						text := r.Body.String()
						if r.Code != http.StatusOK || !strings.Contains(text, `portal_name="globex"} 1`+"\n") {
							t.Errorf("%s: it answers %d: %.300s", what, r.Code, text)
						}
						series := map[string]bool{}
						for line := range strings.Lines(text) {
							name, _, _ := strings.Cut(line, "} ")
							if strings.Contains(name, "portal_name=") && series[name] {
								t.Errorf("%s: %s is there twice", what, name)
							}
							series[name] = true
						}
					}
				})
			}
			asked.Wait()
			a.stop()
		})
	}
}

// TestFleet_ItsPageIsWellFormed, and escapes what it shows.
func TestFleet_ItsPageIsWellFormed(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.add(3, "acme")
		w.write("wrong", "<script>=1")
		a := w.start()
		w.until(2*time.Minute, func() bool { return of(a.status())["acme"].State == fleet.StateStreaming })
		body := a.get("/").Body.String()
		d := xml.NewDecoder(strings.NewReader(body))
		d.Entity = xml.HTMLEntity
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []string{"1 portal has a problem", "wrong.env:1: &lt;script&gt;: there is no such variable", `<a href="portals/acme/">acme</a>`, "1 streaming, 1 stopped", a.addr} {
			if !strings.Contains(body, want) {
				t.Errorf("the page does not say %q:\n%s", want, body)
			}
		}
		var text strings.Builder
		s := a.status()
		if err := s.Text(&text); err != nil || !strings.Contains(text.String(), "! wrong: wrong.env:1: <script>: there is no such variable") {
			t.Errorf("%v\n%s", err, text.String())
		}
		a.stop()
	})
}
