package sink

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
)

// TestHoldings_WhichTopicsAreData: those that the connector could have written.
func TestHoldings_WhichTopicsAreData(t *testing.T) {
	for topic, want := range map[string]string{
		"hubspot.contacts": "contacts", "hubspot.p4242_car": "p4242_car", "hubspot.owners": "owners", "hubspot.pipeline_stages": "pipeline_stages",
		"hubspot.associations.contacts.p4242_car": "contacts:p4242_car",
		"hubspot.offsets":                         "", "hubspot.state": "", "hubspot.signals": "", "hubspot.frontiers": "", "hubspot.notifications": "", "contacts": "",
		"other.contacts": "", "hubspot.associations.contacts": "", "hubspot.associations.contacts.widgets": "", "hubspot.contacts.dlq": "",
	} {
		got := ""
		if isData("hubspot", topic) {
			got = newHolding("hubspot", portal, topic).object
		}
		if got != want {
			t.Errorf("%s is of %q, want %q", topic, got, want)
		}
	}
}

// TestHoldings_KeysAreReadBack in both formats, as the sink writes them.
func TestHoldings_KeysAreReadBack(t *testing.T) {
	link := cdc.LinkKey{From: 17, To: 18, Category: "HUBSPOT_DEFINED", TypeID: 279}
	for _, topic := range []*topic{{}, {keyHeader: wireHeader(7)}} {
		if got, ok := ParseLinkKey(topic.linkKey(&link)); !ok || got != link {
			t.Errorf("%q is read as %v, %v", topic.linkKey(&link), got, ok)
		}
		if texts, _, ok := keyTexts(topic.key([]byte("123")), 1, ""); !ok || texts[0] != "123" {
			t.Errorf("%q is read as %q", topic.key([]byte("123")), texts)
		}
	}
	for _, key := range []string{"", "17", "17:18", "17:18:X", "17:18:X:y", "a:18:X:1", "17:b:X:1", "\x00\x00\x00\x00\x07", "\x00\x00\x00\x00\x07\x0417\x0418\x02X", "\x00\x00\x00\x00\x07\xff\xff\xff\xff\x0f"} {
		if got, ok := ParseLinkKey([]byte(key)); ok {
			t.Errorf("%q is read as %v", key, got)
		}
	}
}

// wide is a topic with many properties, and one of its events.
func wide(tb testing.TB, registry *sr.Client) (event func(id hubspot.ID) *kgo.Record) {
	tb.Helper()
	var names []string
	for i := range 300 {
		names = append(names, fmt.Sprint("property_", i))
	}
	set, _ := schema.Evolve(nil, "contacts", properties(names...), nil)
	enc, err := schema.Compile(contacts, set)
	if err != nil {
		tb.Fatal(err)
	}
	id, err := registry.RegisterSchema(tb.Context(), contacts+"-value", avroSchema(enc.Schema), -1, -1)
	if err != nil {
		tb.Fatal(err)
	}
	values := make([][]byte, 300)
	for i := 0; i < 300; i += 3 {
		values[i] = []byte(strings.Repeat("x", 24))
	}
	return func(key hubspot.ID) *kgo.Record {
		body, _ := enc.Append(wireHeader(id), &schema.Event{
			Op: 'r', ID: key, Record: &hubspot.Record{ID: key, Values: values, Created: 1, Updated: 2},
			Source: schema.Source{DB: fmt.Sprint(portal), Name: "hubspot", Table: "contacts", Snapshot: "true", Stream: "backfill", Seq: int64(key)},
		})
		return &kgo.Record{Topic: contacts, Key: fmt.Append(nil, uint64(key)), Value: body}
	}
}

// BenchmarkHolding_Add reads events of 300 properties, 100 of them set.
func BenchmarkHolding_Add(b *testing.B) {
	registry := testkit.NewRegistry(b).Client()
	event := wide(b, registry)
	h := newHolding("hubspot", portal, contacts)
	records := make([]*kgo.Record, 1000)
	for i := range records {
		records[i] = event(hubspot.ID(i + 1))
	}
	b.SetBytes(int64(len(records[0].Value)))
	for i := 0; b.Loop(); i++ {
		if err := h.add(context.Background(), registry, records[i%len(records)]); err != nil || h.foreign > 0 {
			b.Fatal(err, h.foreign)
		}
	}
}

// BenchmarkHolding_Memory is what a live key takes while it is taken over.
func BenchmarkHolding_Memory(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		h := newHolding("hubspot", portal, contacts)
		for id := range hubspot.ID(n) {
			set(h.ids, id, true)
		}
		l := &offsets.Loaded{Rows: map[string]*cdc.Table{"contacts": cdc.NewTable()}}
		for id := range h.ids {
			l.Rows["contacts"].Put(id, cdc.UnknownRow(0))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/key")
		runtime.KeepAlive(h)
		runtime.KeepAlive(l)
	}
}
