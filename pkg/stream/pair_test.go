package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// committed is a Committer that keeps the links of each batch.
type committed struct {
	seq   int64
	links []string
}

func (c *committed) Commit(_ context.Context, b *cdc.Batch) error {
	for _, l := range b.Links {
		c.seq++
		c.links = append(c.links, strings.TrimSpace(fmt.Sprintf("%c %s->%s %s", l.Op, l.Key.From, l.Key.To, l.Reason)))
	}
	return nil
}

// associations answers association reads. asked has the inputs, as id or id@after;
// answer returns the body.
type associations struct {
	t      *testing.T
	answer func(call int, asked []string) string
	calls  [][]string
}

func (a *associations) respond(r *http.Request) (status int, body string) {
	var sent struct{ Inputs []struct{ ID, After string } }
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
		a.t.Error(err)
	}
	var asked []string
	for _, in := range sent.Inputs {
		if in.After != "" {
			in.ID += "@" + in.After
		}
		asked = append(asked, in.ID)
	}
	a.calls = append(a.calls, asked)
	return http.StatusOK, a.answer(len(a.calls), asked)
}

// result is one page of a record's links; an after of "" makes it the last.
func result(from int, after string, to ...int) string {
	links := []string{}
	for _, id := range to {
		links = append(links, fmt.Sprintf(`{"toObjectId":%d,"associationTypes":[{"category":"HUBSPOT_DEFINED","typeId":279,"label":null}]}`, id))
	}
	paging := ""
	if after != "" {
		paging = fmt.Sprintf(`,"paging":{"next":{"after":%q}}`, after)
	}
	return fmt.Sprintf(`{"from":{"id":"%d"},"to":[%s]%s}`, from, strings.Join(links, ","), paging)
}

func answer(results ...string) string { return `{"results":[` + strings.Join(results, ",") + `]}` }

func failure(category, subCategory string, id int) string {
	return fmt.Sprintf(`{"results":[],"numErrors":1,"errors":[{"category":%q,"subCategory":%q,"context":{"fromObjectId":["%d"]}}]}`, category, subCategory, id)
}

// testPair is a pair whose contacts 1 to 9 are published as live.
func testPair(t *testing.T, respond func(call int, asked []string) string) (*Pair, *committed, *associations) {
	t.Helper()
	http := &associations{t: t, answer: respond}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	client := answering(http.respond).client(t)
	out := &committed{}
	rows := cdc.NewTable()
	for id := range hubspot.ID(9) {
		rows.Put(id+1, cdc.Row{Live: true, Version: hubspot.Millis(id) * 3_600_000})
	}
	contacts := NewObject(Object{
		Type: hubspot.ObjectType{Name: "contacts", Path: "contacts"}, Client: client, Log: log,
		Status: NewStatus(client.Now), Metrics: NewMetrics(prometheus.NewRegistry()), Audit: NewAudit(NewMetrics(prometheus.NewRegistry()), time.Minute),
		Lane: cdc.NewLane(cdc.LaneConfig{Object: "contacts", Table: rows, Content: cdc.NewContent(nil), Committer: out}),
	})
	p := NewPair(&Pair{From: contacts, FromPath: "contacts", ToPath: "companies", Waits: []time.Duration{0}, Log: log, Lane: cdc.NewLinkLane(cdc.LinkLaneConfig{
		Pair: cdc.Pair{From: "contacts", To: "companies"}, From: contacts.Lane, Swept: true, Committer: out,
	})}, offsets.Associations{})
	return p, out, http
}

// look reads the links of records and publishes what it finds.
func (p *Pair) look(t *testing.T, ids ...hubspot.ID) {
	t.Helper()
	readings, err := p.read(t.Context(), hubspot.ChangedAssociations, ids)
	if err == nil {
		err = p.publish(t.Context(), cdc.LinkPage{Stream: offsets.AssociationsStream, Readings: readings})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// relook reads the sets again that need a second witness (R19).
func (p *Pair) relook(t *testing.T) {
	t.Helper()
	for len(p.recheck.due) > 0 {
		time.Sleep(2 * time.Second)
		if err := (&RecheckLinks{p}).pass(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *Pair) deleteContact(t testing.TB, id hubspot.ID) {
	t.Helper()
	if _, err := p.From.Lane.Publish(context.Background(), cdc.Page{Readings: []cdc.Reading{{ID: id, Outcome: cdc.IsMerged, Into: 99}}}); err != nil {
		t.Fatal(err)
	}
}

// TestR8_AMergedRecordIsNotLeftOutOnceItsDeleteIsPublished: HubSpot may answer for it under
// its survivor's id. However many others are left out, the problem counts all of them and
// names the first.
func TestR8_AMergedRecordIsNotLeftOutOnceItsDeleteIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, _ := testPair(t, nil)
		said := func(ids ...hubspot.ID) string {
			var l leftOut
			l.add(ids)
			if err := l.say(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			for _, problem := range p.From.Status.Problems() {
				return problem.Problem
			}
			return ""
		}
		if text := said(1, 2); !strings.Contains(text, "2 records") || !strings.Contains(text, " 1,2;") {
			t.Errorf("of two records it says %q", text)
		}
		p.deleteContact(t, 1)
		if text := said(1, 2); !strings.Contains(text, "1 records") || !strings.Contains(text, " 2;") {
			t.Errorf("when one of them is deleted it says %q", text)
		}
		if text := said(1); text != "" {
			t.Errorf("of a deleted one it says %q", text)
		}
		many := slices.Repeat([]hubspot.ID{3}, leftOutKept+500)
		if text := said(many...); !strings.Contains(text, "1500 records") || !strings.Contains(text, " 3,3,") {
			t.Errorf("of many it says %q", text)
		}
	})
}

// TestR8_WhatAnAssociationAnswerMeans: a result is a set; "no associations found" is
// an empty one; "not found" is an empty one only if the delete was published before
// the read was sent; and an id in neither results nor errors is asked for again.
func TestR8_WhatAnAssociationAnswerMeans(t *testing.T) {
	const notFound, none = "OBJECT_NOT_FOUND", "crm.associations.NO_ASSOCIATIONS_FOUND"
	for name, c := range map[string]struct {
		second  func(p *Pair, call int) string // answers about contact 1, which had a link to 10
		deleted bool                           // its delete is published before these reads
		want    []string
		calls   int // of these reads
	}{
		"a set":                {func(*Pair, int) string { return answer(result(1, "", 11)) }, false, []string{"c 1->11", "d 1->10 removed"}, 1},
		"an empty set":         {func(*Pair, int) string { return answer(result(1, "")) }, false, []string{"d 1->10 removed"}, 1},
		"no associations":      {func(*Pair, int) string { return failure(notFound, none, 1) }, false, []string{"d 1->10 removed"}, 1},
		"not found, live":      {func(*Pair, int) string { return failure(notFound, "", 1) }, false, nil, 1},
		"not found, deleted":   {func(*Pair, int) string { return failure(notFound, "", 1) }, true, []string{"d 1->10 merged"}, 1},
		"not found, meanwhile": {func(p *Pair, _ int) string { p.deleteContact(t, 1); return failure(notFound, "", 1) }, false, nil, 1},
		"in neither, once": {func(_ *Pair, call int) string {
			if call == 1 {
				return answer()
			}
			return answer(result(1, "", 12))
		}, false, []string{"c 1->12", "d 1->10 removed"}, 2},
		"in neither, ever": {func(*Pair, int) string { return answer() }, false, nil, cdc.AloneTries},
		"in neither, ever, merged": {func(*Pair, int) string { return answer(result(99, "", 10)) }, true,
			[]string{"d 1->10 merged"}, cdc.AloneTries},
		"a page that leads to itself": {func(*Pair, int) string { return answer(result(1, "5", 10)) }, false, nil, 2 * cdc.AloneTries},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var p *Pair
				var out *committed
				var http *associations
				p, out, http = testPair(t, func(call int, _ []string) string {
					if call == 1 {
						return answer(result(1, "", 10))
					}
					return c.second(p, call-1)
				})
				p.look(t, 1)
				if c.deleted {
					p.deleteContact(t, 1)
				}
				out.links = nil
				p.look(t, 1)
				if got := len(http.calls) - 1; got != c.calls {
					t.Errorf("%d calls, want %d: %v", got, c.calls, http.calls)
				}
				p.relook(t)
				if !slices.Equal(out.links, c.want) {
					t.Errorf("published %q, want %q", out.links, c.want)
				}
			})
		})
	}
}

// TestR14_EachRecordIsPagedToItsEnd: one call asks for the next pages of all records
// that have more, and a set that took several calls deletes nothing before a second
// reading.
func TestR14_EachRecordIsPagedToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, out, http := testPair(t, func(call int, asked []string) string {
			return []string{
				answer(result(1, "a", 10, 11), result(2, "", 10), result(3, "b", 10)),
				answer(result(1, "c", 12), result(3, "", 11)),
				answer(result(1, "", 13)),
				// again: 11 moves to the first page after that was read
				answer(result(1, "a", 10)), answer(result(1, "", 12, 13)),
				answer(result(1, "a", 10, 11)), answer(result(1, "", 12, 13)),
				// now 11 is really gone
				answer(result(1, "a", 10)), answer(result(1, "", 12, 13)),
				answer(result(1, "a", 10)), answer(result(1, "", 12, 13)),
				// the second witness
				answer(result(1, "", 10, 12, 13), result(2, "", 10), result(3, "", 10, 11)),
			}[call-1]
		})
		p.look(t, 1, 2, 3)
		if want := [][]string{{"1", "2", "3"}, {"1@a", "3@b"}, {"1@c"}}; fmt.Sprint(http.calls) != fmt.Sprint(want) {
			t.Errorf("calls %v, want %v", http.calls, want)
		}
		if len(out.links) != 7 {
			t.Errorf("published %q, want 7 links", out.links)
		}
		out.links = nil
		p.look(t, 1)
		if len(out.links) != 0 {
			t.Errorf("published %q, want nothing of a link that only moved to another page", out.links)
		}
		p.look(t, 1)
		p.relook(t)
		if want := []string{"d 1->11 removed"}; !slices.Equal(out.links, want) {
			t.Errorf("published %q, want %q", out.links, want)
		}
	})
}

// TestR14_LooksAtOnceAndAfterOneAndTenMinutes, counted from a record's last
// change, or up to a quarter later.
func TestR14_LooksAtOnceAndAfterOneAndTenMinutes(t *testing.T) {
	for _, c := range []struct {
		waits []time.Duration
		want  string
	}{
		{[]time.Duration{0, time.Minute, 10 * time.Minute}, "[0s 30s 1m45s 13m0s]"},
		{[]time.Duration{0, 20 * time.Second, 20 * time.Second}, "[0s 25s 25s 30s 55s 55s]"},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLooks(c.waits, func() bool { return false })
			began := time.Now()
			var at []time.Duration
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			l.add(cdc.Look{End: cdc.FromEnd, ID: 1})
			time.AfterFunc(30*time.Second, func() { l.add(cdc.Look{End: cdc.FromEnd, ID: 1}) })
			for l.wait(ctx) == nil {
				if ids := l.take(); len(ids) > 0 {
					at = append(at, time.Since(began))
				}
			}
			if got := fmt.Sprint(at); got != c.want {
				t.Errorf("waits %v: looked at %s, want %s", c.waits, got, c.want)
			}
		})
	}
}

// TestLooks_APausedPairKeepsWhatALookMayStillShow: what changed longer ago, the sweep
// shows that a resumed pair owes. A pair that is not paused keeps everything.
func TestLooks_APausedPairKeepsWhatALookMayStillShow(t *testing.T) {
	for _, paused := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			l := newLooks([]time.Duration{0, time.Minute, 10 * time.Minute}, func() bool { return paused })
			const minutes, each = 100, looksKept / 10
			for minute := range minutes {
				for i := range each {
					l.add(cdc.Look{ID: hubspot.ID(minute*each + i + 1)})
				}
				time.Sleep(time.Minute)
			}
			if n := l.due.Len(); paused && n > 3*looksKept || !paused && n != minutes*each {
				t.Errorf("paused %v: %d records wait", paused, n)
			}
			lately := 0
			for _, k := range l.take() {
				if k.ID > hubspot.ID((minutes-10)*each) {
					lately++
				}
			}
			if lately != 10*each {
				t.Errorf("paused %v: %d records wait of those that changed in the last ten minutes", paused, lately)
			}
		})
	}
}

// TestWatch_PairsAreToldOfWhatWasPublishedBefore: object types stream while the
// connector still learns the pairs.
func TestWatch_PairsAreToldOfWhatWasPublishedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, _ := testPair(t, nil)
		change := func(id hubspot.ID, op cdc.Op) cdc.Change {
			return cdc.Change{ID: id, Event: &cdc.Event{Op: op}}
		}
		p.From.watchers.tell([]cdc.Change{change(1, cdc.Update), change(2, cdc.Read), {ID: 3}})
		p.To = p.From
		if err := Watch(t.Context(), []*Object{p.From}, []*Pair{p}); err != nil {
			t.Fatal(err)
		}
		p.From.watchers.tell([]cdc.Change{change(4, cdc.Delete)})
		if got, want := p.looks.take(), []cdc.Look{{End: cdc.FromEnd, ID: 1}, {End: cdc.FromEnd, ID: 4}, {End: cdc.ToEnd, ID: 1}, {End: cdc.ToEnd, ID: 4}}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		p.begun.Store(true) // the sweep may be past a record that is published for the first time
		p.From.watchers.tell([]cdc.Change{change(5, cdc.Read)})
		if got, want := p.looks.take(), []cdc.Look{{End: cdc.FromEnd, ID: 5}}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// TestWatch_ARunLooksAtWhatTheLastOneMayNotHaveLookedAt: the records modified last,
// and those that hold links to or from deleted records.
func TestWatch_ARunLooksAtWhatTheLastOneMayNotHaveLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, _ := testPair(t, nil)
		companies := cdc.NewTable()
		companies.Put(10, cdc.Row{Live: true})
		companies.Put(11, cdc.Row{Reason: cdc.Archived})
		companies.Put(12, cdc.Row{Live: true})
		p.Lane = cdc.NewLinkLane(cdc.LinkLaneConfig{
			Pair: p.Lane.Pair(), From: p.From.Lane, Table: loadedLinks(t, 1, 10, 1, 11, 2, 10, 3, 11, 4, 12),
			To: cdc.NewLane(cdc.LaneConfig{Object: "companies", Table: companies, Content: cdc.NewContent(nil)}),
		})
		p.deleteContact(t, 4)
		p.begun.Store(true)
		if err := Watch(t.Context(), []*Object{p.From}, []*Pair{p}); err != nil {
			t.Fatal(err)
		}
		if got, want := p.looks.take(), []cdc.Look{{End: cdc.FromEnd, ID: 1}, {End: cdc.FromEnd, ID: 3}, {End: cdc.FromEnd, ID: 4}, {End: cdc.FromEnd, ID: 9}}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// loadedLinks is a table with a link for each two of these ids, from and to, and with
// a deleted one.
func loadedLinks(t *testing.T, ends ...hubspot.ID) *cdc.LinkTable {
	t.Helper()
	table := cdc.NewLinkTable()
	for pair := range slices.Chunk(ends, 2) {
		table.Put(cdc.LinkKey{From: pair[0], To: pair[1], Category: "HUBSPOT_DEFINED", TypeID: 279}, cdc.LinkRow{Live: true})
	}
	table.Put(cdc.LinkKey{From: 5, To: 11, Category: "HUBSPOT_DEFINED", TypeID: 279}, cdc.LinkRow{Reason: cdc.Archived})
	return table
}

// TestR20_APairIsPublishedAgainThoughAnswersLeaveOutWhoHasNoLinks: only a record of
// which a link was published is asked for until HubSpot answers.
func TestR20_APairIsPublishedAgainThoughAnswersLeaveOutWhoHasNoLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, out, http := testPair(t, func(call int, asked []string) string {
			if call > cdc.AloneTries && slices.Contains(asked, "1") {
				return answer(result(1, "", 10))
			}
			return answer()
		})
		p.Lane = cdc.NewLinkLane(cdc.LinkLaneConfig{Pair: p.Lane.Pair(), From: p.From.Lane, Table: loadedLinks(t, 1, 10), Swept: true, Committer: out})
		p.verified.shown.Store(math.MaxInt64) // no sweep is owed
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		if err := NewPairRepublish(p, "hubspot", offsets.Republish{}).Run(ctx); err != nil {
			t.Errorf("after %d calls: %v", len(http.calls), err)
		}
		if want := []string{"r 1->10"}; !slices.Equal(out.links, want) {
			t.Errorf("published %q, want %q", out.links, want)
		}
	})
}
