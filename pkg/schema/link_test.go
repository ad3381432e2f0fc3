package schema

import (
	"reflect"
	"testing"

	twmb "github.com/twmb/avro"
)

// TestLinkEvents_AreReadBackWithAnotherLibrary: every op of a link, the key in
// before on a delete, and the fixed schema of docs/contract.md section 5.
func TestLinkEvents_AreReadBackWithAnotherLibrary(t *testing.T) {
	const topic = "hubspot.associations.contacts.p82918_car"
	e, err := CompileLinks(topic)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := twmb.Parse(string(e.Schema))
	if err != nil {
		t.Fatal(err)
	}
	key := map[string]any{
		"fromObjectType": "contacts", "fromObjectId": "18446744073709551615", "toObjectType": "p82918_car", "toObjectId": "7",
		"category": "USER_DEFINED", "typeId": int32(-3), "label": nil,
	}
	full := func(label any) map[string]any {
		m := map[string]any{}
		for k, v := range key {
			m[k] = v
		}
		m["label"] = label
		return m
	}
	ev := LinkEvent{
		FromType: "contacts", From: 1<<64 - 1, ToType: "p82918_car", To: 7, Category: "USER_DEFINED", TypeID: -3, Label: "Boss\x00",
		Source: Source{Version: "1", Name: "hubspot", DB: "4242", Table: "contacts:p82918_car", Stream: "associations", Seq: 5, TsMs: 6, Snapshot: "false"},
		TsMs:   8,
	}
	for _, c := range []struct {
		op            byte
		label         string
		beforeKey     bool
		before, after any
	}{
		{'c', "Boss\x00", false, nil, full("Boss\uFFFD")},
		{'r', "", true, nil, full(nil)},
		{'u', "Chief", false, nil, full("Chief")},
		{'u', "Chief", true, key, full("Chief")},
		{'d', "Boss", false, key, nil},
	} {
		ev.Op, ev.Label, ev.BeforeKey = c.op, c.label, c.beforeKey
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
		if got["op"] != string(rune(c.op)) || got["source"].(map[string]any)["table"] != "contacts:p82918_car" {
			t.Errorf("op %c: %v", c.op, got)
		}
	}
}
