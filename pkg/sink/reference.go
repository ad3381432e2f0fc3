package sink

import (
	"context"
	"maps"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
)

// ReferenceTopic makes a reference list's topic ready: see PairTopic.
func (s *Sink) ReferenceTopic(ctx context.Context, list string) error {
	t, err := referenceTopic(s.cfg.Prefix, list)
	return s.ready(ctx, t, err)
}

func referenceTopic(prefix, list string) (t *topic, err error) {
	t = &topic{object: list, name: offsets.ReferenceTopic(prefix, list), least: smallestEvent}
	if t.list, err = schema.CompileReference(t.name, list); err != nil {
		return t, err
	}
	t.schema = t.list.Schema
	for _, field := range t.list.Key() {
		t.keyFields = append(t.keyFields, keyField{field, "string"})
	}
	return t, nil
}

// composeEntries makes the records of a reference list's batch, as composeBatch
// does for an object's.
func (s *Sink) composeEntries(tx *transaction, b *cdc.Batch, now hubspot.Millis) error {
	t, err := s.topicOf(b.Object)
	if err != nil {
		return err
	}
	for i := range b.Entries {
		c := &b.Entries[i]
		if c.Op != 0 {
			s.seq++
			c.Row.Seq = s.seq
			s.entryRecords(tx, t, c, now)
		}
		tx.state(s, offsets.EntryRowKey(b.Object, c.Key), offsets.AppendRow(nil, c.Row))
	}
	return nil
}

// entryRecords adds an entry's event and, after a delete, its tombstone.
func (s *Sink) entryRecords(tx *transaction, t *topic, c *cdc.ReferenceChange, now hubspot.Millis) {
	key, partition := t.entryKey(c.Key), PartitionOf([]byte(c.Key.String()), t.partitions)
	e := &schema.ReferenceEvent{
		Op: byte(c.Op), Key: c.Key.Parts(), Values: c.Values, BeforeKey: s.cfg.BeforeKey, TsMs: now,
		Source: s.source(t, c.Op, c.Reason, c.Incremental),
	}
	e.Source.TsMs, e.Source.Stream, e.Source.Seq = c.SourceMs, c.Stream, c.Row.Seq
	t.value = t.list.Append(t.begin(), e)
	for len(t.value) > t.limit-batchOverhead-len(key) {
		name := largest(e.Values)
		if name == "" {
			break
		}
		e.Values = maps.Clone(e.Values)
		delete(e.Values, name)
		e.Source.Omitted = append(e.Source.Omitted, name)
		t.value = t.list.Append(t.begin(), e)
		tx.of(t.object).omitted++
		s.log.Warn("an event is larger than its topic allows; its largest values are left out",
			"object", t.object, "topic", t.name, "value", name, "limit", t.limit)
	}
	s.records(tx, t, c.Op, partition, key, t.value)
	if (c.Op == cdc.Create || c.Op == cdc.Update) && c.Reason != cdc.Restored && c.SourceMs == c.Row.Version {
		tx.dated = append(tx.dated, dated{t.object, c.SourceMs})
	}
}

// largest names an entry's longest text; "" if it has none.
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
	return t.avroKey(k.Parts()...)
}
