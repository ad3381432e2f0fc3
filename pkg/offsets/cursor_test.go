package offsets

import (
	"reflect"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

func at(text string) hubspot.Millis {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return hubspot.MillisOf(t)
}

// The spellings of docs/contract.md section 4, letter for letter: operators and
// tools rely on them.
func TestCursors_AreWrittenAsTheDesignSays(t *testing.T) {
	noon := at("2026-11-24T13:00:00.123Z")
	for _, c := range []struct {
		want string
		got  []byte
		back func([]byte) (any, error)
		is   any
	}{
		{`{"at":"2026-11-24T13:00:00.123Z","v":1}`, Tier{At: noon}.Bytes(), parse(ParseTier), Tier{At: noon}},
		{`{"at":"2026-11-24T13:00:00.123Z","t0":"2026-11-24T13:00:01.000Z","id":"17","v":1}`,
			Tier{At: noon, Walking: true, T0: at("2026-11-24T13:00:01Z"), ID: 17}.Bytes(), parse(ParseTier),
			Tier{At: noon, Walking: true, T0: at("2026-11-24T13:00:01Z"), ID: 17}},
		{`{"ranges":[{"from":"0","to":"","after":"124","id":"123"}],"started":"2026-11-24T13:00:00.123Z","completed":null,"done":false,"v":1}`,
			Sweep{Ranges: []Range{{"0", "", "124", "123"}}, Started: noon}.Bytes(), parse(ParseSweep),
			Sweep{Ranges: []Range{{"0", "", "124", "123"}}, Started: noon}},
		{`{"ranges":[],"started":null,"completed":"2026-11-24T13:00:00.123Z","done":true,"v":1}`,
			Sweep{Completed: noon, Done: true}.Bytes(), parse(ParseSweep), Sweep{Completed: noon, Done: true}},
		{`{"after":"a<b","started":"2026-11-24T13:00:00.123Z","completed":null,"v":1}`,
			Archive{After: "a<b", Started: noon}.Bytes(), parse(ParseArchive), Archive{After: "a<b", Started: noon}},
		{`{"id":"123","started":null,"completed":"2026-11-24T13:00:00.123Z","v":1}`,
			Associations{ID: 123, Completed: noon}.Bytes(), parse(ParseAssociations), Associations{ID: 123, Completed: noon}},
		{`{"started":"2026-11-24T13:00:00.123Z","completed":null,"v":1}`, Reference{Started: noon}.Bytes(), parse(ParseReference), Reference{Started: noon}},
		{`{"properties":["lifecyclestage"],"after":"123","round":1,"v":1}`,
			Refill{Properties: []string{"lifecyclestage"}, After: 123, Round: 1}.Bytes(), parse(ParseRefill),
			Refill{Properties: []string{"lifecyclestage"}, After: 123, Round: 1}},
		{`{"ids":["123","456"],"v":1}`, Stuck{[]hubspot.ID{123, 456}}.Bytes(), parse(ParseStuck), Stuck{[]hubspot.ID{123, 456}}},
		{`{"offset":17,"v":1}`, Signals{Offset: 17}.Bytes(), parse(ParseSignals), Signals{Offset: 17}},
		{`{"offset":17,"object":"contacts","after":"124","id":"123","records":9,"v":1}`,
			Signals{17, "contacts", "124", 123, 9}.Bytes(), parse(ParseSignals), Signals{17, "contacts", "124", 123, 9}},
		{`{"offset":18,"objects":{"contacts":"2026-11-24T13:00:00.123Z"},"snapshots":null,"v":1}`,
			Paused{Offset: 18, Objects: map[string]hubspot.Millis{"contacts": noon}}.Bytes(), parse(ParsePaused),
			Paused{Offset: 18, Objects: map[string]hubspot.Millis{"contacts": noon}, Owed: map[string]hubspot.Millis{}}},
		{`{"offset":18,"objects":{},"snapshots":null,"owed":{"contacts:companies":"2026-11-24T13:00:00.123Z"},"v":1}`,
			Paused{Offset: 18, Owed: map[string]hubspot.Millis{"contacts:companies": noon}}.Bytes(), parse(ParsePaused),
			Paused{Offset: 18, Objects: map[string]hubspot.Millis{}, Owed: map[string]hubspot.Millis{"contacts:companies": noon}}},
		{`{"id":"QWERTY","v":1}`, Birth{ID: "QWERTY"}.Bytes(), parse(parseBirth), Birth{ID: "QWERTY"}},
	} {
		if string(c.got) != c.want {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
		if back, err := c.back(c.got); err != nil || !reflect.DeepEqual(back, c.is) {
			t.Errorf("%s reads back as %+v, %v, want %+v", c.got, back, err, c.is)
		}
	}
}

func parse[C any](f func([]byte) (C, error)) func([]byte) (any, error) {
	return func(b []byte) (any, error) { return f(b) }
}

func TestCursors_MadeByHandAreTaken(t *testing.T) {
	for _, c := range []struct{ stream, value string }{
		{"leading", `{"at":"2026-11-24T13:00:00.123Z","v":1}`},
		{"leading", ` { "v" : 1 , "at" : "2026-11-24T13:00:00Z" } `},
		{"leading", `{"at":"2026-11-24T13:00:00Z"}`},
		{"trailing-5m", `{"at":"2026-11-24T15:00:00.5+02:00"}`},
		{"trailing-1h", `{"at":"2026-11-24T13:00:00.123456789Z","why":"asked by sales"}`},
		{"leading", `{"at":"2026-11-24T13:00:00Z","t0":null,"id":null}`},
		{"backfill", `{"ranges":[{"from":"0"}]}`},
		{"backfill", `{"done":true}`},
		{"reconcile", `{"ranges":[]}`},
		{"archive", `{"after":""}`},
		{"associations", `{"id":""}`},
		{"reference", `{}`},
		{"refill", `{"properties":["a"],"round":2.0}`},
		{"paused", `{"offset":0}`}, {"paused", `{"offset":3,"objects":{"contacts":"2026-11-24T13:00:00Z"},"snapshots":"2026-11-24T13:00:00Z"}`},
		{"stuck", `{"ids":["1","17"],"v":1}`}, {"stuck", `{"ids":[1,17]}`}, {"stuck", `{"ids":[]}`},
		{"journal", `{"offset":"","published":null}`}, {"journal", `{"offset":"0198c2f4-7f00-7000-8000-000000000001","published":"2026-11-24T13:00:00.123Z"}`},
		{"journal", `{"offset":"a","published":"2026-11-24T13:00:00.123Z","lost":"2026-11-24T13:00:00.000Z"}`},
		{"signals", `{"offset":0}`}, {"signals", `{"offset":3,"object":"contacts:companies"}`},
		{"of-a-later-version", `[1,2]`},
	} {
		if err := checkValue(c.stream, []byte(c.value)); err != nil {
			t.Errorf("%s %s is refused: %v", c.stream, c.value, err)
		}
	}
	tier, err := ParseTier([]byte(`{"at":"2026-11-24T15:00:00.5+02:00"}`))
	if want := at("2026-11-24T13:00:00.500Z"); err != nil || tier.At != want {
		t.Errorf("at = %v, %v, want %v", tier.At, err, want)
	}
}

func TestCursors_NonsenseIsRefused(t *testing.T) {
	for _, c := range []struct{ stream, value string }{
		{"leading", ``}, {"leading", `null`}, {"leading", `{}`}, {"leading", `yesterday`}, {"leading", `"2026-11-24T13:00:00Z"`},
		{"leading", `{"at":"yesterday"}`}, {"leading", `{"at":1764000000000}`}, {"leading", `{"at":"2026-11-24 13:00:00"}`},
		{"leading", `{"AT":"2026-11-24T13:00:00Z"}`}, {"leading", `{"at":null}`}, {"leading", `{"at":"0026-11-24T13:00:00Z"}`},
		{"leading", `{"at":"2026-11-24T13:00:00Z","v":2}`}, {"leading", `{"at":"2026-11-24T13:00:00Z","v":"1"}`},
		{"leading", `{"at":"2026-11-24T13:00:00Z","id":"17"}`}, {"leading", `{"at":"2026-11-24T13:00:00Z","t0":"2026-11-24T13:00:00Z","id":17}`},
		{"leading", `{"at":"2026-11-24T13:00:00Z","t0":"2026-11-24T13:00:00Z","id":"017"}`},
		{"leading", `{"at":"2026-11-24T13:00:00Z"} {}`},
		{"trailing-5m", `{"ranges":[]}`},
		{"backfill", `{}`}, {"backfill", `{"ranges":{}}`}, {"backfill", `{"ranges":[{"from":"a"}]}`}, {"backfill", `{"ranges":["0"]}`},
		{"backfill", `{"ranges":[],"done":"yes"}`}, {"reconcile", `{"ranges":[],"started":"now"}`},
		{"archive", `{}`}, {"archive", `{"after":124}`}, {"associations", `{}`}, {"associations", `{"id":"-1"}`},
		{"reference", `{"completed":true}`}, {"reference", `[]`},
		{"refill", `{"properties":[],"round":1}`}, {"refill", `{"properties":["a"]}`}, {"refill", `{"properties":["a"],"round":3}`},
		{"stuck", `{}`}, {"stuck", `{"ids":null}`}, {"stuck", `{"ids":"1"}`}, {"stuck", `{"ids":["017"]}`}, {"stuck", `{"ids":["a"]}`}, {"stuck", `{"ids":[null]}`},
		{"journal", `{}`}, {"journal", `{"offset":7}`}, {"journal", `{"offset":"a","published":"soon"}`}, {"journal", `{"offset":"a","lost":1.5}`},
		{"paused", `{}`}, {"paused", `{"offset":-1}`}, {"paused", `{"offset":1,"objects":["contacts"]}`}, {"paused", `{"offset":1,"objects":{"contacts":true}}`},
		{"signals", `{"offset":-1}`}, {"signals", `{"offset":1.5}`}, {"signals", `{"offset":"1"}`},
		{"signals", `{"offset":1,"id":"7"}`}, {"signals", `{"offset":1,"object":"contacts","id":"07"}`}, {"signals", `{"offset":1,"object":7}`},
		{"birth", `{"id":""}`}, {"of-a-later-version", `nonsense`},
	} {
		if err := checkValue(c.stream, []byte(c.value)); err == nil {
			t.Errorf("%s %s is taken", c.stream, c.value)
		}
	}
}

// A broken value may be refused, and nothing worse.
func FuzzCheckValue(f *testing.F) {
	f.Add("leading", []byte(`{"at":"2026-11-24T13:00:00.123Z","v":1}`))
	f.Add("backfill", []byte(`{"ranges":[{"from":"0","to":"","after":"124","id":"123"}],"done":false,"v":1}`))
	f.Add("refill", []byte(`{"properties":["a"],"after":"123","round":1,"v":1}`))
	f.Fuzz(func(t *testing.T, stream string, value []byte) {
		if checkValue(stream, value) != nil || !isTier(stream) {
			return
		}
		tier, err := ParseTier(value)
		if err != nil {
			t.Fatalf("checkValue takes %s and ParseTier does not: %v", value, err)
		}
		if again, err := ParseTier(tier.Bytes()); err != nil || again != tier {
			t.Fatalf("%+v is written as %s and read as %+v, %v", tier, tier.Bytes(), again, err)
		}
	})
}
