package cdc

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestDecisions replays the scripts in testdata, about the records of contacts:
//
//	page STREAM [cursor=X] [snapshot]
//	  live ID v=VERSION c=CREATED NAME=VALUE... [sent=NAME] [at=TIME] [second] [doubtful] [oldset]
//	  archived ID at=TIME [sent=NAME]
//	  merged ID into=ID at=TIME [sent=NAME]
//	  gone ID at=TIME [sent=NAME]
//	waiting                        the records that need another confirm
//	skip start=T ID@UPDATED...     the search rows that would be read
//	named ID...                    HubSpot's journal names these as purged
//
// A reading is sent at time 1000 unless the line says otherwise.
func TestDecisions(t *testing.T) {
	replayAll(t, "testdata", func(s *script, text string) {
		names := []string{"name", "amount", "volatile"}
		slots, oldSlots := hubspot.NewSlots(names), hubspot.NewSlots(names)
		lane := NewLane(LaneConfig{
			Object: "contacts", Slots: slots, Content: NewContent([]string{"name", "amount", ""}),
			Started: seconds(100), Committer: &s.record, Patience: Patience{Second: 30 * time.Second, Witnessed: 2 * time.Second, Repeat: time.Hour},
			SkipUnchanged: strings.Contains(text, "# EVENT_SKIP_UNCHANGED"),
		})
		s.lines["stamp"] = s.stamp(lane.Now)
		var page Page
		s.lines["page"] = func(words []string) {
			page = Page{Stream: words[0]}
			s.settings(words[1:], settings{"cursor": cursor(&page.Cursors, "contacts", page.Stream), "snapshot": yes(&page.Snapshot)}, nil)
		}
		for verb, outcome := range outcomes {
			s.lines["  "+verb] = func(words []string) {
				rec := &hubspot.Record{ID: s.id(words[0]), Created: seconds(50), Values: make([][]byte, len(names)), Archived: outcome == IsArchived}
				rd := Reading{
					ID: rec.ID, Outcome: outcome, Slots: slots, Stamp: lane.Now(), SentAt: seconds(1000), Date: seconds(1000),
				}
				if outcome == IsLive || outcome == IsArchived {
					rd.Record = rec
				}
				s.settings(words[1:], settings{
					"v": s.time(&rec.Updated), "c": s.time(&rec.Created), "sent": s.sent(&rd.Stamp),
					"at": func(at string) {
						rd.SentAt = seconds(s.number(at))
						rd.Date = rd.SentAt
						if rec.Archived {
							rec.ArchivedAt = rd.SentAt
						}
					},
					"into":   func(id string) { rd.Into = s.id(id) },
					"second": yes(&rd.Second), "doubtful": yes(&rd.Doubtful),
					"oldset": func(string) { rd.Slots = oldSlots },
				}, func(word string) {
					name, value, _ := strings.Cut(word, "=")
					rec.Values[slots.Slot([]byte(name))] = []byte(value)
				})
				page.Readings = append(page.Readings, rd)
			}
		}
		s.publish = func() (again []string) {
			left, err := lane.Publish(s.Context(), page)
			if err != nil {
				s.Fatal(err)
			}
			for _, a := range left.Again {
				again = append(again, fmt.Sprintf("%s again: %s", a.ID, a.Cause))
			}
			for _, l := range left.Later {
				again = append(again, fmt.Sprintf("%s later: after %v, held=%v", l.ID, l.After, l.Held))
			}
			return again
		}
		s.lines["named"] = func(words []string) {
			if err := lane.Witness(s.Context(), s.ids(words)); err != nil {
				s.Fatal(err)
			}
			s.say("noted %d", len(lane.absences.named.of))
		}
		s.lines["waiting"] = func([]string) {
			ids, err := lane.Waiting(s.Context())
			if err != nil {
				s.Fatal(err)
			}
			s.say("%v", ids)
		}
		s.lines["skip"] = func(words []string) {
			var rows []hubspot.SearchRow
			var start hubspot.Millis
			s.settings(words, settings{"start": s.time(&start)}, func(word string) {
				id, at, _ := strings.Cut(word, "@")
				rows = append(rows, hubspot.SearchRow{ID: s.id(id), Updated: seconds(s.number(at))})
			})
			ids, err := lane.Unskipped(s.Context(), rows, start)
			if err != nil {
				s.Fatal(err)
			}
			s.say("read %v", ids)
		}
	})
}

// TestR3_OnlyAFinishedWalkMovesTheWindow: no row's time and no clock of ours moves
// it, and it never moves backwards.
func TestR3_OnlyAFinishedWalkMovesTheWindow(t *testing.T) {
	w := Window{Start: seconds(100)}
	w = w.Begin(seconds(500))
	if w.Start != seconds(100) || w.T0 != seconds(500) || !w.Walking() {
		t.Fatalf("after Begin: %+v", w)
	}
	w.Last = 17
	if again := w.Begin(seconds(900)); again != w {
		t.Fatalf("a walk that continues after a restart takes another t0: %+v", again)
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

// TestR10_ContentIsNamesAndTextsNotSlots: a new property changes only the records
// that have a value for it, wherever its slot is.
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
		t.Error("a new property without a value changed the content")
	}
	if got := moved.Hash(rec("", "2", "1")); got != want {
		t.Error("the place of a slot changed the content")
	}
	if got := after.Hash(rec("1", "2", "", "3")); got == want {
		t.Error("a new property with a value did not change the content")
	}
	if got := before.Hash(rec("12", "", "")); got == before.Hash(rec("1", "2", "")) {
		t.Error("the values of neighbouring properties run together")
	}
}
