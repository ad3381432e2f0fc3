// Package cdctest checks from outside what docs/contract.md section 1 promises. It
// compares what HubSpot really had (History) with what a read_committed consumer
// saw (Events). It reports what was lost, what came twice, what came in the wrong
// order, and what no consumer could make sense of.
//
// The checks are pure. They know nothing of how the connector works, and use none
// of its code but the types for ids and times.
package cdctest

import (
	"fmt"
	"slices"
	"strings"
)

// Finding is one broken promise.
type Finding struct {
	Key  Key
	What string
}

func (f Finding) String() string { return f.Key.String() + ": " + f.What }

// Report is what Check found. Every list should be empty.
type Report struct {
	Events int // tombstones not counted

	Lost      []Finding // promise 1: the key's last event is not HubSpot's state
	Doubled   []Finding // promise 2: an event repeats the one before it, and no operator asked for that
	Reordered []Finding // promises 3 and 4: not a state that HubSpot had, or not in its order
	Malformed []Finding // ops, source, tombstones or partitions that make no sense

	history  History
	byKey    map[Key][]Event
	evolving func(property string) bool
}

// Check compares events with history. The events of a partition must come in the
// order of their offsets. Call it once HubSpot has been quiet and everything has
// had time to arrive.
func Check(history History, events []Event) *Report {
	return CheckEvolving(history, events, func(string) bool { return false })
}

// CheckEvolving is Check for a time in which some properties were defined, removed
// or given another type. The connector learns of that when it next reads the
// schemas: until then an event may lack their values, but the last one may not.
func CheckEvolving(history History, events []Event, evolving func(property string) bool) *Report {
	r := &Report{history: history, byKey: byKey(events), evolving: evolving}
	r.Lost = lost(history, r.byKey)
	r.Malformed = sequence(events)
	for _, key := range sortedKeys(r.byKey) {
		r.check(key, r.byKey[key])
	}
	return r
}

// Lost returns the keys whose last event is not HubSpot's present state: what has
// not arrived yet, while there is still time.
func Lost(history History, events []Event) []Finding { return lost(history, byKey(events)) }

// Clean reports that nothing was found.
func (r *Report) Clean() bool {
	return len(r.Lost)+len(r.Doubled)+len(r.Reordered)+len(r.Malformed) == 0
}

// Findings lists everything that was found. For the first few keys it adds what
// HubSpot had and what was published.
func (r *Report) Findings() string {
	const tellKeys, tellFindings = 3, 20
	var b strings.Builder
	told := make(map[Key]bool)
	for _, list := range []struct {
		name     string
		findings []Finding
	}{{"lost", r.Lost}, {"doubled", r.Doubled}, {"reordered", r.Reordered}, {"malformed", r.Malformed}} {
		for i, f := range list.findings {
			if i == tellFindings {
				fmt.Fprintf(&b, "%s: … and %d more\n", list.name, len(list.findings)-i)
				break
			}
			fmt.Fprintf(&b, "%s: %s\n", list.name, f)
			if !told[f.Key] && len(told) < tellKeys {
				told[f.Key] = true
				b.WriteString(r.story(f.Key))
			}
		}
	}
	return b.String()
}

func (r *Report) story(key Key) string {
	var b strings.Builder
	for i, s := range r.history[key] {
		state := "live"
		if !s.Live {
			state = fmt.Sprintf("not live, archivedAt %s", s.ArchivedAt)
		}
		fmt.Fprintf(&b, "    HubSpot   %3d: %s, updatedAt %s, readable since %s\n", i, state, s.Version, s.Since)
	}
	for i := range r.byKey[key] {
		e := &r.byKey[key][i]
		if e.Tombstone {
			fmt.Fprintf(&b, "    published %d/%d: tombstone\n", e.Partition, e.Offset)
			continue
		}
		fmt.Fprintf(&b, "    published %d/%d: seq %d %s", e.Partition, e.Offset, e.Seq, e.Op)
		if e.isDelete() {
			fmt.Fprintf(&b, " (%s), ts_ms %s", strings.TrimSpace(e.Reason+" "+e.Into), e.SourceMs)
		} else {
			fmt.Fprintf(&b, ", updatedAt %s", e.Version)
		}
		fmt.Fprintf(&b, ", by %s%s\n", e.Stream, r.fits(key, e))
	}
	return b.String()
}

// fits says which states of HubSpot's an event shows, or else how it differs from
// those of the same version.
func (r *Report) fits(key Key, e *Event) string {
	var fits, differ []string
	for i := range r.history[key] {
		s := &r.history[key][i]
		switch {
		case e.shows(s):
			fits = append(fits, fmt.Sprint(i))
		case !e.isDelete() && s.Live && s.Version == e.Version:
			differ = append(differ, fmt.Sprintf("%d but for %s", i, strings.Join(e.differences(s), ", ")))
		}
	}
	switch {
	case len(fits) > 0:
		return ", is " + strings.Join(fits, " or ")
	case len(differ) > 0:
		return ", is " + strings.Join(differ, " or ")
	}
	return ", is none of them"
}

func lost(history History, seen map[Key][]Event) []Finding {
	var out []Finding
	for _, key := range sortedKeys(history) {
		states := history[key]
		truth := &states[len(states)-1]
		last := lastEvent(seen[key])
		switch {
		case last == nil && truth.Live:
			out = append(out, Finding{key, "was never published"})
		case last == nil || last.isDelete() && !truth.Live || last.shows(truth):
			// A record that was restored and archived again unseen is as gone as
			// the last delete said.
		case truth.Live && last.isDelete():
			out = append(out, Finding{key, "is live, but its last event is a delete"})
		case !truth.Live:
			out = append(out, Finding{key, "is gone, but its last event is not a delete"})
		case last.Version != truth.Version:
			out = append(out, Finding{key, fmt.Sprintf("was updated at %s, but its last event shows %s", truth.Version, last.Version)})
		default:
			out = append(out, Finding{key, "its last event differs in " + strings.Join(last.differences(truth), ", ")})
		}
	}
	return out
}

// check walks through one key's events. next is the earliest of HubSpot's states
// that the present event may show. Taking the earliest that fits leaves the most
// room for what follows.
func (r *Report) check(key Key, events []Event) {
	states := r.history[key]
	next := 0
	var before *Event // the last event that is not a tombstone
	for i := range events {
		e := &events[i]
		if e.Partition != events[0].Partition {
			r.malformed(key, "partition %d at offset %d, but %d before", e.Partition, e.Offset, events[0].Partition)
		}
		afterDelete := i > 0 && events[i-1].isDelete()
		switch {
		case e.Tombstone && !afterDelete:
			r.malformed(key, "the tombstone at offset %d follows no delete", e.Offset)
		case !e.Tombstone && afterDelete:
			r.malformed(key, "no tombstone follows the delete with seq %d", events[i-1].Seq)
		case i == len(events)-1 && e.isDelete():
			r.malformed(key, "no tombstone follows the delete with seq %d", e.Seq)
		}
		if e.Tombstone {
			continue
		}
		r.Events++
		asked := e.Snapshot == "incremental"
		if before != nil && !asked && e.repeats(before) && !r.retyped(e) {
			r.Doubled = append(r.Doubled, Finding{key, fmt.Sprintf("seq %d repeats seq %d", e.Seq, before.Seq)})
		}
		r.checkOp(key, before, e)
		r.checkTime(key, before, e)

		fit := slices.IndexFunc(states[next:], func(s State) bool { return r.shows(e, &s) })
		switch {
		case fit >= 0:
			next += fit
		case slices.ContainsFunc(states[:next], func(s State) bool { return r.shows(e, &s) }):
			r.reordered(key, "seq %d shows an earlier state than the event before it", e.Seq)
		default:
			r.reordered(key, "seq %d shows a state that HubSpot never had", e.Seq)
		}
		before = e
	}
}

// shows reports whether an event is a true account of the state, as far as the
// connector could know.
func (r *Report) shows(e *Event, s *State) bool {
	if e.shows(s) || e.isDelete() || !s.Live || e.Version != s.Version || e.Created != s.Created {
		return e.shows(s)
	}
	return !slices.ContainsFunc(e.differences(s), func(name string) bool {
		return !r.evolving(name) || e.Values[name] != nil || e.Unparsed[name] != ""
	})
}

// retyped reports whether a property may have moved to another field that its text
// does not fit either. unparsed is the same for both fields, but the content is not
// (R10).
func (r *Report) retyped(e *Event) bool {
	for name := range e.Unparsed {
		if r.evolving(name) {
			return true
		}
	}
	return false
}

// checkOp compares an event's op and reason with the event before (docs/contract.md
// section 2, R10, and section 5).
func (r *Report) checkOp(key Key, before, e *Event) {
	asked := e.Snapshot == "incremental"
	alive := before != nil && !before.isDelete()
	ok := false
	switch e.Op {
	case "r":
		ok = before == nil && (asked || e.Snapshot == "true") || alive && asked
	case "c":
		ok = !alive && (e.Reason == "restored") == (before != nil)
	case "u":
		ok = alive && e.Reason == ""
	case "d":
		ok = alive && e.Reason != ""
	}
	if e.Op != "r" && e.Snapshot != "false" || asked && e.Stream != "signals" {
		ok = false
	}
	if !ok {
		was := "nothing"
		if before != nil {
			was = before.Op
		}
		r.malformed(key, "seq %d: op %q, snapshot %q, reason %q after %s", e.Seq, e.Op, e.Snapshot, e.Reason, was)
	}
}

// checkTime: source.ts_ms is updatedAt if the version is new.
func (r *Report) checkTime(key Key, before, e *Event) {
	if e.isDelete() || before != nil && (before.isDelete() || before.Version == e.Version) {
		return
	}
	if e.SourceMs != e.Version {
		r.malformed(key, "seq %d: source.ts_ms %s is not updatedAt %s", e.Seq, e.SourceMs, e.Version)
	}
}

func (r *Report) malformed(key Key, format string, args ...any) {
	r.Malformed = append(r.Malformed, Finding{key, fmt.Sprintf(format, args...)})
}

func (r *Report) reordered(key Key, format string, args ...any) {
	r.Reordered = append(r.Reordered, Finding{key, fmt.Sprintf(format, args...)})
}

// sequence checks source.seq: one counter for the portal, no number twice, and
// always rising along each partition (docs/contract.md section 5).
func sequence(events []Event) []Finding {
	type partition struct {
		object string
		number int32
	}
	var out []Finding
	last := make(map[partition]*Event)
	taken := make(map[int64]*Event)
	for i := range events {
		e := &events[i]
		if e.Tombstone {
			continue
		}
		p := partition{e.Key.Object, e.Partition}
		if other := taken[e.Seq]; other != nil {
			out = append(out, Finding{e.Key, fmt.Sprintf("seq %d already belongs to %s", e.Seq, other.Key)})
		} else if before := last[p]; before != nil && e.Seq < before.Seq {
			out = append(out, Finding{e.Key, fmt.Sprintf("seq %d at offset %d comes after seq %d of %s", e.Seq, e.Offset, before.Seq, before.Key)})
		}
		taken[e.Seq], last[p] = e, e
	}
	return out
}

func byKey(events []Event) map[Key][]Event {
	m := make(map[Key][]Event)
	for _, e := range events {
		m[e.Key] = append(m[e.Key], e)
	}
	return m
}

func lastEvent(events []Event) *Event {
	for i := range slices.Backward(events) {
		if !events[i].Tombstone {
			return &events[i]
		}
	}
	return nil
}

func sortedKeys[V any](m map[Key]V) []Key {
	keys := make([]Key, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b Key) int {
		if c := strings.Compare(a.Object, b.Object); c != 0 {
			return c
		}
		if c := len(a.ID) - len(b.ID); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return keys
}
