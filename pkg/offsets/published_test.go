package offsets

import (
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// The records of R20 are in topics that exist: their bytes never change.
func TestPublished_FormatsAreFrozen(t *testing.T) {
	identity := Identity{ID: TopicID([16]byte{0xab, 15: 1}), Starts: []int64{0, 7}}
	ends := Ends{After: []int64{300, 0, 1}}
	s := NewSchema("hubspot.contacts-value", 258, `"string"`)
	for _, c := range []struct{ got, want string }{
		{string(IdentityKey("hubspot.contacts")), "Ihubspot.contacts"},
		{string(identity.Bytes()), `{"id":"ab000000000000000000000000000001","starts":[0,7],"v":1}`},
		{string(EndsKey("hubspot.contacts")), "Zhubspot.contacts"},
		{string(ends.Bytes()), "\x01\x00\xac\x02\x00\x01"},
		{string(Ends{After: ends.After, Cut: true}.Bytes()), "\x01\x01\xac\x02\x00\x01"},
		{string(s.Key()), "Ahubspot.contacts-value\x00\x00\x00\x01\x02"},
		{string(s.Bytes()[:1]), "\x01"},
		{TopicID([16]byte{}), ""},
		{string(Republish{After: "124", ID: 123, Records: 9}.Bytes()), `{"after":"124","id":"123","records":9,"v":1}`},
		{string(Republish{Records: 9, Left: []hubspot.ID{7, 8}, Swept: true}.Bytes()), `{"after":"","id":"0","records":9,"left":["7","8"],"swept":true,"v":1}`},
		{string(Republish{Records: 9, Swept: true, Owed: 946684800123}.Bytes()), `{"after":"","id":"0","records":9,"swept":true,"owed":"2000-01-01T00:00:00.123Z","v":1}`},
	} {
		if c.got != c.want {
			t.Errorf("got  %q\nwant %q", c.got, c.want)
		}
	}
	for _, r := range []Republish{{After: "124", ID: 123, Records: 9, Left: []hubspot.ID{7}}, {Left: []hubspot.ID{7, 8}, Swept: true}, {Swept: true, Owed: 123}, {}} {
		if got, err := ParseRepublish(r.Bytes()); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%s is read back as %+v, %v", r.Bytes(), got, err)
		}
	}
	for _, text := range []string{`{"left":[7]}`, `{"left":["x"]}`, `{"left":"7"}`, `{"records":"9"}`, `{"id":7}`, `{"swept":1}`, `{"owed":"x"}`, `[]`} {
		if got, err := ParseRepublish([]byte(text)); err == nil {
			t.Errorf("%s is taken for %+v", text, got)
		}
	}
	// As another version of the compressor wrote it.
	old, err := parseSchema(s.Key(), append([]byte{1}, "\x01\x08\x00\xf7\xff\"string\""...))
	if text, err2 := old.Text(); err != nil || err2 != nil || text != `"string"` || old.ID != 258 || old.Subject != s.Subject {
		t.Errorf("an uncompressed schema is read as %q, %v, %v", text, err, err2)
	}
}

// TestPublished_IsReadBack, the latest record of each key, and refused where a
// newer version wrote it.
func TestPublished_IsReadBack(t *testing.T) {
	inKafka(t, func(t *testing.T, k *kafka) {
		k.write(birth("A")...)
		identity := Identity{ID: "ab", Starts: []int64{1, 2}}
		ends := Ends{After: []int64{3, 4}, Cut: true}
		text := `{"type":"record","name":"R","fields":[]}` + strings.Repeat(" ", 1000)
		k.write(
			state(IdentityKey("t"), Identity{ID: "cd", Starts: []int64{}}.Bytes()), state(IdentityKey("t"), identity.Bytes()),
			state(EndsKey("t"), Ends{After: []int64{9}}.Bytes()), state(EndsKey("t"), ends.Bytes()),
			state(IdentityKey("gone"), identity.Bytes()), state(IdentityKey("gone"), nil),
			state(EndsKey("gone"), ends.Bytes()), state(EndsKey("gone"), nil),
			state(NewSchema("s", 1, "old").Key(), NewSchema("s", 1, "old").Bytes()),
			state(NewSchema("s", 1, text).Key(), NewSchema("s", 1, text).Bytes()),
			state(NewSchema("s", 2, text).Key(), NewSchema("s", 2, text).Bytes()), state(NewSchema("s", 2, text).Key(), nil),
		)
		l := k.mustLoad()
		if !reflect.DeepEqual(l.Identities, map[string]Identity{"t": identity}) || !reflect.DeepEqual(l.Ends, map[string]Ends{"t": ends}) {
			t.Errorf("identities %v, ends %v", l.Identities, l.Ends)
		}
		if len(l.Schemas) != 1 {
			t.Fatalf("schemas %v", l.Schemas)
		}
		if got, err := l.Schemas[0].Text(); err != nil || got != text || len(l.Schemas[0].Bytes()) > 100 {
			t.Errorf("schema %q in %d bytes, %v", got, len(l.Schemas[0].Bytes()), err)
		}
	})
}

func TestPublished_NonsenseIsRefused(t *testing.T) {
	for _, c := range []struct {
		key   []byte
		value string
	}{
		{IdentityKey("t"), `{"id":"ab"}`}, {IdentityKey("t"), `{"id":"ab","starts":[0],"v":2}`}, {IdentityKey("t"), "x"},
		{EndsKey("t"), ""}, {EndsKey("t"), "\x02\x00"}, {EndsKey("t"), "\x01\x02"}, {EndsKey("t"), "\x01\x00\x80"},
		{[]byte("As"), "\x01\x03\x00"}, {[]byte("As\x00\x00\x00\x00\x01"), "\x02\x03\x00"}, {[]byte("As\x00\x00\x00\x00\x01"), "\x01\xff"},
	} {
		log := newStateLog("hubspot.state", at("2026-01-01T00:00:00Z").Time())
		if err := log.add(&kgo.Record{Key: c.key, Value: []byte(c.value)}); err == nil {
			t.Errorf("%q = %q is taken", c.key, c.value)
		}
		if _, _, err := ShowState(c.key, []byte(c.value)); err == nil {
			t.Errorf("%q = %q is shown", c.key, c.value)
		}
	}
}

func TestPublished_IsShown(t *testing.T) {
	s := NewSchema("hubspot.contacts-value", 258, `"string"`)
	for _, c := range []struct {
		key, value []byte
		kind, name string
	}{
		{IdentityKey("t"), Identity{ID: "ab", Starts: []int64{1}}.Bytes(), "identity", "id"},
		{EndsKey("t"), Ends{After: []int64{3}}.Bytes(), "ends", "after"},
		{s.Key(), s.Bytes(), "schema", "schema"},
	} {
		about, remembers, err := ShowState(c.key, c.value)
		if err != nil || about["kind"] != c.kind || remembers[c.name] == nil {
			t.Errorf("%q is shown as %v, %v, %v", c.key, about, remembers, err)
		}
		if about, remembers, err := ShowState(c.key, nil); err != nil || about["kind"] != c.kind || remembers != nil {
			t.Errorf("forgotten, %q is shown as %v, %v, %v", c.key, about, remembers, err)
		}
	}
}
