package cdcmodel

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"reflect"
	"slices"
	"sync"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Two ways that lead to one state continue alike, so the exhaustive search
// (every_test.go) continues from each state once. That is sound only if a state's
// key has whatever may matter later: too much in it costs time, too little hides a
// violation. So the key has everything that a world is made of. It finds that by
// reflection, down to the fields of the real lanes, which belong to another
// package, so a field that is added to any of them is in the key too. Only these
// are left out, each for a reason.
var leftOut = map[string]string{
	"world.log":          "only the reader needs it",
	"world.spelling":     "it is the key",
	"world.told":         "only the reader needs it",
	"world.tally":        "only the reader needs it",
	"world.published":    "only the reader needs it",
	"portal.said":        "only the reader needs it",
	"portal.choices":     "no choice is half taken between two steps; those to come belong to the search",
	"world.seq":          "it only rises, and is compared with lower ones",
	"Row.Seq":            "as world.seq; no decision depends on it",
	"LinkRow.Seq":        "as world.seq",
	"world.events":       "key has what the checks still need from them",
	"world.linkEvents":   "key has what the checks still need from them",
	"event.seq":          "as world.seq",
	"event.stream":       "no check looks at it",
	"linkEvent.seq":      "as world.seq",
	"linkEvent.swept":    "only the check of that event needs it, and key makes that check",
	"linkEvent.due":      "only the check of that event needs it, and key makes that check",
	"process.w":          "it points back",
	"process.clock":      "only now() uses it, and key has that",
	"process.clockAt":    "only now() uses it, and key has that",
	"agent.process":      "it points back",
	"agent.lane":         "it points back",
	"agent.links":        "it points back",
	"agent.yield":        "what it heard (memory) decides where it continues",
	"agent.next":         "what it heard (memory) decides where it continues",
	"agent.stop":         "what it heard (memory) decides where it continues",
	"agent.sent":         "key has the stamps, and memory the time",
	"agent.err":          "an agent with an error takes no more steps",
	"memory.stamps":      "key compares them with what was decided",
	"memory.linkStamps":  "key compares them with what was decided",
	"Reading.Stamp":      "memory.place notes which of the stamps it is",
	"LinkReading.Stamp":  "memory.place notes which of the stamps it is",
	"Looks.after":        "the model's never change",
	"Sent.Stamp":         "memory.place notes which of the stamps it is",
	"Sent.LinkStamp":     "memory.place notes which of the stamps it is",
	"Sent.Slots":         "there is one",
	"Reading.Slots":      "there is one",
	"decisions.at":       "key compares the stamps with it",
	"lackingSet.decided": "key compares the stamps with it",
	"Lane.counter":       "it is no less than any stamp or anything decided, and becomes the next of them",
	"LinkLane.counter":   "it is no less than any stamp or anything decided, and becomes the next of them",
	"Lane.slots":         "there is one",
	"Lane.committer":     "it points back",
	"LinkLane.committer": "it points back",
	"Lane.turn":          "no agent pauses while it holds the turn",
	"LinkLane.turn":      "no agent pauses while it holds the turn",
	"Lane.live":          "it counts the rows",
	"LinkLane.live":      "it counts the rows",
	"LinkLane.revived":   "key compares it with what was decided",
	"LinkLane.held":      "it counts the absences",
	"Lane.held":          "it counts the absences",
	"Lane.older":         "a metric: no decision depends on it",
	"Lane.lately":        "the real census counts with it; the model's compares ids",
	"Lane.recent":        "it orders the controls, and with so few ids all are taken (lastID)",
	"rules.content":      "there is one",
	"rules.slots":        "there is one",
	"Table.rows":         "world.rows comes from the same changes, and the lane applies them in the same step, or ends",
	"Table.deleted":      "of what is not live it repeats decisions.at",
	"LinkLane.from":      "process has it",
	"LinkLane.to":        "process has it",
	"LinkTable.links":    "world.linkRows comes from the same changes",
	"LinkTable.back":     "it repeats world.linkRows",
	"LinkTable.ready":    "nobody sees whether back is made sooner or later",
	"LinkTable.last":     "it saves a look into index",
	"LinkTable.faces":    "it repeats world.linkRows",
	"LinkTable.index":    "it repeats world.linkRows",
	"decisions.before":   "empty before the 16,384th record",
	"decisions.turned":   "zero before that",
	"decisions.floor":    "key compares the stamps with it",
}

// key is a state, as 128 bits: among a million states, the chance that two are
// taken for one is one in 10^26.
type key [2]uint64

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// key returns the state of a world between two steps, and which promise its events
// already break. more is what the search itself has still to do.
func (w *world) key(more ...any) (k key, broken string) {
	b := spelled(w.spelling[:0], reflect.ValueOf(w).Elem(), nil)
	p := w.process
	b = binary.AppendVarint(b, int64(p.now()))
	for id := hubspot.ID(1); id <= lastID; id++ {
		// What the checks still need from a record's events: how far they have come
		// in its history (keptFor), and the last one.
		next, wrong := w.accountOf(id)
		if wrong != "" {
			return k, fmt.Sprintf("record %s: %s", id, wrong)
		}
		b = binary.AppendVarint(b, int64(next))
		b = lastOf(b, w.events[id])
	}
	if w.linked {
		for i, events := range w.linkEvents {
			next, wrong := linkAccount(w.ties[i].history, events)
			if wrong != "" {
				return k, fmt.Sprintf("link %s: %s", everyLink[i], wrong)
			}
			b = binary.AppendVarint(b, int64(next))
			b = lastOf(b, events)
		}
	}
	b = p.stampsIn(b)
	for _, v := range more {
		b = spelled(b, reflect.ValueOf(v), nil)
	}
	w.spelling = b
	return key{maphash.Bytes(seeds[0], b), maphash.Bytes(seeds[1], b)}, ""
}

func lastOf[E any](b []byte, events []E) []byte {
	if len(events) == 0 {
		return append(b, 0)
	}
	return spelled(append(b, 1), reflect.ValueOf(&events[len(events)-1]).Elem(), nil)
}

// stampsIn compares every stamp that a finder holds with the counters at which the
// keys were decided. All that a lane asks about a stamp is whether it is less than
// one of these. The result for the present counters is noted here, and every later
// decision is above every stamp taken before.
func (p *process) stampsIn(b []byte) []byte {
	var decided, sets, lacking [lastID + 1]uint64
	records := reflect.ValueOf(p.recordLane).Elem().FieldByName("table").Elem().FieldByName("decided")
	fillFrom(&decided, records)
	if p.linkLane != nil {
		links := reflect.ValueOf(p.linkLane).Elem().FieldByName("decided")
		fillFrom(&sets, links)
		absences := reflect.ValueOf(p.linkLane).Elem().FieldByName("absences").FieldByName("sets")
		for id := range lacking {
			if e := absences.MapIndex(reflect.ValueOf(hubspot.ID(id))); e.IsValid() {
				lacking[id] = e.FieldByName("decided").Uint()
			}
		}
		revived := reflect.ValueOf(p.linkLane).Elem().FieldByName("revived")
		for end := range revived.Len() {
			for id := range decided {
				e := revived.Index(end).MapIndex(reflect.ValueOf(hubspot.ID(id)))
				b = spelled(b, reflect.ValueOf(e.IsValid() && e.Uint() == decided[id]), nil)
			}
		}
		raise(&sets, links)
	}
	raise(&decided, records)
	for _, a := range p.agents {
		b = against(b, a.stamps, &decided)
		b = against(b, a.linkStamps, &sets)
		b = against(b, a.linkStamps, &lacking)
	}
	return b
}

func fillFrom(decided *[lastID + 1]uint64, decisions reflect.Value) {
	at := decisions.FieldByName("at")
	for id := range decided {
		if e := at.MapIndex(reflect.ValueOf(hubspot.ID(id))); e.IsValid() {
			decided[id] = e.Uint()
		}
	}
}

// raise makes what a fence has set count as the decision of every key.
func raise(decided *[lastID + 1]uint64, decisions reflect.Value) {
	floor := decisions.FieldByName("floor").Uint()
	for id := range decided {
		decided[id] = max(decided[id], floor)
	}
}

func against(b []byte, stamps []uint64, decided *[lastID + 1]uint64) []byte {
	b = append(b, byte(len(stamps)))
	for _, stamp := range stamps {
		var since idSet
		for id, at := range decided {
			if stamp < at {
				since |= 1 << id
			}
		}
		b = append(b, byte(since))
	}
	return b
}

// spelled appends a value so that two different values are spelled differently,
// apart from what is left out. A nil slice or map is spelled like an empty one.
// Bytes are not, because a null property is not an empty one.
func spelled(b []byte, v reflect.Value, m *memory) []byte {
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			return append(b, 1)
		}
		return append(b, 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return binary.AppendVarint(b, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return binary.AppendUvarint(b, v.Uint())
	case reflect.String:
		return append(binary.AppendUvarint(b, uint64(v.Len())), v.String()...)
	case reflect.Pointer:
		if v.IsNil() {
			return append(b, 0)
		}
		return spelled(append(b, 1), v.Elem(), m)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			if v.IsNil() {
				return append(b, 0)
			}
			return append(binary.AppendUvarint(b, uint64(v.Len())+1), v.Bytes()...)
		}
		b = binary.AppendUvarint(b, uint64(v.Len()))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			b = spelled(b, v.Index(i), m)
		}
		return b
	case reflect.Map:
		return spelledMap(b, v, m)
	case reflect.Struct:
		t := v.Type()
		switch {
		case t == linkStoreType && !v.FieldByName("linked").Bool(), // not in use
			t == tieType && !v.Field(tieMade).Bool() && v.Field(tieHistory).Len() == 1: // never made
			return append(b, 0)
		case t == linkStoreType || t == tieType:
			b = append(b, 1)
		}
		if m != nil {
			b = m.place(b, v)
		}
		for _, i := range fieldsOf(t) {
			b = spelled(b, v.Field(i), m)
		}
		return b
	}
	panic(fmt.Sprintf("a %s is part of a state, but a key cannot have it: leave it out, with a reason", v.Type()))
}

var (
	linkStoreType = reflect.TypeFor[linkStore]()
	tieType       = reflect.TypeFor[tie]()
	tieMade       = indexOf(tieType.FieldByName("made"))
	tieHistory    = indexOf(tieType.FieldByName("history"))
)

func indexOf(f reflect.StructField, _ bool) int { return f.Index[0] }

func spelledMap(b []byte, v reflect.Value, m *memory) []byte {
	b = binary.AppendUvarint(b, uint64(v.Len()))
	switch v.Len() {
	case 0:
		return b
	case 1:
		for i := v.MapRange(); i.Next(); {
			b = spelled(spelled(b, i.Key(), m), i.Value(), m)
		}
		return b
	}
	// By key, so that the stamps in the values always get their places in the same
	// order.
	type entry struct {
		key   []byte
		value reflect.Value
	}
	entries := make([]entry, 0, v.Len())
	for i := v.MapRange(); i.Next(); {
		entries = append(entries, entry{spelled(nil, i.Key(), m), i.Value()})
	}
	slices.SortFunc(entries, func(a, b entry) int { return slices.Compare(a.key, b.key) })
	for _, e := range entries {
		b = spelled(append(b, e.key...), e.value, m)
	}
	return b
}

var (
	fields     sync.Map // reflect.Type to its fields that are not left out
	leftOutMet sync.Map // those of leftOut that exist
)

func fieldsOf(t reflect.Type) []int {
	if known, ok := fields.Load(t); ok {
		return known.([]int)
	}
	in := []int{}
	for i := range t.NumField() {
		name := t.Name() + "." + t.Field(i).Name
		if leftOut[name] == "" {
			in = append(in, i)
		} else {
			leftOutMet.Store(name, true)
		}
	}
	fields.Store(t, in)
	return in
}
