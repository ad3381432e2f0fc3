package cdcmodel

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// scenario is a small world that exhaustive search plays in every way: two records,
// the changes of each, and two finders, each for one pass.
type scenario struct {
	finders [2]string
	// Each list of changes is made in its order, and those of two lists in every
	// order.
	changes [2][]planned
	page    int // rows on a page
	// crash: the process may be killed once, between any two steps, or in a
	// transaction that stands nevertheless.
	crash bool
	// tick: three seconds may pass once, between any two steps.
	tick bool
	// old: the records are so old that their versions can no longer change (R4).
	old bool
	// passed: the leading tier has passed the time of a change of record 2 that the
	// index shows only now.
	passed bool
	// faulty: reads of links leave records out, at any time.
	faulty bool
	// disorder is how many pages of a search are out of order, at any time.
	disorder int
	// links exist from the beginning, and are read one at a time; nil for a world
	// without any.
	links []linkID
}

// planned is a change in HubSpot.
type planned struct {
	name string
	make func(w *world)
}

func (s scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s and %s", s.finders[0], s.finders[1])
	for i, list := range s.changes {
		for j, c := range list {
			switch {
			case j > 0:
				b.WriteString(", ")
			case i > 0:
				b.WriteString(" | ")
			default:
				b.WriteString(": ")
			}
			b.WriteString(c.name)
		}
	}
	if s.page == 1 {
		b.WriteString("; pages of one")
	}
	if s.old {
		b.WriteString("; old records")
	}
	if s.passed {
		b.WriteString("; record 2 has changed before, late")
	}
	if s.faulty {
		b.WriteString("; faults")
	}
	if s.disorder > 0 {
		fmt.Fprintf(&b, "; %d pages out of order", s.disorder)
	}
	if s.links != nil {
		fmt.Fprintf(&b, "; links %v", s.links)
	}
	if s.tick {
		b.WriteString("; time passes")
	}
	if s.crash {
		b.WriteString("; a crash")
	}
	return b.String()
}

// way is one way through a scenario.
type way struct {
	*world
	s       scenario
	agents  [2]*agent
	made    [2]int // changes of each list
	crashes int    // that may still come
	ticks   int
	changed bool // the last step was a change
	void    bool // the last step amounts to the same as another one
}

// move is a step that may come next.
type move struct {
	what moveKind
	who  int // the finder, or the list of changes
}

type moveKind uint8

const (
	goOn moveKind = iota
	sendAgain
	goOnAndLose // the process is killed in a commit, which stands
	makeChange
	passTime
	die
)

// start brings the world to the moment at which the two finders begin.
func (s scenario) start(w *world, o *odometer) *way {
	w.linked, w.everyWay = s.links != nil, true
	w.begin(&choices{})
	w.losersUnknown, w.binFollows = false, false
	w.page, w.losersInBin, w.faulty, w.behind, w.ending = s.page, false, s.faulty, false, finished
	w.disorder, w.binInLive, w.unsorted = s.disorder, false, false
	w.create(1)
	w.create(2)
	if s.old {
		w.now = w.now.Add(5 * time.Second)
	}
	if w.linked {
		w.shown = 1
		for _, k := range s.links {
			w.ties[k.index()].made = true
		}
		w.relink()
	}
	w.finders = nil
	w.start()
	if s.finders[0] != backfill {
		w.process.run(backfill)
		w.passes(backfill, 1)
		w.agent(backfill).stop()
		w.process.agents = nil
	}
	if s.passed {
		plan(2, update, true).make(w)
		w.now = w.now.Add(5 * time.Second)
		w.process.run(leadingStream)
		w.passes(leadingStream, 1)
		w.agent(leadingStream).stop()
		w.process.agents = nil
		w.now = w.now.Add(10 * time.Second)
	}
	v := &way{s: s, world: w}
	if s.crash {
		v.crashes = 1
	}
	if s.tick {
		v.ticks = 1
	}
	v.run()
	w.choices.all = o
	return v
}

// run starts the finders that have not ended their pass.
func (v *way) run() {
	for i, name := range v.s.finders {
		if v.agents[i] == nil || v.agents[i].passes == 0 {
			v.process.run(name)
			v.agents[i] = v.process.agents[len(v.process.agents)-1]
		}
	}
}

// moves are all the steps that may come next. There are none when both finders have
// ended their pass and all changes are made.
//
// Only what is served after a change sees it, and the change sees only the time. So
// it is enough to make a change right before an answer is served or the time
// passes, or after everything else: ways that differ in nothing else are
// equivalent.
func (v *way) moves(out []move) []move {
	busy, seen := false, v.ticks > 0
	for i, a := range v.agents {
		if a.passes > 0 {
			continue
		}
		busy = true
		sees := a.at.what == toServe || a.at.what == toWake
		if seen = seen || sees; v.changed && !sees {
			continue
		}
		out = append(out, move{goOn, i})
		if a.at.what == toServe && !v.changed && !a.sentNow() {
			out = append(out, move{sendAgain, i})
		}
		if v.crashes > 0 && (a.at.what == toReceive || a.at.what == toBegin) {
			out = append(out, move{goOnAndLose, i})
		}
	}
	for i := range v.s.changes {
		if v.made[i] < len(v.s.changes[i]) && (seen || !busy) {
			out = append(out, move{makeChange, i})
		}
	}
	if busy && v.ticks > 0 {
		out = append(out, move{what: passTime})
	}
	if busy && v.crashes > 0 && !v.changed {
		out = append(out, move{what: die})
	}
	return out
}

func (v *way) make(m move) {
	v.changed = m.what == makeChange
	switch m.what {
	case makeChange:
		v.s.changes[m.who][v.made[m.who]].make(v.world)
		v.made[m.who]++
	case passTime:
		v.ticks--
		v.now = v.now.Add(3 * time.Second)
		v.tell("three seconds pass")
	case die:
		v.crashes--
		v.kill()
		v.run()
	case goOnAndLose:
		p := v.process
		v.crashes--
		v.crash = afterCommit
		v.step(v.agents[m.who])
		if v.process == p {
			v.crash, v.void = noCrash, true // there was no commit
			return
		}
		v.run()
	case sendAgain:
		v.resend(v.agents[m.who])
	default:
		v.step(v.agents[m.who])
	}
	for _, a := range v.agents {
		if a.at.what == toSend {
			v.step(a)
		}
	}
}

// graph is what is known about a scenario's states.
type graph struct {
	odometer
	known map[key]count // nil: the search follows every way to its end
	path  []node
	total count
}

// count is how many ways lead from a state to an end, and the sum of the keys of
// those ends, which tells whether they are the same ends.
type count struct {
	ways float64
	sum  uint64
}

func (c *count) add(d count) { c.ways, c.sum = c.ways+d.ways, c.sum+d.sum }

type node struct {
	key
	depth int // choices taken before it
	count
}

// found adds to the last state of the path.
func (g *graph) found(c count) {
	if n := len(g.path); n > 0 {
		g.path[n-1].add(c)
	} else {
		g.total.add(c)
	}
}

// leave takes off the path the states from which no way is left to follow.
func (g *graph) leave(depth int) {
	for n := len(g.path) - 1; n >= 0 && g.path[n].depth >= depth; n-- {
		last := g.path[n]
		g.known[last.key] = last.count
		g.path = g.path[:n]
		g.found(last.count)
	}
}

// play follows one way, as the odometer shows it, to its end, or to a state from
// which every way was followed.
func (s scenario) play(w *world, g *graph) (broken string) {
	v := s.start(w, &g.odometer)
	defer w.end()
	var moves []move
	var k key
	for {
		moves = v.moves(moves[:0])
		if g.at == len(g.taken) && g.known != nil || len(moves) == 0 {
			k, broken = w.key(v.made, v.crashes, v.ticks, v.changed, v.agents[0].passes, v.agents[1].passes)
			if broken != "" {
				return broken
			}
		}
		if g.at == len(g.taken) && g.known != nil {
			if c, known := g.known[k]; known {
				g.found(c)
				return ""
			}
			g.known[k] = count{}
			g.path = append(g.path, node{key: k, depth: len(g.taken)})
		}
		if len(moves) == 0 {
			break
		}
		if v.make(moves[g.of(len(moves))]); v.void {
			return ""
		}
	}
	w.choices.all = nil
	if broken = w.quiet(); broken == "" {
		g.found(count{1, k[0]})
	}
	return broken
}

// result is what the search of a scenario found.
type result struct {
	count
	states int
	plays  int
	broken string
	path   odometer
}

// every plays a scenario in every way, until one breaks a promise. It stops at a
// state that it knows, unless toTheEnd is set.
func (s scenario) every(w *world, toTheEnd bool) (r result) {
	var g graph
	if !toTheEnd {
		g.known = map[key]count{}
	}
	for {
		r.plays++
		if r.broken = s.play(w, &g); r.broken != "" {
			r.path = g.odometer
			return r
		}
		if !g.advance() {
			break
		}
		g.leave(len(g.taken))
	}
	g.leave(0)
	r.count, r.states = g.total, len(g.known)
	return r
}

// everyOf plays all of them, side by side, until one breaks a promise. It passes
// each result to tell and returns their sum.
func everyOf(all []scenario, off without, tell func(s scenario, r result)) (sum result, broken *scenario) {
	left := make(chan scenario, len(all))
	for _, s := range all {
		left <- s
	}
	close(left)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			w := newWorld()
			w.without = off
			for s := range left {
				mu.Lock()
				over := broken != nil
				mu.Unlock()
				if over {
					return
				}
				r := s.every(w, false)
				mu.Lock()
				tell(s, r)
				sum.ways, sum.states, sum.plays = sum.ways+r.ways, sum.states+r.states, sum.plays+r.plays
				if r.broken != "" && broken == nil {
					broken, sum.broken, sum.path = &s, r.broken, r.path
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return sum, broken
}

// story plays again the way that an odometer shows, and writes down what happens.
func (s scenario) story(off without, o odometer) string {
	w := newWorld()
	w.without, w.told = off, true
	o.at = 0
	broken := s.play(w, &graph{odometer: o})
	return fmt.Sprintf("%s\n%s\nBROKEN: %s", s, strings.Join(w.log, "\n"), broken)
}

// with lets one block decide what is left to chance.
func (p *portal) with(b block, do func()) {
	c := p.choices
	p.choices = &choices{blocks: []block{b}, step: 1}
	do()
	p.choices = c
}

// plan is a change on a server whose clock is right.
func plan(id hubspot.ID, what change, late bool) planned {
	names := [...]string{update: "update", calculate: "calculated", archive: "archive", purge: "purge", mergeKept: "merge", mergeNew: "merge (new id)"}
	lag := uint8(0)
	name := fmt.Sprintf("%s %s", names[what], id)
	if late {
		lag = 4 // the trailing tier's lag
		name += " (late)"
	}
	b := block{0, lag} // skew and lag; a change that moves no time has no skew
	if what == archive || what == purge || what == calculate {
		b[0] = lag
	}
	return planned{name, func(w *world) {
		w.with(b, func() { w.do(id, what) })
	}}
}

// pass lets time pass.
func pass(d time.Duration) planned {
	return planned{d.String() + " pass", func(w *world) { w.now = w.now.Add(d) }}
}

// blink makes HubSpot leave a record out of reads by id, for a while.
func blink(id hubspot.ID) planned {
	return planned{"blink " + id.String(), func(w *world) {
		w.records[id].blinks = w.now.Add(patience - 2*time.Second)
		w.tell("HubSpot: record %s cannot be read until %s", id, clock(w.records[id].blinks))
	}}
}

// behind updates a record on a server whose clock is two seconds behind.
func behind(id hubspot.ID) planned {
	return planned{"update " + id.String() + " (clock behind)", func(w *world) {
		w.with(block{uint8(len(skews) - 1)}, func() { w.do(id, update) })
	}}
}

// scenarios are pairs of finders, and the changes of two records with up to three
// versions each. Those with few states come first.
func scenarios(large bool) []scenario {
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
	var small, big, largest []scenario
	for _, finders := range [][2]string{
		{leadingStream, trailingStream},
		{leadingStream, reconcile},
		{backfill, leadingStream},
		{leadingStream, archiveStream},
		{reconcile, archiveStream},
		{leadingStream, censusStream},
	} {
		small = append(small,
			scenario{finders: finders, page: 2, changes: [2][]planned{{blink(1)}, {plan(2, update, false)}}},
			scenario{finders: finders, page: 2, changes: [2][]planned{{behind(1)}}},
			scenario{finders: finders, page: 2, changes: [2][]planned{{plan(1, mergeKept, false)}}},
			scenario{finders: finders, page: 2, old: true, tick: true, changes: [2][]planned{{plan(1, update, true)}, {plan(2, update, false)}}},
		)
		if finders[1] == trailingStream {
			small = append(small, scenario{finders: finders, page: 1, old: true, passed: true, crash: true, changes: [2][]planned{{plan(1, update, false)}}})
			small = append(small, scenario{finders: finders, page: 2, disorder: 2, changes: [2][]planned{{plan(1, update, false), pass(15 * time.Second)}}})
		}
		for i, f := range first {
			second := [2]change{update, calculate}
			if i%2 == 1 {
				second = [2]change{calculate, update}
			}
			late := i%3 == 2
			big = append(big, scenario{finders: finders, page: 2, changes: [2][]planned{
				{plan(1, f[0], late), plan(1, f[1], false)}, {plan(2, second[0], false), plan(2, second[1], late)},
			}})
			if i >= 4 || i == 1 || finders[1] == censusStream {
				continue
			}
			once := [2][]planned{{plan(1, f[0], late)}}
			twice := [2][]planned{{plan(1, f[0], late), plan(1, f[1], false)}}
			small = append(small,
				scenario{finders: finders, page: 2, crash: true, changes: once},
				scenario{finders: finders, page: 1, crash: true, changes: once},
				scenario{finders: finders, page: 2, tick: true, changes: once},
			)
			largest = append(largest,
				scenario{finders: finders, page: 2, tick: true, crash: true, changes: once},
				scenario{finders: finders, page: 1, tick: true, crash: true, changes: once},
				scenario{finders: finders, page: 2, tick: true, crash: true, changes: twice},
				scenario{finders: finders, page: 1, tick: true, changes: twice},
			)
		}
	}
	if large {
		return slices.Concat(small, big, largest)
	}
	return slices.Concat(small, big)
}

// exhaustive skips a test with -short, which is for the race detector: the search
// takes six times as long with it, and is one goroutine.
func exhaustive(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("too long for -short")
	}
}

// TestSearch_NoWayOfASmallWorldBreaksAPromise (docs/contract.md section 2): two
// records, three versions of each and two finders, and two records, a few links and
// their finders, in every way.
func TestSearch_NoWayOfASmallWorldBreaksAPromise(t *testing.T) {
	exhaustive(t)
	for _, c := range []struct {
		name string
		all  []scenario
	}{
		{"records", scenarios(*large)},
		{"links", linkScenarios(*large)},
	} {
		t.Run(c.name, func(t *testing.T) {
			began, played := time.Now(), 0
			sum, broken := everyOf(c.all, without{}, func(s scenario, r result) {
				played++
				t.Logf("%7d states, %8.3g ways, %7d plays: %s", r.states, r.ways, r.plays, s)
			})
			if broken != nil {
				t.Fatal(broken.story(without{}, sum.path))
			}
			if played != len(c.all) {
				t.Errorf("%d of %d scenarios were played", played, len(c.all))
			}
			t.Logf("%d scenarios, each in every way: %d states, %.3g ways, in %d plays and %v",
				played, sum.states, sum.ways, sum.plays, time.Since(began).Round(time.Millisecond))
		})
	}
}

// TestSearch_AKnownStateHidesNoWay checks what the key of a state claims
// (key_test.go): following all ways to their ends finds as many ways, and the same
// ends, as continuing from each state once.
func TestSearch_AKnownStateHidesNoWay(t *testing.T) {
	exhaustive(t)
	most, compared := 2_000.0, 0
	if *large {
		most *= 20
	}
	w := newWorld()
	for _, s := range slices.Concat(scenarios(false), linkScenarios(false)) {
		few := s.finders[1] == archiveStream && s.finders[0] != leadingStream || s.finders[1] == changedStream && !s.crash
		if len(s.changes[0])+len(s.changes[1]) > 2 || !few && !*large {
			continue
		}
		short := s.every(w, false)
		if short.ways > most {
			continue
		}
		long := s.every(w, true)
		if compared++; short.count != long.count || short.broken != long.broken {
			t.Errorf("%s: %v to the ends, %v by states", s, long.count, short.count)
		}
		t.Logf("%6.0f ways are %6d states: %s", short.ways, short.states, s)
	}
	if compared < 8 {
		t.Errorf("only %d scenarios have no more than %.0f ways", compared, most)
	}
	for name := range leftOut {
		if _, met := leftOutMet.Load(name); !met {
			t.Errorf("the key should leave out %s, but there is no such field", name)
		}
	}
}

// TestSearch_TheSmallWorldNeedsTheRulesToo: the small world is rich enough to show
// what most of the rules are for. The others need three finders, an index that
// flaps, or more time (TestSearch_EveryRuleIsNeeded).
func TestSearch_TheSmallWorldNeedsTheRulesToo(t *testing.T) {
	exhaustive(t)
	for _, c := range []struct {
		rule  string
		off   without
		links bool
	}{
		{rule: "R1: a reading is as old as its answer", off: without{readingOrder: true}},
		{rule: "R2: the order of a page does not matter", off: without{order: true}},
		{rule: "R3: the trailing tier does not look back", off: without{lag: true}},
		{rule: "R3: our clock moves the window", off: without{ownClock: true}},
		{rule: "R3: a row's time moves the window", off: without{rowTime: true}},
		{rule: "R3: a page of a joint walk moves the tiers that it carries", off: without{jointEarly: true}},
		{rule: "R3: a joint walk moves the tiers that it carries without their lag", off: without{jointLag: true}},
		{rule: "R4: every reading is settled", off: without{settled: true}},
		{rule: "R5: the tiers start after the backfill", off: without{first: true}},
		{rule: "R5: the tiers' first start has no overlap", off: without{overlap: true}},
		{rule: "R7: nothing is confirmed", off: without{confirm: true}},
		{rule: "R7: the recycle bin is not asked", off: without{bin: true}},
		{rule: "R9: no second confirm", off: without{second: true}},
		{rule: "R1: a set of links is as old as its answer", off: without{linkOrder: true}, links: true},
		{rule: "R14: a set of several calls deletes at once", off: without{secondSet: true, witness: true, whole: true}, links: true},
		{rule: "R14: a sweep asks about live records only", off: without{union: true}, links: true},
		{rule: "R8: a record that is not found has no links", off: without{deletedBefore: true, witness: true, whole: true}, links: true},
		{rule: "R19: one set that lacks a link deletes it", off: without{witness: true}, links: true},
	} {
		t.Run(c.rule, func(t *testing.T) {
			all := scenarios(false)
			if c.links {
				all = linkScenarios(false)
			}
			sum, broken := everyOf(all, c.off, func(scenario, result) {})
			if broken == nil {
				t.Fatalf("none of %.3g ways without the rule breaks a promise", sum.ways)
			}
			t.Logf("after %d plays: %s: %s", sum.plays, broken, sum.broken)
			if testing.Verbose() {
				t.Log(broken.story(c.off, sum.path))
			}
		})
	}
}
