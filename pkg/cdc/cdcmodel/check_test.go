package cdcmodel

import (
	"fmt"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// quiet lets HubSpot rest, waits for the streams that must find everything
// (docs/contract.md section 1), and compares what was published with the history.
func (w *world) quiet() string {
	w.choices.step = len(w.choices.blocks) + 1
	w.faulty, w.disorder, w.sick = false, 0, 0
	for id := range w.records {
		w.records[id].mute = 0
	}
	w.tell("HubSpot is quiet")
	w.now = w.settle().Add(3 * trailingLag)
	w.catchUp()
	if w.crash != noCrash || w.ending == killed {
		w.kill()
	}
	for _, a := range w.process.agents { // work under way ends
		if a.at.what != toBegin && a.at.what != toPass {
			w.passes(a.name, 1)
		}
	}
	w.all()
	w.backfilled()
	if broken := w.journalKept(); broken != "" {
		return broken
	}
	for _, name := range []string{leadingStream, trailingStream, archiveStream} {
		w.whole(name)
	}
	w.whole(stuckStream)
	if broken := w.rechecked(); broken != "" {
		return broken
	}
	if broken := w.seenByTiers(); broken != "" {
		return broken
	}
	w.tell("the tiers and the archive have seen everything that is theirs")
	w.whole(backfill)
	if w.unsorted { // an unsorted list shows no deletes
		w.passes(censusStream, 1)
	}
	if broken := w.rechecked(); broken != "" {
		return broken
	}
	if broken := w.kept(); broken != "" {
		return broken
	}
	return w.linksKept()
}

// all starts the finders that did not run.
func (w *world) all() {
	names := slices.Concat(finderSets[0], []string{stuckStream})
	if w.linked {
		names = slices.Concat(names, linkFinderSets[0])
	}
	if w.journaled {
		names = append(names, journalStream)
	}
	for _, name := range names {
		if w.agent(name) == nil {
			w.process.run(name)
		}
	}
}

func (w *world) agent(name string) *agent {
	for _, a := range w.process.agents {
		if a.name == name {
			return a
		}
	}
	return nil
}

// passes lets a finder end n passes.
func (w *world) passes(name string, n int) {
	a := w.agent(name)
	for end, tries := a.passes+n, 0; a.passes < end; tries++ {
		if w.step(a); tries > 1000 {
			panic(name + " does not end its pass")
		}
	}
}

// whole lets a finder end a pass that begins now, after the rest of one that is
// under way.
func (w *world) whole(name string) {
	p := w.process
	rest := false
	switch name {
	case leadingStream:
		rest = p.leading.window.Walking()
	case trailingStream:
		rest = p.trailing.window.Walking()
	case archiveStream:
		rest = p.bin.after != 0
	case backfill:
		rest = !p.reconcile.done
	case associationsStream:
		rest = p.pair.sweep.UnderWay()
	}
	if rest {
		w.passes(name, 1)
	}
	w.passes(name, 1)
}

func (w *world) backfilled() {
	for range 10 {
		if place(w.cursors[backfill])[1] == 1 {
			return
		}
		w.passes(backfill, 1)
	}
	panic("the backfill does not end")
}

// rechecked waits until no id must be confirmed again.
func (w *world) rechecked() (broken string) {
	for range 20 {
		if len(w.process.recheck) == 0 && w.agent(recheckStream).at.what == toPass {
			return ""
		}
		w.now = w.now.Add(patience + 2*time.Second)
		w.passes(recheckStream, 1)
	}
	return "records are confirmed again and again without end"
}

// seenByTiers checks what is promised before a reconcile (R3, R4, R5): the tiers
// find changes that move the modified time and reach the index within the longest
// lag. The archive sweep finds deletes whose record is in the recycle bin.
func (w *world) seenByTiers() string {
	for id := hubspot.ID(1); id <= lastID; id++ {
		r := &w.records[id]
		events := w.events[id]
		switch {
		case r.kind == live && !r.hidden && (len(events) == 0 || !w.shows(events[len(events)-1], id, r.state)):
			return fmt.Sprintf("the tiers missed record %s: %s", id, r.state)
		case r.kind == archived && r.into == 0 && len(events) > 0 && events[len(events)-1].op != cdc.Delete:
			return fmt.Sprintf("the archive sweep missed record %s: %s", id, r.state)
		}
	}
	return ""
}

// kept checks the promises (docs/contract.md section 1).
func (w *world) kept() string {
	for id := hubspot.ID(1); id <= lastID; id++ {
		if broken := w.keptFor(id); broken != "" {
			return fmt.Sprintf("record %s: %s", id, broken)
		}
	}
	return ""
}

// accountOf maps a record's events in order onto its history, and returns the
// earliest state that the next event may show.
func (w *world) accountOf(id hubspot.ID) (next int, broken string) {
	r := &w.records[id]
	events := w.events[id]
	for i, e := range events {
		if i > 0 && e.seq <= events[i-1].seq {
			return 0, fmt.Sprintf("%s comes after %s", e, events[i-1])
		}
		if i > 0 && !e.again && repeats(e, events[i-1]) {
			return 0, fmt.Sprintf("doubled: %s repeats %s", e, events[i-1])
		}
		if broken := wellFormed(events[:i], e); broken != "" {
			return 0, broken
		}
		at := next
		for at < len(r.history) && !w.shows(e, id, r.history[at]) {
			at++
		}
		if at == len(r.history) {
			for _, s := range r.history[:next] {
				if w.shows(e, id, s) {
					return 0, fmt.Sprintf("out of order: %s", e)
				}
			}
			return 0, fmt.Sprintf("shows a state that never existed: %s", e)
		}
		next = at
	}
	return next, ""
}

func (w *world) keptFor(id hubspot.ID) string {
	if _, broken := w.accountOf(id); broken != "" {
		return broken
	}
	r := &w.records[id]
	events := w.events[id]
	switch {
	case r.kind == live && len(events) == 0:
		return "lost: never published"
	case r.kind == live && !w.shows(events[len(events)-1], id, r.state):
		return fmt.Sprintf("lost: HubSpot has %s, but the last event is %s", r.state, events[len(events)-1])
	case r.kind != live && len(events) > 0 && events[len(events)-1].op != cdc.Delete:
		return fmt.Sprintf("lost: HubSpot has %s, but the last event is %s", r.state, events[len(events)-1])
	}
	return ""
}

// shows reports whether an event is a true account of a state.
func (w *world) shows(e event, id hubspot.ID, s state) bool {
	r := &w.records[id]
	if e.op != cdc.Delete {
		return s.kind == live && s.n == e.n && s.merged == e.merged && s.updated == e.updated && r.created == e.created
	}
	switch e.reason {
	case cdc.Archived:
		return s.kind == archived && s.at == e.source && (s.into == 0 || w.restored(s.into))
	case cdc.Merged:
		return s.into != 0 && (s.kind == merged && s.into == e.into || w.mergedInto(id, e.into))
	case cdc.Purged:
		// While nothing can be read by id, a list page decides (R7), and it cannot
		// tell a merged record from a purged one.
		return s.kind == gone && s.into == 0 || s.kind == merged && (w.outage != 0 || w.losersUnknown)
	}
	return false
}

// restored reports whether a record came back: its archived copy went then, maybe
// before anybody saw which losers it names.
func (w *world) restored(id hubspot.ID) bool {
	h := w.records[id].history
	first := slices.IndexFunc(h, func(s state) bool { return s.kind == archived })
	return slices.ContainsFunc(h[first+1:], func(s state) bool { return s.kind == live })
}

func repeats(e, before event) bool {
	if e.op == cdc.Delete || before.op == cdc.Delete {
		return e.op == before.op
	}
	return e.n == before.n && e.merged == before.merged && e.updated == before.updated
}

// wellFormed compares an event's op and reason with the events before (R10).
func wellFormed(before []event, e event) string {
	alive := len(before) > 0 && before[len(before)-1].op != cdc.Delete
	ok := false
	switch e.op {
	case cdc.Read:
		ok = len(before) == 0 && e.created < epoch || alive && e.again
	case cdc.Create:
		ok = !alive && (e.reason == cdc.Restored) == (len(before) > 0)
	case cdc.Update:
		ok = alive && e.reason == cdc.NoReason
	case cdc.Delete:
		ok = alive
	}
	if !ok {
		return fmt.Sprintf("this event cannot come here: %s", e)
	}
	return ""
}
