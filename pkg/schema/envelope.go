package schema

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/hubspot-cdc/connector/schemas"
)

// EnvelopeSchema returns the Avro schema of a topic of objects, to be registered:
// Debezium's envelope around a Value whose record Properties has one field for
// each of the set's. All of it is in the topic's namespace (see Namespace;
// docs/contract.md section 5).
//
// It does not let the Avro library write the schema. The library's text leaves
// out defaults, and without them no schema can evolve (docs/kafka.md F).
func EnvelopeSchema(namespace string, s *Set) []byte {
	properties := make([]avroField, len(s.Fields))
	for i, f := range s.Fields {
		label := capped(f.Label)
		properties[i] = avroField{
			Name:        f.Name,
			Type:        nullable(json.RawMessage(f.Type.avroJSON())),
			Default:     null,
			Doc:         label,
			Property:    f.Property,
			Label:       label,
			HubSpotType: f.HubSpotType,
			FieldType:   f.FieldType,
		}
	}

	value := parseRecord(schemas.Object)
	value.field("properties").Type = nullable(toJSON(avroRecord{
		Type: "record", Name: "Properties", Fields: properties,
	}))
	return envelope(namespace, value)
}

// envelope puts a Value into Debezium's envelope.
func envelope(namespace string, value avroRecord) []byte {
	envelope := parseRecord(schemas.Envelope)
	envelope.Namespace = namespace
	envelope.field("before").Type = nullable(toJSON(value)) // after refers to it by name
	envelope.field("source").Type = toJSON(parseRecord(schemas.Source))
	return toJSON(envelope)
}

// maxLabel, in characters, keeps the schema of an object type with thousands of
// properties below what a registry takes (docs/kafka.md J3).
const maxLabel = 200

func capped(label string) string {
	n := 0
	for i := range label {
		if n == maxLabel {
			return label[:i]
		}
		n++
	}
	return label
}

// avroRecord is a record of an Avro schema, with its members in the order in
// which the registry shows them.
type avroRecord struct {
	Type      string      `json:"type"`
	Name      string      `json:"name"`
	Namespace string      `json:"namespace,omitempty"`
	Fields    []avroField `json:"fields"`
}

type avroField struct {
	Name    string          `json:"name"`
	Type    json.RawMessage `json:"type"`
	Default json.RawMessage `json:"default,omitempty"`
	Doc     string          `json:"doc,omitempty"`

	// HubSpot's words for it. Avro keeps such props and gives them no meaning.
	Property    string `json:"hubspot.name,omitempty"`
	Label       string `json:"hubspot.label,omitempty"`
	HubSpotType string `json:"hubspot.type,omitempty"`
	FieldType   string `json:"hubspot.fieldType,omitempty"`
}

var null = json.RawMessage("null")

func nullable(avroType json.RawMessage) json.RawMessage {
	return fmt.Appendf(nil, `["null",%s]`, avroType)
}

// field finds a field of an embedded record. A missing one is a bug.
func (r *avroRecord) field(name string) *avroField {
	for i := range r.Fields {
		if r.Fields[i].Name == name {
			return &r.Fields[i]
		}
	}
	panic(fmt.Sprintf("schema: the embedded record %s has no field %q", r.Name, name))
}

// parseRecord reads a file of package schemas.
func parseRecord(file []byte) avroRecord {
	var r avroRecord
	dec := json.NewDecoder(bytes.NewReader(file))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		panic(fmt.Sprintf("schema: an embedded schema: %v", err))
	}
	return r
}

// toJSON writes a value on one line, and leaves < and > in labels as they are.
// The values here can always be written.
func toJSON(v any) json.RawMessage {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("schema: write an Avro schema: %v", err))
	}
	return bytes.TrimRight(buf.Bytes(), "\n")
}
