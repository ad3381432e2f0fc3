package schema

import (
	"reflect"
	"slices"
	"testing"
	"time"

	twmb "github.com/twmb/avro"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// The fields of docs/contract.md section 5, in its order and with its types.
var referenceFields = map[string][]string{
	"owners": {"id ?string", "email ?string", "firstName ?string", "lastName ?string", "type ?string", "userId ?string", "teams ?string",
		"createdAt ?long.timestamp-millis", "updatedAt ?long.timestamp-millis", "archived ?boolean"},
	"pipelines": {"id ?string", "objectType ?string", "label ?string", "displayOrder ?int",
		"createdAt ?long.timestamp-millis", "updatedAt ?long.timestamp-millis", "archived ?boolean"},
	"pipeline_stages": {"id ?string", "objectType ?string", "pipelineId ?string", "label ?string", "displayOrder ?int", "metadata ?string",
		"createdAt ?long.timestamp-millis", "updatedAt ?long.timestamp-millis", "archived ?boolean"},
}

// TestListSchemas_AreThoseOfTheDesign: the registered schema has the fields of
// docs/contract.md section 5 in the namespace of the topic, each null by default.
func TestListSchemas_AreThoseOfTheDesign(t *testing.T) {
	for list, want := range referenceFields {
		topic := "my-prefix." + list
		e, err := CompileReference(topic, list)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parseSchema(e.Schema)
		if err != nil {
			t.Fatal(err)
		}
		got := layouts(parsed)[Namespace(topic)+".Value"]
		for i := range want {
			want[i] += " = null"
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got  %q\nwant %q", list, got, want)
		}
	}
	if _, err := CompileReference("hubspot.users", "users"); err == nil {
		t.Error("CompileReference takes a list that does not exist")
	}
}

// TestListEvents_AreReadBackWithAnotherLibrary: every op, the key in before on a
// delete, nulls, the beginning of 1970, and U+0000.
func TestListEvents_AreReadBackWithAnotherLibrary(t *testing.T) {
	const topic = "hubspot.pipeline_stages"
	e, err := CompileReference(topic, "pipeline_stages")
	if err != nil {
		t.Fatal(err)
	}
	reader, err := twmb.Parse(string(e.Schema))
	if err != nil {
		t.Fatal(err)
	}
	key := map[string]any{
		"objectType": "deals", "pipelineId": "default", "id": "closedwon",
		"label": nil, "displayOrder": nil, "metadata": nil, "createdAt": nil, "updatedAt": nil, "archived": nil,
	}
	full := map[string]any{
		"objectType": "deals", "pipelineId": "default", "id": "closedwon", "label": "Won\uFFFD", "displayOrder": int32(-1),
		"metadata": `{"probability":"1.0"}`, "createdAt": time.UnixMilli(0).UTC(), "updatedAt": nil, "archived": false,
	}
	ev := ReferenceEvent{
		Key: []string{"deals", "default", "closedwon"},
		Values: map[string]any{
			"label": "Won\x00", "displayOrder": int32(-1), "metadata": `{"probability":"1.0"}`,
			"createdAt": hubspot.Moment{Known: true}, "updatedAt": hubspot.Moment{}, "archived": false,
		},
		Source: Source{Version: "1", Name: "hubspot", DB: "4242", Table: "pipeline_stages", Stream: "reference", Seq: 5, TsMs: 6, Snapshot: "false"},
		TsMs:   8,
	}
	for _, c := range []struct {
		op            byte
		beforeKey     bool
		before, after any
	}{
		{'c', false, nil, full}, {'r', true, nil, full}, {'u', false, nil, full}, {'u', true, key, full}, {'d', false, key, nil},
	} {
		ev.Op, ev.BeforeKey = c.op, c.beforeKey
		var got map[string]any
		rest, err := reader.Decode(e.Append(nil, &ev), &got)
		if err != nil || len(rest) > 0 {
			t.Fatalf("op %c: %v, %d bytes left", c.op, err, len(rest))
		}
		for side, want := range map[string]any{"before": c.before, "after": c.after} {
			if want == nil {
				if got[side] != nil {
					t.Errorf("op %c: %s = %v, want null", c.op, side, got[side])
				}
			} else if !reflect.DeepEqual(got[side], want) {
				t.Errorf("op %c: %s = %v, want %v", c.op, side, got[side], want)
			}
		}
		if got["op"] != string(rune(c.op)) || got["source"].(map[string]any)["table"] != "pipeline_stages" {
			t.Errorf("op %c: %v", c.op, got)
		}
	}
}
