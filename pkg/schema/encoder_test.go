package schema

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	// An independent reader of Avro: tests never read the encoder's output with
	// the library that wrote it.
	twmb "github.com/twmb/avro"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

const testTopic = "hubspot.contacts"

func readerSchema(t testing.TB, text []byte) *twmb.Schema {
	t.Helper()
	s, err := twmb.Parse(string(text),
		twmb.CustomType{LogicalType: "date"}, // as plain numbers
		twmb.CustomType{LogicalType: "timestamp-millis"})
	if err != nil {
		t.Fatalf("parse %s: %v", text, err)
	}
	return s
}

func decode(t testing.TB, s *twmb.Schema, body []byte) map[string]any {
	t.Helper()
	var event map[string]any
	rest, err := s.Decode(body, &event)
	if err != nil || len(rest) > 0 {
		t.Fatalf("decode: %v, %d bytes left", err, len(rest))
	}
	return event
}

func compiled(t testing.TB, s *Set) *Encoder {
	t.Helper()
	e, err := Compile(testTopic, s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func setOf(t testing.TB, pairs ...string) *Set {
	t.Helper()
	s, _ := Evolve(nil, "contacts", listed(pairs...), nil)
	return s
}

// record makes a record of the set with these values by property.
func record(s *Set, id hubspot.ID, values map[string]string) *hubspot.Record {
	r := &hubspot.Record{ID: id, Created: 1700000000000, Updated: 1700000000123, Values: make([][]byte, len(s.Fields))}
	slots := s.Slots(nil)
	for name, text := range values {
		r.Values[slots.Slot([]byte(name))] = []byte(text)
	}
	return r
}

var testSource = Source{
	Version: "1.2.3", Name: "hubspot", TsMs: 1700000000123, Snapshot: "false", DB: "4242",
	Table: "contacts", Stream: "leading", Seq: 17,
}

// sourceMap is testSource as a reader sees it, with changes.
func sourceMap(changes map[string]any) map[string]any {
	m := map[string]any{
		"version": "1.2.3", "connector": "hubspot", "name": "hubspot", "ts_ms": int64(1700000000123), "snapshot": "false",
		"db": "4242", "table": "contacts", "stream": "leading", "seq": int64(17), "reason": nil, "mergedInto": nil, "omitted": nil,
	}
	for k, v := range changes {
		m[k] = v
	}
	return m
}

func checkEvent(t *testing.T, got, want map[string]any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		g, _ := json.MarshalIndent(got, "", " ")
		w, _ := json.MarshalIndent(want, "", " ")
		t.Errorf("event\n got %s\nwant %s", g, w)
	}
}

var everyType = []string{"name string", "amount number", "closed bool", "born date", "at datetime", "stage enumeration"}

// docs/contract.md section 5: the event of a create and a read.
func TestCreateHasTheWholeRecordAfter(t *testing.T) {
	s := setOf(t, everyType...)
	e := compiled(t, s)
	for _, op := range []byte{'c', 'r'} {
		body, unparsed := e.Append(nil, &Event{
			Op: op, ID: 123, Source: testSource, TsMs: 1700000001000, BeforeKey: true, // which is for updates only
			Record: record(s, 123, map[string]string{
				"name": "Ann", "amount": "12.5", "closed": "Yes", "born": "1969-12-31", "at": "2024-03-01T13:14:15.123Z",
			}),
		})
		if unparsed != 0 {
			t.Errorf("%d values unparsed, want 0", unparsed)
		}
		checkEvent(t, decode(t, readerSchema(t, e.Schema), body), map[string]any{
			"op": string(op), "ts_ms": int64(1700000001000), "source": sourceMap(nil), "before": nil,
			"after": map[string]any{
				"id": "123", "createdAt": int64(1700000000000), "updatedAt": int64(1700000000123), "archived": false, "unparsed": nil,
				"properties": map[string]any{
					"name": "Ann", "amount": 12.5, "closed": true, "born": int32(-1), "at": int64(1709298855123), "stage": nil,
				},
			},
		})
	}
}

func keyOnly(id string) map[string]any {
	return map[string]any{"id": id, "properties": nil, "createdAt": nil, "updatedAt": nil, "archived": nil, "unparsed": nil}
}

func TestUpdateHasTheKeyBeforeWhereAskedFor(t *testing.T) {
	s := setOf(t, "name string")
	e := compiled(t, s)
	reader := readerSchema(t, e.Schema)
	ev := Event{Op: 'u', ID: 5, Source: testSource, Record: record(s, 5, nil)}
	body, _ := e.Append(nil, &ev)
	if got := decode(t, reader, body)["before"]; got != nil {
		t.Errorf("before %v, want null", got)
	}
	ev.BeforeKey = true
	body, _ = e.Append(nil, &ev)
	if got := decode(t, reader, body)["before"]; !reflect.DeepEqual(got, keyOnly("5")) {
		t.Errorf("before %v, want the key alone", got)
	}
}

// Debezium's unwrap silently drops a delete without a before.
func TestDeleteHasTheKeyBeforeAndNothingAfter(t *testing.T) {
	e := compiled(t, setOf(t, everyType...))
	source := testSource
	source.Reason, source.MergedInto = "merged", "77"
	body, unparsed := e.Append(nil, &Event{Op: 'd', ID: 18446744073709551615, Source: source, TsMs: 1})
	if unparsed != 0 {
		t.Errorf("%d values unparsed, want 0", unparsed)
	}
	checkEvent(t, decode(t, readerSchema(t, e.Schema), body), map[string]any{
		"op": "d", "ts_ms": int64(1), "source": sourceMap(map[string]any{"reason": "merged", "mergedInto": "77"}),
		"before": keyOnly("18446744073709551615"), "after": nil,
	})
}

// docs/contract.md section 1, promise 5: nothing is thrown away.
func TestUnparsedHoldsTheRawTextOfWhatDoesNotFit(t *testing.T) {
	s := setOf(t, everyType...)
	s, _ = Evolve(s, "contacts", listed(append([]string{"Zahl number", "a \"b\" number"}, everyType...)...), nil)
	e := compiled(t, s)
	body, unparsed := e.Append(nil, &Event{Op: 'u', ID: 1, Source: testSource, Record: record(s, 1, map[string]string{
		"name": "a\x00b", "amount": "9007199254740993", "closed": "maybe", "born": "30.2.2024", "at": "2024-03-01T00:00:00.0001Z",
		"stage": "fine", "Zahl": "zwölf", `a "b"`: "about \"twelve\"",
	})})
	if unparsed != 7 {
		t.Errorf("%d values unparsed, want 7", unparsed)
	}
	after := decode(t, readerSchema(t, e.Schema), body)["after"].(map[string]any)
	if got, want := after["properties"], (map[string]any{
		"name": "a\ufffdb", "amount": 9007199254740992.0, "closed": nil, "born": nil, "at": int64(1709251200000),
		"stage": "fine", "Zahl": nil, "a_u0020_u0022b_u0022": nil,
	}); !reflect.DeepEqual(got, want) {
		t.Errorf("properties\n got %v\nwant %v", got, want)
	}
	const want = `{"Zahl":"zwölf","a \"b\"":"about \"twelve\"","amount":"9007199254740993","at":"2024-03-01T00:00:00.0001Z",` +
		`"born":"30.2.2024","closed":"maybe","name":"a\u0000b"}`
	if got := after["unparsed"]; got != want {
		t.Errorf("unparsed\n got %s\nwant %s", got, want)
	}
	// The next record does not inherit it.
	body, unparsed = e.Append(nil, &Event{Op: 'u', ID: 1, Source: testSource, Record: record(s, 1, map[string]string{"name": "b"})})
	if got := decode(t, readerSchema(t, e.Schema), body)["after"].(map[string]any)["unparsed"]; got != nil || unparsed != 0 {
		t.Errorf("unparsed %v (%d), want null", got, unparsed)
	}
}

func TestOmittedValuesAreNullAndNamed(t *testing.T) {
	s := setOf(t, "a number", "b number", "c string")
	e := compiled(t, s)
	source := testSource
	source.Omitted = []string{"b", "c"}
	body, unparsed := e.Append(nil, &Event{
		Op: 'c', ID: 1, Source: source, Omit: []int{2, 1},
		Record: record(s, 1, map[string]string{"a": "x", "b": "x", "c": "x"}),
	})
	if unparsed != 1 {
		t.Errorf("%d values unparsed, want that of a", unparsed)
	}
	event := decode(t, readerSchema(t, e.Schema), body)
	after := event["after"].(map[string]any)
	if got, want := after["properties"], (map[string]any{"a": nil, "b": nil, "c": nil}); !reflect.DeepEqual(got, want) {
		t.Errorf("properties %v, want %v", got, want)
	}
	if got, want := after["unparsed"], `{"a":"x"}`; got != want {
		t.Errorf("unparsed %v, want %s", got, want)
	}
	if got, want := event["source"].(map[string]any)["omitted"], []any{"b", "c"}; !reflect.DeepEqual(got, want) {
		t.Errorf("omitted %v, want %v", got, want)
	}
}

func TestUnknownTimesAreNull(t *testing.T) {
	s := setOf(t, "a string")
	e := compiled(t, s)
	r := record(s, 1, nil)
	r.Created, r.Updated, r.Archived = hubspot.NoTime, 1<<60, true
	body, _ := e.Append(nil, &Event{Op: 'c', ID: 1, Source: testSource, Record: r})
	event := decode(t, readerSchema(t, e.Schema), body)
	after := event["after"].(map[string]any)
	if event["ts_ms"] != nil || after["createdAt"] != nil || after["updatedAt"] != nil || after["archived"] != true {
		t.Errorf("event %v, want no times, and archived", event)
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	s := setOf(t, "a string")
	e := compiled(t, s)
	ev := Event{Op: 'c', ID: 1, Source: testSource, Record: record(s, 1, map[string]string{"a": "x"})}
	alone, _ := e.Append(nil, &ev)
	behind, _ := e.Append([]byte("header"), &ev)
	if string(behind) != "header"+string(alone) {
		t.Errorf("after a header: %q, alone: %q", behind, alone)
	}
}

func TestRecordOfAnotherSet(t *testing.T) {
	s := setOf(t, "a string", "b string")
	e := compiled(t, s)
	r := record(s, 1, map[string]string{"a": "x"})
	r.Values = r.Values[:1] // read before b was added
	body, _ := e.Append(nil, &Event{Op: 'c', ID: 1, Source: testSource, Record: r})
	got := decode(t, readerSchema(t, e.Schema), body)["after"].(map[string]any)["properties"]
	if want := map[string]any{"a": "x", "b": nil}; !reflect.DeepEqual(got, want) {
		t.Errorf("properties %v, want %v", got, want)
	}

	for name, ev := range map[string]*Event{
		"more values than fields": {Op: 'c', Record: &hubspot.Record{Values: make([][]byte, 3)}},
		"no record":               {Op: 'u'},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: Append does not panic", name)
				}
			}()
			e.Append(nil, ev)
		}()
	}
}

// docs/kafka.md H: the Avro library takes two versions of a schema for the same
// one. What is written with the second must be read with the second.
func TestSchemaEvolvesWithinOneProcess(t *testing.T) {
	first := setOf(t, "b string", "d number")
	second, _ := Evolve(first, "contacts", listed("a datetime", "b string", "c bool", "d string"), nil)
	third, _ := Evolve(second, "contacts", listed("a datetime", "b number", "d number"), nil)

	type version struct {
		set    *Set
		enc    *Encoder
		reader *twmb.Schema
		values map[string]string
		want   map[string]any // by field
	}
	versions := []*version{
		{set: first, values: map[string]string{"b": "x", "d": "1.5"}, want: map[string]any{"b": "x", "d": 1.5}},
		{
			set: second, values: map[string]string{"a": "0", "b": "x", "c": "true", "d": "1.5"},
			want: map[string]any{"b": "x", "a": int64(0), "c": true, "d__string": "1.5"},
		},
		{set: third, values: map[string]string{"b": "7", "d": "1.5"}, want: map[string]any{"d": 1.5, "b__number": 7.0}},
	}
	for _, v := range versions {
		v.enc = compiled(t, v.set)
		v.reader = readerSchema(t, v.enc.Schema)
	}
	for _, i := range []int{0, 1, 2, 1, 0, 2} { // all of them in use at once
		writer := versions[i]
		body, unparsed := writer.enc.Append(nil, &Event{
			Op: 'c', ID: 1, Source: testSource, Record: record(writer.set, 1, writer.values),
		})
		if unparsed != 0 {
			t.Errorf("version %d: %d values unparsed", i, unparsed)
		}
		for j, reader := range versions {
			resolved, err := twmb.Resolve(writer.reader, reader.reader)
			if err != nil {
				t.Fatalf("version %d cannot read version %d: %v", j, i, err)
			}
			want := make(map[string]any)
			for _, f := range reader.set.Fields {
				want[f.Name] = writer.want[f.Name]
			}
			got := decode(t, resolved, body)["after"].(map[string]any)["properties"]
			if !reflect.DeepEqual(got, want) {
				t.Errorf("version %d read with version %d\n got %v\nwant %v", i, j, got, want)
			}
		}
	}
}

// Random records of random sets are read back as what the rules of values.go make
// of their texts.
func TestRandomRecordsAreReadBackEqual(t *testing.T) {
	const seed = 7
	random := rand.New(rand.NewPCG(seed, seed))
	hubspotTypes := []string{"string", "number", "bool", "date", "datetime", "json"}
	texts := []string{
		"true", "No", "maybe", "12", "-0.5", "1e400", "9007199254740993", "0.1234567890123456789", "2024-03-01", "2024-02-30",
		"1709251200000", "1.7092512E12", "2024-03-01T13:14:15.123456Z", "a\x00b", "\xff", "ü🙂", "\"quoted\"",
		strings.Repeat("long ", 1000),
	}
	for range 40 {
		var pairs []string
		for i := range random.IntN(60) {
			pairs = append(pairs, fmt.Sprintf("p%d%s %s", i, []string{"", "-", "é", "_u0041"}[random.IntN(4)],
				hubspotTypes[random.IntN(len(hubspotTypes))]))
		}
		s := setOf(t, pairs...)
		e := compiled(t, s)
		reader := readerSchema(t, e.Schema)
		for range 10 {
			r := &hubspot.Record{ID: hubspot.ID(random.Uint64()), Created: 1, Updated: 2, Values: make([][]byte, len(s.Fields))}
			ev := Event{Op: "cru"[random.IntN(3)], ID: r.ID, Record: r, Source: testSource, TsMs: 3}
			properties := make(map[string]any)
			raw := make(map[string]string)
			for i, f := range s.Fields {
				properties[f.Name] = nil
				if random.IntN(3) == 0 {
					continue
				}
				text := texts[random.IntN(len(texts))]
				r.Values[i] = []byte(text)
				if random.IntN(10) == 0 {
					ev.Omit = append(ev.Omit, i)
					continue
				}
				v, o := plainValue(f.Type, text)
				if o != none {
					properties[f.Name] = v
				}
				if o != whole {
					raw[f.Property] = text
				}
			}
			body, unparsed := e.Append(nil, &ev)
			after := decode(t, reader, body)["after"].(map[string]any)
			if !reflect.DeepEqual(after["properties"], properties) {
				t.Fatalf("properties\n got %v\nwant %v", after["properties"], properties)
			}
			if unparsed != len(raw) {
				t.Fatalf("%d values unparsed, want %d", unparsed, len(raw))
			}
			checkRaw(t, after["unparsed"], raw)
		}
	}
}

func plainValue(typ Type, text string) (v any, o outcome) {
	switch typ {
	case Double:
		v, o = parseDouble([]byte(text))
	case Boolean:
		v, o = parseBoolean([]byte(text))
	case Date:
		v, o = parseDate([]byte(text))
	case Timestamp:
		v, o = parseTimestamp([]byte(text))
	default:
		clean := strings.Map(func(r rune) rune {
			if r == 0 {
				return '\ufffd'
			}
			return r // and U+FFFD for what is not UTF-8
		}, halvesLost(text))
		v, o = clean, whole
		if clean != text {
			o = part
		}
	}
	return v, o
}

// units is a text in UTF-16, in which half of a surrogate pair is a unit. A byte
// that is neither UTF-8 nor part of a half is U+FFFD.
func units(text string) (out []uint16) {
	for len(text) > 0 {
		if len(text) >= 3 && text[0] == 0xED && text[1]&0xE0 == 0xA0 && text[2]&0xC0 == 0x80 {
			out = append(out, 0xD000|uint16(text[1]&0x3F)<<6|uint16(text[2]&0x3F))
			text = text[3:]
			continue
		}
		r, size := utf8.DecodeRuneInString(text)
		out = utf16.AppendRune(out, r)
		text = text[size:]
	}
	return out
}

// halvesLost is a text with one U+FFFD for each half of a surrogate pair.
func halvesLost(text string) string {
	var out strings.Builder
	for len(text) > 0 {
		if len(text) >= 3 && text[0] == 0xED && text[1]&0xE0 == 0xA0 && text[2]&0xC0 == 0x80 {
			out.WriteRune(utf8.RuneError)
			text = text[3:]
			continue
		}
		_, size := utf8.DecodeRuneInString(text)
		out.WriteString(text[:size])
		text = text[size:]
	}
	return out.String()
}

// checkRaw reads unparsed as JSON: the texts, with U+FFFD for what JSON cannot
// hold, in the order of their properties.
func checkRaw(t *testing.T, unparsed any, raw map[string]string) {
	t.Helper()
	if len(raw) == 0 {
		if unparsed != nil {
			t.Fatalf("unparsed %v, want null", unparsed)
		}
		return
	}
	var got map[string]string
	if err := json.Unmarshal([]byte(unparsed.(string)), &got); err != nil {
		t.Fatalf("unparsed %v: %v", unparsed, err)
	}
	want := make(map[string]string)
	for name, text := range raw {
		want[name] = string(utf16.Decode(units(text)))
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("unparsed\n got %v\nwant %v", got, want)
	}
	var names []string
	dec := json.NewDecoder(strings.NewReader(unparsed.(string)))
	for i := -1; dec.More() || i < 0; i++ {
		token, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		if i >= 0 && i%2 == 0 {
			names = append(names, token.(string))
		}
	}
	if !slices.IsSorted(names) {
		t.Fatalf("unparsed is not sorted: %q", names)
	}
}

// FuzzEncoder puts any text into a field of every type: the encoder does not
// panic, and what it writes can be read.
func FuzzEncoder(f *testing.F) {
	for _, text := range []string{"", "12", "a\x00", "\x9e\xeb", "0\xed\xa7\x83", "\xed\xa0\xbd\xed\xb8\x80", "2024-03-01", "true", "1e309"} {
		f.Add(text)
	}
	s := setOf(f, everyType...)
	e := compiled(f, s)
	reader := readerSchema(f, e.Schema)
	f.Fuzz(func(t *testing.T, text string) {
		r := &hubspot.Record{ID: 1, Values: make([][]byte, len(s.Fields))}
		for i := range r.Values {
			r.Values[i] = []byte(text)
		}
		body, unparsed := e.Append(nil, &Event{Op: 'c', ID: 1, Record: r, Source: testSource})
		after := decode(t, reader, body)["after"].(map[string]any)
		properties := after["properties"].(map[string]any)
		raw := make(map[string]string)
		for _, f := range s.Fields {
			v, o := plainValue(f.Type, text)
			if o != whole {
				raw[f.Property] = text
			}
			if o == none {
				v = nil
			}
			if !reflect.DeepEqual(properties[f.Name], v) {
				t.Fatalf("%q as %s is read back as %v, want %v", text, f.Type, properties[f.Name], v)
			}
		}
		if unparsed != len(raw) {
			t.Fatalf("%d values unparsed, want %d", unparsed, len(raw))
		}
		checkRaw(t, after["unparsed"], raw)
	})
}

// wideEvent is a record with 94 of 300 properties set, as in docs/kafka.md F.
func wideEvent(tb testing.TB) (*Encoder, *Event) {
	var pairs []string
	for i := range 300 {
		pairs = append(pairs, fmt.Sprintf("property_%03d %s", i,
			[]string{"string", "number", "datetime", "enumeration", "bool", "date"}[i%6]))
	}
	s := setOf(tb, pairs...)
	r := &hubspot.Record{ID: 123456789, Created: 1700000000000, Updated: 1700000000123, Values: make([][]byte, 300)}
	values := []string{"some text of a usual length", "1234.5", "2024-03-01T13:14:15.123Z", "customer", "true", "2024-03-01"}
	for i := range 94 {
		slot := i * 300 / 94
		r.Values[slot] = []byte(values[slot%6])
	}
	return compiled(tb, s), &Event{Op: 'u', ID: r.ID, Record: r, Source: testSource, TsMs: 1700000001000}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	e, ev := wideEvent(t)
	dst, _ := e.Append(nil, ev)
	if got := testing.AllocsPerRun(100, func() { dst, _ = e.Append(dst[:0], ev) }); got != 0 {
		t.Errorf("%v allocations for an event, want none", got)
	}
}

func BenchmarkAppend(b *testing.B) {
	e, ev := wideEvent(b)
	dst, _ := e.Append(nil, ev)
	b.SetBytes(int64(len(dst)))
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = e.Append(dst[:0], ev)
	}
}

func BenchmarkNumber(b *testing.B) {
	for _, text := range []string{"43", "1234.56", "0.200000000000000011102230246251565404236316680908203125"} {
		b.Run(text, func(b *testing.B) {
			raw := []byte(text)
			for b.Loop() {
				parseDouble(raw)
			}
		})
	}
}
