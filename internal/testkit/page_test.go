package testkit_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/internal/testkit"
)

const aPage = "# A page\n" +
	"Ask `curl /readyz`, and wait.\n" +
	"```sh\n" +
	"make   # all\n" +
	"\n" +
	"# a remark\n" +
	"go test \\\n" +
	"  ./...\n" +
	"```\n" +
	"```\n" +
	"a line of the log\n" +
	"```\n" +
	"1. A list:\n" +
	"\n" +
	"   ```\n" +
	"   $ ls `pwd`\n" +
	"   one\n" +
	"\n" +
	"   two\n" +
	"   $ true\n" +
	"   ```\n" +
	"```json\n" +
	"$ \n" +
	"```\n"

// TestPage_CommandsAndTheirOutput: a command, where it stands and what the page shows
// below it; what is no command is none.
func TestPage_CommandsAndTheirOutput(t *testing.T) {
	want := []testkit.Command{
		{At: 4, Text: "make   # all"}, {At: 7, Text: "go test ./..."},
		{At: 16, Text: "ls `pwd`", Shown: []string{"one", "two"}}, {At: 20, Text: "true"},
	}
	if got := testkit.Commands(aPage); !reflect.DeepEqual(got, want) {
		t.Errorf("commands %+v, want %+v", got, want)
	}
	if got, want := testkit.Inline(aPage), []testkit.Command{{At: 2, Text: "curl /readyz"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("in the text %+v, want %+v", got, want)
	}
	if got := testkit.CodeLines(aPage); len(got) != 11 || !slices.Contains(got, "a line of the log") {
		t.Errorf("code %q", got)
	}
}

// TestPage_LinesOfOneKind have one shape: they differ in times, figures, widths and
// contents. Lines of two kinds have two.
func TestPage_LinesOfOneKind(t *testing.T) {
	kinds := [][]string{
		{`{"object":"contacts","stream":"leading"}` + "\t" + `{"at":"2026-11-24T16:40:24.000Z","v":1}`, `{"stream":"leading","object":"contacts"}` + "\t" + `{"at":"yesterday","v":20}`},
		{`{"object":"contacts","stream":"archive"}` + "\t" + `{"at":"2026-11-24T16:40:24.000Z","v":1}`},
		{`{"object":"contacts","stream":"leading"}` + "\t" + `{"at":1,"v":1}`},
		{`{"object":"contacts","stream":"leading"}` + "\t" + `{"v":1}`},
		{`{"at":{"a":1}}`, `{"at":{"a":2}}`},
		{`{"at":{"b":1}}`},
		{`{"at":{"a":null}}`},
		{`{"at":{"a":[]}}`, `{"at":{"a":[1]}}`},
		{`{"at":{"a":true}}`, `{"at":{"a":false}}`},
		{"hubspot.contacts  250      249    248", "hubspot.contacts  1  22  333  "},
		{"hubspot.contacts  250      249"},
		{"0\t871\t3308\t306 bytes", "10\t1\t2\t98 bytes"},
		{"0\t871\t3308\t-1 bytes"},
		{"c hubspot.deals                          15715       2026-11-29T09:38:07Z amount=2904 dealname=\"Visit\"  [journal]", "c hubspot.deals 1 2025-01-01T00:00:00.5Z a  [journal]"},
		{"d hubspot.deals                          15715       2026-11-29T09:38:07Z deleted  [journal]"},
		{"c hubspot.deals                          15715       2026-11-29T09:38:07Z amount=2904  [leading]"},
		{"d hubspot.deals 15532 2026-11-29T09:38:12Z deleted  [leading, merged into 15883]", "d hubspot.deals 1 2026-11-29T09:38:12Z deleted  [leading, merged into 7]"},
	}
	seen := map[string]string{}
	for _, lines := range kinds {
		shape := testkit.LineShape(lines[0], "object", "stream")
		if other, there := seen[shape]; there {
			t.Errorf("two kinds have the shape %q:\n%s\n%s", shape, other, lines[0])
		}
		seen[shape] = lines[0]
		for _, line := range lines[1:] {
			if got := testkit.LineShape(line, "object", "stream"); got != shape {
				t.Errorf("shapes of one kind:\n%s\n%s\nof\n%s", shape, got, strings.Join(lines, "\n"))
			}
		}
	}
}
