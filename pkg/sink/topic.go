package sink

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
)

// topic is the topic of an object, a pair or a reference list, and how it is
// written: one version of its schema.
type topic struct {
	object, name string
	partitions   int32
	limit        int // bytes of the largest record batch
	least        int // bytes that the limit must not be below
	set          *schema.Set
	encoder      *schema.Encoder
	links        *schema.LinkEncoder      // of a pair, which has no set and no encoder
	list         *schema.ReferenceEncoder // of a reference list, likewise
	schema       []byte                   // of the values
	keyFields    []keyField               // of its Avro keys
	header       []byte                   // before each value
	keyHeader    []byte                   // before each key, when keys are Avro
	value        []byte                   // the latest one; only compose uses it
}

// Topic makes an object's topic ready for a property set: at the start, and again
// whenever the set has changed. It creates the topic, checks that nothing has
// changed that consumers rely on, and registers the schema if the registry
// accepts it. The caller's next batch stores the set itself (cdc.Batch.Set),
// together with the cursors that follow from it. The caller holds the lane's
// turn, so that no batch of the object is under way.
//
// A *cdc.RefusedError stops this topic alone: until Topic succeeds, Commit
// refuses batches with changes of the object with the same error.
func (s *Sink) Topic(ctx context.Context, object string, set *schema.Set) error {
	t, err := objectTopic(s.cfg.Prefix, object, set)
	err = s.ready(ctx, t, err)
	if refused, ok := errors.AsType[*cdc.RefusedError](err); ok || err == nil {
		s.topics.change(t.name, func(t *topicState) { t.refused = refused })
	}
	return err
}

func objectTopic(prefix, object string, set *schema.Set) (t *topic, err error) {
	t = &topic{
		object: object, name: offsets.ObjectTopic(prefix, object), least: len(set.Fields) + smallestEvent, set: set,
		keyFields: []keyField{{"id", "string"}},
	}
	if t.encoder, err = schema.Compile(t.name, set); err == nil {
		t.schema = t.encoder.Schema
	}
	return t, err
}

// ready makes a topic and its schemas ready; from then on events are written to
// it. err is why the topic's schema did not compile, nil if it did.
func (s *Sink) ready(ctx context.Context, t *topic, err error) error {
	if err != nil {
		return err
	}
	return alone(t, s.makeReady(ctx, t))
}

func (s *Sink) makeReady(ctx context.Context, t *topic) error {
	was := s.topics.get(t.name)
	if was.watched() {
		if err := s.stillThere(ctx, t); err != nil {
			return err
		}
	}
	found, err := s.setup.dataTopic(ctx, t, was.meta)
	s.warn(found)
	if was.written() && (found.fresh || uncreated(err)) {
		if was.presence != absent { // streams may run that publish nothing again
			return &lossError{t.name, "it is gone"}
		}
		s.lose(t)
	}
	if err != nil {
		return err
	}
	if len(found.Operations) > 0 && found.Denied(kmsg.ACLOperationWrite) { // it would fail the transaction of all
		return fmt.Errorf("write topic %s: %w", t.name, kerr.TopicAuthorizationFailed)
	}
	now, err := s.setup.schemas(ctx, t, found, was.meta)
	if err != nil {
		return err
	}
	records, err := s.writtenWith(ctx, found.Subjects, was.written())
	if err != nil {
		return err
	}
	more, err := s.recognise(ctx, t, found)
	if err != nil {
		return err
	}
	if was.written() {
		now = was.meta
	} else { // the state does not know it yet
		records = append(records, s.stateRecord(offsets.TopicKey(t.name), now.Bytes()))
	}
	s.topics.change(t.name, func(st *topicState) { st.ready, st.limit, st.meta = t, t.limit, now })
	s.attach(append(records, more...)...)
	return nil
}

// warn logs the warnings about a topic with which a run continues, unless the
// process has logged them before.
func (s *Sink) warn(t *TopicFinding) { warn(s.cfg, s.log, t) }

func warn(cfg Config, log *slog.Logger, t *TopicFinding) {
	for _, w := range t.Warnings {
		if cfg.Warned.first(t.Name, w) {
			log.Warn(w.Text, "topic", t.Name, w.Setting)
		}
	}
}

const startOver = "or start over under another KAFKA_TOPIC_PREFIX"

// checkFormats refuses a changed format of keys: every object would get a second
// key. It runs before any topic is created, so that one prefix never holds two
// formats.
func checkFormats(topics map[string]offsets.TopicMeta, format string) error {
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		if was := topics[name].KeyFormat; was != format {
			return &offsets.Refusal{
				What: fmt.Sprintf("topic %s was written with keys of format %q, and KAFKA_KEY_FORMAT is %q", name, was, format),
				Cure: fmt.Sprintf("set KAFKA_KEY_FORMAT=%s, %s", was, startOver),
			}
		}
	}
	return nil
}

// key is the record's key for an id in decimal digits.
func (t *topic) key(id []byte) []byte {
	if t.keyHeader == nil {
		return id
	}
	return t.avroKey(string(id))
}

// avroKey is an Avro key, or its beginning: the fields that are strings come
// first.
func (t *topic) avroKey(texts ...string) []byte {
	key := slices.Clone(t.keyHeader)
	for _, text := range texts {
		key = binary.AppendVarint(key, int64(len(text)))
		key = append(key, text...)
	}
	return key
}

const (
	// What Kafka adds to a record that is alone in its batch: the batch's header
	// of 61 bytes, and the record's own lengths and deltas.
	batchOverhead = 128
	// An event with all properties null, without its one byte per property.
	smallestEvent = 4 << 10
	// allOmitted stands in source.omitted if even the names are too large.
	allOmitted = "*"
)

// encode writes an event's value. If the event is larger than the topic allows,
// encode leaves out the largest values, as few as possible, and names them in
// source.omitted. A value that is too large for Kafka must not stop the run, nor
// end every run after it. The next encode overwrites the value.
func (t *topic) encode(key []byte, e *schema.Event) (value []byte, unparsed, omitted int) {
	value, unparsed = t.append(e)
	room := t.limit - batchOverhead - len(key)
	if len(value) <= room || e.Record == nil {
		return value, unparsed, 0
	}
	bySize := slotsBySize(e.Record.Values)
	for len(value) > room && len(e.Omit) < len(bySize) {
		for excess := len(value) - room; excess > 0 && len(e.Omit) < len(bySize); {
			slot := bySize[len(e.Omit)]
			e.Omit = append(e.Omit, slot)
			e.Source.Omitted = append(e.Source.Omitted, t.set.Fields[slot].Property)
			excess -= len(e.Record.Values[slot])
		}
		value, unparsed = t.append(e)
	}
	if len(value) > room {
		e.Source.Omitted = []string{allOmitted}
		value, unparsed = t.append(e)
	}
	return value, unparsed, len(e.Omit)
}

func (t *topic) append(e *schema.Event) (_ []byte, unparsed int) {
	t.value, unparsed = t.encoder.Append(t.begin(), e)
	return t.value, unparsed
}

// begin is the beginning of the next value, in the room of the latest one.
func (t *topic) begin() []byte { return append(t.value[:0], t.header...) }

// slotsBySize lists the slots that have a value, largest first.
func slotsBySize(values [][]byte) []int {
	var slots []int
	for i, v := range values {
		if v != nil {
			slots = append(slots, i)
		}
	}
	slices.SortStableFunc(slots, func(a, b int) int { return cmp.Compare(len(values[b]), len(values[a])) })
	return slots
}
