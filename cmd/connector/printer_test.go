package main

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
)

// TestTail_LinesForPeople: a line has HubSpot's time of the change, and of an
// association its two ends, also when it is gone; a tombstone has the time at which it
// was written.
func TestTail_LinesForPeople(t *testing.T) {
	at := time.Date(2026, 11, 29, 9, 38, 7, 0, time.UTC)
	source := map[string]any{"ts_ms": at.UnixMilli(), "stream": "associations"}
	link := map[string]any{"fromObjectType": "contacts", "fromObjectId": "3778", "toObjectType": "deals", "toObjectId": "13535", "label": "Primary"}
	gone := map[string]any{"ts_ms": at.UnixMilli(), "stream": "leading", "reason": "merged", "mergedInto": "9"}
	for want, r := range map[string]*record{
		`c hubspot.associations.contacts.deals 3778:13535:HUBSPOT_DEFINED:4 2026-11-29T09:38:07Z contacts 3778 -> deals 13535 "Primary" [associations]`: {
			Topic: "hubspot.associations.contacts.deals", key: "3778:13535:HUBSPOT_DEFINED:4",
			event: map[string]any{"op": "c", "after": link, "source": source},
		},
		`d hubspot.associations.contacts.deals 3778:13535:HUBSPOT_DEFINED:4 2026-11-29T09:38:07Z contacts 3778 -> deals 13535 deleted [associations]`: {
			Topic: "hubspot.associations.contacts.deals", key: "3778:13535:HUBSPOT_DEFINED:4",
			event: map[string]any{"op": "d", "before": link, "source": source},
		},
		`d hubspot.contacts 7 2026-11-29T09:38:07Z deleted [leading, merged into 9]`: {
			Topic: "hubspot.contacts", key: "7", event: map[string]any{"op": "d", "before": map[string]any{"id": "7"}, "source": gone},
		},
		`- hubspot.contacts 7 2026-11-29T09:38:08Z tombstone`: {
			Topic: "hubspot.contacts", key: "7", Value: []byte("null"), Timestamp: at.UnixMilli() + 1000,
		},
	} {
		var out strings.Builder
		if err := newTail(&out, false).print(r, false); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(strings.Fields(out.String()), " "); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

// TestTail_NothingCommandsTheTerminal: control characters of keys, values and errors are
// written out, those of two bytes too, and a line stays one line.
func TestTail_NothingCommandsTheTerminal(t *testing.T) {
	const evil = "\x1b]0;owned\a\n\r\u009b31m\x7fZoë"
	source := map[string]any{"stream": evil, "reason": evil}
	for name, r := range map[string]*record{
		"event":     {key: evil, event: map[string]any{"op": evil, "source": source, "after": map[string]any{"toObjectId": evil, "fromObjectId": evil}}},
		"tombstone": {key: evil, Value: []byte("null")}, "other": {key: evil, Value: []byte(`"` + evil + `"`)}, "undecodable": {key: evil, Error: evil},
	} {
		var out strings.Builder
		if err := newTail(&out, false).print(r, false); err != nil {
			t.Fatal(err)
		}
		line, more, _ := strings.Cut(out.String(), "\n")
		if more != "" || strings.ContainsFunc(line, unicode.IsControl) || !strings.Contains(line, `\x1b]0;owned\a\n\r\u009b31m\x7fZoë`) {
			t.Errorf("%s: %q", name, out.String())
		}
	}
}

// TestTail_NamesOfTopics: with or without the prefix, and a pair by its two types.
func TestTail_NamesOfTopics(t *testing.T) {
	got := topicNames("hubspot", []string{"contacts", "hubspot.deals", "contacts:deals"}, []string{"companies", "companies:deals"})
	want := []string{"hubspot.contacts", "hubspot.deals", "hubspot.associations.contacts.deals", "hubspot.companies", "hubspot.associations.companies.deals"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
