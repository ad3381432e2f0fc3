package schema

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hamba/avro/v2"
)

// parseSchema parses an Avro schema with a cache of its own. The whole process
// shares the library's default cache, which would let one schema refer to the
// records of another (docs/kafka.md F).
func parseSchema(text []byte) (avro.Schema, error) {
	return avro.ParseBytesWithCache(text, "", &avro.SchemaCache{})
}

// SameFields reports whether two Avro schemas, as JSON, have the same records
// with the same fields in the same order, of the same types and with the same
// defaults. It ignores doc and props (the labels of properties), which never make
// a new version of a topic's schema on their own. It also ignores spaces, and how
// a registry writes references to a record.
func SameFields(a, b []byte) (bool, error) {
	if bytes.Equal(a, b) {
		return true, nil // as most often: to parse one takes milliseconds
	}
	first, err := parseSchema(a)
	if err != nil {
		return false, fmt.Errorf("compare schemas: first: %w", err)
	}
	second, err := parseSchema(b)
	if err != nil {
		return false, fmt.Errorf("compare schemas: second: %w", err)
	}
	return typeWord(first) == typeWord(second) &&
		maps.EqualFunc(layouts(first), layouts(second), slices.Equal), nil
}

// layouts describes the structure of a schema: for each record, by full name, its
// fields in order as "name type" or "name type = default". A type with a question
// mark is ["null", type].
func layouts(schema avro.Schema) map[string][]string {
	found := make(map[string][]string)
	addLayout(found, schema)
	return found
}

func addLayout(found map[string][]string, schema avro.Schema) {
	switch s := schema.(type) {
	case *avro.RecordSchema:
		lines := make([]string, len(s.Fields()))
		found[s.FullName()] = lines
		for i, f := range s.Fields() {
			lines[i] = f.Name() + " " + typeWord(f.Type())
			if f.HasDefault() {
				def := "null"
				if f.Default() != nil {
					def = fmt.Sprintf("%#v", f.Default())
				}
				lines[i] += " = " + def
			}
			addLayout(found, f.Type())
		}
	case *avro.UnionSchema:
		for _, branch := range s.Types() {
			addLayout(found, branch)
		}
	case *avro.ArraySchema:
		addLayout(found, s.Items())
	case *avro.MapSchema:
		addLayout(found, s.Values())
	}
}

// typeWord describes a type in a word or two.
func typeWord(schema avro.Schema) string {
	switch s := schema.(type) {
	case *avro.UnionSchema:
		words := make([]string, len(s.Types()))
		for i, branch := range s.Types() {
			words[i] = typeWord(branch)
		}
		if len(words) == 2 && words[0] == "null" {
			return "?" + words[1]
		}
		return "union of (" + strings.Join(words, ", ") + ")"
	case *avro.ArraySchema:
		return "array of " + typeWord(s.Items())
	case *avro.MapSchema:
		return "map of " + typeWord(s.Values())
	case *avro.RecordSchema:
		return s.FullName()
	case *avro.NullSchema:
		return "null"
	case *avro.RefSchema:
		return s.Schema().FullName()
	case *avro.PrimitiveSchema:
		if s.Logical() == nil {
			return string(s.Type())
		}
		if s.Logical().Type() == avro.Decimal {
			return string(s.Type()) + "." + s.Logical().String()
		}
		return string(s.Type()) + "." + string(s.Logical().Type())
	default: // enums and fixed: in full, in canonical form
		return s.String()
	}
}

// What the encoder writes. Its methods must match these lists.
var (
	envelopeLayout = []string{
		"before ?Value = null", "after ?Value = null", "source Source", "op string", "ts_ms ?long = null",
	}
	valueLayout = []string{
		"id ?string = null", "properties ?Properties = null",
		"createdAt ?long.timestamp-millis = null", "updatedAt ?long.timestamp-millis = null",
		"archived ?boolean = null", "unparsed ?string = null",
	}
	sourceLayout = []string{
		"version string", "connector string", "name string", "ts_ms long", "snapshot string", "db string",
		"table string", "stream string", "seq long", "reason ?string = null", "mergedInto ?string = null",
		"omitted ?array of string = null",
	}
	typeLayout = [...]string{
		String: "string", Double: "double", Boolean: "boolean", Date: "int.date", Timestamp: "long.timestamp-millis",
	}
)

// checkLayout checks that a schema has every field in the place where the encoder
// writes it.
func checkLayout(text []byte, namespace string, s *Set) error {
	properties := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		properties[i] = f.Name + " ?" + typeLayout[f.Type] + " = null"
	}
	_, err := checkRecords(text, namespace, []recordLayout{
		{"Envelope", envelopeLayout}, {"Value", valueLayout}, {"Source", sourceLayout}, {"Properties", properties},
	})
	return err
}

// recordLayout is a record's name and its fields, in the form of layouts.
type recordLayout struct {
	name string
	want []string
}

func checkRecords(text []byte, namespace string, records []recordLayout) (avro.Schema, error) {
	schema, err := parseSchema(text)
	if err != nil {
		return nil, err
	}
	namespace += "."
	got := layouts(schema)
	for _, record := range records {
		lines := slices.Clone(got[namespace+record.name])
		for i := range lines {
			lines[i] = strings.ReplaceAll(lines[i], namespace, "")
		}
		if !slices.Equal(lines, record.want) {
			return nil, fmt.Errorf("record %s has the fields %q, the encoder writes %q", record.name, lines, record.want)
		}
	}
	return schema, nil
}
