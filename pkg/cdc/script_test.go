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
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txt with what the lane does now")

// TestDecisions replays the scripts in testdata: lines that say what was
// observed, each followed by what the lane did, indented. See the comment at
// the head of every script for the rule that it shows.
//
//	stamp NAME                     a request is sent now
//	page STREAM [cursor=X] [snapshot]
//	                               one publish, of the readings that follow it
//	  live ID v=VERSION c=CREATED NAME=VALUE... [sent=NAME] [at=TIME] [second] [oldset]
//	  archived ID at=TIME [sent=NAME]
//	  merged ID into=ID at=TIME [sent=NAME]
//	  gone ID at=TIME [sent=NAME]
//	skip start=T ID@UPDATED...     which search rows would be read
//
// Versions and times are seconds; a reading is sent at time 1000 unless said.
func TestDecisions(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
			}
		})
	}
}

// record is a Committer that keeps what it was given.
type record struct {
	seq     int64
	batches []Batch
}

func (r *record) Commit(_ context.Context, b *Batch) error {
	for i := range b.Changes {
		if b.Changes[i].Event != nil {
			r.seq++
			b.Changes[i].Row.Seq = r.seq
		}
	}
	r.batches = append(r.batches, *b)
	return nil
}

type replayer struct {
	t        *testing.T
	lane     *Lane
	out      *record
	stamps   map[string]uint64
	slots    *hubspot.Slots
	oldSlots *hubspot.Slots
	b        strings.Builder
}

func replay(t *testing.T, script string) string {
	t.Helper()
	r := &replayer{t: t, out: &record{}, stamps: map[string]uint64{}}
	r.slots = hubspot.NewSlots([]string{"name", "amount", "volatile"})
	r.oldSlots = hubspot.NewSlots([]string{"name", "amount", "volatile"})
	r.lane = NewLane(LaneConfig{
		Object: "contacts", Slots: r.slots, Content: NewContent([]string{"name", "amount", ""}),
		Started: seconds(100), Committer: r.out, Patience: Patience{Second: 30 * time.Second, Repeat: time.Hour},
		SkipUnchanged: strings.Contains(script, "# EVENT_SKIP_UNCHANGED"),
	})
	var page *Page
	flush := func() {
		if page != nil {
			r.publish(*page)
			page = nil
		}
	}
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\n")
		words := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "    "): // what was done, last time
			continue
		case len(words) == 0 || words[0] == "#":
			flush()
		case strings.HasPrefix(line, "  "):
			page.Readings = append(page.Readings, r.reading(words))
		case words[0] == "stamp":
			flush()
			r.stamps[words[1]] = r.lane.Now()
		case words[0] == "page":
			flush()
			page = &Page{Stream: words[1]}
			for _, w := range words[2:] {
				if v, ok := strings.CutPrefix(w, "cursor="); ok {
					page.Cursors = []Cursor{{Object: "contacts", Stream: words[1], Value: []byte(v)}}
				}
				page.Snapshot = page.Snapshot || w == "snapshot"
			}
		case words[0] == "skip":
			flush()
		default:
			t.Fatalf("script line %q", line)
		}
		fmt.Fprintln(&r.b, line)
		if len(words) > 0 && words[0] == "skip" {
			r.skip(words[1:])
		}
	}
	flush()
	return r.b.String()
}

func seconds(n int64) hubspot.Millis { return hubspot.Millis(n * 1000) }

func (r *replayer) number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

func (r *replayer) reading(words []string) Reading {
	id := hubspot.ID(r.number(words[1]))
	rec := &hubspot.Record{ID: id, Created: seconds(50), Values: make([][]byte, 3)}
	out := Reading{ID: id, Record: rec, Slots: r.slots, Stamp: r.lane.Now(), SentAt: seconds(1000), Date: seconds(1000)}
	switch words[0] {
	case "archived":
		out.Outcome = IsArchived
		rec.Archived = true
	case "merged":
		out.Outcome, out.Record = IsMerged, nil
	case "gone":
		out.Outcome, out.Record = IsGone, nil
	}
	for _, w := range words[2:] {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "doubtful":
			out.Doubtful = true
		case "v":
			rec.Updated = seconds(r.number(v))
		case "c":
			rec.Created = seconds(r.number(v))
		case "sent":
			out.Stamp = r.stamps[v]
		case "at":
			out.SentAt = seconds(r.number(v))
			out.Date = out.SentAt
			if rec.Archived {
				rec.ArchivedAt = out.SentAt
			}
		case "into":
			out.Into = hubspot.ID(r.number(v))
		case "second":
			out.Second = true
		case "oldset":
			out.Slots = r.oldSlots
		default:
			rec.Values[r.slots.Slot([]byte(k))] = []byte(v)
		}
	}
	return out
}

func (r *replayer) publish(p Page) {
	seen := len(r.out.batches)
	left, err := r.lane.Publish(context.Background(), p)
	if err != nil {
		r.t.Fatal(err)
	}
	text := r.b.String()
	r.b.Reset()
	blank := strings.HasSuffix(text, "\n\n") // outcomes stand before the blank line that ended the page
	if blank {
		text = strings.TrimSuffix(text, "\n")
	}
	r.b.WriteString(text)
	said := false
	say := func(format string, args ...any) {
		fmt.Fprintf(&r.b, "    "+format+"\n", args...)
		said = true
	}
	for _, b := range r.out.batches[seen:] {
		for _, c := range b.Changes {
			e := c.Event
			switch {
			case e == nil:
				say("%s row only: v=%d settled=%v", c.ID, c.Row.Version/1000, c.Row.Settled)
			default:
				reason := ""
				if e.Reason != NoReason {
					reason = " reason=" + e.Reason.String()
				}
				if e.Incremental {
					reason += " incremental"
				}
				if e.Into != 0 {
					reason += " into=" + e.Into.String()
				}
				say("%s %c seq=%d ts=%d settled=%v stream=%s%s", c.ID, e.Op, c.Row.Seq, e.SourceMs/1000, c.Row.Settled, e.Stream, reason)
			}
		}
		for _, c := range b.Cursors {
			say("cursor %s", c.Value)
		}
	}
	for _, a := range left.Again {
		say("%s again: %s", a.ID, a.Cause)
	}
	for _, l := range left.Later {
		say("%s later: after %v, held=%v", l.ID, l.After, l.Held)
	}
	if !said {
		say("nothing")
	}
	if blank {
		r.b.WriteString("\n")
	}
}

func (r *replayer) skip(words []string) {
	var rows []hubspot.SearchRow
	var start hubspot.Millis
	for _, w := range words {
		if v, ok := strings.CutPrefix(w, "start="); ok {
			start = seconds(r.number(v))
			continue
		}
		id, at, _ := strings.Cut(w, "@")
		rows = append(rows, hubspot.SearchRow{ID: hubspot.ID(r.number(id)), Updated: seconds(r.number(at))})
	}
	ids, err := r.lane.Unskipped(context.Background(), rows, start)
	if err != nil {
		r.t.Fatal(err)
	}
	fmt.Fprintf(&r.b, "    read %v\n", ids)
}

// TestR3_OnlyAFinishedWalkMovesTheWindow: not its rows' times, not our clock,
// and never backwards.
func TestR3_OnlyAFinishedWalkMovesTheWindow(t *testing.T) {
	w := Window{Start: seconds(100)}
	w = w.Begin(seconds(500))
	if w.Start != seconds(100) || w.T0 != seconds(500) || !w.Walking() {
		t.Fatalf("after Begin: %+v", w)
	}
	w.Last = 17
	if again := w.Begin(seconds(900)); again != w {
		t.Fatalf("a walk that goes on after a restart takes another t0: %+v", again)
	}
	if got, want := w.Finish(0), (Window{Start: seconds(498)}); got != want {
		t.Errorf("leading: got %+v, want %+v", got, want)
	}
	if got, want := w.Finish(5*time.Minute), (Window{Start: seconds(198)}); got != want {
		t.Errorf("trailing 5m: got %+v, want %+v", got, want)
	}
	if got, want := w.Finish(time.Hour), (Window{Start: seconds(100)}); got != want {
		t.Errorf("trailing 1h moved back: got %+v, want %+v", got, want)
	}
}

// TestR10_ContentIsNamesAndTextsNotSlots: a property that is added changes only
// the records that have a value for it, wherever its slot is.
func TestR10_ContentIsNamesAndTextsNotSlots(t *testing.T) {
	before := NewContent([]string{"b", "a", ""})
	after := NewContent([]string{"b", "a", "", "c"})
	moved := NewContent([]string{"c", "a", "b"})
	rec := func(values ...string) *hubspot.Record {
		r := &hubspot.Record{}
		for _, v := range values {
			if v == "" {
				r.Values = append(r.Values, nil)
			} else {
				r.Values = append(r.Values, []byte(v))
			}
		}
		return r
	}
	want := before.Hash(rec("1", "2", "volatile"))
	if got := after.Hash(rec("1", "2", "other", "")); got != want {
		t.Error("an added property without a value changed the content")
	}
	if got := moved.Hash(rec("", "2", "1")); got != want {
		t.Error("the place of a slot changed the content")
	}
	if got := after.Hash(rec("1", "2", "", "3")); got == want {
		t.Error("an added property with a value did not change the content")
	}
	if got := before.Hash(rec("12", "", "")); got == before.Hash(rec("1", "2", "")) {
		t.Error("values of neighbours run into one another")
	}
}
