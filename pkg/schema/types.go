package schema

import "fmt"

// Type is how the values of a property are written.
type Type uint8

// The types of fields. There are no others below properties: sinks stumble
// over anything that is not a scalar (docs/kafka.md J1).
const (
	String    Type = iota // string
	Double                // double
	Boolean               // boolean
	Date                  // int, logical type date
	Timestamp             // long, logical type timestamp-millis
)

var types = [...]struct{ word, avro string }{
	String:    {"string", `"string"`},
	Double:    {"double", `"double"`},
	Boolean:   {"boolean", `"boolean"`},
	Date:      {"date", `{"type":"int","logicalType":"date"}`},
	Timestamp: {"timestamp", `{"type":"long","logicalType":"timestamp-millis"}`},
}

// String gives the word that stands for t in a Set's JSON.
func (t Type) String() string { return types[t].word }

// avroJSON is t as it stands in an Avro schema, beside null in its union.
func (t Type) avroJSON() string { return types[t].avro }

// MarshalText writes the word of t.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the word of a type.
func (t *Type) UnmarshalText(word []byte) error {
	for i := range types {
		if types[i].word == string(word) {
			*t = Type(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not a type of field", word)
}

// TypeOf gives the type for a HubSpot type. HubSpot adds types without
// notice, so every word that is not known is written as the text it is.
func TypeOf(hubspotType string) Type {
	switch hubspotType {
	case "number":
		return Double
	case "bool":
		return Boolean
	case "date":
		return Date
	case "datetime":
		return Timestamp
	default: // string, enumeration, phone_number, json, object_coordinates, …
		return String
	}
}
