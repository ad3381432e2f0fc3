package sink

import (
	"slices"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

var toCompanies = cdc.Pair{From: "contacts", To: "companies"}

const linkTopic = "hubspot.associations.contacts.companies"

func linkChange(op cdc.Op, from, to hubspot.ID, label string) cdc.LinkChange {
	c := cdc.LinkChange{
		Key: cdc.LinkKey{From: from, To: to, Category: "HUBSPOT_DEFINED", TypeID: 279},
		Row: cdc.LinkRow{Live: op != cdc.Delete, Label: cdc.LabelHash(label)}, Label: label, Op: op, SourceMs: 1000, Stream: "associations",
	}
	if op == cdc.Delete {
		c.Row.Reason, c.Reason = cdc.Merged, cdc.Merged
	}
	return c
}

func links(changes ...cdc.LinkChange) *cdc.Batch {
	return &cdc.Batch{Object: toCompanies.String(), Pair: toCompanies, Links: changes}
}

// TestLinks_TopicAtTheFirstLink: a pair without links has no topic. Events, rows
// and cursor share a transaction, and the next run knows the rows
// (docs/contract.md section 4).
func TestLinks_TopicAtTheFirstLink(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start()
		b := links()
		b.Sync, b.Cursors = true, []cdc.Cursor{{Object: b.Object, Stream: "associations", Value: []byte(`{"id":"0","v":1}`)}}
		r.mustCommit(b)
		if w.log.Has(linkTopic) {
			t.Error("a pair without links has a topic")
		}
		r.mustCommit(links(linkChange(cdc.Read, 1, 10, "Boss"), linkChange(cdc.Create, 2, 10, "")))
		r.mustCommit(links(linkChange(cdc.Update, 1, 10, "Chief"), linkChange(cdc.Delete, 2, 10, "")))
		r.stop()

		fromID := func(key string) string { from, _, _ := strings.Cut(key, ":"); return from }
		w.tells(linkTopic, fromID, func(op string, source, image map[string]any) []any {
			return []any{op, source["table"], source["snapshot"], source["reason"], image["label"], image["toObjectType"]}
		},
			"1:10:HUBSPOT_DEFINED:279 r contacts:companies true Boss companies",
			"1:10:HUBSPOT_DEFINED:279 u contacts:companies false Chief companies",
			"2:10:HUBSPOT_DEFINED:279 c contacts:companies false companies",
			"2:10:HUBSPOT_DEFINED:279 d contacts:companies false merged companies",
			"2:10:HUBSPOT_DEFINED:279",
		)
		if n := w.counter("hubspot_cdc_events_total", "contacts:companies", "u"); n != 1 {
			t.Errorf("events_total of u is %v", n)
		}

		again := w.mustOpen()
		table := again.loaded.Links[toCompanies]
		if table == nil || table.Live() != 1 || table.Len() != 2 || again.loaded.Seq != 4 {
			t.Errorf("loaded links %+v, seq %d", table, again.loaded.Seq)
		}
		if _, known := again.loaded.Topics[linkTopic]; !known {
			t.Error("the state does not know the pair's topic")
		}
	})
}

// TestLinks_AvroKeys: a link has the same key in every event.
func TestLinks_AvroKeys(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start(func(c *Config) { c.KeyFormat = KeyAvro })
		r.mustCommit(links(linkChange(cdc.Create, 1, 10, "")))
		r.mustCommit(links(linkChange(cdc.Delete, 1, 10, "")))
		r.stop()
		records := w.read(linkTopic)
		if len(records) != 3 {
			t.Fatalf("%d records, want 3", len(records))
		}
		for _, rec := range records {
			k := w.registry.Decode(rec.Key)
			if k["fromObjectId"] != "1" || k["toObjectId"] != "10" || k["category"] != "HUBSPOT_DEFINED" || k["typeId"] != int32(279) {
				t.Errorf("key %v", k)
			}
		}
	})
}

// TestLinks_ALabelThatIsTooLargeIsLeftOut: it must not stop the run, nor every
// run after it.
func TestLinks_ALabelThatIsTooLargeIsLeftOut(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start(func(c *Config) { c.MaxMessageBytes = 16 << 10 })
		r.mustCommit(links(linkChange(cdc.Create, 1, 10, strings.Repeat("x", 20<<10))))
		e := w.registry.Decode(w.read(linkTopic)[0].Value)
		if e["after"].(map[string]any)["label"] != nil || !slices.Equal(e["source"].(map[string]any)["omitted"].([]any), []any{"label"}) {
			t.Errorf("event %v", e)
		}
	})
}
