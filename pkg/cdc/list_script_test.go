package cdc

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestListDecisions replays the scripts in testdata/lists: what HubSpot
// answered of the list of pipelines (keys like deals/default), each line
// followed by what the lane did, indented.
//
//	skip-unchanged               the lane leaves out events with a new time alone
//	stamp NAME                   a request is sent now
//	wait SECONDS                 HubSpot's clock goes on
//	page [cursor=X] [swept] [snapshot] [only=ID]      one publish, of the readings that follow it
//	  read UNDER KEY[=LABEL][@VERSION]... [archived=KEY] [ended] [sent=NAME] [calls=N] [second]
//	                             a complete reading of the keys under a part, * for all
//	live UNDER                   what is published
func TestListDecisions(t *testing.T) {
	files, err := filepath.Glob("testdata/lists/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newListReplayer(t).replay(string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

type listReplayer struct {
	*testing.T
	lane   *ListLane
	seq    int64
	lines  []string
	stamps map[string]uint64
	date   hubspot.Millis
}

func newListReplayer(t *testing.T) *listReplayer {
	r := &listReplayer{T: t, stamps: map[string]uint64{}, date: seconds(1000)}
	r.lane = NewListLane(ListLaneConfig{List: "pipelines", Second: 30 * time.Second, Committer: r})
	return r
}

// Commit is part of Committer: it tells what is committed.
func (r *listReplayer) Commit(_ context.Context, b *Batch) error {
	for i := range b.Entries {
		c := &b.Entries[i]
		if c.Op == 0 {
			r.say("%s row only", c.Key)
			continue
		}
		r.seq++
		c.Row.Seq = r.seq
		line := fmt.Sprintf("%s %c", c.Key, c.Op)
		if c.Incremental {
			line += " incremental"
		}
		if c.Values != nil {
			line += fmt.Sprintf(" label=%v", c.Values["label"])
		}
		if c.Reason != NoReason {
			line += " reason=" + c.Reason.String()
		}
		r.say("%s ts=%d", line, c.SourceMs/1000)
	}
	for _, c := range b.Cursors {
		r.say("cursor %s", c.Value)
	}
	return nil
}

func (r *listReplayer) say(format string, args ...any) {
	line := "    " + fmt.Sprintf(format, args...)
	if n := len(r.lines); n > 0 && r.lines[n-1] == "" {
		r.lines = append(r.lines[:n-1], line, "")
		return
	}
	r.lines = append(r.lines, line)
}

func (r *listReplayer) replay(script string) string {
	var page *ListPage
	for line := range strings.Lines(script + "\n") {
		line = strings.TrimRight(line, "\n")
		words := strings.Fields(line)
		if strings.HasPrefix(line, "    ") { // what was done, last time
			continue
		}
		if page != nil && !strings.HasPrefix(line, "  ") {
			r.publish(*page)
			page = nil
		}
		r.lines = append(r.lines, line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		switch args := words[1:]; words[0] {
		case "skip-unchanged":
			r.lane.rules.skipUnchanged = true
		case "stamp":
			r.stamps[args[0]] = r.lane.Now()
		case "wait":
			r.date += seconds(r.number(args[0]))
		case "page":
			page = &ListPage{Stream: "reference"}
			for _, w := range args {
				if v, ok := strings.CutPrefix(w, "cursor="); ok {
					page.Cursors = []Cursor{{Object: "pipelines", Stream: "reference", Value: []byte(v)}}
				}
				page.Swept = page.Swept || w == "swept"
				page.Snapshot = page.Snapshot || w == "snapshot"
				if v, ok := strings.CutPrefix(w, "only="); ok {
					page.Only = append(page.Only, v)
				}
			}
		case "read":
			page.Readings = append(page.Readings, r.reading(args))
		case "live":
			keys, err := r.lane.LiveUnder(r.Context(), strings.Trim(args[0], "*"))
			r.say("%v %v, %d in all", keys, err, r.lane.Live())
		default:
			r.Fatalf("script line %q", line)
		}
	}
	return strings.TrimRight(strings.Join(r.lines, "\n"), "\n") + "\n"
}

func (r *listReplayer) number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		r.Fatal(err)
	}
	return n
}

func (r *listReplayer) reading(words []string) ListReading {
	rd := ListReading{
		Under: strings.Trim(words[0], "*"), Stamp: r.lane.Now(), SentAt: r.date, Date: r.date, Archived: map[EntryKey]bool{},
	}
	key := func(text string) EntryKey { return NewEntryKey(strings.Split(text, "/")...) }
	for _, w := range words[1:] {
		switch name, v, _ := strings.Cut(w, "="); name {
		case "sent":
			rd.Stamp = r.stamps[v]
		case "calls":
			rd.Calls = int(r.number(v))
		case "second":
			rd.Second = true
		case "ended":
			rd.Ended = ObjectTypeRemoved
		case "archived":
			rd.Archived[key(v)] = true
		default:
			text, version, has := strings.Cut(w, "@")
			text, label, _ := strings.Cut(text, "=")
			e := Entry{Key: key(text), Values: map[string]any{"label": label}}
			if has {
				e.Version = seconds(r.number(version))
			}
			e.Values["updatedAt"] = hubspot.Moment{Millis: e.Version, Known: has}
			e.Hash = EntryHash(e.Values)
			rd.Entries = append(rd.Entries, e)
		}
	}
	return rd
}

func (r *listReplayer) publish(p ListPage) {
	said := len(r.lines)
	left, err := r.lane.Publish(r.Context(), p)
	if err != nil {
		r.Fatal(err)
	}
	if left.Again {
		r.say("again: %s", left.Cause)
	}
	if left.After > 0 {
		r.say("look again after %v", left.After)
	}
	if len(r.lines) == said {
		r.say("nothing")
	}
}

// TestEntryHash_IsNamesAndTexts: DESIGN R10, for lists.
func TestEntryHash_IsNamesAndTexts(t *testing.T) {
	base := map[string]any{"label": "New", "displayOrder": int32(1), "archived": false, "createdAt": hubspot.Moment{Known: true}}
	with := func(name string, v any) map[string]any {
		m := map[string]any{name: v}
		for k, old := range base {
			if k != name {
				m[k] = old
			}
		}
		return m
	}
	for name, c := range map[string]struct {
		values map[string]any
		same   bool
	}{
		"the same":          {with("label", "New"), true},
		"modified time":     {with("updatedAt", hubspot.Moment{Millis: 5, Known: true}), true},
		"a null more":       {with("metadata", ""), true},
		"another null":      {with("metadata", nil), true},
		"an unknown time":   {with("archivedAt", hubspot.Moment{}), true},
		"another label":     {with("label", "Old"), false},
		"another order":     {with("displayOrder", int32(2)), false},
		"another creation":  {with("createdAt", hubspot.Moment{Millis: 1, Known: true}), false},
		"no creation":       {with("createdAt", hubspot.Moment{}), false},
		"moved to the next": {map[string]any{"labe": "lNew", "displayOrder": int32(1), "archived": false, "createdAt": hubspot.Moment{Known: true}}, false},
	} {
		if same := EntryHash(c.values) == EntryHash(base); same != c.same {
			t.Errorf("%s: same hash is %v", name, same)
		}
	}
	// The hash stands in the state topic: another one is a change of every entry.
	if got := EntryHash(base); got != 0x5e3e8a728fc793f7 {
		t.Errorf("hash %#x", got)
	}
}

func TestEntryKey(t *testing.T) {
	k := NewEntryKey("deals", "a:b", "c")
	if k.String() != "deals:a:b:c" || len(k.Parts()) != 3 || !k.under("deals") || k.under("deal") || !k.under("") || NewEntryKey("deals").under("deals") {
		t.Errorf("key %q", k)
	}
}
