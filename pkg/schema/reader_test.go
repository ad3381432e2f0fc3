package schema

import (
	"errors"
	"slices"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

func readerOf(t testing.TB, text []byte) *Reader {
	t.Helper()
	r, err := NewReader(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// However often a set has grown, a value has the same bytes in every version.
func TestReader_AValueHasTheSameBytesInEveryVersion(t *testing.T) {
	first := setOf(t, "firstname string", "score number", "member bool", "birthday date")
	second, _ := Evolve(first, "contacts", listed("firstname string", "score number", "member bool", "birthday date", "late datetime"), nil)
	values := map[string]string{"firstname": "Ann", "score": "1.50", "member": "true", "birthday": "2020-02-29"}
	var seen [2]map[string]string
	for i, s := range []*Set{first, second} {
		e := compiled(t, s)
		r := readerOf(t, e.Schema)
		body, _ := e.Append(nil, &Event{
			Op: 'u', BeforeKey: true, ID: 7, Record: record(s, 7, values),
			Source: Source{DB: "4242", Seq: 9, Reason: "restored", Omitted: []string{"a", "b"}},
		})
		f, err := r.Read(body)
		if err != nil {
			t.Fatal(err)
		}
		if f.Op != 'u' || !f.Live || f.DB != "4242" || f.Seq != 9 || !slices.Equal(f.Omitted, []string{"a", "b"}) {
			t.Errorf("read %+v", f)
		}
		if id := Text(f.Values[r.Field("id")]); id != "7" {
			t.Errorf("the id is %q", id)
		}
		seen[i] = map[string]string{}
		for at, field := range r.Fields {
			if f.Values[at] != nil {
				seen[i][field.Property+" "+field.Name] = string(f.Values[at])
			}
		}
		gone, _ := e.Append(nil, &Event{Op: 'd', ID: 7, Source: Source{DB: "4242"}})
		if f, err := r.Read(gone); err != nil || f.Live || f.Op != 'd' {
			t.Errorf("a delete is read as %+v: %v", f, err)
		}
	}
	if len(seen[0]) < 6 || len(seen[0]) != len(seen[1]) {
		t.Fatalf("%d values and %d", len(seen[0]), len(seen[1]))
	}
	for name, value := range seen[0] {
		if seen[1][name] != value {
			t.Errorf("%s is %x in one version and %x in the next", name, value, seen[1][name])
		}
	}
}

// Whatever else is in a topic is no event, and does no harm.
func TestReader_TellsWhatIsForeign(t *testing.T) {
	for _, text := range []string{
		`"string"`, `{"type":"record","name":"Other","fields":[]}`, `not a schema`,
		`{"type":"record","name":"Envelope","fields":[{"name":"op","type":"string"}]}`,
	} {
		if _, err := NewReader([]byte(text)); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v", text, err)
		}
	}
	s := setOf(t, "firstname string", "score number")
	e := compiled(t, s)
	r := readerOf(t, e.Schema)
	body, _ := e.Append(nil, &Event{Op: 'c', ID: 7, Record: record(s, 7, map[string]string{"firstname": "Ann", "score": "many"})})
	for n := range body {
		if _, err := r.Read(body[:n]); !errors.Is(err, ErrForeign) {
			t.Errorf("the first %d bytes of an event: %v", n, err)
		}
	}
	if _, err := r.Read(append(slices.Clone(body), 0)); !errors.Is(err, ErrForeign) {
		t.Errorf("a byte too many: %v", err)
	}
	if at := Time(nil); at != hubspot.NoTime {
		t.Errorf("no time is %v", at)
	}
}
