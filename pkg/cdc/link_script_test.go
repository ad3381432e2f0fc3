package cdc

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestLinkDecisions replays the scripts in testdata/links: what was observed of
// the links from contacts to companies, each line followed by what the lane did,
// indented.
//
//	stamp NAME                   a request is sent now
//	contact ID live|archived|merged|gone, company ID …
//	                             the lane of that type publishes a record
//	page [cursor=X] [swept] [snapshot]
//	                             one publish, of the sets that follow it
//	  set FROM TO:TYPE[=LABEL]... [sent=NAME] [calls=N] [again]
//	                             again: the reading that the lane asked for
//	sweep after=ID n=N           which records a sweep asks about next
//	holders ID...                which records are read when those changed
//	gone sent=NAME ID...         of which contacts "not found" means no links
func TestLinkDecisions(t *testing.T) {
	files, err := filepath.Glob("testdata/links/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := newLinkReplayer(t)
			got := r.replay(string(want))
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

// linkRecord is a Committer that keeps what it was given.
type linkRecord struct {
	seq     int64
	batches []Batch
}

func (r *linkRecord) Commit(_ context.Context, b *Batch) error {
	for i := range b.Changes {
		r.seq++
		b.Changes[i].Row.Seq = r.seq
	}
	for i := range b.Links {
		r.seq++
		b.Links[i].Row.Seq = r.seq
	}
	r.batches = append(r.batches, *b)
	return nil
}

type linkReplayer struct {
	*testing.T
	ends   map[string]*Lane
	slots  *hubspot.Slots
	lane   *LinkLane
	out    *linkRecord
	stamps map[string][2]uint64 // of the links' and the contacts' lane
	before map[hubspot.ID]uint64
	date   hubspot.Millis
	lines  []string
}

func newLinkReplayer(t *testing.T) *linkReplayer {
	r := &linkReplayer{
		T: t, ends: map[string]*Lane{}, slots: hubspot.NewSlots(nil), out: &linkRecord{},
		stamps: map[string][2]uint64{}, before: map[hubspot.ID]uint64{}, date: seconds(1000),
	}
	for _, object := range []string{"contact", "company"} {
		r.ends[object] = NewLane(LaneConfig{Object: object, Slots: r.slots, Content: NewContent(nil), Committer: r.out})
	}
	r.lane = NewLinkLane(LinkLaneConfig{
		Pair: Pair{"contacts", "companies"}, From: r.ends["contact"], To: r.ends["company"], Committer: r.out,
	})
	return r
}

func (r *linkReplayer) say(format string, args ...any) {
	line := "    " + fmt.Sprintf(format, args...)
	if n := len(r.lines); n > 0 && r.lines[n-1] == "" { // it stands before the blank line that ended the page
		r.lines = append(r.lines[:n-1], line, "")
		return
	}
	r.lines = append(r.lines, line)
}

func (r *linkReplayer) replay(script string) string {
	var page *LinkPage
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
		case "stamp":
			r.stamps[args[0]] = [2]uint64{r.lane.Now(), r.ends["contact"].Now()}
		case "contact", "company":
			r.object(r.ends[words[0]], r.id(args[0]), args[1])
		case "page":
			page = &LinkPage{Stream: "associations"}
			for _, w := range args {
				if v, ok := strings.CutPrefix(w, "cursor="); ok {
					page.Cursors = []Cursor{{Object: "contacts:companies", Stream: "associations", Value: []byte(v)}}
				}
				page.Swept = page.Swept || w == "swept"
				page.Snapshot = page.Snapshot || w == "snapshot"
			}
		case "set":
			page.Readings = append(page.Readings, r.set(args))
		case "sweep":
			var after, n int
			if _, err := fmt.Sscanf(strings.Join(args, " "), "after=%d n=%d", &after, &n); err != nil {
				r.Fatal(err)
			}
			ids, err := r.lane.Next(r.Context(), hubspot.ID(after), n)
			r.say("%v %v", ids, err)
		case "holders":
			ids, err := r.lane.Holders(r.Context(), r.ids(args))
			r.say("%v %v", ids, err)
		case "gone":
			stamp := r.stamps[strings.TrimPrefix(args[0], "sent=")][1]
			ids, err := r.ends["contact"].DeletedBefore(r.Context(), r.ids(args[1:]), stamp)
			r.say("%v %v", ids, err)
		default:
			r.Fatalf("script line %q", line)
		}
	}
	return strings.TrimRight(strings.Join(r.lines, "\n"), "\n") + "\n"
}

func (r *linkReplayer) id(text string) hubspot.ID {
	id, err := hubspot.ParseID(text)
	if err != nil {
		r.Fatal(err)
	}
	return id
}

func (r *linkReplayer) ids(texts []string) []hubspot.ID {
	var out []hubspot.ID
	for _, text := range texts {
		out = append(out, r.id(text))
	}
	return out
}

func (r *linkReplayer) object(l *Lane, id hubspot.ID, state string) {
	rd := Reading{ID: id, Slots: r.slots, Stamp: l.Now(), SentAt: r.date, Date: r.date}
	rd.Outcome = map[string]Outcome{"live": IsLive, "archived": IsArchived, "merged": IsMerged, "gone": IsGone}[state]
	if rd.Outcome == IsLive || rd.Outcome == IsArchived {
		rd.Record = &hubspot.Record{ID: id, Updated: r.date}
	}
	for range 2 { // a purge needs two confirms (R9)
		left, err := l.Publish(r.Context(), Page{Stream: "leading", Readings: []Reading{rd}})
		if err != nil || len(left.Again) > 0 {
			r.Fatalf("%v, %v", left, err)
		}
	}
}

func (r *linkReplayer) set(words []string) LinkReading {
	rd := LinkReading{From: r.id(words[0]), Stamp: r.lane.Now(), Date: r.date, Calls: 1}
	for _, w := range words[1:] {
		switch k, v, _ := strings.Cut(w, "="); {
		case k == "sent":
			rd.Stamp = r.stamps[v][0]
		case k == "calls":
			n, err := strconv.Atoi(v)
			if err != nil {
				r.Fatal(err)
			}
			rd.Calls = n
		case k == "again":
			rd.Before = r.before[rd.From]
		default:
			to, typ, _ := strings.Cut(k, ":")
			n, err := strconv.Atoi(typ)
			if err != nil {
				r.Fatal(err)
			}
			rd.Links = append(rd.Links, hubspot.Link{To: r.id(to), Category: "USER_DEFINED", TypeID: n, Label: v})
		}
	}
	return rd
}

func (r *linkReplayer) publish(p LinkPage) {
	seen := len(r.out.batches)
	again, err := r.lane.Publish(r.Context(), p)
	if err != nil {
		r.Fatal(err)
	}
	said := false
	for _, b := range r.out.batches[seen:] {
		for _, c := range b.Links {
			line := fmt.Sprintf("%s -> %s:%d %c", c.Key.From, c.Key.To, c.Key.TypeID, c.Op)
			if c.Label != "" {
				line += " label=" + c.Label
			}
			if c.Reason != NoReason {
				line += " reason=" + c.Reason.String()
			}
			if c.Incremental {
				line += " incremental"
			}
			r.say("%s", line)
			said = true
		}
		for _, c := range b.Cursors {
			r.say("cursor %s", c.Value)
			said = true
		}
	}
	for _, a := range again {
		r.say("%s again: %s", a.From, a.Cause)
		r.before[a.From] = a.Set
		said = true
	}
	if !said {
		r.say("nothing")
	}
}
