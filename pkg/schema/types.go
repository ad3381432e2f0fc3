package schema

import "fmt"

// Type is how the values of a property are written.
type Type uint8

// The types of fields. Nothing else exists below properties: sinks stumble over
// anything that is not a scalar (docs/kafka.md J1).
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

// String returns the word for t in a Set's JSON.
func (t Type) String() string { return types[t].word }

// avroJSON is t in an Avro schema, where it stands beside null in a union.
func (t Type) avroJSON() string { return types[t].avro }

// MarshalText writes the word for t.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the word for a type.
func (t *Type) UnmarshalText(word []byte) error {
	for i := range types {
		if types[i].word == string(word) {
			*t = Type(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not a field type", word)
}

// TypeOf returns the type for a HubSpot type. HubSpot adds types without notice,
// so values of an unknown one are written as their text.
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
