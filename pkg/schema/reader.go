package schema

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hamba/avro/v2"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// ErrForeign says that bytes are not an event in the schema that a Reader was made
// for, or that a schema is not one of the connector's.
var ErrForeign = errors.New("not an event of the connector")

// Reader reads events back in one version of a topic's schema. It decodes no value:
// two values of a field are equal if their bytes are, and a comparison of millions of
// records needs no more. Only one goroutine at a time may use it.
type Reader struct {
	// Fields are those of Value, in order. The fields of the record Properties
	// stand in the place of the field properties.
	Fields []ReadField

	nested int // where the fields of Properties begin, and how many there are
	inner  int // -1: there is no such record
	values [][]byte
}

// ReadField is a field of an event's after.
type ReadField struct {
	Name     string
	Property string // in HubSpot; "" for a field that is no property
	kind     byte   // how its bytes end: 's' text, 'n' a number, 'b' one byte, 'd' eight
}

// Fact is what an event says of its key.
type Fact struct {
	Op      byte
	DB      string // source.db
	Seq     int64
	Live    bool     // there is an after
	Values  [][]byte // after, by Reader.Fields; nil is null. The next Read overwrites it
	Omitted []string // source.omitted
}

// NewReader makes the reader for a schema as a registry shows it. The error is
// ErrForeign where it is not one of the connector's.
func NewReader(text []byte) (*Reader, error) {
	parsed, err := parseSchema(text)
	if err != nil {
		return nil, ErrForeign
	}
	envelope, ok := parsed.(*avro.RecordSchema)
	if !ok || envelope.Name() != "Envelope" {
		return nil, ErrForeign
	}
	if _, err := checkRecords(text, envelope.Namespace(), []recordLayout{{"Envelope", envelopeLayout}, {"Source", sourceLayout}}); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	value, ok := envelope.Fields()[0].Type().(*avro.UnionSchema).Types()[1].(*avro.RecordSchema)
	if !ok {
		return nil, ErrForeign
	}
	r := &Reader{inner: -1}
	for _, f := range value.Fields() {
		if properties, ok := branch(f.Type()).(*avro.RecordSchema); ok && r.inner < 0 {
			r.nested, r.inner = len(r.Fields), len(properties.Fields())
			for _, p := range properties.Fields() {
				if err := r.add(p); err != nil {
					return nil, err
				}
			}
			continue
		}
		if err := r.add(f); err != nil {
			return nil, err
		}
	}
	r.values = make([][]byte, len(r.Fields))
	return r, nil
}

// branch is the type of a nullable field, or nil.
func branch(t avro.Schema) avro.Schema {
	if u, ok := t.(*avro.UnionSchema); ok && len(u.Types()) == 2 && u.Types()[0].Type() == avro.Null {
		return u.Types()[1]
	}
	return nil
}

func (r *Reader) add(f *avro.Field) error {
	field := ReadField{Name: f.Name()}
	field.Property, _ = f.Prop("hubspot.name").(string)
	switch word, _, _ := strings.Cut(typeWord(f.Type()), "."); word {
	case "?string":
		field.kind = 's'
	case "?int", "?long":
		field.kind = 'n'
	case "?boolean":
		field.kind = 'b'
	case "?double":
		field.kind = 'd'
	default:
		return fmt.Errorf("%w: field %s has type %s", ErrForeign, f.Name(), word)
	}
	r.Fields = append(r.Fields, field)
	return nil
}

// Field is the place of a field of Value that is no property, or -1.
func (r *Reader) Field(name string) int {
	return slices.IndexFunc(r.Fields, func(f ReadField) bool { return f.Name == name && f.Property == "" })
}

// Read reads the Avro body of an event. The fact points into it.
func (r *Reader) Read(body []byte) (f Fact, err error) {
	in := input{rest: body}
	if in.present() { // before
		r.value(&in)
	}
	if f.Live = in.present(); f.Live {
		r.value(&in)
		f.Values = r.values
	}
	in.text() // version
	connector := string(in.text())
	in.text() // name
	in.number()
	in.text() // snapshot
	f.DB = string(in.text())
	in.text() // table
	in.text() // stream
	f.Seq = in.number()
	for range 2 { // reason, mergedInto
		if in.present() {
			in.text()
		}
	}
	if in.present() {
		for n := in.number(); n > 0 && !in.bad; n = in.number() {
			for ; n > 0 && !in.bad; n-- {
				f.Omitted = append(f.Omitted, string(in.text()))
			}
		}
	}
	if op := in.text(); len(op) == 1 {
		f.Op = op[0]
	}
	if in.present() { // ts_ms
		in.number()
	}
	if in.bad || len(in.rest) > 0 || connector != connectorName || !strings.ContainsRune("cudr", rune(f.Op)) || f.Live == (f.Op == 'd') {
		return Fact{}, ErrForeign
	}
	return f, nil
}

// value reads a Value into r.values.
func (r *Reader) value(in *input) {
	for i := 0; i < len(r.Fields); i++ {
		if i == r.nested && r.inner >= 0 && !in.present() {
			clear(r.values[i : i+r.inner])
			if i += r.inner; i == len(r.Fields) {
				return
			}
		}
		before := in.rest
		if !in.present() {
			r.values[i] = nil
			continue
		}
		switch r.Fields[i].kind {
		case 's':
			in.text()
		case 'n':
			in.number()
		case 'b':
			in.skip(1)
		case 'd':
			in.skip(8)
		}
		r.values[i] = before[1 : len(before)-len(in.rest)]
	}
}

// Text is a string's text.
func Text(value []byte) string {
	in := input{rest: value}
	return string(in.text())
}

// Time is a timestamp's time; NoTime for null.
func Time(value []byte) hubspot.Millis {
	if value == nil {
		return hubspot.NoTime
	}
	in := input{rest: value}
	return hubspot.Millis(in.number())
}

// input is Avro's binary encoding, being read.
type input struct {
	rest []byte
	bad  bool // it ends too early, or is no encoding of ours
}

func (in *input) number() int64 {
	n, size := binary.Varint(in.rest)
	if size <= 0 {
		in.bad, in.rest = true, nil
		return 0
	}
	in.rest = in.rest[size:]
	return n
}

// present reads the branch of a union, which is always ["null", T].
func (in *input) present() bool {
	switch in.number() {
	case 0:
		return false
	case 1:
		return true
	}
	in.bad = true
	return false
}

func (in *input) text() []byte { return in.skip(in.number()) }

func (in *input) skip(n int64) []byte {
	if n < 0 || n > int64(len(in.rest)) {
		in.bad, in.rest = true, nil
		return nil
	}
	text := in.rest[:n]
	in.rest = in.rest[n:]
	return text
}
