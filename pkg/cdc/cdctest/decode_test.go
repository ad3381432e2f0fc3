package cdctest

import (
	"encoding/binary"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/schema"
)

func TestDecoder_ReadsWhatTheEncoderWrites(t *testing.T) {
	set, _ := schema.Evolve(nil, "deals", []hubspot.Property{
		{Name: "2021_revenue", Type: "number"}, {Name: "amount", Type: "number"},
		{Name: "closedate", Type: "datetime"}, {Name: "dealname", Type: "string"},
	}, nil)
	encoder, err := schema.Compile("hubspot.deals", set)
	if err != nil {
		t.Fatal(err)
	}
	record := &hubspot.Record{ID: 7, Created: 1000, Updated: 2000, Values: make([][]byte, len(set.Fields))}
	for name, text := range map[string]string{"2021_revenue": "12.5", "amount": "a lot", "closedate": "2026-11-24T13:00:00Z"} {
		record.Values[set.Slots(nil).Slot([]byte(name))] = []byte(text)
	}
	source := schema.Source{Name: "hubspot", DB: "4242", Table: "deals", Stream: "leading", Seq: 9, TsMs: 2000, Snapshot: "false"}
	registry := testkit.NewRegistry(t)
	written, err := registry.Client().CreateSchema(t.Context(), "hubspot.deals-value", sr.Schema{Schema: string(schema.EnvelopeSchema(schema.Namespace("hubspot.deals"), set))})
	if err != nil {
		t.Fatal(err)
	}
	encode := func(ev schema.Event) []byte {
		out, _ := encoder.Append(binary.BigEndian.AppendUint32([]byte{0}, uint32(written.ID)), &ev)
		return out
	}
	d := Decoder{Avro: registry.Try}

	got, err := d.Decode("deals", []byte("7"), encode(schema.Event{Op: 'c', ID: 7, Record: record, Source: source, TsMs: 3000}))
	want := Event{
		Key: Key{"deals", "7"}, Op: "c", Snapshot: "false", Stream: "leading", SourceMs: 2000, Seq: 9,
		Created: 1000, Version: 2000,
		Values:   map[string]any{"2021_revenue": 12.5, "closedate": time.Date(2026, 11, 24, 13, 0, 0, 0, time.UTC)},
		Fields:   map[string]string{"2021_revenue": "_u0032021_revenue", "closedate": "closedate"},
		Unparsed: map[string]string{"amount": "a lot"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("create:\n got %+v, %v\nwant %+v", got, err, want)
	}

	source.Reason, source.TsMs = "archived", 2500
	gone := encode(schema.Event{Op: 'd', ID: 7, Source: source, TsMs: 3000})
	got, err = d.Decode("deals", []byte("7"), gone)
	want = Event{Key: want.Key, Op: "d", Snapshot: "false", Stream: "leading", SourceMs: 2500, Seq: 9, Reason: "archived"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("delete:\n got %+v, %v\nwant %+v", got, err, want)
	}

	got, err = d.Decode("deals", []byte("7"), nil)
	if want = (Event{Key: want.Key, Tombstone: true}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("tombstone:\n got %+v, %v\nwant %+v", got, err, want)
	}

	for what, c := range map[string]struct {
		object, key string
		value       []byte
	}{
		"source.table": {"contacts", "7", gone},
		"before.id":    {"deals", "8", gone},
		"left over":    {"deals", "7", append(gone, 0)},
		"schema id":    {"deals", "7", []byte("{}")},
	} {
		if _, err := d.Decode(c.object, []byte(c.key), c.value); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: got error %v", what, err)
		}
	}
}
