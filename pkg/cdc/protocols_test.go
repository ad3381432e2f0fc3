package cdc

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// asked gives a protocol the answers of HubSpot and the lane, and returns what it
// asked.
func asked(t *testing.T, p Protocol, answer func(n int, a Ask) Answer) (questions []string) {
	t.Helper()
	words := [...]string{"live", "archived", "list", "bin", "links", "live among", "controls", "gone before", "deleted before"}
	for n := 0; n < 50; n++ {
		a, more := p.Next()
		if !more {
			return questions
		}
		text := words[a.What]
		if a.Wait > 0 {
			text += " after " + a.Wait.String()
		}
		for _, id := range a.IDs {
			text += " " + id.String()
		}
		for _, in := range a.Links {
			text += " " + strings.TrimSuffix(in.ID.String()+"@"+in.After, "@")
		}
		questions = append(questions, text)
		p.Take(answer(n, a))
	}
	t.Fatalf("it asks without end: %q", questions)
	return nil
}

func holds(t *testing.T, got any, want string) {
	t.Helper()
	if text := fmt.Sprint(got); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func spelledReadings(readings []Reading) (out []string) {
	for _, r := range readings {
		text := r.ID.String() + " " + [...]string{"live", "archived", "merged", "gone", "removed"}[r.Outcome]
		if r.Into != 0 {
			text += " into " + r.Into.String()
		}
		if r.Doubtful {
			text += ", doubtful"
		}
		out = append(out, fmt.Sprintf("%s, sent at %d", text, r.Stamp))
	}
	return out
}

func live(ids ...hubspot.ID) (out []hubspot.Record) {
	for _, id := range ids {
		out = append(out, hubspot.Record{ID: id})
	}
	return out
}

// TestR8_WhatABatchReadMeans: an id that HubSpot neither answers nor reports is
// read alone, four times at most.
func TestR8_WhatABatchReadMeans(t *testing.T) {
	l := NewLookUp([]hubspot.ID{1, 2, 3, 4, 5})
	questions := asked(t, l, func(n int, a Ask) (out Answer) {
		out.Stamp = uint64(n)
		switch {
		case n == 0:
			out.Batch = hubspot.BatchPage{
				Records: append(live(1), hubspot.Record{ID: 5, Archived: true}),
				Missing: []hubspot.ID{2}, Unanswered: []hubspot.ID{3, 4}, Foreign: live(9),
			}
		case a.IDs[0] == 3:
			out.Batch = hubspot.BatchPage{Unanswered: a.IDs, Foreign: live(9)}
		default:
			out.Batch.Unanswered = a.IDs
		}
		return out
	})
	holds(t, strings.Join(questions, "; "), "live 1 2 3 4 5; live 3; live 4; live after 1s 4; live after 2s 4; live after 3s 4")
	holds(t, spelledReadings(l.Readings), "[1 live, sent at 0 3 merged into 9, sent at 1]")
	holds(t, []any{l.Missing, l.Unresolved()}, "[[5 2] [4]]")
}

// TestR7_ADeleteTakesThreeReads: a control that is answered vouches for the answer.
// If none is, a list page does. The reading is as old as the first read.
func TestR7_ADeleteTakesThreeReads(t *testing.T) {
	for name, c := range map[string]struct {
		controls  []hubspot.ID
		answered  []hubspot.ID // of the controls
		shown     []hubspot.ID // in the list
		inBin     []hubspot.ID
		before    []hubspot.ID // found gone before
		questions string
		readings  string
	}{
		"gone for the first time": {[]hubspot.ID{7}, []hubspot.ID{7}, nil, nil, nil,
			"live among 1; controls 1; live 1 7; archived 1; controls 1; live 1 7; gone before 1", "[1 gone, doubtful, sent at 2]"},
		"purged": {[]hubspot.ID{7}, []hubspot.ID{7}, nil, nil, []hubspot.ID{1},
			"live among 1; controls 1; live 1 7; archived 1; controls 1; live 1 7; gone before 1; bin 1", "[1 gone, sent at 2]"},
		"archived": {[]hubspot.ID{7}, []hubspot.ID{7}, nil, []hubspot.ID{1}, nil,
			"live among 1; controls 1; live 1 7; archived 1; bin", "[1 archived, sent at 2]"},
		"nobody is answered, and the list shows it": {[]hubspot.ID{7}, nil, []hubspot.ID{1}, nil, nil,
			"live among 1; controls 1; live 1 7; list 1", "[]"},
		"nobody is answered, nor shown": {[]hubspot.ID{7}, nil, nil, nil, []hubspot.ID{1},
			"live among 1; controls 1; live 1 7; list 1; archived 1; controls 1; live 1 7; list 1; gone before 1; bin 1", "[1 gone, doubtful, sent at 2]"},
		"there is no other record": {nil, nil, nil, nil, []hubspot.ID{1},
			"live among 1; controls 1; live 1; list 1; archived 1; controls 1; live 1; list 1; gone before 1; bin 1", "[1 gone, sent at 2]"},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewComplete(nil, []hubspot.ID{1}, nil)
			questions := asked(t, p, func(n int, a Ask) (out Answer) {
				out.Stamp = uint64(n)
				switch a.What {
				case AskLiveAmong:
					out.IDs = a.IDs
				case AskControls:
					out.IDs = c.controls
				case AskGoneBefore:
					out.IDs = c.before
				case AskLive:
					out.Batch.Records = live(c.answered...)
					out.Batch.Missing = slices.DeleteFunc(slices.Clone(a.IDs), func(id hubspot.ID) bool { return slices.Contains(c.answered, id) })
				case AskList:
					out.List.Records = live(c.shown...)
				case AskArchived:
					for _, id := range c.inBin {
						out.Batch.Records = append(out.Batch.Records, hubspot.Record{ID: id, Archived: true})
					}
				}
				return out
			})
			holds(t, strings.Join(questions, "; "), c.questions)
			holds(t, spelledReadings(p.Readings), c.readings)
			holds(t, p.Unresolved(), fmt.Sprint(append([]hubspot.ID{}, c.shown...))) // somebody asks again about what the list shows
		})
	}
}

// TestR7_APageThatOthersFollowSaysNothingOfWhatItDoesNotShow: the list need not be in order
// of ids. Where HubSpot denies the controls too, a record is gone only if there is an archived
// copy, or if a read that denies it answers records of that page live.
func TestR7_APageThatOthersFollowSaysNothingOfWhatItDoesNotShow(t *testing.T) {
	for name, c := range map[string]struct {
		id         hubspot.ID
		after      string
		live       []hubspot.ID
		archived   bool
		readings   string
		unresolved string
	}{
		"a lower id":           {50, "100", nil, false, "[]", "[50]"},
		"a higher id":          {300, "100", nil, false, "[]", "[300]"},
		"its records are live": {300, "100", []hubspot.ID{99, 100}, false, "[300 gone, doubtful, sent at 2]", "[]"},
		"one of them is not":   {300, "100", []hubspot.ID{99}, false, "[]", "[300]"},
		"there is a copy":      {300, "100", nil, true, "[300 archived, sent at 2]", "[]"},
		"it is the last one":   {300, "", nil, false, "[300 gone, doubtful, sent at 2]", "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewComplete(nil, []hubspot.ID{c.id}, nil)
			asked(t, p, func(n int, a Ask) (out Answer) {
				out.Stamp = uint64(n)
				switch a.What {
				case AskLiveAmong, AskGoneBefore:
					out.IDs = a.IDs
				case AskControls:
					out.IDs = []hubspot.ID{7, 8}
				case AskLive:
					for _, id := range a.IDs {
						if slices.Contains(c.live, id) {
							out.Batch.Records = append(out.Batch.Records, hubspot.Record{ID: id})
						} else {
							out.Batch.Missing = append(out.Batch.Missing, id)
						}
					}
				case AskList:
					out.List.Records, out.List.After = []hubspot.Record{{ID: 99}, {ID: 100}}, c.after
				case AskArchived:
					if c.archived {
						out.Batch.Records = []hubspot.Record{{ID: c.id, Archived: true}}
					} else {
						out.Batch.Missing = a.IDs
					}
				}
				return out
			})
			holds(t, spelledReadings(p.Readings), c.readings)
			holds(t, p.Unresolved(), c.unresolved)
		})
	}
}

// TestR7_AListPageWithoutReadableRecordsIsNoEvidence: an id may be one of those that cannot
// be read, or stand on a later page.
func TestR7_AListPageWithoutReadableRecordsIsNoEvidence(t *testing.T) {
	for name, page := range map[string]hubspot.ListPage{
		"ids that are none":            {Odd: 3, After: "13"},
		"they are the whole list":      {Odd: 3},
		"one of them among others":     {Records: live(600), Odd: 1, After: "601"},
		"properties that are none":     {Unread: []hubspot.ID{10, 11, 12}, After: "13"},
		"empty, and others follow":     {After: "13"},
		"an archived one, and another": {Records: []hubspot.Record{{ID: 600, Archived: true}}, Odd: 1},
	} {
		p := NewComplete(nil, []hubspot.ID{500}, nil)
		asked(t, p, func(_ int, a Ask) (out Answer) {
			switch a.What {
			case AskLiveAmong, AskGoneBefore:
				out.IDs = a.IDs
			case AskControls:
				out.IDs = []hubspot.ID{700}
			case AskLive:
				out.Batch.Missing = a.IDs
			case AskList:
				out.List = page
			}
			return out
		})
		if len(p.Readings) > 0 || !slices.Equal(p.Unresolved(), []hubspot.ID{500}) {
			t.Errorf("%s: %v, unresolved %v", name, spelledReadings(p.Readings), p.Unresolved())
		}
	}
}

// TestR7_ControlsAreNotInQuestion: those that HubSpot's answer leaves out are not asked
// for again on their own account.
func TestR7_ControlsAreNotInQuestion(t *testing.T) {
	p := NewComplete(nil, []hubspot.ID{1}, nil)
	asked(t, p, func(_ int, a Ask) (out Answer) {
		switch a.What {
		case AskLiveAmong:
			out.IDs = a.IDs
		case AskControls:
			out.IDs = []hubspot.ID{7, 8}
		default:
			out.Batch.Unanswered = a.IDs
		}
		return out
	})
	holds(t, p.Unresolved(), "[1]")
}

// TestR2_APageOutOfOrderIsReadAgain, five times at most.
func TestR2_APageOutOfOrderIsReadAgain(t *testing.T) {
	rows := func(more bool, ids ...hubspot.ID) (page hubspot.SearchPage) {
		for _, id := range ids {
			page.Rows = append(page.Rows, hubspot.SearchRow{ID: id})
		}
		page.More = more
		return page
	}
	for name, c := range map[string]struct {
		bad  hubspot.SearchPage
		once bool
	}{
		"in the page": {rows(false, 7, 6), true}, "below the last one": {rows(false, 5, 6), true},
		"rows that are lost": {rows(true), true}, "each time": {rows(true), false},
	} {
		w, waited, calls := NewWalk(hubspot.SearchQuery{After: 5, Started: true}), time.Duration(0), 0
		for _, wait, more := w.Next(); more; _, wait, more = w.Next() {
			if waited, calls = waited+wait, calls+1; calls > 1 && c.once {
				w.Take(rows(true, 6, 8))
			} else {
				w.Take(c.bad)
			}
		}
		if c.once && (w.Err() != nil || w.End != 8 || calls != 2 || waited != time.Second) ||
			!c.once && (w.Err() == nil || calls != pageTries || w.Refused != pageTries) {
			t.Errorf("%s: %d calls, waited %v, end %s, %v", name, calls, waited, w.End, w.Err())
		}
	}
}

// TestR11_WhatAPageOfAListCovers: up to its last id, or without end if no page
// follows.
func TestR11_WhatAPageOfAListCovers(t *testing.T) {
	for _, c := range []struct {
		ids  []hubspot.ID
		more bool
		want string
	}{
		{[]hubspot.ID{6, 9}, true, "{5 9} true"},
		{[]hubspot.ID{6, 9}, false, "{5 0} true"},
		{nil, false, "{5 0} true"},
		{nil, true, "{5 0} false"},
		{[]hubspot.ID{9, 6}, true, "{5 0} false"},
		{[]hubspot.ID{4}, false, "{5 0} false"},
	} {
		var g Gaps
		in, ok := g.Covered(Range{After: 5}, c.ids, c.more)
		holds(t, fmt.Sprint(in, ok), c.want)
	}
	g := Gaps{Unordered: true}
	if _, ok := g.Covered(Range{After: 5}, []hubspot.ID{6}, false); ok {
		t.Error("a list that was once out of order shows a gap")
	}
}

// TestR1_ASnapshotIsPublishedWhole: what is read again replaces what was read, and
// a reading after an older one decides.
func TestR1_ASnapshotIsPublishedWhole(t *testing.T) {
	reading := func(id hubspot.ID, stamp uint64) Reading { return Reading{ID: id, Stamp: stamp} }
	p := NewPublication(Page{Snapshot: true, Readings: []Reading{reading(1, 0), reading(2, 0), reading(3, 0)}})
	ids, wait := p.Left([]Again{{2, Older}})
	holds(t, fmt.Sprint(ids, wait), "[2] 10s")
	p.Reread([]Reading{reading(2, 1), reading(8, 1), {ID: 3, Outcome: IsMerged, Into: 2, Stamp: 1}})
	holds(t, spelledReadings(p.Page.Readings), "[2 live, sent at 1 3 merged into 2, sent at 1 1 live, sent at 0]")
	if !p.Page.Readings[0].Second || p.Page.Readings[2].Second {
		t.Errorf("second: %+v", p.Page.Readings)
	}
}

// TestR14_APageDoesNotWaitForLinksThatKeepChanging: it is read eight times. A
// snapshot does not wait at all.
func TestR14_APageDoesNotWaitForLinksThatKeepChanging(t *testing.T) {
	p, again := NewLinkPublication(LinkPage{}), []LinkAgain{{From: 1, Cause: Paged, Set: 5}}
	for try := 0; ; try++ {
		ids, aside, done := p.Left(again)
		if done {
			t.Fatal("the page's cursors have not moved")
		}
		if len(aside) > 0 {
			holds(t, fmt.Sprint(try, ids, aside), "8 [] [1]")
			break
		}
		p.Reread([]LinkReading{{From: 1}})
		if p.Page.Readings[0].Before != 5 {
			t.Fatalf("%+v", p.Page.Readings)
		}
	}
	p = NewLinkPublication(LinkPage{Snapshot: true})
	ids, aside, done := p.Left(again)
	holds(t, fmt.Sprint(ids, aside, done), "[] [1] true")
}

// TestR8_PagesOfLinksThatLeadInACircleEnd: a set of which a page leads back to an earlier
// one is read from its beginning, and without a reading if it still does.
func TestR8_PagesOfLinksThatLeadInACircleEnd(t *testing.T) {
	for _, circle := range []map[string]string{{"": "a", "a": "a"}, {"": "a", "a": "b", "b": "a"}, {"": "a", "a": "b", "b": "c", "c": "b"}} {
		r, calls := NewLinkRead([]hubspot.ID{7, 8}), 0
		for q, more := r.Next(); more && calls < 100; q, more = r.Next() {
			calls++
			var a Answer
			for _, in := range q.Links {
				set := hubspot.LinkSet{From: in.ID, Links: []hubspot.Link{{To: 1, Category: "HUBSPOT_DEFINED", TypeID: 279}}}
				if in.ID == 7 {
					set.After = circle[in.After]
				}
				a.Links.Sets = append(a.Links.Sets, set)
			}
			r.Take(a)
		}
		if calls == 100 || !slices.Equal(r.Unresolved(), []hubspot.ID{7}) || len(r.Readings) != 1 {
			t.Errorf("%v: %d calls, unresolved %v, readings %v; want 7 unresolved", circle, calls, r.Unresolved(), r.Readings)
		}
	}
}
