package sink

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
)

// transaction is the records of one transaction, and what they add to the metrics
// once they are committed.
type transaction struct {
	records []*kgo.Record
	events  map[eventKind]int
	values  map[string]*valueCounts // by object
	dated   []dated
	now     func() hubspot.Millis
	cursors []movedCursor
	live    map[string]int // by object that it writes events of: how many keys are live then

	states []*kgo.Record // of the batch being composed, whose events come first
	slab   []kgo.Record  // the records to come
	text   []byte        // the keys and values to come
}

type movedCursor struct {
	key   offsets.Key
	value []byte
}

type eventKind struct {
	object string
	op     cdc.Op
}

// dated is a change of which HubSpot says when it was.
type dated struct {
	object string
	at     hubspot.Millis
}

type valueCounts struct {
	unparsed, omitted int
}

// of returns the counts of an object.
func (t *transaction) of(object string) *valueCounts {
	if t.values[object] == nil {
		t.values[object] = &valueCounts{}
	}
	return t.values[object]
}

// record returns a new record. Each transaction has hundreds, and forgets all of
// them at once.
func (t *transaction) record(r kgo.Record) *kgo.Record {
	if len(t.slab) == cap(t.slab) {
		t.slab = make([]kgo.Record, 0, min(max(8, 2*cap(t.slab)), 128))
	}
	t.slab = append(t.slab, r)
	return &t.slab[len(t.slab)-1]
}

// keep copies a key or a value.
func (t *transaction) keep(text []byte) []byte {
	if cap(t.text)-len(t.text) < len(text) {
		t.text = make([]byte, 0, max(len(text), min(max(1<<10, 2*cap(t.text)), 64<<10)))
	}
	start := len(t.text)
	t.text = append(t.text, text...)
	return t.text[start:len(t.text):len(t.text)]
}

// state adds a row to the state of the batch being composed. It takes the key over.
func (t *transaction) state(s *Sink, key, value []byte) {
	t.states = append(t.states, t.record(kgo.Record{Topic: s.stateTopic, Key: key, Value: t.keep(value)}))
}

func (t *transaction) count(m *metrics) {
	for kind, n := range t.events {
		m.events.WithLabelValues(kind.object, string(rune(kind.op))).Add(float64(n))
	}
	for object, n := range t.values {
		m.unparsed.WithLabelValues(object).Add(float64(n.unparsed))
		m.omitted.WithLabelValues(object).Add(float64(n.omitted))
	}
	if len(t.dated) == 0 {
		return
	}
	now := t.now()
	for _, d := range t.dated {
		m.change.WithLabelValues(d.object).Observe(max(0, float64(now-d.at)/1000))
	}
}

// compose makes the records of a transaction and assigns the sequence numbers:
// one counter per portal, rising in commit order.
func (s *Sink) compose(w *work) (*transaction, error) {
	tx := &transaction{records: w.attached, events: map[eventKind]int{}, values: map[string]*valueCounts{}, now: s.cfg.Now, live: map[string]int{}}
	for _, r := range w.attached {
		if key, err := offsets.ParseKey(r.Key); r.Topic == s.cursorTopic && err == nil {
			tx.cursors = append(tx.cursors, movedCursor{key, r.Value})
		}
	}
	for _, waits := range w.batches {
		if err := s.composeBatch(tx, waits.batch); err != nil {
			return nil, err
		}
	}
	for key, value := range w.notes {
		tx.move(s, key, value)
	}
	return tx, nil
}

func (s *Sink) composeBatch(tx *transaction, b *cdc.Batch) error {
	var t *topic
	var err error
	if len(b.Changes) > 0 {
		if t, err = s.topicOf(b.Object); err != nil {
			return err
		}
	}
	now := hubspot.MillisOf(time.Now())
	if len(b.Links) > 0 {
		if err := s.composeLinks(tx, b, now); err != nil {
			return err
		}
	}
	if len(b.Entries) > 0 {
		if err := s.composeEntries(tx, b, now); err != nil {
			return err
		}
	}
	if b.Set != nil {
		tx.state(s, offsets.SetKey(b.Object), b.Set)
	}
	var row []byte
	for i := range b.Changes {
		c := &b.Changes[i]
		if c.Event != nil {
			s.seq++
			c.Row.Seq = s.seq
			s.eventRecords(tx, t, c, now)
		}
		row = offsets.AppendRow(row[:0], c.Row)
		tx.state(s, offsets.RowKey(b.Object, c.ID), row)
	}
	tx.records = append(tx.records, tx.states...)
	tx.states = tx.states[:0]
	for _, cur := range b.Cursors {
		key := offsets.Key{Portal: s.cfg.Portal, Object: cur.Object, Stream: cur.Stream}
		tx.move(s, key, cur.Value)
	}
	if len(b.Changes)+len(b.Links)+len(b.Entries) > 0 {
		tx.live[b.Object] = b.Live
	}
	return nil
}

// move adds a cursor.
func (t *transaction) move(s *Sink, key offsets.Key, value []byte) {
	t.records = append(t.records, s.cursorRecord(key, value))
	t.cursors = append(t.cursors, movedCursor{key, value})
}

// topicOf returns the topic of an object, a pair or a reference list.
func (s *Sink) topicOf(object string) (*topic, error) {
	if t := s.topics.get(offsets.TopicOf(s.cfg.Prefix, object)).ready; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("object %s has no topic yet", object)
}

// source fills in what the sources of objects, links and entries have in common.
func (s *Sink) source(t *topic, op cdc.Op, reason cdc.Reason, incremental bool) schema.Source {
	snapshot := "false"
	switch {
	case incremental:
		snapshot = "incremental"
	case op == cdc.Read:
		snapshot = "true"
	}
	return schema.Source{
		Version: s.cfg.Version, Name: s.cfg.Prefix, DB: s.db, Table: t.object,
		Snapshot: snapshot, Reason: reason.String(),
	}
}

// eventRecords adds an event's record and, after a delete, its tombstone.
func (s *Sink) eventRecords(tx *transaction, t *topic, c *cdc.Change, now hubspot.Millis) {
	e := c.Event
	var room [20]byte
	id := strconv.AppendUint(room[:0], uint64(c.ID), 10)
	source := s.source(t, e.Op, e.Reason, e.Incremental)
	source.TsMs, source.Stream, source.Seq = e.SourceMs, e.Stream, c.Row.Seq
	if e.Into != 0 {
		source.MergedInto = e.Into.String()
	}
	key, partition := t.key(id), PartitionOf(id, t.partitions)
	value, unparsed, omitted := t.encode(key, &schema.Event{
		Op: byte(e.Op), ID: c.ID, Record: e.Record, BeforeKey: s.cfg.BeforeKey, TsMs: now,
		Source: source,
	})
	if omitted > 0 {
		s.log.Warn("an event is larger than its topic allows; its largest values are left out",
			"object", t.object, "topic", t.name, "id", c.ID, "values", omitted, "limit", t.limit)
	}
	counts := tx.of(t.object)
	counts.unparsed += unparsed
	counts.omitted += omitted
	s.records(tx, t, e.Op, partition, key, value)
	if e.Dated && e.Op != cdc.Read && e.Reason != cdc.Restored { // a restore moves no modified time
		tx.dated = append(tx.dated, dated{t.object, e.SourceMs})
	}
}

// records adds an event's record and, after a delete, its tombstone, and counts the
// event.
func (s *Sink) records(tx *transaction, t *topic, op cdc.Op, partition int32, key, value []byte) {
	tx.events[eventKind{t.object, op}]++
	r := tx.record(kgo.Record{Topic: t.name, Partition: partition, Key: tx.keep(key), Value: tx.keep(value)})
	tx.records = append(tx.records, r)
	if op == cdc.Delete && s.cfg.Tombstones {
		tx.records = append(tx.records, tx.record(kgo.Record{Topic: t.name, Partition: partition, Key: r.Key}))
	}
}

// The internal topics have one partition, and 0 is a record's default.

func (s *Sink) cursorRecord(key offsets.Key, value []byte) *kgo.Record {
	return &kgo.Record{Topic: s.cursorTopic, Key: key.Bytes(), Value: value}
}

func (s *Sink) stateRecord(key, value []byte) *kgo.Record {
	return &kgo.Record{Topic: s.stateTopic, Key: key, Value: value}
}

// wireHeader is what the Confluent wire format puts before the Avro body.
func wireHeader(schemaID int) []byte {
	return binary.BigEndian.AppendUint32([]byte{0}, uint32(schemaID))
}
