package sink

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
)

// PairTopic makes a pair's topic ready: see Topic. Commit calls it at the pair's
// first link, so that pairs without links have no topic. A caller that knows from
// Load that the topic exists calls it at the start. After a *cdc.RefusedError, Commit
// tries again at the next link.
func (s *Sink) PairTopic(ctx context.Context, pair cdc.Pair) error {
	t, err := pairTopic(s.cfg.Prefix, pair)
	return s.ready(ctx, t, err)
}

func pairTopic(prefix string, pair cdc.Pair) (t *topic, err error) {
	t = &topic{
		object: pair.String(), name: offsets.PairTopic(prefix, pair), least: smallestEvent,
		keyFields: []keyField{{"fromObjectId", "string"}, {"toObjectId", "string"}, {"category", "string"}, {"typeId", "int"}},
	}
	if t.links, err = schema.CompileLinks(t.name); err == nil {
		t.schema = t.links.Schema
	}
	return t, err
}

// need returns why the events of a batch cannot be written now. It makes the topic ready
// for a pair's first link or a reference list's first entry.
func (s *Sink) need(ctx context.Context, b *cdc.Batch) error {
	t := s.topics.get(offsets.TopicOf(s.cfg.Prefix, b.Object))
	if err := t.stopped(); err != nil {
		return err
	}
	switch {
	case t.ready != nil:
	case len(b.Links) > 0:
		return s.PairTopic(ctx, b.Pair)
	case len(b.Entries) > 0:
		return s.ReferenceTopic(ctx, b.Object)
	}
	return nil
}

// composeLinks makes the records of a pair's batch, as composeBatch does for an
// object's.
func (s *Sink) composeLinks(tx *transaction, b *cdc.Batch, now hubspot.Millis) error {
	t, err := s.topicOf(b.Object)
	if err != nil {
		return err
	}
	for i := range b.Links {
		c := &b.Links[i]
		s.seq++
		c.Row.Seq = s.seq
		s.linkRecords(tx, t, b.Pair, c, now)
		tx.state(s, offsets.LinkKey(b.Pair, c.Key), offsets.AppendLinkRow(nil, c.Row))
	}
	return nil
}

// linkRecords adds a link's event and, after a delete, its tombstone. All
// links of a from-id share a partition.
func (s *Sink) linkRecords(tx *transaction, t *topic, pair cdc.Pair, c *cdc.LinkChange, now hubspot.Millis) {
	from := strconv.AppendUint(nil, uint64(c.Key.From), 10)
	key, partition := t.linkKey(&c.Key), PartitionOf(from, t.partitions)
	e := &schema.LinkEvent{
		Op: byte(c.Op), FromType: pair.From, From: c.Key.From, ToType: pair.To, To: c.Key.To,
		Category: c.Key.Category, TypeID: int32(c.Key.TypeID), Label: c.Label, BeforeKey: s.cfg.BeforeKey, TsMs: now,
		Source: s.source(t, c.Op, c.Reason, c.Incremental),
	}
	e.Source.TsMs, e.Source.Stream, e.Source.Seq = c.SourceMs, c.Stream, c.Row.Seq
	t.value = t.links.Append(t.begin(), e)
	if len(t.value) > t.limit-batchOverhead-len(key) && e.Label != "" {
		e.Label, e.Source.Omitted = "", []string{"label"}
		t.value = t.links.Append(t.begin(), e)
		tx.of(t.object).omitted++
		s.log.Warn("an event is larger than its topic allows; its label is left out", "object", t.object, "topic", t.name, "limit", t.limit)
	}
	s.records(tx, t, c.Op, partition, key, t.value)
}

// linkKey is the record's key for a link.
func (t *topic) linkKey(k *cdc.LinkKey) []byte {
	if t.keyHeader == nil {
		return fmt.Appendf(nil, "%d:%d:%s:%d", k.From, k.To, k.Category, k.TypeID)
	}
	return binary.AppendVarint(t.avroKey(k.From.String(), k.To.String(), k.Category), int64(k.TypeID))
}
