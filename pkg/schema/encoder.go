package schema

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Event is one event about an object, as Encoder takes it.
type Event struct {
	Op     byte // c, u, d, r
	ID     hubspot.ID
	Record *hubspot.Record // the state after the change; nil on a delete

	// BeforeKey puts the object's id into before on an update, for readers that
	// want one there (EVENT_BEFORE=key).
	BeforeKey bool

	Source Source
	TsMs   hubspot.Millis // when the connector made this event

	// Omit are slots that are written as null, and left out of unparsed too,
	// because they would make the event too large. The caller names them in
	// Source.Omitted.
	Omit []int
}

// Source is where an event came from. Its fields are named as in the schema; an
// empty Reason, MergedInto or Omitted is written as null.
type Source struct {
	Version    string
	Name       string // the topic prefix
	TsMs       hubspot.Millis
	Snapshot   string
	DB         string
	Table      string
	Stream     string
	Seq        int64
	Reason     string
	MergedInto string
	Omitted    []string
}

// connectorName stands in source.connector of every event.
const connectorName = "hubspot"

// Encoder writes events in one version of a topic's schema. Only one goroutine at
// a time may use it.
//
// It does not use the Avro library, whose encoder is many times slower, and takes
// two versions of a schema for the same one (docs/kafka.md F and H).
type Encoder struct {
	writer
	Schema []byte // what it writes, as JSON to register; not to be changed
	types  []Type // of the fields
	raws   []rawField

	unparsed []int  // the current event's slots whose raw text travels
	raw      []byte // the JSON of unparsed
	text     []byte // a cleaned string
}

// rawField is how a field's raw text travels in unparsed.
type rawField struct {
	key  []byte // the property's name, with quotes and colon
	rank int    // its place, in the order of the names
}

// Compile makes the encoder for a topic's schema. It parses the schema with the
// Avro library and compares each field with what the encoder will write, so that
// no set can make events that cannot be read back.
func Compile(topic string, s *Set) (*Encoder, error) {
	namespace := Namespace(topic)
	text := EnvelopeSchema(namespace, s)
	if err := checkLayout(text, namespace, s); err != nil {
		return nil, fmt.Errorf("compile schema of topic %s: %w", topic, err)
	}

	byName := make([]int, len(s.Fields))
	types, raws := make([]Type, len(s.Fields)), make([]rawField, len(s.Fields))
	for i, f := range s.Fields {
		byName[i] = i
		types[i], raws[i].key = f.Type, append(appendJSON(nil, []byte(f.Property)), ':')
	}
	slices.SortStableFunc(byName, func(a, b int) int {
		return cmp.Compare(s.Fields[a].Property, s.Fields[b].Property)
	})
	for rank, i := range byName {
		raws[i].rank = rank
	}
	return &Encoder{Schema: text, types: types, raws: raws}, nil
}

// Append appends the Avro body of ev to dst, without the registry's header. It
// also returns the number of values whose raw text travels in unparsed.
//
// A record may have fewer values than the set has fields: it was read when there
// were fewer, and new fields only come last. One with more was read with another
// set. That is a bug of the caller and would put values into wrong fields, so
// Append panics.
func (e *Encoder) Append(dst []byte, ev *Event) (out []byte, unparsed int) {
	e.out = dst
	switch {
	case ev.Op == 'd':
		e.key(ev.ID)
		e.null()
	case ev.Record == nil:
		panic(fmt.Sprintf("schema: event %q about %s has no record", ev.Op, ev.ID))
	case len(ev.Record.Values) > len(e.types):
		panic(fmt.Sprintf("schema: record %s has %d values for %d fields", ev.ID, len(ev.Record.Values), len(e.types)))
	default:
		if ev.Op == 'u' && ev.BeforeKey {
			e.key(ev.ID)
		} else {
			e.null()
		}
		unparsed = e.value(ev)
	}
	e.source(&ev.Source)
	e.op(ev.Op, ev.TsMs)
	out, e.out = e.out, nil
	return out, unparsed
}

// key writes a Value with the key alone.
func (e *Encoder) key(id hubspot.ID) {
	e.present()
	e.id(id)
	e.null() // properties
	e.null() // createdAt
	e.null() // updatedAt
	e.null() // archived
	e.null() // unparsed
}

// value writes the whole Value of ev's record.
func (e *Encoder) value(ev *Event) (unparsed int) {
	r := ev.Record
	e.present()
	e.id(ev.ID)
	e.present()
	e.properties(r.Values, ev.Omit)
	e.time(r.Created)
	e.time(r.Updated)
	e.present()
	e.bool(r.Archived)
	e.rawTexts(r.Values)
	return len(e.unparsed)
}

// properties writes the record Properties, and collects in e.unparsed the slots
// whose raw text travels.
func (e *Encoder) properties(values [][]byte, omit []int) {
	e.unparsed = e.unparsed[:0]
	for i, typ := range e.types {
		if i >= len(values) || values[i] == nil || len(omit) > 0 && slices.Contains(omit, i) {
			e.null()
			continue
		}
		if e.property(typ, values[i]) != whole {
			e.unparsed = append(e.unparsed, i)
		}
	}
}

// property writes one value.
func (e *Encoder) property(typ Type, text []byte) outcome {
	switch typ {
	case Double:
		v, o := parseDouble(text)
		if e.branch(o) {
			e.double(v)
		}
		return o
	case Boolean:
		v, o := parseBoolean(text)
		if e.branch(o) {
			e.bool(v)
		}
		return o
	case Date:
		v, o := parseDate(text)
		if e.branch(o) {
			e.long(int64(v))
		}
		return o
	case Timestamp:
		v, o := parseTimestamp(text)
		if e.branch(o) {
			e.long(v)
		}
		return o
	default:
		e.present()
		if cleanString(text) {
			e.bytes(text)
			return whole
		}
		e.text = appendCleaned(e.text[:0], text)
		e.bytes(e.text)
		return part
	}
}

// branch chooses the union's branch for an outcome, and reports whether a value
// has to follow.
func (e *Encoder) branch(o outcome) bool {
	if o == none {
		e.null()
		return false
	}
	e.present()
	return true
}

// rawTexts writes the field unparsed: a JSON object of property to raw text,
// sorted by property, or null if it would be empty.
func (e *Encoder) rawTexts(values [][]byte) {
	if len(e.unparsed) == 0 {
		e.null()
		return
	}
	slices.SortFunc(e.unparsed, func(a, b int) int { return cmp.Compare(e.raws[a].rank, e.raws[b].rank) })
	e.raw = append(e.raw[:0], '{')
	for i, slot := range e.unparsed {
		if i > 0 {
			e.raw = append(e.raw, ',')
		}
		e.raw = append(e.raw, e.raws[slot].key...)
		e.raw = appendJSON(e.raw, values[slot])
	}
	e.raw = append(e.raw, '}')
	e.present()
	e.bytes(e.raw)
}
