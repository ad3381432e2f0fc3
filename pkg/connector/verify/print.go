package verify

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"
)

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}

// WriteTable writes the report for people: a line per topic, the first keys that
// differ, and what to do about them: fixing says that the caller does it.
func (r *Report) WriteTable(w io.Writer, fixing bool) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TOPIC\tHUBSPOT\tKAFKA\tEQUAL\tMISSING\tEXTRA\tSTALE\tDIFFERENT")
	for i := range r.Topics {
		t := &r.Topics[i]
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", t.Topic, t.HubSpot, t.Kafka, t.Equal,
			t.counts[missing], t.counts[extra], t.counts[stale], t.counts[different])
	}
	if err := table.Flush(); err != nil {
		return err
	}
	var b strings.Builder
	for i := range r.Topics {
		r.Topics[i].explain(&b)
	}
	r.notes(&b)
	switch {
	case r.Equal:
		b.WriteString("\nequal: a consumer of these topics has what HubSpot has\n")
	case !slices.ContainsFunc(r.Topics, func(t Topic) bool { return !t.Same() }):
		b.WriteString("\nnot compared to the end\n")
	case fixing:
		b.WriteString("\nnot equal\n")
	default:
		b.WriteString("\nnot equal; \"connector verify --fix\" asks the running connector to publish these keys again\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// meanings say what each class of difference is.
var meanings = [classes]string{
	missing:   "HubSpot had them, a consumer did not",
	extra:     "a consumer had them, HubSpot did not",
	stale:     "a consumer had an older version",
	different: "a consumer had other content, under the same version or a newer one",
}

func (t *Topic) explain(b *strings.Builder) {
	for c, keys := range [classes][]string{t.Missing, t.Extra, t.Stale, t.Different} {
		if len(keys) == 0 {
			continue
		}
		word := [classes]string{"missing", "extra", "stale", "different"}[c]
		fmt.Fprintf(b, "\n%s: %d %s at %s (%s)\n  ", t.Topic, t.counts[c], word, t.At.Format(time.RFC3339), meanings[c])
		between := " "
		if class(c) == different && len(t.Properties) > 0 { // a line for each key, with its names
			between = "\n  "
		}
		for i, key := range keys {
			if i > 0 {
				b.WriteString(between)
			}
			b.WriteString(visible(key))
			if n, has := t.Properties[key]; has && class(c) == different {
				fmt.Fprintf(b, ": %s", n)
			}
		}
		if more := t.counts[c] - len(keys); more > 0 {
			fmt.Fprintf(b, "%sand %d more", between, more)
		}
		b.WriteString("\n")
	}
}

// visible quotes a key that holds control characters, or is no text: what somebody else
// has written into a topic must not command the terminal.
func visible(key string) string {
	if utf8.ValidString(key) && !strings.ContainsFunc(key, unicode.IsControl) {
		return key
	}
	return strconv.Quote(key)
}

// Notes say what the comparison leaves out; "" for nothing.
func (r *Report) Notes() string {
	var b strings.Builder
	r.notes(&b)
	return strings.TrimLeft(b.String(), "\n")
}

// keys is so many of them in words.
func keys(n int) string {
	if n == 1 {
		return "1 key"
	}
	return fmt.Sprintf("%d keys", n)
}

func (r *Report) notes(b *strings.Builder) {
	for i := range r.Topics {
		t := &r.Topics[i]
		if t.unread {
			fmt.Fprintf(b, "\n%s: the connector has not yet read everything of it once, so some is still to come\n", t.Topic)
		}
		if t.changing > 0 {
			fmt.Fprintf(b, "\n%s: %s changed at every look; not judged\n", t.Topic, keys(t.changing))
		}
		switch pair := strings.Contains(t.object, ":"); {
		case t.unanswered == 0:
		case pair: // most of these have no links, on either side
			fmt.Fprintf(b, "\n%s: HubSpot says of %d records neither which associations they have nor that they have none; they are not judged (docs/runbook.md#hubspot-does-not-say-whether-records-have-associations)\n", t.Topic, t.unanswered)
		default:
			fmt.Fprintf(b, "\n%s: %s differed, and HubSpot does not answer when asked again; not judged: compare again later\n", t.Topic, keys(t.unanswered))
		}
		if t.leftOut > 0 {
			fmt.Fprintf(b, "\n%s: %s of types that HUBSPOT_OBJECTS leaves out, or that HubSpot does not have any more; not judged\n", t.Topic, keys(t.leftOut))
		}
		if t.hidden > 0 {
			fmt.Fprintf(b, "\n%s: %s of a part that HubSpot does not show this token; not judged\n", t.Topic, keys(t.hidden))
		}
	}
	for _, l := range r.Left {
		fmt.Fprintf(b, "\n%s: not compared: %s\n", l.Topic, l.why())
	}
}
