package offsets

import (
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestFrontiers_FormatIsFrozen: consumers rely on it (R17).
func TestFrontiers_FormatIsFrozen(t *testing.T) {
	key := FrontierKey{4242, "hubspot.contacts"}
	if got, want := string(key.Bytes()), `{"portal":4242,"topic":"hubspot.contacts"}`; got != want {
		t.Errorf("key %s, want %s", got, want)
	}
	for want, f := range map[string]Frontier{
		`{"leading":"2026-11-24T13:00:00.123Z","complete":"2026-11-24T12:00:00.000Z","verified":"2026-11-24T02:00:00.000Z","offsets":{"0":1234,"1":0},"seq":98765,"live":12345,"v":1}`: {
			at("2026-11-24T13:00:00.123Z"), at("2026-11-24T12:00:00Z"), at("2026-11-24T02:00:00Z"), map[int32]int64{0: 1234, 1: 0}, 98765, 12345,
		},
		`{"leading":null,"complete":null,"verified":null,"offsets":{},"seq":0,"live":0,"v":1}`: {Offsets: map[int32]int64{}},
	} {
		if got := string(f.Bytes()); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if got, err := ParseFrontier([]byte(want)); err != nil || !reflect.DeepEqual(got, f) {
			t.Errorf("%s is read as %+v, %v", want, got, err)
		}
	}
}

// TestFrontiers_WhatIsNotOursIsPassedOver, and the latest record of a topic counts.
func TestFrontiers_WhatIsNotOursIsPassedOver(t *testing.T) {
	l := frontierLog{4242, map[string]WrittenFrontier{}}
	written := time.UnixMilli(5)
	for _, r := range []*kgo.Record{
		{Key: []byte("marker")},
		{Key: FrontierKey{4242, "a"}.Bytes(), Value: Frontier{Live: 1}.Bytes()},
		{Key: FrontierKey{4242, "a"}.Bytes(), Value: Frontier{Live: 2}.Bytes(), Timestamp: written},
		{Key: FrontierKey{1, "a"}.Bytes(), Value: Frontier{Live: 3}.Bytes()},
		{Key: FrontierKey{4242, "b"}.Bytes(), Value: Frontier{Live: 4}.Bytes()},
		{Key: FrontierKey{4242, "b"}.Bytes()},
		{Key: FrontierKey{4242, "c"}.Bytes(), Value: []byte(`{"offsets":{"x":1}}`)},
	} {
		if err := l.add(r); err != nil {
			t.Fatal(err)
		}
	}
	if a := l.latest["a"]; len(l.latest) != 1 || a.Live != 2 || !a.At.Equal(written) {
		t.Errorf("read as %+v", l.latest)
	}
}
