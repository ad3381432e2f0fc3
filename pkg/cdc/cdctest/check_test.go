package cdctest

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

var seed = flag.Uint64("seed", 0, "the seed of the random histories; 0 draws one")

// The record of the cases below: created at 1, updated at 2, archived at 3,
// restored with an update at 4.
var (
	key   = Key{"contacts", "101"}
	first = State{Live: true, Created: 1, Version: 1, Values: map[string]string{"city": "Oslo", "phone": ""}}
	later = State{Live: true, Created: 1, Version: 2, Values: map[string]string{"city": "Graz", "score": "7"}}
	gone  = State{Created: 1, Version: 2, ArchivedAt: 3, Values: map[string]string{"city": "Graz", "score": "7"}}
	back  = State{Live: true, Created: 1, Version: 4, Values: map[string]string{"city": "Graz"}}
	all   = []State{first, later, gone, back}
)

func live(op string, s State) Event {
	e := Event{
		Key: key, Op: op, Snapshot: "false", SourceMs: s.Version,
		Created: s.Created, Version: s.Version, Values: make(map[string]any),
	}
	if op == "r" {
		e.Snapshot = "true"
	}
	for name, raw := range s.Values {
		switch {
		case raw == "":
		case name == "score":
			e.Values[name] = float64(len(raw)) * 7
		default:
			e.Values[name] = raw
		}
	}
	return e
}

func restored(s State) Event {
	e := live("c", s)
	e.Reason = "restored"
	return e
}

// askedFor is an event of a snapshot that an operator asked for.
func askedFor(s State) Event {
	e := live("r", s)
	e.Snapshot, e.Stream, e.SourceMs = "incremental", "signals", 1000
	return e
}

func deleted(s State) Event {
	return Event{Key: key, Op: "d", Snapshot: "false", Reason: "archived", SourceMs: s.ArchivedAt}
}

var tombstone = Event{Key: key, Tombstone: true}

// number gives events rising offsets and sequence numbers.
func number(events ...Event) []Event {
	for i := range events {
		events[i].Offset = int64(i)
		if !events[i].Tombstone {
			events[i].Seq = int64(10 + i)
		}
	}
	return events
}

func TestCheck_TakesFaithfulAccounts(t *testing.T) {
	unchanged := first
	unchanged.Version = 9
	wrong := State{Live: true, Created: 1, Version: 1, Values: map[string]string{"score": "about seven"}}
	wrongEvent := live("c", State{Created: 1, Version: 1})
	wrongEvent.Unparsed = map[string]string{"score": "about seven"}
	for name, c := range map[string]struct {
		states []State
		events []Event
	}{
		"everything":                     {all, number(live("c", first), live("u", later), deleted(gone), tombstone, restored(back))},
		"snapshot, then the last":        {all, number(live("r", first), live("u", back))},
		"only the last":                  {all, number(live("r", back))},
		"came and went unseen":           {[]State{first, gone}, nil},
		"two records of the same":        {[]State{first, unchanged}, number(live("c", first), live("u", unchanged))},
		"back to an earlier content":     {[]State{first, later, first}, number(live("c", first), live("u", later), withTime(live("u", first), 1))},
		"a text that is no number":       {[]State{wrong}, number(wrongEvent)},
		"a snapshot that was asked for":  {[]State{first}, number(live("c", first), askedFor(first), askedFor(first))},
		"one that shows an update":       {[]State{first, later}, number(live("c", first), withTime(askedFor(later), later.Version))},
		"one that comes first":           {[]State{later}, number(withTime(askedFor(later), later.Version))},
		"archived and updated in secret": {[]State{first, later, gone}, number(live("c", first), deleted(gone), tombstone)},
	} {
		t.Run(name, func(t *testing.T) {
			r := Check(History{key: c.states}, c.events)
			if !r.Clean() {
				t.Errorf("findings in a faithful account:\n%s", r.Findings())
			}
		})
	}
}

func withTime(e Event, at hubspot.Millis) Event {
	e.SourceMs = at
	return e
}

// TestCheck_Bites shows for each check an account that only this check refuses.
func TestCheck_Bites(t *testing.T) {
	stranger := live("c", first)
	stranger.Key.ID = "102"
	elsewhere := live("u", later)
	elsewhere.Partition = 1
	other := live("c", first)
	other.Values = map[string]any{"city": "Quito"}
	extra := live("c", first)
	extra.Values["country"] = "Norway"
	purged := deleted(gone)
	purged.Reason = "purged"
	wrongTime := withTime(deleted(gone), 5)
	sameSeq := number(live("c", first), live("u", later))
	sameSeq[1].Seq = sameSeq[0].Seq
	falling := number(live("c", first), live("u", later))
	falling[0].Seq, falling[1].Seq = falling[1].Seq, falling[0].Seq
	old := live("u", first)
	nobody := askedFor(first)
	nobody.Stream = "reconcile"
	update := live("u", first)
	update.Snapshot, update.Stream = "incremental", "signals"

	for name, c := range map[string]struct {
		states []State
		events []Event
		want   string // the lists that hold something
	}{
		"nothing published":             {[]State{first}, nil, "lost"},
		"last update missing":           {[]State{first, later}, number(live("c", first)), "lost"},
		"delete missing":                {[]State{first, gone}, number(live("c", first)), "lost"},
		"restore missing":               {all, number(live("c", first), deleted(gone), tombstone), "lost"},
		"event twice":                   {[]State{first}, number(live("c", first), live("u", first)), "doubled"},
		"event twice after a snapshot":  {[]State{first}, number(live("r", first), live("u", first)), "doubled"},
		"delete twice":                  {[]State{first, gone}, number(live("c", first), deleted(gone), tombstone, deleted(gone), tombstone), "doubled malformed"},
		"older after newer":             {[]State{first, later}, number(live("c", later), old), "lost reordered"},
		"older between two newer":       {[]State{first, later, back}, number(live("c", later), old, live("u", back)), "reordered"},
		"wrong content":                 {[]State{first}, number(other), "lost reordered"},
		"a property too many":           {[]State{first}, number(extra), "lost reordered"},
		"wrong content, later mended":   {[]State{first, later}, number(other, live("u", later)), "reordered"},
		"false delete, later mended":    {[]State{first, later}, number(live("c", first), deleted(gone), tombstone, restored(later)), "reordered"},
		"false purge, later mended":     {[]State{first, later}, number(live("c", first), purged, tombstone, restored(later)), "reordered"},
		"delete of another time":        {[]State{first, gone, back}, number(live("c", first), wrongTime, tombstone, restored(back)), "reordered"},
		"a key that never was":          {History{}[key], number(stranger), "reordered"},
		"seq twice":                     {[]State{first, later}, sameSeq, "malformed"},
		"seq falls":                     {[]State{first, later}, falling, "malformed"},
		"another partition":             {[]State{first, later}, number(live("c", first), elsewhere), "malformed"},
		"no tombstone at the end":       {[]State{first, gone}, number(live("c", first), deleted(gone)), "malformed"},
		"no tombstone in the middle":    {all, number(live("c", first), deleted(gone), restored(back)), "malformed"},
		"a tombstone alone":             {[]State{first}, number(live("c", first), tombstone), "malformed"},
		"created twice":                 {[]State{first, later}, number(live("c", first), live("c", later)), "malformed"},
		"updated before it was created": {[]State{first}, number(live("u", first)), "malformed"},
		"read after created":            {[]State{first, later}, number(live("c", first), live("r", later)), "malformed"},
		"restored without a reason":     {all, number(live("c", first), deleted(gone), tombstone, live("c", back)), "malformed"},
		"nobody can have asked":         {[]State{first}, number(live("c", first), nobody), "malformed"},
		"asked for, and no read":        {[]State{first}, number(live("c", first), update), "malformed"},
		"repeats what was asked for":    {[]State{first}, number(live("c", first), askedFor(first), live("u", first)), "doubled"},
		"asked for, of a deleted one":   {all, number(live("c", first), deleted(gone), tombstone, withTime(askedFor(back), 4)), "malformed"},
		"asked for, an older state":     {[]State{first, later}, number(live("c", later), withTime(askedFor(first), 1), withTime(live("u", later), 2)), "reordered"},
		"a time of our own":             {[]State{first}, number(withTime(live("c", first), 2)), "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			history := History{}
			if c.states != nil {
				history[key] = c.states
			}
			r := Check(history, c.events)
			if got := lists(r); got != c.want {
				t.Errorf("found %q, want %q:\n%s", got, c.want, r.Findings())
			}
		})
	}
}

func lists(r *Report) string {
	var names []string
	for _, l := range []struct {
		name     string
		findings []Finding
	}{{"lost", r.Lost}, {"doubled", r.Doubled}, {"reordered", r.Reordered}, {"malformed", r.Malformed}} {
		if len(l.findings) > 0 {
			names = append(names, l.name)
		}
	}
	return strings.Join(names, " ")
}

// TestCheck_RandomAccounts spoils faithful accounts of random histories. Those left
// as they were must pass, and those spoilt must not.
func TestCheck_RandomAccounts(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("-seed %d", *seed)
	rng := rand.New(rand.NewPCG(*seed, 1))
	for range 3000 {
		states := randomLife(rng)
		events := number(account(rng, states)...)
		if r := Check(History{key: states}, events); !r.Clean() {
			t.Fatalf("findings in a faithful account:\n%s", r.Findings())
		}
		how, spoilt := spoil(rng, events)
		if spoilt == nil {
			continue
		}
		if r := Check(History{key: states}, number(spoilt...)); r.Clean() {
			t.Fatalf("not found: %s\n%s", how, r.story(key))
		}
	}
}

// randomLife makes a history in which no two states are alike.
func randomLife(rng *rand.Rand) []State {
	now := hubspot.Millis(1)
	s := State{Live: true, Created: now, Version: now, Values: map[string]string{"n": "0"}}
	states := []State{s}
	for i := range rng.IntN(8) {
		now += hubspot.Millis(1 + rng.IntN(5))
		switch {
		case !s.Live:
			s.Live, s.ArchivedAt, s.Version = true, 0, now
		case rng.IntN(3) == 0:
			s.Live, s.ArchivedAt = false, now
		default:
			s.Version = now
			s.Values = map[string]string{"n": fmt.Sprint(i + 1)}
		}
		states = append(states, s)
	}
	return states
}

// account publishes a history like somebody who sees some of its states, and the
// last one.
func account(rng *rand.Rand, states []State) []Event {
	var events []Event
	alive, known := false, false
	for i, s := range states {
		if i < len(states)-1 && rng.IntN(3) == 0 {
			continue
		}
		switch {
		case s.Live && alive:
			events = append(events, live("u", s))
		case s.Live && known:
			events = append(events, restored(s))
		case s.Live:
			events = append(events, live("c", s))
		case alive:
			events = append(events, deleted(s), tombstone)
		}
		alive, known = s.Live, known || s.Live
	}
	return events
}

// spoil breaks a promise; it returns nil if there is nothing to break.
func spoil(rng *rand.Rand, events []Event) (how string, spoilt []Event) {
	events = slices.Clone(events)
	if len(events) == 0 {
		return "", nil
	}
	i := rng.IntN(len(events))
	switch rng.IntN(3) {
	case 0:
		if events[len(events)-1].Tombstone {
			return "last delete left out", events[:len(events)-2]
		}
		return "last event left out", events[:len(events)-1]
	case 1:
		return fmt.Sprintf("event %d twice", i), slices.Insert(events, i, events[i])
	default:
		j := rng.IntN(len(events))
		if i == j || events[i].Tombstone && events[j].Tombstone {
			return "", nil
		}
		events[i], events[j] = events[j], events[i]
		return fmt.Sprintf("events %d and %d exchanged", i, j), events
	}
}

func TestSameValue(t *testing.T) {
	day := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		raw      string
		typed    any
		unparsed string
		want     bool
	}{
		{"", nil, "", true},
		{"", "x", "", false},
		{"", nil, "x", false},
		{"x", nil, "", false},
		{"x", "x", "", true},
		{"x", "y", "", false},
		{"0.200000000000000011", 0.2, "", true},
		{"12.50", 12.5, "", true},
		{"12.51", 12.5, "", false},
		{"about twelve", nil, "about twelve", true},
		{"about twelve", nil, "about", false},
		{"9007199254740993", 9007199254740992.0, "9007199254740993", true},
		{"Yes", true, "", true},
		{"false", true, "", false},
		{"soon", true, "", false},
		{"2026-11-24", day, "", true},
		{"2026-11-24T00:00:00Z", day, "", true},
		{"2026-11-24T00:00:00.001Z", day, "", false},
		{"1795478400000", day, "", true},
		{"1.7954784E12", day, "", true},
	} {
		if got := sameValue(c.raw, c.typed, c.unparsed); got != c.want {
			t.Errorf("sameValue(%q, %v, %q) = %v, want %v", c.raw, c.typed, c.unparsed, got, c.want)
		}
	}
}
