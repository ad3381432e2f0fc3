package schema

import (
	"fmt"
	"slices"

	"github.com/hamba/avro/v2"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/schemas"
)

// lists are the reference lists: the Value of their topics, and the fields of
// their keys in the order of the keys' parts (docs/contract.md section 5).
var lists = map[string]struct {
	value []byte
	key   []string
}{
	"owners":          {schemas.Owner, []string{"id"}},
	"pipelines":       {schemas.Pipeline, []string{"objectType", "id"}},
	"pipeline_stages": {schemas.PipelineStage, []string{"objectType", "pipelineId", "id"}},
}

// ReferenceKey names the fields of the keys of a reference list's topic, all strings.
// ok reports whether there is a list of this name.
func ReferenceKey(list string) (fields []string, ok bool) {
	l, ok := lists[list]
	return l.key, ok
}

// ReferenceFields names the fields of a reference list's entries, without those
// of the key.
func ReferenceFields(list string) (names []string) {
	l := lists[list]
	for _, f := range parseRecord(l.value).Fields {
		if !slices.Contains(l.key, f.Name) {
			names = append(names, f.Name)
		}
	}
	return names
}

// ReferenceEvent is one event about an entry of a reference list, as
// ReferenceEncoder takes it.
type ReferenceEvent struct {
	Op  byte     // c, u, d, r
	Key []string // the parts of the key
	// Values are the other fields by name: string, int32, bool or hubspot.Moment.
	// A missing one, and "", is written as null.
	Values map[string]any

	BeforeKey bool // see Event
	Source    Source
	TsMs      hubspot.Millis
}

// ReferenceEncoder writes events about a reference list's entries. Only one
// goroutine at a time may use it.
type ReferenceEncoder struct {
	writer
	Schema []byte // see Encoder
	fields []referenceField
	key    []string
}

type referenceField struct {
	name string
	typ  string // as typeWord describes it
	part int    // of the key; -1: a value
}

// referenceEnvelope returns the Avro schema of a reference list's topic, which is
// the same in every portal.
func referenceEnvelope(namespace, list string) []byte {
	return envelope(namespace, parseRecord(lists[list].value))
}

// CompileReference makes the encoder for a reference list's topic; see Compile.
func CompileReference(topic, list string) (*ReferenceEncoder, error) {
	l, known := lists[list]
	if !known {
		return nil, fmt.Errorf("compile schema of topic %s: there is no reference list %q", topic, list)
	}
	namespace := Namespace(topic)
	text := referenceEnvelope(namespace, list)
	parsed, err := checkRecords(text, namespace, []recordLayout{{"Envelope", envelopeLayout}, {"Source", sourceLayout}})
	if err != nil {
		return nil, fmt.Errorf("compile schema of topic %s: %w", topic, err)
	}
	e := &ReferenceEncoder{Schema: text, key: l.key}
	value := parsed.(*avro.RecordSchema).Fields()[0].Type().(*avro.UnionSchema).Types()[1].(*avro.RecordSchema)
	for _, f := range value.Fields() {
		field := referenceField{f.Name(), typeWord(f.Type()), slices.Index(l.key, f.Name())}
		switch field.typ {
		case "?string", "?int", "?boolean", "?long.timestamp-millis":
			e.fields = append(e.fields, field)
		default:
			return nil, fmt.Errorf("compile schema of topic %s: field %s has type %s", topic, field.name, field.typ)
		}
	}
	return e, nil
}

// Key names the fields of the topic's keys, all strings.
func (e *ReferenceEncoder) Key() []string { return e.key }

// Append appends the Avro body of ev to dst, without the registry's header.
func (e *ReferenceEncoder) Append(dst []byte, ev *ReferenceEvent) []byte {
	e.out = dst
	switch {
	case ev.Op == 'd':
		e.value(ev.Key, nil)
		e.null()
	case ev.Op == 'u' && ev.BeforeKey:
		e.value(ev.Key, nil)
		e.value(ev.Key, ev.Values)
	default:
		e.null()
		e.value(ev.Key, ev.Values)
	}
	e.source(&ev.Source)
	e.op(ev.Op, ev.TsMs)
	dst, e.out = e.out, nil
	return dst
}

// value writes a Value, in the order of the list's schema. A value of a type
// other than its field's is a bug, and panics.
func (e *ReferenceEncoder) value(key []string, values map[string]any) {
	e.present()
	for _, f := range e.fields {
		v := values[f.name]
		if f.part >= 0 {
			v = key[f.part]
		}
		if v == nil {
			e.null()
			continue
		}
		switch f.typ {
		case "?string":
			text := v.(string)
			if b := []byte(text); !cleanString(b) {
				text = string(appendCleaned(nil, b))
			}
			e.optional(text)
		case "?int":
			e.present()
			e.long(int64(v.(int32)))
		case "?boolean":
			e.present()
			e.bool(v.(bool))
		case "?long.timestamp-millis":
			// Unlike elsewhere, 0 is a time: the beginning of 1970.
			if m := v.(hubspot.Moment); m.Known && inYears(int64(m.Millis)) {
				e.present()
				e.long(int64(m.Millis))
			} else {
				e.null()
			}
		}
	}
}
