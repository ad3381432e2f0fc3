package offsets

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Older versions have left these bytes in the topic: they must never mean
// anything else.
func TestState_FormatsAreFrozen(t *testing.T) {
	row := cdc.Row{Version: 1, Hash: 0x0102030405060708, Seq: 300, Live: true, Settled: true}
	if got, want := AppendRow(nil, row), "\x01\x03\x00\x01\x02\x01\x02\x03\x04\x05\x06\x07\x08\xac\x02"; string(got) != want {
		t.Errorf("row % x, want % x", got, want)
	}
	for want, got := range map[string][]byte{
		"Lcontacts:deals\x00\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00\x04HUBSPOT_DEFINED": LinkKey(
			cdc.Pair{From: "contacts", To: "deals"}, cdc.LinkKey{From: 7, To: 8, Category: "HUBSPOT_DEFINED", TypeID: 4}),
		"\x01\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00\x09\xac\x02": AppendLinkRow(nil, cdc.LinkRow{Live: true, Label: 9, Seq: 300}),
		"Ocontacts\x00\x00\x00\x00\x00\x00\x00\x01\x02":            RowKey("contacts", 258),
		"B":                                   BirthKey(),
		"S":                                   SeqKey(),
		"Pcontacts":                           SetKey("contacts"),
		"Thubspot.contacts":                   TopicKey("hubspot.contacts"),
		`{"id":"QWERTY","portal":4242,"v":1}`: BirthBytes("QWERTY", 4242),
		`{"seq":17,"v":1}`:                    SeqBytes(17),
		`{"partitions":3,"keyFormat":"string","v":1}`:             TopicMeta{Partitions: 3, KeyFormat: "string"}.Bytes(),
		`{"partitions":3,"keyFormat":"avro","keySchema":9,"v":1}`: TopicMeta{Partitions: 3, KeyFormat: "avro", KeySchema: 9}.Bytes(),
	} {
		if string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestState_RowsReadBackAsTheyWere(t *testing.T) {
	for _, row := range []cdc.Row{
		{},
		{Version: 1764000000123, Hash: math.MaxUint64, Seq: math.MaxInt64, Live: true},
		{Version: -1, Settled: true, Live: true},
		{Version: math.MaxInt64, Seq: 1, Reason: cdc.Purged},
		{Reason: cdc.Archived, Seq: 1 << 40},
	} {
		b := AppendRow(nil, row)
		if got, err := parseRow(b); err != nil || got != row {
			t.Errorf("% x = %+v, %v, want %+v", b, got, err, row)
		}
		for n := range b {
			if got, err := parseRow(b[:n]); err == nil {
				t.Errorf("% x, cut off after %d, is read as %+v", b, n, got)
			}
		}
	}
	for _, id := range []hubspot.ID{0, 1, math.MaxUint64} {
		for _, object := range []string{"contacts", "p82918_car", "2-1234"} {
			gotObject, gotID, err := parseRowKey(RowKey(object, id))
			if err != nil || string(gotObject) != object || gotID != id {
				t.Errorf("%s %d reads back as %s %d, %v", object, id, gotObject, gotID, err)
			}
		}
	}
}

// TestState_AHashOfAnotherAlgorithmIsRefused: taken for one of ours, it would
// make every record look changed (R10).
func TestState_AHashOfAnotherAlgorithmIsRefused(t *testing.T) {
	b := AppendRow(nil, cdc.Row{Version: 1, Hash: 7, Seq: 2, Live: true})
	if b[3] != cdc.HashAlgorithm {
		t.Fatalf("the row names algorithm %d, but %d made its hash", b[3], cdc.HashAlgorithm)
	}
	for _, other := range []byte{0, cdc.HashAlgorithm + 1} {
		b[3] = other
		if got, err := parseRow(b); err == nil || !strings.Contains(err.Error(), "algorithm") {
			t.Errorf("a hash of algorithm %d is read as %+v, %v", other, got, err)
		}
	}
}

func FuzzParseRow(f *testing.F) {
	f.Add(AppendRow(nil, cdc.Row{Version: 1764000000123, Hash: 7, Seq: 9, Live: true}))
	f.Fuzz(func(t *testing.T, b []byte) {
		row, err := parseRow(b)
		if err != nil {
			return
		}
		again, err := parseRow(AppendRow(nil, row))
		if err != nil || again != row {
			t.Fatalf("% x = %+v, again %+v, %v", b, row, again, err)
		}
	})
}

func FuzzRowKey(f *testing.F) {
	f.Add([]byte("Ocontacts\x00\x00\x00\x00\x00\x00\x00\x01\x02"))
	f.Fuzz(func(t *testing.T, key []byte) {
		if len(key) == 0 || key[0] != kindRow {
			return
		}
		object, id, err := parseRowKey(key)
		if err == nil && !bytes.Equal(RowKey(string(object), id), key) {
			t.Fatalf("%q = %s %d, which is written as %q", key, object, id, RowKey(string(object), id))
		}
	})
}
