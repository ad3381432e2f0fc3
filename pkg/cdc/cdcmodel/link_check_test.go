package cdcmodel

import (
	"fmt"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
)

// linksKept sweeps again and compares what was published of the links with the
// history. Then the looks that still wait must find nothing new and break nothing.
func (w *world) linksKept() string {
	if !w.linked {
		return ""
	}
	w.whole(associationsStream)
	if broken := w.relooked(); broken != "" {
		return broken
	}
	if broken := w.everyLinkKept(); broken != "" {
		return broken
	}
	for range lookAfter {
		w.now = w.now.Add(lookAfter[len(lookAfter)-1])
		w.passes(changedStream, 1)
	}
	if broken := w.relooked(); broken != "" {
		return broken
	}
	return w.everyLinkKept()
}

// relooked waits until no set needs another witness. Where nothing is left that
// could be whole, the brake holds some for an hour (R19), and then those that the
// first set still had.
func (w *world) relooked() (broken string) {
	for range 3 {
		for range 20 {
			if len(w.process.relook) == 0 && w.agent(relookStream).at.what == toPass {
				return ""
			}
			w.now = w.now.Add(patience + 2*time.Second)
			w.passes(relookStream, 1)
		}
		w.now = w.now.Add(linkRepeat)
	}
	return "sets are looked at again and again without end"
}

func (w *world) everyLinkKept() string {
	for i, k := range everyLink {
		if broken := linkKept(w.ties[i].history, w.linkEvents[i]); broken != "" {
			return fmt.Sprintf("link %s: %s", k, broken)
		}
	}
	return ""
}

// linkAccount maps a link's events in order onto its history, and returns the
// earliest state that the next event may show.
func linkAccount(history []linkState, events []linkEvent) (next int, broken string) {
	for i, e := range events {
		if broken := linkWellFormed(events[:i], e); broken != "" {
			return 0, broken
		}
		at := next
		for at < len(history) && !e.shows(history[at]) {
			at++
		}
		if at == len(history) {
			for _, s := range history[:next] {
				if e.shows(s) {
					return 0, fmt.Sprintf("out of order: %s", e)
				}
			}
			return 0, fmt.Sprintf("shows a state that never existed: %s", e)
		}
		next = at
	}
	return next, ""
}

// linkKept checks the promises for one link (R14).
func linkKept(history []linkState, events []linkEvent) string {
	if _, broken := linkAccount(history, events); broken != "" {
		return broken
	}
	truth := history[len(history)-1]
	switch {
	case len(events) == 0 && truth.there:
		return "lost: never published"
	case len(events) > 0 && !events[len(events)-1].shows(truth):
		return fmt.Sprintf("lost: HubSpot has %s, but the last event is %s", truth, events[len(events)-1])
	}
	return ""
}

// shows reports whether an event is a true account of a state.
func (e linkEvent) shows(s linkState) bool {
	if e.op == cdc.Delete {
		return !s.there
	}
	return s.there && s.label == e.label
}

// linkWellFormed compares an event's op and reason with the events before. A link
// is a snapshot's until the first sweep has ended, and later only if an operator
// asked for it. A delete has the reason of its record's delete if one was published
// before (docs/contract.md section 5).
func linkWellFormed(before []linkEvent, e linkEvent) string {
	if len(before) == 0 {
		if ok := e.op == cdc.Create && e.swept || e.op == cdc.Read && !e.swept; !ok || e.reason != cdc.NoReason {
			return fmt.Sprintf("this event cannot come here: %s", e)
		}
		return ""
	}
	last := before[len(before)-1]
	ok := e.seq > last.seq
	switch e.op {
	case cdc.Read:
		ok = ok && e.again && last.op != cdc.Delete && e.reason == cdc.NoReason
	case cdc.Create:
		ok = ok && last.op == cdc.Delete && e.reason == cdc.Restored
	case cdc.Update:
		ok = ok && last.op != cdc.Delete && e.reason == cdc.NoReason && e.label != last.label
	case cdc.Delete:
		ok = ok && last.op != cdc.Delete && e.reason == e.due
	default:
		ok = false
	}
	if !ok {
		return fmt.Sprintf("this event cannot come here: %s after %s", e, last)
	}
	return ""
}
