package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/internal/testkit"
)

// lineOf is the first line of a section's code that begins like this.
func lineOf(t *testing.T, heading, begins string) string {
	t.Helper()
	lines := testkit.CodeLines(section(t, heading))
	at := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, begins) })
	if at < 0 {
		t.Fatalf("the section %q of %s has no line %s", heading, operationsPage, begins)
	}
	return lines[at]
}

// quotedIn is what a line of shell has in its first single quotes.
func quotedIn(t *testing.T, line string) string {
	t.Helper()
	parts := strings.SplitN(line, "'", 3)
	if len(parts) < 3 {
		t.Fatalf("nothing is quoted in %s", line)
	}
	return parts[1]
}

// sameJSON compares two objects: their members and the types of these.
func sameJSON(t *testing.T, page, real string) {
	t.Helper()
	var want, got map[string]any
	if err := json.Unmarshal([]byte(page), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(real), &got); err != nil {
		t.Fatal(err)
	}
	kinds := func(m map[string]any) (out []string) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			out = append(out, fmt.Sprintf("%s %T", name, m[name]))
		}
		return out
	}
	if p, r := kinds(want), kinds(got); !slices.Equal(p, r) {
		t.Errorf("the page has\n%s\nof %q, really it is\n%s\nof %q", page, p, real, r)
	}
}

// logKey is the key of an attribute in a line of the log.
var logKey = regexp.MustCompile(`(?:^| )([a-z_]+)=`)

// sameLines finds each line of the log on the page in a real log: the message, and the
// keys that follow it.
func sameLines(t *testing.T, log string) {
	t.Helper()
	keys := func(line string) (keys []string) {
		for _, match := range logKey.FindAllStringSubmatch(line, -1) {
			keys = append(keys, match[1])
		}
		return keys
	}
	message := regexp.MustCompile(`msg=("[^"]*"|\S+)`)
	n := 0
	for _, line := range testkit.CodeLines(section(t, "Start and stop")) {
		if !strings.HasPrefix(line, "msg=") || strings.Contains(line, `"http listening"`) { // a world has no port
			continue
		}
		n++
		var seen []string
		for real := range strings.Lines(log) {
			if message.FindString(real) == message.FindString(line) {
				_, real, _ = strings.Cut(strings.TrimSpace(real), " msg=")
				seen = append(seen, "msg="+real)
			}
		}
		if !slices.ContainsFunc(seen, func(real string) bool { return slices.Equal(keys(real), keys(line)) }) {
			t.Errorf("the page has\n%s\nthe log has\n%s", line, strings.Join(slices.Compact(seen), "\n"))
		}
	}
	if n < 14 {
		t.Errorf("only %d lines of the log are on the page", n)
	}
}

// sameCursors compares the cursors on the page with real ones.
func sameCursors(t *testing.T, real map[string]string) {
	t.Helper()
	n := 0
	for _, line := range testkit.CodeLines(section(t, "Cursors")) {
		key, value, ok := strings.Cut(line, "\t")
		if !ok || !strings.HasPrefix(key, "{") {
			continue
		}
		if n++; real[key] == "" {
			t.Errorf("there is no cursor %s", key)
			continue
		}
		sameJSON(t, value, real[key])
	}
	if n < 5 {
		t.Errorf("only %d cursors are on the page", n)
	}
}
