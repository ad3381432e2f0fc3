package testkit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"
)

// Decoder reads Avro in the registry's wire format as a consumer does: with the
// schema that the registry has under the id in front, and with another library
// than the code that wrote it. Only one goroutine may use it at a time.
type Decoder struct {
	tb       testing.TB
	registry *sr.Client
	schemas  map[int]written
}

type written struct {
	text   string
	schema *avro.Schema
}

// NewDecoder makes a decoder that asks a registry, real or fake.
func NewDecoder(tb testing.TB, registry *sr.Client) *Decoder {
	return &Decoder{tb: tb, registry: registry, schemas: map[int]written{}}
}

// Decode reads a key or a value. It fails the test if it cannot.
func (d *Decoder) Decode(body []byte) map[string]any {
	d.tb.Helper()
	fields, _, err := d.Try(body)
	if err != nil {
		d.tb.Fatal(err)
	}
	return fields
}

// Try also gives the schema. It is for goroutines other than the test's, which
// must not end the test.
func (d *Decoder) Try(body []byte) (fields map[string]any, schema string, err error) {
	const headerLen = 5 // of the wire format: a zero, then the id
	if len(body) < headerLen || body[0] != 0 {
		return nil, "", errors.New("there is no schema id in front")
	}
	w, err := d.written(int(binary.BigEndian.Uint32(body[1:headerLen])))
	if err != nil {
		return nil, "", err
	}
	rest, err := w.schema.Decode(body[headerLen:], &fields)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes are left over", len(rest))
	}
	return fields, w.text, err
}

func (d *Decoder) written(id int) (written, error) {
	if w, known := d.schemas[id]; known {
		return w, nil
	}
	answer, err := d.registry.SchemaByID(d.tb.Context(), id)
	if err != nil {
		return written{}, fmt.Errorf("fetch schema %d: %w", id, err)
	}
	schema, err := avro.Parse(answer.Schema)
	if err != nil {
		return written{}, fmt.Errorf("parse schema %d: %w", id, err)
	}
	d.schemas[id] = written{answer.Schema, schema}
	return d.schemas[id], nil
}
