package cdcmodel

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// scenario is a small world that is played in every way there is: two records,
// whose changes are given in their order, and two finders, each for one pass.
//
// The two finders' steps come in every order, and the changes at every place
// between them. Of ways that differ only in the order of two neighbouring steps
// that do not see each other, one is played: a change matters only to what is
// served after it, so that changes are made right before a request is served,
// as many as may be; what is served depends on nothing else, and a request is
// sent without a look at anything but what was published.
type scenario struct {
	finders [2]string
	changes []planned
	// crash: the process may be killed once, between any two steps.
	crash bool
}

// planned is a change that will be made to a record.
type planned struct {
	id   uint8
	what change
	// late: the index does not show it before all is quiet.
	late bool
}

func (s scenario) String() string {
	names := [...]string{update: "update", calculate: "calculated", archive: "archive", purge: "purge", mergeKept: "merge", mergeNew: "merge anew"}
	var b strings.Builder
	fmt.Fprintf(&b, "%s and %s:", s.finders[0], s.finders[1])
	for _, c := range s.changes {
		fmt.Fprintf(&b, " %s %d", names[c.what], c.id)
		if c.late {
			b.WriteString(" (late)")
		}
		b.WriteString(",")
	}
	if s.crash {
		b.WriteString(" with a crash")
	}
	return strings.TrimSuffix(b.String(), ",")
}

// play plays the scenario in the way that the odometer shows; whole is false
// for one that need not be played to its end.
func (s scenario) play(w *world, o *odometer) (broken string, whole bool) {
	w.linked = false
	w.begin(&choices{})
	w.page, w.losersInBin, w.faulty, w.behind, w.ending = 2, false, false, false, finished
	w.create(1)
	w.create(2)
	w.finders = nil
	w.start()
	defer w.end()
	if s.finders[0] != backfill {
		w.process.run(backfill)
		w.passes(backfill, 1)
		w.agent(backfill).stop()
		w.process.agents = nil
	}
	finders := make([]*agent, 2)
	run := func() {
		for i, name := range s.finders {
			if finders[i] == nil || finders[i].passes == 0 {
				w.process.run(name)
				finders[i] = w.process.agents[len(w.process.agents)-1]
			}
		}
	}
	run()
	changes, crashes := s.changes, 0
	if s.crash {
		crashes = 1
	}
	before := step{agent: -1}
	for finders[0].passes == 0 || finders[1].passes == 0 {
		var may []step
		for i, a := range finders {
			for made := 0; a.passes == 0 && made <= len(changes); made++ {
				next := step{i, a.at.what, made, true}
				if next.what != toServe && made > 0 {
					break
				}
				if before.agent <= i || !before.independent(next) {
					may = append(may, next)
				}
			}
		}
		if len(may)+crashes == 0 {
			return "", false // played in another order
		}
		pick := o.of(len(may) + crashes)
		if pick == len(may) {
			crashes = 0
			before = step{agent: -1}
			w.finders = nil
			w.kill()
			run()
			continue
		}
		before = may[pick]
		for range before.changes {
			changes[0].make(w)
			changes = changes[1:]
		}
		published := w.published
		w.step(finders[before.agent])
		before.publishes = w.published != published
	}
	for _, c := range changes {
		c.make(w)
	}
	return w.quiet(), true
}

// step is what a finder did, or may do, after some changes of HubSpot's.
type step struct {
	agent     int
	what      what
	changes   int
	publishes bool // or may do so, of one that is to come
}

// independent says that two steps of different finders come to the same in
// either order. Answers depend on HubSpot alone; what is published, on
// receiving one, is seen by what is sent or received later.
func (s step) independent(t step) bool {
	switch {
	case s.what == toServe && t.what == toServe:
		return s.changes == 0 && t.changes == 0
	case s.what == toServe || t.what == toServe:
		return true
	}
	return !(s.what == toReceive && s.publishes) && t.what != toReceive && s.what != toWake && t.what != toWake
}

// make makes the change, with a clock that is not behind.
func (c planned) make(w *world) {
	late := uint8(0)
	if c.late {
		late = 4 // the trailing tier's lag
	}
	b := block{0, late} // skew and lag; a change that moves no time has no skew
	if c.what == archive || c.what == purge || c.what == calculate {
		b[0] = late
	}
	w.choices.blocks, w.choices.step, w.choices.at = []block{b}, 1, 0
	w.do(hubspot.ID(c.id), c.what)
	w.choices.blocks, w.choices.step = nil, 0
}

// scenarios are pairs of finders and the changes of two records with three
// versions each.
func scenarios() (out []scenario) {
	first := [][2]change{
		{update, update},
		{update, calculate},
		{calculate, update},
		{archive, update},  // restored, with the modified time moved
		{archive, archive}, // restored, without
		{update, archive},
		{archive, purge},
		{update, mergeKept},
	}
	for _, finders := range [][2]string{
		{leadingStream, reconcile},
		{backfill, leadingStream},
		{leadingStream, trailingStream},
		{leadingStream, archiveStream},
		{reconcile, archiveStream},
		{leadingStream, censusStream},
	} {
		for i, f := range first {
			second := [2]change{update, calculate}
			if i%2 == 1 {
				second = [2]change{calculate, update}
			}
			late := i%3 == 2
			out = append(out, scenario{finders: finders, changes: []planned{
				{1, f[0], late}, {2, second[0], false}, {1, f[1], false}, {2, second[1], late},
			}})
			if i < 4 && i != 1 && finders[1] != censusStream {
				out = append(out, scenario{finders: finders, crash: true, changes: []planned{{1, f[0], late}}})
			}
		}
	}
	return out
}

// every plays a scenario in every way, but at most in so many, until one
// breaks a promise. It returns how many there were, and whether those were all.
func (s scenario) every(w *world, most int) (ways int, all bool, broken string, o odometer) {
	for more := true; more; more = o.advance() {
		if ways == most {
			return ways, false, "", o
		}
		broken, whole := s.play(w, &o)
		if whole {
			ways++
		}
		if broken != "" {
			return ways, false, broken, o
		}
	}
	return ways, true, "", o
}

// everyScenario plays all of them, side by side, and tells each's outcome.
func everyScenario(off without, most int, tell func(s scenario, ways int, all bool, broken string, o odometer)) {
	left := make(chan scenario)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			w := newWorld()
			w.without = off
			for s := range left {
				ways, all, broken, o := s.every(w, most)
				mu.Lock()
				tell(s, ways, all, broken, o)
				mu.Unlock()
			}
		})
	}
	for _, s := range scenarios() {
		left <- s
	}
	close(left)
	wg.Wait()
}

// story plays the way that an odometer shows once more and writes down what happens.
func (s scenario) story(off without, o odometer) string {
	w := newWorld()
	w.without, w.told = off, true
	o.at = 0
	broken, _ := s.play(w, &o)
	return fmt.Sprintf("%s\n%s\nBROKEN: %s", s, strings.Join(w.log, "\n"), broken)
}

// TestSearch_NoWayOfASmallWorldBreaksAPromise (DESIGN section 2): two records,
// three versions of each, two finders, every way up to -ways for a scenario.
func TestSearch_NoWayOfASmallWorldBreaksAPromise(t *testing.T) {
	began := time.Now()
	played, whole, total := 0, 0, 0
	everyScenario(without{}, bounded(*most), func(s scenario, ways int, all bool, broken string, o odometer) {
		if broken != "" {
			t.Error(s.story(without{}, o))
			return
		}
		played++
		total += ways
		cut := " and more"
		if all {
			whole++
			cut = ""
		}
		t.Logf("%7d ways%s: %s", ways, cut, s)
	})
	took := time.Since(began)
	t.Logf("%d scenarios, %d of them in every way: %d ways in %v, %.0f a second",
		played, whole, total, took.Round(time.Millisecond), float64(total)/took.Seconds())
}

// TestSearch_TheSmallWorldNeedsTheRulesToo: what is played in every way is rich
// enough to show what the reading order, the settled bit and the confirm are for.
func TestSearch_TheSmallWorldNeedsTheRulesToo(t *testing.T) {
	for _, c := range []struct {
		rule string
		off  without
	}{
		{"R1", without{readingOrder: true}},
		{"R4", without{settled: true}},
		{"R7", without{confirm: true}},
	} {
		scenarios, ways := 0, 0
		example := ""
		everyScenario(c.off, max(bounded(500), 50), func(s scenario, n int, _ bool, broken string, o odometer) {
			if ways += n; broken != "" {
				scenarios++
				example = s.story(c.off, o)
			}
		})
		if scenarios == 0 {
			t.Errorf("without %s no way of %d broke a promise", c.rule, ways)
		}
		t.Logf("without %s: promises are broken in %d scenarios, after %d ways in all; such as\n%s", c.rule, scenarios, ways, example)
	}
}
