package cdc

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestReferenceDecisions replays the scripts in testdata/references, about
// HubSpot's answers to the list of pipelines (keys like deals/default):
//
//	skip-unchanged               the lane leaves out events with only a new time
//	wait SECONDS                 HubSpot's clock moves on
//	page [cursor=X] [swept] [snapshot] [only=ID]
//	  read UNDER KEY[=LABEL][@VERSION]... [archived=KEY] [short] [ended] [sent=NAME] [calls=N] [second]
//	                             a complete reading of the keys under a part, * for all
//	live UNDER                   what is published
func TestReferenceDecisions(t *testing.T) {
	replayAll(t, "testdata/references", func(s *script, _ string) {
		lane, date := NewReferenceLane(ReferenceLaneConfig{Reference: "pipelines", Patience: Patience{Second: 30 * time.Second, Repeat: time.Hour}, Committer: &s.record}), seconds(1000)
		s.lines["stamp"] = s.stamp(lane.Now)
		s.lines["skip-unchanged"] = func([]string) { lane.rules.skipUnchanged = true }
		s.lines["wait"] = func(words []string) { date += seconds(s.number(words[0])) }
		var page ReferencePage
		s.lines["page"] = func(words []string) {
			page = ReferencePage{Stream: "reference"}
			s.settings(words, settings{
				"cursor": cursor(&page.Cursors, "pipelines", page.Stream), "swept": yes(&page.Swept), "snapshot": yes(&page.Snapshot),
				"only": func(id string) { page.Only = append(page.Only, id) },
			}, nil)
		}
		key := func(text string) EntryKey { return NewEntryKey(strings.Split(text, "/")...) }
		s.lines["  read"] = func(words []string) {
			rd := ReferenceReading{Under: strings.Trim(words[0], "*"), Stamp: lane.Now(), SentAt: date, Date: date, Archived: map[EntryKey]bool{}}
			s.settings(words[1:], settings{
				"sent": s.sent(&rd.Stamp), "calls": s.count(&rd.Calls), "second": yes(&rd.Second),
				"short":    yes(&rd.Short),
				"ended":    func(string) { rd.Ended = ObjectTypeRemoved },
				"archived": func(text string) { rd.Archived[key(text)] = true },
			}, func(word string) {
				text, version, known := strings.Cut(word, "@")
				text, label, _ := strings.Cut(text, "=")
				e := Entry{Key: key(text), Values: map[string]any{"label": label}}
				if known {
					e.Version = seconds(s.number(version))
				}
				e.Values["updatedAt"] = hubspot.Moment{Millis: e.Version, Known: known}
				e.Hash = EntryHash(e.Values)
				rd.Entries = append(rd.Entries, e)
			})
			page.Readings = append(page.Readings, rd)
		}
		s.publish = func() (again []string) {
			left, err := lane.Publish(s.Context(), page)
			if err != nil {
				s.Fatal(err)
			}
			if left.Again {
				again = append(again, fmt.Sprintf("again: %s", left.Cause))
			}
			if left.Held > 0 {
				again = append(again, fmt.Sprintf("%d held", left.Held))
			}
			if left.After > 0 {
				again = append(again, fmt.Sprintf("look again after %v", left.After))
			}
			return again
		}
		s.lines["live"] = func(words []string) {
			keys, err := lane.LiveUnder(s.Context(), strings.Trim(words[0], "*"))
			s.say("%v %v, %d in all", keys, err, lane.Live())
		}
	})
}

// TestEntryHash_IsNamesAndTexts: R10, for reference lists.
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
	// The hash is in the state topic: a different one would be a change of every
	// entry.
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
