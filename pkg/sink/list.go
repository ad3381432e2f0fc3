package sink

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
)

// ListTopic makes a list's topic ready: see PairTopic.
func (s *Sink) ListTopic(ctx context.Context, list string) error {
	name := offsets.ReferenceTopic(s.cfg.Prefix, list)
	encoder, err := schema.CompileList(name, list)
	if err != nil {
		return err
	}
	var key []keyField
	for _, field := range encoder.Key() {
		key = append(key, keyField{field, "string"})
	}
	return s.ready(ctx, &topic{object: list, name: name, list: encoder}, smallestEvent, encoder.Schema(), key)
}

// composeEntries makes the records of a list's batch, as composeBatch does of
// an object's.
func (s *Sink) composeEntries(tx *transaction, b *cdc.Batch, now hubspot.Millis) (states []*kgo.Record, err error) {
	t, err := s.topicOf(b.Object)
	if err != nil {
		return nil, err
	}
	for i := range b.Entries {
		c := &b.Entries[i]
		if c.Op != 0 {
			s.seq++
			c.Row.Seq = s.seq
			tx.records = append(tx.records, s.entryRecords(tx, t, c, now)...)
		}
		states = append(states, s.stateRecord(offsets.EntryRowKey(b.Object, c.Key), offsets.AppendRow(nil, c.Row)))
	}
	return states, nil
}

// entryRecords are the event of a list's entry and, behind a delete, its
// tombstone.
func (s *Sink) entryRecords(tx *transaction, t *topic, c *cdc.ListChange, now hubspot.Millis) []*kgo.Record {
	key, partition := t.entryKey(c.Key), partitionOf([]byte(c.Key.String()), t.partitions)
	e := &schema.ListEvent{
		Op: byte(c.Op), Key: c.Key.Parts(), Values: c.Values, BeforeKey: s.cfg.BeforeKey, TsMs: now,
		Source: s.source(t, c.Op, c.Reason, c.Incremental),
	}
	e.Source.TsMs, e.Source.Stream, e.Source.Seq = c.SourceMs, c.Stream, c.Row.Seq
	value := t.list.Append(slices.Clone(t.header), e)
	for len(value) > t.limit-batchOverhead-len(key) {
		name := largest(e.Values)
		if name == "" {
			break
		}
		e.Values = maps.Clone(e.Values)
		delete(e.Values, name)
		e.Source.Omitted = append(e.Source.Omitted, name)
		value = t.list.Append(slices.Clone(t.header), e)
		tx.of(t.object).omitted++
		s.log.Warn("an event is larger than its topic allows; its largest values are left out",
			"object", t.object, "topic", t.name, "value", name, "limit", t.limit)
	}
	tx.events[eventKind{t.object, c.Op}]++
	records := []*kgo.Record{{Topic: t.name, Partition: partition, Key: key, Value: value}}
	if c.Op == cdc.Delete && s.cfg.Tombstones {
		records = append(records, &kgo.Record{Topic: t.name, Partition: partition, Key: key})
	}
	return records
}

// largest names the longest text of an entry; "" when it has none left.
func largest(values map[string]any) (name string) {
	size := 0
	for field, v := range values {
		if text, ok := v.(string); ok && len(text) > size {
			name, size = field, len(text)
		}
	}
	return name
}

// entryKey is the record's key for an entry.
func (t *topic) entryKey(k cdc.EntryKey) []byte {
	if t.keyHeader == nil {
		return []byte(k.String())
	}
	key := slices.Clone(t.keyHeader)
	for _, text := range k.Parts() {
		key = binary.AppendVarint(key, int64(len(text)))
		key = append(key, text...)
	}
	return key
}
