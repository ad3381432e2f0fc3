package schema

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	twmb "github.com/twmb/avro"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

// The schema as consumers see it in the registry. A difference here changes the
// contract (docs/contract.md section 5).
func TestEnvelopeSchema(t *testing.T) {
	s, _ := Evolve(nil, "contacts", []hubspot.Property{
		{Name: "email", Type: "string", FieldType: "text", Label: "E-mail <of> \"Ann\" & \u2028 Bob"},
		{Name: "amount", Type: "number", FieldType: "number", Label: "Amount"},
		{Name: "1st-call", Type: "datetime", FieldType: "date", Label: "Erster Anruf größer"},
		{Name: "born", Type: "date", FieldType: "date"},
		{Name: "closed", Type: "bool", FieldType: "booleancheckbox", Label: "Closed"},
	}, nil)
	s, _ = Evolve(s, "contacts", []hubspot.Property{
		{Name: "amount", Type: "enumeration", FieldType: "select", Label: "Amount"},
	}, nil)
	var got bytes.Buffer
	if err := json.Indent(&got, EnvelopeSchema(Namespace("my-hubspot.contacts"), s), "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	path := filepath.Join("testdata", "contacts.avsc")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the schema differs from %s (go test -update rewrites it):\n%s", path, got.Bytes())
	}
	if bytes.Contains(EnvelopeSchema(Namespace("my-hubspot.contacts"), s), []byte("\n")) {
		t.Error("the schema is not one line")
	}
}

func TestSchemaOfAnObjectWithoutProperties(t *testing.T) {
	if _, err := Compile("hubspot.empty", &Set{Object: "empty"}); err != nil {
		t.Error(err)
	}
}

// The records of two topics do not clash where a reader keeps both, because each
// topic has its own namespace.
func TestTopicsHaveTheirOwnNamespace(t *testing.T) {
	var cache twmb.SchemaCache
	for _, topic := range []string{"hubspot.contacts", "hubspot.companies", "other.contacts"} {
		if _, err := cache.Parse(string(EnvelopeSchema(Namespace(topic), setOf(t, "a string")))); err != nil {
			t.Errorf("topic %s: %v", topic, err)
		}
	}
}

// docs/kafka.md J3: a registry keeps a version in one record of 1 MB.
func TestLabelsAreCappedByCharacters(t *testing.T) {
	s, _ := Evolve(nil, "contacts", []hubspot.Property{
		{Name: "a", Type: "string", Label: strings.Repeat("ü", 201)},
		{Name: "b", Type: "string", Label: strings.Repeat("ü", 200)},
	}, nil)
	text := EnvelopeSchema(Namespace(testTopic), s)
	if !utf8.Valid(text) || bytes.Contains(text, []byte(strings.Repeat("ü", 201))) || bytes.Count(text, []byte(strings.Repeat("ü", 200))) != 4 {
		t.Errorf("labels are not 200 characters long, in doc and in hubspot.label: %s", text)
	}
}

// Every version can read what any other has written: this is what the registry
// checks before anything is produced.
func TestEveryVersionIsCompatible(t *testing.T) {
	lists := [][]string{
		{"b string", "d number"},
		{"a datetime", "b string", "c bool", "d string"},
		{"b date"},
		{"b string", "d number", "e json"},
	}
	var set *Set
	var versions []*twmb.Schema
	for _, list := range lists {
		set, _ = Evolve(set, "contacts", listed(list...), nil)
		versions = append(versions, readerSchema(t, EnvelopeSchema(Namespace(testTopic), set)))
	}
	for i, writer := range versions {
		for j, reader := range versions {
			if err := twmb.CheckCompatibility(writer, reader); err != nil {
				t.Errorf("version %d cannot read version %d: %v", j, i, err)
			}
		}
	}
}

// Compile finds a mistake in the encoder's order of fields, and a set whose
// fields are not those that Avro reads in the schema.
func TestLayoutIsChecked(t *testing.T) {
	s := setOf(t, "a string", "b number")
	text := EnvelopeSchema(Namespace(testTopic), s)
	if err := checkLayout(text, Namespace(testTopic), s); err != nil {
		t.Error(err)
	}
	for name, other := range map[string]*Set{
		"a field more":  setOf(t, "a string", "b number", "c string"),
		"a field less":  setOf(t, "a string"),
		"another name":  setOf(t, "a string", "c number"),
		"another type":  setOf(t, "a string", "b string"),
		"another order": {Fields: []Field{s.Fields[1], s.Fields[0]}},
	} {
		if err := checkLayout(text, Namespace(testTopic), other); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := checkLayout(text, Namespace("hubspot.companies"), s); err == nil {
		t.Error("another topic: no error")
	}

	twice := &Set{Fields: []Field{{Name: "a", Property: "a"}, {Name: "a", Property: "b"}}}
	if _, err := Compile(testTopic, twice); err == nil {
		t.Error("two fields of one name: no error")
	}
}

func TestSameFields(t *testing.T) {
	const properties = `{"type":"record","name":"R","namespace":"n","fields":[%s]}`
	base := fmt.Sprintf(properties, `{"name":"a","type":["null","string"],"default":null}`)
	for _, tt := range []struct {
		name, other string
		want        bool
	}{
		{"itself", base, true},
		{"doc and props", fmt.Sprintf(properties, `{"name":"a","doc":"A","hubspot.label":"B","type":["null","string"],"default":null}`), true},
		{"doc of the record", strings.Replace(base, `"name":"R"`, `"name":"R","doc":"D"`, 1), true},
		{"spaces", strings.ReplaceAll(base, ",", " ,\n"), true},
		{"a primitive type in braces", strings.Replace(base, `"string"`, `{"type":"string"}`, 1), true},
		{"full name", strings.Replace(base, `"name":"R","namespace":"n"`, `"name":"n.R"`, 1), true},
		{"another name", strings.Replace(base, `"name":"R"`, `"name":"Q"`, 1), false},
		{"another namespace", strings.Replace(base, `"n"`, `"m"`, 1), false},
		{"another type", strings.Replace(base, `"string"`, `"bytes"`, 1), false},
		{"a logical type", strings.Replace(base, `"string"`, `{"type":"int","logicalType":"date"}`, 1), false},
		{"no default", strings.Replace(base, `,"default":null`, ``, 1), false},
		{"not nullable", fmt.Sprintf(properties, `{"name":"a","type":"string"}`), false},
		{"another order of the union", fmt.Sprintf(properties, `{"name":"a","type":["string","null"]}`), false},
		{"a field more", fmt.Sprintf(properties, `{"name":"a","type":["null","string"],"default":null},{"name":"b","type":"int"}`), false},
		{"a field less", fmt.Sprintf(properties, ``), false},
		{"not a record", `"string"`, false},
	} {
		for _, pair := range [][2]string{{base, tt.other}, {tt.other, base}} {
			same, err := SameFields([]byte(pair[0]), []byte(pair[1]))
			if err != nil || same != tt.want {
				t.Errorf("%s: %v, %v, want %v", tt.name, same, err, tt.want)
			}
		}
	}
	for _, broken := range []string{``, `{`, `{"type":"record"}`, `{"type":"record","name":"R","fields":[{"name":"a","type":"Unknown"}]}`} {
		if _, err := SameFields([]byte(base), []byte(broken)); err == nil {
			t.Errorf("%s: no error", broken)
		}
		if _, err := SameFields([]byte(broken), []byte(base)); err == nil {
			t.Errorf("%s: no error", broken)
		}
	}

	// Defaults of the same type with other values.
	one := fmt.Sprintf(properties, `{"name":"a","type":"string","default":"1"}`)
	two := fmt.Sprintf(properties, `{"name":"a","type":"string","default":"2"}`)
	if same, err := SameFields([]byte(one), []byte(two)); err != nil || same {
		t.Errorf("another default: %v, %v", same, err)
	}
}

func TestSameFieldsOfWholeEnvelopes(t *testing.T) {
	s := setOf(t, everyType...)
	more, _ := Evolve(s, "contacts", listed(append([]string{"zip string"}, everyType...)...), nil)
	less, _ := Evolve(s, "contacts", listed(everyType[1:]...), nil)
	text := EnvelopeSchema(Namespace(testTopic), s)
	for name, tt := range map[string]struct {
		other []byte
		want  bool
	}{
		"itself":             {text, true},
		"a property more":    {EnvelopeSchema(Namespace(testTopic), more), false},
		"a property removed": {EnvelopeSchema(Namespace(testTopic), less), true}, // its field stays
		"another topic":      {EnvelopeSchema(Namespace("hubspot.companies"), s), false},
		"reference by full name": {
			bytes.Replace(text, []byte(`["null","Value"]`), []byte(`["null","hubspot.contacts.Value"]`), 1), true,
		},
	} {
		if same, err := SameFields(text, tt.other); err != nil || same != tt.want {
			t.Errorf("%s: %v, %v, want %v", name, same, err, tt.want)
		}
	}
}
