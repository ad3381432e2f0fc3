package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/internal/testkit"
)

// full leaves out the members that are null.
func full(v any) any {
	m, ok := v.(map[string]any)
	if !ok || m == nil {
		return v
	}
	out := map[string]any{}
	for name, value := range m {
		if value = full(value); value != nil {
			out[name] = value
		}
	}
	return out
}

// inOrder are the members of an object, those that the page explains first.
func inOrder(m map[string]any) []string {
	order := []string{"op", "before", "after", "source", "ts_ms", "id", "properties"}
	rank := func(name string) int {
		if i := slices.Index(order, name); i >= 0 {
			return i
		}
		return len(order)
	}
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

// written is an event as JSON, a line for each member of the envelope.
func written(event map[string]any) string {
	if event == nil {
		return "null"
	}
	m := full(event).(map[string]any)
	var lines []string
	for _, name := range inOrder(m) {
		lines = append(lines, fmt.Sprintf("  %q: %s", name, oneLine(m[name])))
	}
	return "{\n" + strings.Join(lines, ",\n") + "\n}"
}

func oneLine(v any) string {
	m, ok := v.(map[string]any)
	if !ok || m == nil {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err) // it was decoded
		}
		return string(text)
	}
	var parts []string
	for _, name := range inOrder(m) {
		parts = append(parts, fmt.Sprintf("%q: %s", name, oneLine(m[name])))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// shape is that of an event: what two of one kind share.
func shape(event any) string {
	return testkit.JSONShape(event, "op", "connector", "name", "snapshot", "db", "table", "reason", "archived")
}

// shapesOf are those of the JSON on a page, with the title of each.
func shapesOf(t *testing.T, text string) (shapes []string) {
	t.Helper()
	for part := range strings.SplitSeq(text, "\n**") {
		title, rest, _ := strings.Cut(strings.TrimPrefix(part, "**"), "**")
		_, rest, ok := strings.Cut(rest, "```json\n")
		body, _, closed := strings.Cut(rest, "\n```")
		if !ok || !closed {
			continue
		}
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			t.Errorf("%s: %v", title, err)
		}
		shapes = append(shapes, title+": "+shape(v))
	}
	return shapes
}
