package sink

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/cdc"
)

const stageTopic = "hubspot.pipeline_stages"

func stage(op cdc.Op, pipeline, id, label string) cdc.ReferenceChange {
	c := cdc.ReferenceChange{
		Key: cdc.NewEntryKey("deals", pipeline, id), Row: cdc.Row{Version: 900, Hash: 1, Live: op != cdc.Delete}, Op: op,
		SourceMs: 1000, Stream: "reference", Values: map[string]any{"label": label, "displayOrder": int32(3), "metadata": `{"probability":"0.2"}`, "archived": false},
	}
	if op == cdc.Delete {
		c.Row.Reason, c.Reason, c.Values = cdc.Removed, cdc.Removed, nil
	}
	return c
}

func entries(changes ...cdc.ReferenceChange) *cdc.Batch {
	return &cdc.Batch{Object: "pipeline_stages", Entries: changes}
}

// TestReferences_TopicAtTheFirstEntry: a reference list without entries has no
// topic. Events, rows and cursor share a transaction, and the next run knows the
// rows (docs/contract.md section 4).
func TestReferences_TopicAtTheFirstEntry(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start()
		b := entries()
		b.Sync, b.Cursors = true, []cdc.Cursor{{Object: b.Object, Stream: "reference", Value: []byte(`{"started":null,"completed":null,"v":1}`)}}
		r.mustCommit(b)
		if w.log.Has(stageTopic) {
			t.Error("a list without entries has a topic")
		}
		r.mustCommit(entries(stage(cdc.Read, "default", "won", "Won"), stage(cdc.Create, "2", "won", "Won")))
		rowOnly := stage(0, "default", "won", "")
		rowOnly.Row.Version = 901
		r.mustCommit(entries(stage(cdc.Update, "default", "won", "Closed"), stage(cdc.Delete, "2", "won", "")))
		rowOnly.Row.Seq = 3
		r.mustCommit(entries(rowOnly))
		r.stop()

		whole := func(key string) string { return key }
		w.tells(stageTopic, whole, func(op string, source, image map[string]any) []any {
			return []any{op, source["table"], source["snapshot"], source["stream"], image["objectType"], image["pipelineId"], image["id"], source["reason"], image["label"]}
		},
			"deals:2:won c pipeline_stages false reference deals 2 won Won",
			"deals:2:won d pipeline_stages false reference deals 2 won removed",
			"deals:2:won",
			"deals:default:won r pipeline_stages true reference deals default won Won",
			"deals:default:won u pipeline_stages false reference deals default won Closed",
		)
		if n := w.counter("hubspot_cdc_events_total", "pipeline_stages", "d"); n != 1 {
			t.Errorf("events_total of d is %v", n)
		}

		again := w.mustOpen()
		want := map[cdc.EntryKey]cdc.Row{
			cdc.NewEntryKey("deals", "default", "won"): {Version: 901, Hash: 1, Live: true, Seq: 3},
			cdc.NewEntryKey("deals", "2", "won"):       {Version: 900, Hash: 1, Reason: cdc.Removed, Seq: 4},
		}
		if got := again.loaded.References["pipeline_stages"]; !maps.Equal(got, want) || again.loaded.Seq != 4 {
			t.Errorf("loaded %+v, seq %d, want %+v", got, again.loaded.Seq, want)
		}
		if _, known := again.loaded.Topics[stageTopic]; !known {
			t.Error("the state does not know the list's topic")
		}
	})
}

// TestReferences_AvroKeys: docs/contract.md section 5. The partition is that of
// the string key.
func TestReferences_AvroKeys(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start(func(c *Config) { c.KeyFormat = KeyAvro })
		r.mustCommit(entries(stage(cdc.Create, "default", "won", "")))
		r.mustCommit(entries(stage(cdc.Delete, "default", "won", "")))
		owner := cdc.ReferenceChange{Key: "17", Row: cdc.Row{Live: true}, Op: cdc.Create, Values: map[string]any{"email": "ada@example.com"}}
		r.mustCommit(&cdc.Batch{Object: "owners", Entries: []cdc.ReferenceChange{owner}})
		pipeline := cdc.ReferenceChange{Key: cdc.NewEntryKey("deals", "default"), Row: cdc.Row{Live: true}, Op: cdc.Create, Values: map[string]any{"label": "Sales"}}
		r.mustCommit(&cdc.Batch{Object: "pipelines", Entries: []cdc.ReferenceChange{pipeline}})
		r.stop()
		for topic, want := range map[string]struct {
			text string
			key  map[string]any
			n    int
		}{
			stageTopic:          {"deals:default:won", map[string]any{"objectType": "deals", "pipelineId": "default", "id": "won"}, 3},
			"hubspot.owners":    {"17", map[string]any{"id": "17"}, 1},
			"hubspot.pipelines": {"deals:default", map[string]any{"objectType": "deals", "id": "default"}, 1},
		} {
			records := w.read(topic)
			if len(records) != want.n {
				t.Errorf("%s: %d records, want %d", topic, len(records), want.n)
			}
			for _, rec := range records {
				if k := w.registry.Decode(rec.Key); !maps.Equal(k, want.key) {
					t.Errorf("%s: key %v, want %v", topic, k, want.key)
				}
				if p := PartitionOf([]byte(want.text), 3); rec.Partition != p {
					t.Errorf("%s: partition %d, want %d", topic, rec.Partition, p)
				}
			}
		}
	})
}

// TestReferences_WhatIsTooLargeIsLeftOut: it must not stop the run, nor every run
// after it.
func TestReferences_WhatIsTooLargeIsLeftOut(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start(func(c *Config) { c.MaxMessageBytes = 16 << 10 })
		change := stage(cdc.Create, "default", "won", strings.Repeat("x", 20<<10))
		change.Values["metadata"] = strings.Repeat("y", 30<<10)
		r.mustCommit(entries(change))
		e := w.registry.Decode(w.read(stageTopic)[0].Value)
		after := e["after"].(map[string]any)
		if after["label"] != nil || after["metadata"] != nil || after["displayOrder"] != int32(3) || !slices.Equal(e["source"].(map[string]any)["omitted"].([]any), []any{"metadata", "label"}) {
			t.Errorf("event %v", e)
		}
		if len(change.Values["label"].(string)) != 20<<10 {
			t.Error("the change itself lost its label")
		}
	})
}
