package sink

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/twmb/franz-go/pkg/kadm"
)

// topic is an object's, a pair's or a list's topic and how it is written: one
// version of its schema.
type topic struct {
	object, name string
	partitions   int32
	limit        int // bytes of the largest record batch
	set          *schema.Set
	encoder      *schema.Encoder
	links        *schema.LinkEncoder // of a pair's topic, which has no set and no encoder
	list         *schema.ListEncoder // of a list's, likewise
	header       []byte              // before each value
	keyHeader    []byte              // before each key, when keys are Avro
}

// Topic makes an object's topic ready to be written with a property set: at
// the start, and again whenever the set has changed. It creates the topic,
// checks that nothing has changed that consumers rely on, and has the schema
// accepted by the registry. The set itself is stored by the caller's next batch
// (cdc.Batch.Set), together with the cursors that follow from it. The caller
// sees to it that no batch of the object is under way (the lane's turn).
//
// A *cdc.RefusedError stops this topic: until Topic succeeds, batches with
// changes of the object are refused with the same error.
func (s *Sink) Topic(ctx context.Context, object string, set *schema.Set) error {
	name := offsets.ObjectTopic(s.cfg.Prefix, object)
	encoder, err := schema.Compile(name, set)
	if err != nil {
		return err
	}
	t := &topic{object: object, name: name, set: set, encoder: encoder}
	err = s.ready(ctx, t, len(set.Fields)+smallestEvent, encoder.Schema(), []keyField{{"id", "string"}})
	if refused, ok := errors.AsType[*cdc.RefusedError](err); ok || err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.refused[object] = refused
	}
	return err
}

// stopped gives why an object's topic is not written for now; nil if it is.
func (s *Sink) stopped(object string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if refused := s.refused[object]; refused != nil {
		return refused
	}
	return nil
}

// ready makes sure of a topic that takes events of least bytes, and of its
// schemas.
func (s *Sink) ready(ctx context.Context, t *topic, least int, value []byte, key []keyField) error {
	s.mu.Lock()
	meta, known := s.metas[t.name]
	loaded := s.loaded
	s.mu.Unlock()
	if !loaded {
		return fmt.Errorf("topic %s: nothing was loaded yet", t.name)
	}
	found, err := s.dataTopic(ctx, kadm.NewClient(s.cl), t.name, meta)
	if err != nil {
		return err
	}
	t.partitions, t.limit = found.partitions, found.limit
	if t.limit < least {
		return &offsets.Refusal{
			What: fmt.Sprintf("topic %s takes at most %d bytes, too few for an event with nothing but nulls (%d)", t.name, t.limit, least),
			Cure: fmt.Sprintf("raise max.message.bytes of the topic (the connector creates topics with %d) and KAFKA_MAX_MESSAGE_BYTES", DefaultMaxMessageBytes),
		}
	}
	now := offsets.TopicMeta{Partitions: t.partitions, KeyFormat: s.cfg.KeyFormat}
	if known && meta.Partitions != now.Partitions {
		return &offsets.Refusal{
			What: fmt.Sprintf("topic %s has %d partitions and was written with %d, so keys would change their partition", t.name, now.Partitions, meta.Partitions),
			Cure: fmt.Sprintf("bring back the topic with %d partitions, %s", meta.Partitions, anew),
		}
	}
	if s.cfg.KeyFormat == KeyAvro {
		if now.KeySchema, err = s.keySchemaID(ctx, t.name, meta.KeySchema, keySchema(t.name, key)); err != nil {
			return err
		}
		t.keyHeader = wireHeader(now.KeySchema)
	}
	id, err := s.schemaID(ctx, t.name+"-value", value)
	if err != nil {
		return err
	}
	t.header = wireHeader(id)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.topics[t.object] = t
	if !known {
		s.metas[t.name] = now
		s.attach(s.stateRecord(offsets.TopicKey(t.name), now.Bytes()))
	}
	return nil
}

const anew = "or start anew under another KAFKA_TOPIC_PREFIX"

// checkFormats refuses to give keys another format than they have: every
// object would get a second key. It comes before any topic is made, so that
// never two formats stand under one prefix.
func checkFormats(topics map[string]offsets.TopicMeta, format string) error {
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		if was := topics[name].KeyFormat; was != format {
			return &offsets.Refusal{
				What: fmt.Sprintf("topic %s was written with keys of format %q, and KAFKA_KEY_FORMAT is %q", name, was, format),
				Cure: fmt.Sprintf("set KAFKA_KEY_FORMAT=%s, %s", was, anew),
			}
		}
	}
	return nil
}

// keySchemaID gives the id that the registry has for a topic's Avro keys. It
// stands in every key, and Kafka compares keys by their bytes: what it was at
// the topic's first key (0: there is none yet) it has to be for ever.
func (s *Sink) keySchemaID(ctx context.Context, topic string, was int, text []byte) (int, error) {
	subject := topic + "-key"
	if s.unasked() {
		return was, nil
	}
	if was == 0 {
		return s.schemaID(ctx, subject, text)
	}
	now, err := s.cfg.Registry.SchemaByID(ctx, was)
	switch {
	case statusOf(err) == http.StatusNotFound:
	case err != nil:
		return 0, fmt.Errorf("ask registry for schema %d of %s: %w", was, subject, err)
	default:
		if same, err := schema.SameFields([]byte(now.Schema), text); err == nil && same {
			if s.looking != nil {
				s.looking.subject(subject, was)
			}
			return was, nil
		}
	}
	return 0, &offsets.Refusal{
		What: fmt.Sprintf("the keys in topic %s have schema id %d, and the schema registry has no such schema of subject %s, so every object would get a second key", topic, was, subject),
		Cure: "bring back the registry's content, or the SCHEMA_REGISTRY_URL of before, " + anew,
	}
}

// key is the record's key for an id in decimal digits.
func (t *topic) key(id []byte) []byte {
	if t.keyHeader == nil {
		return id
	}
	key := append(make([]byte, 0, len(t.keyHeader)+1+len(id)), t.keyHeader...)
	key = binary.AppendVarint(key, int64(len(id)))
	return append(key, id...)
}

const (
	// What Kafka adds to a record that is alone in its batch: 61 bytes of the
	// batch's head, and the record's own lengths and deltas.
	batchOverhead = 128
	// An event with all properties null, without its one byte per property.
	smallestEvent = 4 << 10
	// allOmitted stands in source.omitted when the names alone are too large.
	allOmitted = "*"
)

// encode writes an event's value. One that is larger than the topic allows
// leaves out its largest values, as few as will do, and names them in
// source.omitted: what is too large for Kafka must neither stop nor repeat
// the run.
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

func (t *topic) append(e *schema.Event) ([]byte, int) {
	return t.encoder.Append(slices.Clone(t.header), e)
}

// slotsBySize lists the slots that have a value, the largest first.
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
