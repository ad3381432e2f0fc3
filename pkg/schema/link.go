package schema

import (
	"fmt"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/schemas"
)

// LinkEvent is one event about a link, as LinkEncoder takes it.
type LinkEvent struct {
	Op       byte // c, u, d, r
	FromType string
	From     hubspot.ID
	ToType   string
	To       hubspot.ID
	Category string
	TypeID   int32
	Label    string // "" is written as null; a delete has none

	BeforeKey bool // see Event
	Source    Source
	TsMs      hubspot.Millis
}

// linkEnvelope returns the Avro schema of a topic of links. Unlike that of
// objects it is the same in every portal.
func linkEnvelope(namespace string) []byte {
	return envelope(namespace, parseRecord(schemas.Association))
}

// LinkEncoder writes events about links. Only one goroutine at a time may use it.
type LinkEncoder struct {
	writer
	Schema []byte // see Encoder
}

// CompileLinks makes the encoder for a pair's topic; see Compile.
func CompileLinks(topic string) (*LinkEncoder, error) {
	namespace := Namespace(topic)
	text := linkEnvelope(namespace)
	_, err := checkRecords(text, namespace, []recordLayout{
		{"Envelope", envelopeLayout}, {"Value", linkLayout}, {"Source", sourceLayout},
	})
	if err != nil {
		return nil, fmt.Errorf("compile schema of topic %s: %w", topic, err)
	}
	return &LinkEncoder{Schema: text}, nil
}

// Append appends the Avro body of ev to dst, without the registry's header.
func (e *LinkEncoder) Append(dst []byte, ev *LinkEvent) []byte {
	e.out = dst
	switch {
	case ev.Op == 'd':
		e.value(ev, "")
		e.null()
	case ev.Op == 'u' && ev.BeforeKey:
		e.value(ev, "")
		e.value(ev, ev.Label)
	default:
		e.null()
		e.value(ev, ev.Label)
	}
	e.source(&ev.Source)
	e.op(ev.Op, ev.TsMs)
	dst, e.out = e.out, nil
	return dst
}

// value writes a Value, in the order of schemas/association.avsc.
func (e *LinkEncoder) value(ev *LinkEvent, label string) {
	e.present()
	e.optional(ev.FromType)
	e.id(ev.From)
	e.optional(ev.ToType)
	e.id(ev.To)
	e.optional(ev.Category)
	e.present()
	e.long(int64(ev.TypeID))
	if text := []byte(label); !cleanString(text) {
		label = string(appendCleaned(nil, text))
	}
	e.optional(label)
}

var linkLayout = []string{
	"fromObjectType ?string = null", "fromObjectId ?string = null",
	"toObjectType ?string = null", "toObjectId ?string = null",
	"category ?string = null", "typeId ?int = null", "label ?string = null",
}
