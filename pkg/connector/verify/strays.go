package verify

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// strays are records in partitions into which the connector never writes their keys. A
// consumer takes them too, by when it sees them: so one that is later than the
// connector's own record counts as the key's latest. There are none, unless somebody
// else writes to the topic.
type strays[K comparable] struct {
	partitions int32
	of         map[K]stray
	fresh      bool // of some, the connector's own record may have been read before
}

type stray struct {
	at   int64 // when the latest one was written, in milliseconds
	live bool  // it is no tombstone
	own  int64 // when the connector's was
}

// note takes a record whose key has this text in the connector's eyes, and reports
// whether it is in its place.
func (s *strays[K]) note(key K, text string, r *kgo.Record) bool {
	at := r.Timestamp.UnixMilli()
	one, known := s.of[key]
	if r.Partition == sink.PartitionOf([]byte(text), s.partitions) {
		if known {
			one.own = max(one.own, at)
			s.of[key] = one
		}
		return true
	}
	s.fresh = s.fresh || !known
	if at >= one.at {
		one.at, one.live = at, r.Value != nil
	}
	s.of[key] = one
	return false
}

// latest reports whether a stray is the latest record of a key, and whether that one
// is live.
func (s *strays[K]) latest(key K) (stray, live bool) {
	one, known := s.of[key]
	return known && one.at >= one.own, one.live
}

// begin sets how many partitions the topic has.
func (s *strays[K]) begin(partitions int) { s.partitions, s.of = int32(partitions), map[K]stray{} }

// again reports whether the topic has to be read again: some strays are new.
func (s *strays[K]) again() bool {
	fresh := s.fresh
	s.fresh = false
	return fresh
}

// fold is a topic as a consumer has it.
type fold interface {
	begin(partitions int) // before its first record
	add(context.Context, *kgo.Record) error
	// again reports whether the topic has to be read again for strays, and recall
	// takes its records then.
	again() bool
	recall(*kgo.Record)
	watch() // after the first read: see departures
}

// reader reads a topic to its end, again and again. A topic that does not exist is
// empty.
type reader struct {
	*verifier
	topic  string
	fold   fold
	client *offsets.Reader // nil: the topic was not there yet
}

func (v *verifier) reader(topic string, f fold) *reader { return &reader{v, topic, f, nil} }

func (r *reader) toEnd(ctx context.Context) (err error) {
	if r.client == nil {
		there, err := r.topics(ctx, r.topic)
		if err != nil || !there.Has(r.topic) {
			return err
		}
		r.fold.begin(len(there[r.topic].Partitions))
		r.client, err = offsets.NewReader(r.source(), map[string]func(*kgo.Record) error{
			r.topic: func(record *kgo.Record) error { return r.fold.add(ctx, record) },
		})
		if err != nil {
			return err
		}
	}
	if err := r.client.ToEnd(ctx); err != nil {
		return err
	}
	r.fold.watch()
	if !r.fold.again() {
		return nil
	}
	return r.again(ctx, func(record *kgo.Record) error { r.fold.recall(record); return nil })
}

func (r *reader) close() {
	if r.client != nil {
		r.client.Close()
	}
}
