package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/twmb/avro"
)

// tail prints decoded records, one per line.
type tail struct {
	decoder
	out     io.Writer
	colours bool

	mu     sync.Mutex
	counts map[string]int
}

func newTail(out io.Writer, colours bool) *tail {
	return &tail{decoder: decoder{map[int]*avro.Schema{}}, out: out, colours: colours, counts: map[string]int{}}
}

// count notes an event for the summary.
func (t *tail) count(r *record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if op := r.op(); op != "" {
		t.counts[op]++
	}
}

// print prints a record, as JSON or for people.
func (t *tail) print(r *record, asJSON bool) error {
	t.count(r)
	t.mu.Lock()
	defer t.mu.Unlock()
	if asJSON {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(t.out, "%s\n", line)
		return err
	}
	mark, line := " ", fmt.Sprintf("%-38s %-10s %s ", r.Topic, r.key, r.when())
	switch {
	case r.Error != "":
		mark, line = "!", line+r.Error
	case r.event != nil:
		source, _ := r.event["source"].(map[string]any)
		mark, line = t.colour(visible(r.op())), fmt.Sprintf("%s%s  [%v%s]", line, brief(r.event), source["stream"], because(source))
	case r.tombstone():
		mark, line = "-", line+"tombstone"
	default:
		line = fmt.Sprintf("%-38s %s %s %s", r.Topic, r.key, r.when(), r.Value)
	}
	_, err := fmt.Fprintf(t.out, "%s %s\n", mark, visible(line))
	return err
}

// visible writes control characters as Go does, such as \x1b: what somebody else has
// written into a topic must not command the terminal.
func visible(text string) string {
	if !strings.ContainsFunc(text, unicode.IsControl) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if unicode.IsControl(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Write puts a line between the events.
func (t *tail) Write(line []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.out.Write(line)
}

func (r *record) op() string {
	op, _ := r.event["op"].(string)
	return op
}

// when is HubSpot's time of a change; of anything else, when it was written.
func (r *record) when() string {
	at := time.UnixMilli(r.Timestamp)
	source, _ := r.event["source"].(map[string]any)
	if ms, ok := source["ts_ms"].(int64); ok {
		at = time.UnixMilli(ms)
	}
	return at.UTC().Format(time.RFC3339)
}

func (r *record) tombstone() bool { return string(r.Value) == "null" }

var opColours = map[string]string{"c": "32", "u": "33", "d": "31", "r": "36"}

func (t *tail) colour(op string) string {
	if !t.colours {
		return op
	}
	return "\x1b[" + opColours[op] + "m" + op + "\x1b[0m"
}

// briefMost is how many properties of a record are printed.
const briefMost = 4

// brief is what a reader wants to see of an event on one line: some properties
// that HubSpot has not set itself.
func brief(event map[string]any) string {
	after, _ := event["after"].(map[string]any)
	if after == nil {
		before, _ := event["before"].(map[string]any)
		return strings.TrimSpace(ends(before) + " deleted")
	}
	if pair := ends(after); pair != "" {
		return pair + " " + label(after)
	}
	properties, ok := after["properties"].(map[string]any)
	if !ok { // an entry of a reference list; its key is shown already
		properties = maps.Clone(after)
		for _, name := range []string{"id", "objectType", "pipelineId", "createdAt", "updatedAt", "archived"} {
			delete(properties, name)
		}
	}
	var names []string
	for name, v := range properties {
		if v != nil && !strings.HasPrefix(name, "hs_") && !strings.HasSuffix(name, "date") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) > briefMost {
		names = names[:briefMost]
	}
	parts := make([]string, len(names))
	for i, name := range names {
		text, err := json.Marshal(properties[name])
		if err != nil {
			text = []byte("?")
		}
		parts[i] = name + "=" + string(text)
	}
	return strings.Join(parts, " ")
}

// ends are the two records of an association, "" of anything else.
func ends(link map[string]any) string {
	to, ok := link["toObjectId"].(string)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%v %v -> %v %v", link["fromObjectType"], link["fromObjectId"], link["toObjectType"], to)
}

// label is what a link is called in HubSpot.
func label(link map[string]any) string {
	if text, ok := link["label"].(string); ok {
		return strconv.Quote(text)
	}
	return "(no label)"
}

func because(source map[string]any) string {
	reason, ok := source["reason"].(string)
	if !ok {
		return ""
	}
	if into, ok := source["mergedInto"].(string); ok {
		reason += " into " + into
	}
	return ", " + reason
}

// summary prints the counts of events by op.
func (t *tail) summary() {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "\nevents: c=%d u=%d d=%d r=%d\n", t.counts["c"], t.counts["u"], t.counts["d"], t.counts["r"])
}
