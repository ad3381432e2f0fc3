package cdctest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Frontier is a record of the frontiers topic as a read_committed consumer saw it
// (R17). A time of 0 is null.
type Frontier struct {
	At                          hubspot.Millis // when it was written
	Leading, Complete, Verified hubspot.Millis
	Offsets                     map[int32]int64
	Seq                         int64
	Live                        int
}

// DecodeFrontier reads a record. What has no place in it is an error.
func DecodeFrontier(key, value []byte) (topic string, f Frontier, err error) {
	var about struct {
		Portal int64
		Topic  string
	}
	var says struct {
		Leading, Complete, Verified *time.Time
		Offsets                     map[string]int64
		Seq                         int64
		Live, V                     int
	}
	if err = json.Unmarshal(key, &about); err == nil {
		err = json.Unmarshal(value, &says)
	}
	if err == nil && (says.V != 1 || says.Offsets == nil) {
		err = errors.New("no v or no offsets")
	}
	if err != nil {
		return "", f, fmt.Errorf("frontier %s = %s: %w", key, value, err)
	}
	f = Frontier{
		Leading: millis(says.Leading), Complete: millis(says.Complete), Verified: millis(says.Verified),
		Offsets: map[int32]int64{}, Seq: says.Seq, Live: says.Live,
	}
	for text, at := range says.Offsets {
		p, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return "", f, err
		}
		f.Offsets[int32(p)] = at
	}
	return about.Topic, f, nil
}

func millis(t *time.Time) hubspot.Millis {
	if t == nil {
		return 0
	}
	return hubspot.MillisOf(*t)
}

// Place is where a record stands in its topic. Deleted is a delete, not its
// tombstone.
type Place struct {
	Key                string
	Partition          int32
	Offset             int64
	Tombstone, Deleted bool
	Seq                int64 // 0 of a tombstone
}

// CheckFrontierPlaces checks what every frontier of a topic says of the topic's own
// records: the offsets end after a record, seq and live are those of that place, and
// no time and no offset ever falls. movedBack says that cursors were, which takes
// leading and complete back. It returns what is wrong.
func CheckFrontierPlaces(places []Place, frontiers []Frontier, movedBack bool) (wrong []string) {
	for i := range frontiers {
		f := &frontiers[i]
		say := func(format string, args ...any) {
			wrong = append(wrong, fmt.Sprintf("frontier %d: ", i)+fmt.Sprintf(format, args...))
		}
		if i > 0 {
			was := &frontiers[i-1]
			for name, at := range map[string][2]hubspot.Millis{
				"leading": {was.Leading, f.Leading}, "complete": {was.Complete, f.Complete}, "verified": {was.Verified, f.Verified},
			} {
				if at[1] < at[0] && !(movedBack && name != "verified") {
					say("%s falls from %s to %s", name, at[0], at[1])
				}
			}
			for p, at := range was.Offsets {
				if f.Offsets[p] < at {
					say("the offset of partition %d falls from %d to %d", p, at, f.Offsets[p])
				}
			}
			if f.Seq < was.Seq {
				say("seq falls from %d to %d", was.Seq, f.Seq)
			}
		}
		if f.Complete > f.Leading {
			say("complete %s is after leading %s", f.Complete, f.Leading)
		}
		live, ends := map[string]bool{}, map[int32]int64{}
		for j := range places {
			r := &places[j]
			inside := r.Offset < f.Offsets[r.Partition]
			if r.Seq != 0 && inside != (r.Seq <= f.Seq) {
				say("seq %d is %d, and the record at %d/%d with seq %d is within its offsets: %v", i, f.Seq, r.Partition, r.Offset, r.Seq, inside)
			}
			if !inside {
				continue
			}
			ends[r.Partition] = max(ends[r.Partition], r.Offset+1)
			if live[r.Key] = true; r.Tombstone || r.Deleted {
				delete(live, r.Key)
			}
		}
		if len(live) != f.Live {
			say("live is %d, and %d keys are live there", f.Live, len(live))
		}
		for p, at := range f.Offsets {
			if ends[p] != at {
				say("partition %d: the offset is %d, and the last record before it ends at %d", p, at, ends[p])
			}
		}
	}
	return wrong
}

// Showing is a row of an answer to a search for records that were modified since a
// time.
type Showing struct {
	ID       string
	Modified hubspot.Millis
	Since    hubspot.Millis
	At       hubspot.Millis // when it came
	Leading  bool           // the leading tier searched
}

// Hidings report whether HubSpot, between two times, hid a record in a way that nobody
// could see through. nil: it hid none.
type Hidings struct {
	Lists    func(id string, since, until hubspot.Millis) bool // a list lacked it
	Searches func(id string, since, until hubspot.Millis) bool // a search that matched it lacked it, or showed older values
}

func (h Hidings) withDefaults() Hidings {
	never := func(string, hubspot.Millis, hubspot.Millis) bool { return false }
	if h.Lists == nil {
		h.Lists = never
	}
	if h.Searches == nil {
		h.Searches = never
	}
	return h
}

// CheckFrontiers checks what every frontier of an object type's topic claims of the
// portal, by the fold of the topic up to its offsets. A key may be further than
// claimed, never less far. showings are what searches showed of the type. lag is
// within which the index surely showed a change to a search. Of a record that a list hid,
// verified does not count, nor the other times if it was never published; of a change that
// a search hid after the lag, complete does not. It returns what is wrong.
func CheckFrontiers(history History, events []Event, frontiers []Frontier, showings []Showing, lag time.Duration, evolving func(property string) bool, hidden Hidings) (wrong []string) {
	topic := fold[*Event]{place: func(e *Event) (string, int32, int64) { return e.Key.ID, e.Partition, e.Offset }}
	for i := range events {
		if !events[i].Tombstone {
			topic.all = append(topic.all, &events[i])
		}
	}
	report := &Report{evolving: evolving}
	hidden = hidden.withDefaults()
	keys := map[string]*reach{}
	for key, states := range history {
		keys[key.ID] = &reach{states: states, shows: report.shows}
	}
	for i := range frontiers {
		f := &frontiers[i]
		lacks := func(id string, least int, what string) {
			states := keys[id].states
			wrong = append(wrong, fmt.Sprintf("frontier %d (at %s, leading %s, complete %s, verified %s, seq %d): record %s lacks state %d of %d (since %s, updatedAt %s, live %v), it has %d: %s",
				i, f.At, f.Leading, f.Complete, f.Verified, f.Seq, id, least, len(states), states[least].Since, states[least].Version, states[least].Live, keys[id].now, what))
		}
		last := topic.at(f)
		never := func(id string) bool { return last[id] == nil && hidden.Lists(id, 0, f.At) }
		for _, id := range slices.Sorted(maps.Keys(keys)) {
			k := keys[id]
			k.now = k.at(last[id], f.At)
			if least := inForce(k.states, f.Verified); least > k.now && !hidden.Lists(id, f.Verified, f.At) {
				lacks(id, least, "it was so at verified")
			}
			hid := func(since hubspot.Millis) bool { return hidden.Searches(id, since, f.At) }
			if least := shownBy(k.states, f.Complete, lag, hid); least > k.now && !k.wentSince(least, f.At) && !never(id) {
				lacks(id, least, "the index showed it in time for complete")
			}
		}
		for _, s := range showings {
			if s.At >= f.At {
				continue
			}
			if s.Since < f.Complete && s.Modified <= f.Complete || s.Leading && s.Since < f.Leading && s.Modified <= f.Leading {
				k := keys[s.ID]
				if least := k.shown(s.Modified); least > k.now && !k.wentSince(least, f.At) && !never(s.ID) {
					lacks(s.ID, least, fmt.Sprintf("a search since %s showed updatedAt %s at %s", s.Since, s.Modified, s.At))
				}
			}
		}
	}
	return wrong
}

// reach is how far a record's events have come in its states.
type reach struct {
	states []State
	shows  func(*Event, *State) bool
	event  *Event
	index  int // the last state that event shows
	now    int // at the present frontier
}

// at is the last state that an event, nil for none, shows at a time.
func (r *reach) at(e *Event, at hubspot.Millis) int {
	if e == nil || e.isDelete() {
		now := -1
		for i := range r.states {
			if !r.states[i].Live && r.states[i].Since <= at {
				now = i
			}
		}
		return now
	}
	if e != r.event {
		r.event, r.index = e, -1
		for i := range r.states {
			if r.shows(e, &r.states[i]) {
				r.index = i
			}
		}
	}
	return r.index
}

// wentSince reports whether the record was gone after a state, at a time: perhaps
// before anybody could read the state. Its delete is another claim's.
func (r *reach) wentSince(state int, at hubspot.Millis) bool {
	return slices.ContainsFunc(r.states[state:], func(s State) bool { return !s.Live && s.Since <= at })
}

// shown is the first state that has a version or follows it, -1 for none.
func (r *reach) shown(version hubspot.Millis) int {
	return slices.IndexFunc(r.states, func(s State) bool { return s.Version >= version })
}

// inForce is the state that a record had at a time, -1 for none.
func inForce(states []State, at hubspot.Millis) int {
	least := -1
	for i := range states {
		if states[i].Since <= at {
			least = i
		}
	}
	return least
}

// shownBy is the last state with a new version up to a time that the index showed
// within lag, and that no search hid after it, -1 for none.
func shownBy(states []State, at hubspot.Millis, lag time.Duration, hid func(since hubspot.Millis) bool) int {
	least := -1
	for i := range states {
		s := &states[i]
		if s.Live && s.Version <= at && s.Indexed != 0 && s.Indexed <= s.Version.Add(lag) && (i == 0 || s.Version > states[i-1].Version) && !hid(s.Version.Add(lag)) {
			least = i
		}
	}
	return least
}

// fold is a topic as it was at each frontier. The frontiers come in order.
type fold[E any] struct {
	all   []E
	last  map[string]E
	place func(E) (key string, partition int32, offset int64)
}

func (f *fold[E]) at(to *Frontier) map[string]E {
	if f.last == nil {
		f.last = map[string]E{}
	}
	left := f.all[:0]
	for _, e := range f.all {
		if key, p, offset := f.place(e); offset < to.Offsets[p] {
			f.last[key] = e
		} else {
			left = append(left, e)
		}
	}
	f.all = left
	return f.last
}

// CheckListFrontiers checks what every frontier of a pair's or a reference list's
// topic claims, as CheckFrontiers does.
func CheckListFrontiers(history LinkHistory, events []LinkEvent, frontiers []Frontier, hidden func(key string, since, until hubspot.Millis) bool) (wrong []string) {
	folded := fold[*LinkEvent]{place: func(e *LinkEvent) (string, int32, int64) { return e.Key, e.Partition, e.Offset }}
	for i := range events {
		if !events[i].Tombstone {
			folded.all = append(folded.all, &events[i])
		}
	}
	for i := range frontiers {
		f := &frontiers[i]
		if f.Leading != 0 || f.Complete != 0 {
			wrong = append(wrong, fmt.Sprintf("frontier %d: leading and complete of a list", i))
		}
		last := folded.at(f)
		for _, key := range slices.Sorted(maps.Keys(history)) {
			states, least := history[key], -1
			for j := range states {
				if states[j].Since <= f.Verified {
					least = j
				}
			}
			e := last[key]
			gone := e == nil || e.isDelete()
			if least >= 0 && !slices.ContainsFunc(states[least:], func(s LinkState) bool { return gone && !s.Live || !gone && e.shows(s) }) && (hidden == nil || !hidden(key, f.Verified, f.At)) {
				wrong = append(wrong, fmt.Sprintf("frontier %d (at %s): %s: verified is %s, and it lacks %+v", i, f.At, key, f.Verified, states[least]))
			}
		}
	}
	return wrong
}
