package cdctest

import (
	"fmt"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// LinkState is a link as HubSpot had it for a while.
type LinkState struct {
	Live  bool
	Label string
	Since hubspot.Millis // when it could first be read
}

// LinkHistory is what HubSpot really had of a pair's links, by the topic's keys.
type LinkHistory map[string][]LinkState

// LinkHistoryOf returns the history of a pair in a simulated portal.
func LinkHistoryOf(p *hubspottest.Portal, from, to string) LinkHistory {
	h := LinkHistory{}
	for _, c := range p.LinkHistory(from, to) {
		key := fmt.Sprintf("%d:%d:%s:%d", c.Link.From, c.Link.To, c.Link.Category, c.Link.TypeID)
		h[key] = append(h[key], LinkState{c.Live, c.Link.Label, hubspot.Millis(c.At)})
	}
	return h
}

// LinkEvent is a record of a pair's topic as a read_committed consumer saw it.
type LinkEvent struct {
	Key       string
	Partition int32
	Offset    int64
	Tombstone bool

	Op, Snapshot, Reason, Stream string

	Label string
	Seq   int64
	At    time.Time // Kafka's time of the record, for findings
}

func (e *LinkEvent) isDelete() bool { return e.Op == "d" }

func (e *LinkEvent) shows(s LinkState) bool {
	return e.isDelete() == !s.Live && (!s.Live || s.Label == e.Label)
}

// LinkReport is what CheckLinks found. Every list should be empty.
type LinkReport struct {
	Events  int
	Reasons map[string]int

	Lost, Doubled, Reordered, Malformed []string
}

// Clean reports that nothing was found.
func (r *LinkReport) Clean() bool {
	return len(r.Lost)+len(r.Doubled)+len(r.Reordered)+len(r.Malformed) == 0
}

// Findings lists the first ten of each kind of finding.
func (r *LinkReport) Findings() string {
	var b strings.Builder
	for name, list := range map[string][]string{"lost": r.Lost, "doubled": r.Doubled, "reordered": r.Reordered, "malformed": r.Malformed} {
		for _, f := range list[:min(len(list), 10)] {
			fmt.Fprintf(&b, "%s: %s\n", name, f)
		}
	}
	return b.String()
}

// CheckLinks compares a pair's events with its history, as Check does for records.
// It checks promises 1 to 3 of docs/contract.md section 1, and the ops and reasons
// of section 5. The events of a partition must come in the order of their offsets.
func CheckLinks(history LinkHistory, events []LinkEvent) *LinkReport {
	return checkKeys(history, events, func(key string) string {
		from, _, _ := strings.Cut(key, ":")
		return from
	})
}

// checkKeys does so for links and for entries of reference lists. group returns the
// part of a key that decides its partition.
func checkKeys(history LinkHistory, events []LinkEvent, group func(key string) string) *LinkReport {
	r := &LinkReport{Reasons: map[string]int{}}
	byKey := map[string][]LinkEvent{}
	partitions, seqs, last := map[string]int32{}, map[int64]string{}, map[int32]int64{}
	for _, e := range events {
		byKey[e.Key] = append(byKey[e.Key], e)
		from := group(e.Key)
		if p, ok := partitions[from]; ok && p != e.Partition {
			r.Malformed = append(r.Malformed, fmt.Sprintf("%s: links of one record in partitions %d and %d", e.Key, p, e.Partition))
		}
		partitions[from] = e.Partition
		if e.Tombstone {
			continue
		}
		if other, taken := seqs[e.Seq]; taken || e.Seq <= last[e.Partition] {
			r.Malformed = append(r.Malformed, fmt.Sprintf("%s: seq %d comes after %d, taken by %q", e.Key, e.Seq, last[e.Partition], other))
		}
		seqs[e.Seq], last[e.Partition] = e.Key, e.Seq
	}
	for key, states := range history {
		truth := states[len(states)-1]
		var final *LinkEvent
		for i, e := range byKey[key] {
			if !e.Tombstone {
				final = &byKey[key][i]
			}
		}
		switch {
		case final == nil && truth.Live:
			r.Lost = append(r.Lost, fmt.Sprintf("%s was never published, history %v", key, states))
		case final != nil && !final.shows(truth):
			r.Lost = append(r.Lost, fmt.Sprintf("%s is %+v, but its last event is %s %q", key, truth, final.Op, final.Label))
		}
	}
	for key, events := range byKey {
		r.key(key, history[key], events)
	}
	return r
}

// story tells the events of a key, one a line.
func story(events []LinkEvent) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "\n\t%s seq %d %s %q %s %s", e.At.UTC().Format(time.RFC3339Nano), e.Seq, e.Op, e.Label, e.Reason, e.Stream)
	}
	return b.String()
}

func (r *LinkReport) key(key string, states []LinkState, events []LinkEvent) {
	next := 0 // the earliest state that the present event may show
	var before *LinkEvent
	for i := range events {
		e := &events[i]
		afterDelete := i > 0 && events[i-1].isDelete()
		if e.Tombstone != afterDelete || i == len(events)-1 && e.isDelete() {
			r.Malformed = append(r.Malformed, fmt.Sprintf("%s: deletes and tombstones do not alternate at event %d", key, i))
		}
		if e.Tombstone {
			continue
		}
		r.Events++
		r.Reasons[e.Reason]++
		alive, asked := before != nil && !before.isDelete(), e.Snapshot == "incremental"
		ok := false
		switch e.Op {
		case "r":
			ok = (before == nil && (asked || e.Snapshot == "true") || alive && asked) && e.Reason == ""
		case "c":
			ok = !alive && (e.Reason == "restored") == (before != nil)
		case "u":
			ok = alive && e.Reason == ""
		case "d":
			ok = alive && e.Reason != ""
		}
		if !ok || e.Op != "r" && e.Snapshot != "false" || asked && e.Stream != "signals" {
			r.Malformed = append(r.Malformed, fmt.Sprintf("%s: seq %d: op %q, snapshot %q, reason %q, alive before: %v", key, e.Seq, e.Op, e.Snapshot, e.Reason, alive))
		}
		if before != nil && !asked && before.isDelete() == e.isDelete() && before.Label == e.Label {
			r.Doubled = append(r.Doubled, fmt.Sprintf("%s: seq %d and %d are the same", key, before.Seq, e.Seq))
		}
		if asked && next > 0 { // it may show again what the event before showed
			next--
		}
		for next < len(states) && !e.shows(states[next]) {
			next++
		}
		if next == len(states) {
			r.Reordered = append(r.Reordered, fmt.Sprintf("%s: seq %d (%s %q) shows no state of %v after those that the events before it show:%s", key, e.Seq, e.Op, e.Label, states, story(events)))
			return
		}
		next++
		before = e
	}
}
