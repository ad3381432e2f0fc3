package cdc

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

var update = flag.Bool("update", false, "rewrite the scripts in testdata with what the lanes do now")

// script is a file in testdata: lines that say what was observed, each followed by
// what the lane did, indented by four. A comment at its head names the rule that it
// shows. Each kind of script has the lines of its own table, and these:
//
//	stamp NAME          a request is sent now
//	page ...            one publish, of the readings in the lines below it, indented by two
//
// In every page "cursor=X" is the cursor that it commits. "sent=NAME" of a reading
// is the stamp of its request; the others are sent now. Versions and times are in
// seconds.
type script struct {
	*testing.T
	record

	lines   map[string]func(words []string) // what a line does, by its indentation and first word
	publish func() (again []string)         // publishes the page and returns what must be read again

	stamps map[string]uint64
	told   []string // so far
}

// replayAll replays every script of a folder.
func replayAll(t *testing.T, folder string, kind func(s *script, text string)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := &script{T: t, lines: map[string]func([]string){}, stamps: map[string]uint64{}}
			kind(s, string(want))
			got := s.replay(string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
			}
		})
	}
}

func (s *script) replay(text string) string {
	s.Helper()
	page := false // a page is open
	for line := range strings.Lines(text + "\n") {
		line = strings.TrimRight(line, "\n")
		rest := strings.TrimLeft(line, " ")
		indent := line[:len(line)-len(rest)]
		if len(indent) >= 4 { // the output of an earlier run
			continue
		}
		if page && indent == "" {
			page = false
			s.tell()
		}
		s.told = append(s.told, line)
		if rest == "" || rest[0] == '#' {
			continue
		}
		words := strings.Fields(rest)
		do := s.lines[indent+words[0]]
		if do == nil || indent != "" && !page {
			s.Fatalf("script line %q", line)
		}
		page = page || words[0] == "page"
		do(words[1:])
	}
	return strings.TrimRight(strings.Join(s.told, "\n"), "\n") + "\n"
}

func (s *script) say(format string, args ...any) {
	s.told = append(s.told, "    "+fmt.Sprintf(format, args...))
}

// tell publishes the page and writes down what came of it.
func (s *script) tell() {
	s.batches = nil
	again := s.publish()
	before := len(s.told)
	for _, b := range s.batches {
		s.tellBatch(b)
	}
	for _, line := range again {
		s.say("%s", line)
	}
	if len(s.told) == before {
		s.say("nothing")
	}
}

func (s *script) tellBatch(b Batch) {
	for _, c := range b.Changes {
		e := c.Event
		if e == nil {
			s.say("%s row only: v=%d settled=%v", c.ID, c.Row.Version/1000, c.Row.Settled)
			continue
		}
		s.say("%s %c seq=%d ts=%d settled=%v stream=%s%s%s%s", c.ID, e.Op, c.Row.Seq, e.SourceMs/1000, c.Row.Settled, e.Stream,
			when(e.Reason != NoReason, " reason=%s", e.Reason), when(e.Incremental, " incremental"), when(e.Into != 0, " into=%s", e.Into))
	}
	for _, c := range b.Links {
		s.say("%s -> %s:%d %c%s%s%s", c.Key.From, c.Key.To, c.Key.TypeID, c.Op,
			when(c.Label != "", " label=%s", c.Label), when(c.Reason != NoReason, " reason=%s", c.Reason), when(c.Incremental, " incremental"))
	}
	for _, c := range b.Entries {
		if c.Op == 0 {
			s.say("%s row only", c.Key)
			continue
		}
		s.say("%s %c%s%s%s ts=%d", c.Key, c.Op, when(c.Incremental, " incremental"),
			when(c.Values != nil, " label=%v", c.Values["label"]), when(c.Reason != NoReason, " reason=%s", c.Reason), c.SourceMs/1000)
	}
	for _, c := range b.Cursors {
		s.say("cursor %s", c.Value)
	}
}

func when(holds bool, format string, args ...any) string {
	if !holds {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// settings are the words that a line may have, NAME=VALUE or NAME alone, by name.
type settings map[string]func(value string)

// settings passes each word of a line, NAME=VALUE or NAME alone, to the setting of
// that name, and words without a setting to rest.
func (s *script) settings(words []string, known settings, rest func(word string)) {
	s.Helper()
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		switch set := known[name]; {
		case set != nil:
			set(value)
		case rest != nil:
			rest(w)
		default:
			s.Fatalf("unknown word %q", w)
		}
	}
}

// cursor sets a page's cursor.
func cursor(to *[]Cursor, object, stream string) func(string) {
	return func(value string) { *to = []Cursor{{Object: object, Stream: stream, Value: []byte(value)}} }
}

// stamp is the script line "stamp", by the clock of a lane.
func (s *script) stamp(now func() uint64) func([]string) {
	return func(words []string) { s.stamps[words[0]] = now() }
}

// sent sets a reading's stamp.
func (s *script) sent(to *uint64) func(string) {
	return func(name string) {
		stamp, known := s.stamps[name]
		if !known {
			s.Fatalf("no stamp has the name %q", name)
		}
		*to = stamp
	}
}

func (s *script) time(to *hubspot.Millis) func(string) {
	return func(value string) { *to = seconds(s.number(value)) }
}

func (s *script) count(to *int) func(string) {
	return func(value string) { *to = int(s.number(value)) }
}

func yes(to *bool) func(string) { return func(string) { *to = true } }

func (s *script) number(text string) int64 {
	s.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		s.Fatal(err)
	}
	return n
}

func (s *script) id(text string) hubspot.ID { return hubspot.ID(s.number(text)) }

// outcomes are the outcomes of a record's reading, by the words of the scripts.
var outcomes = map[string]Outcome{"live": IsLive, "archived": IsArchived, "merged": IsMerged, "gone": IsGone}

func (s *script) ids(texts []string) []hubspot.ID {
	var out []hubspot.ID
	for _, text := range texts {
		out = append(out, s.id(text))
	}
	return out
}

func seconds(n int64) hubspot.Millis { return hubspot.Millis(n * 1000) }

// record is a Committer that hands out sequence numbers and keeps what it was
// given.
type record struct {
	seq     int64
	batches []Batch
}

func (r *record) Commit(_ context.Context, b *Batch) error {
	next := func() int64 { r.seq++; return r.seq }
	for i := range b.Changes {
		if b.Changes[i].Event != nil {
			b.Changes[i].Row.Seq = next()
		}
	}
	for i := range b.Links {
		b.Links[i].Row.Seq = next()
	}
	for i := range b.Entries {
		if b.Entries[i].Op != 0 {
			b.Entries[i].Row.Seq = next()
		}
	}
	r.batches = append(r.batches, *b)
	return nil
}
