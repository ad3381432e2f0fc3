package sink

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// ends know how far each data topic was written. The state has it exactly, in the
// transaction of the records themselves (R20).
//
// Only the brokers know a record's offset, and the answer would cost every
// transaction a second round trip. But this is the topics' only writer: the next
// record follows the marker of the transaction before. So a transaction carries
// what its ends are going to be. Where the brokers then assign other offsets, it
// gets the true ones before it is committed.
type ends struct {
	mu     sync.Mutex
	topics map[string]*topicEnds
}

type topicEnds struct {
	next []int64 // by partition: the offset that the next record should get
	ours offsets.Ends
}

func newEnds() *ends { return &ends{topics: map[string]*topicEnds{}} }

// found notes the ends of a topic's log and what the state says of it, before
// anything is written to it. logEnds may be nil.
func (e *ends) found(topic string, logEnds []int64, ours offsets.Ends) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.topics[topic] = &topicEnds{next: slices.Clone(logEnds), ours: offsets.Ends{After: slices.Clone(ours.After)}}
}

// of returns up to where a topic was written.
func (e *ends) of(topic string) offsets.Ends {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t := e.topics[topic]; t != nil {
		return offsets.Ends{After: slices.Clone(t.ours.After), Cut: t.ours.Cut}
	}
	return offsets.Ends{}
}

// span is the records of a transaction in one partition.
type span struct {
	first, last *kgo.Record
	n           int64
}

// spans groups the records by partition, without those of the internal topics.
func spans(records []*kgo.Record, internal ...string) map[string]map[int32]*span {
	out := map[string]map[int32]*span{}
	var last string
	var parts map[int32]*span
	for _, r := range records {
		if slices.Contains(internal, r.Topic) {
			continue
		}
		if parts == nil || r.Topic != last {
			last, parts = r.Topic, out[r.Topic]
			if parts == nil {
				parts = map[int32]*span{}
				out[last] = parts
			}
		}
		p := parts[r.Partition]
		if p == nil {
			p = &span{first: r}
			parts[r.Partition] = p
		}
		p.last = r
		p.n++
	}
	return out
}

// expect returns what the ends of a topic are going to be.
func (e *ends) expect(topic string, parts map[int32]*span) offsets.Ends {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.topics[topic]
	if t == nil {
		t = &topicEnds{}
		e.topics[topic] = t
	}
	after := slices.Clone(t.ours.After)
	for p, s := range parts {
		for int(p) >= len(after) {
			after = append(after, 0)
		}
		after[p] = t.nextOf(p) + s.n
	}
	return offsets.Ends{After: after}
}

func (t *topicEnds) nextOf(partition int32) int64 {
	if int(partition) < len(t.next) {
		return t.next[partition]
	}
	return 0
}

// written compares the offsets that the brokers assigned with what was expected,
// and returns the true ends. right reports that they are as expected.
func (e *ends) written(topic string, parts map[int32]*span) (now offsets.Ends, right bool) {
	now = e.expect(topic, parts)
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.topics[topic]
	right = true
	for p, s := range parts {
		if s.first.Offset < 0 || s.last.Offset < 0 {
			continue // the broker knows that it has the records, and no longer where
		}
		after := s.last.Offset + 1
		right = right && now.After[p] == after
		now.After[p] = after
		// A log never becomes shorter: this one was cut, or is another one.
		now.Cut = now.Cut || s.first.Offset < t.nextOf(p)
	}
	return now, right && !now.Cut
}

// committed takes over the ends of a transaction.
func (e *ends) committed(topic string, parts map[int32]*span, now offsets.Ends) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.topics[topic]
	for p := range parts {
		for int(p) >= len(t.next) {
			t.next = append(t.next, 0)
		}
		t.next[p] = now.After[p] + 1 // the marker
	}
	t.ours = now
}

// cut returns a topic that was found shorter than it was left; "" if none was.
func (e *ends) cut() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, topic := range slices.Sorted(maps.Keys(e.topics)) {
		if e.topics[topic].ours.Cut {
			return topic
		}
	}
	return ""
}

// cutError ends a run whose transaction has found a topic shorter than it was
// left. That is committed: the next run settles it.
type cutError struct{ topic string }

func (e *cutError) Error() string {
	return fmt.Sprintf("topic %s was cut or created again while the connector was writing to it", e.topic)
}
