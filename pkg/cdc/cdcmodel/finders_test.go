package cdcmodel

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// without says which rules the finders break. The zero value keeps all of them.
type without struct {
	readingOrder bool // R1: a reading is as old as its answer, not as its request

	lag        bool // R3: the trailing tier moves to t0
	ownClock   bool // R3: our clock, ahead of HubSpot's, moves the window
	rowTime    bool // R3: the newest row's time moves the window
	unfinished bool // R3: every page moves the window, not only the last
	jointEarly bool // R3: every page of a joint walk moves the tiers that it carries
	jointLag   bool // R3: a joint walk moves the tiers that it carries as its own

	settled bool // R4: every reading counts as settled
	start   bool // R4: rows from before the window are skipped too

	order bool // R2: a page that is out of order is taken as it is

	first   bool // R5: the tiers' start is the end of the backfill
	overlap bool // R5: the tiers' first start is the Date itself, without the overlap of R3

	together   bool // R6: the cursor has all pages that are read, not only those that are published
	border     bool // R11: the id behind the border of two ranges belongs to neither
	cursorLast bool // R6: the cursor moves although ids of its page must be read again
	confirm    bool // R7: what a finder does not see is gone
	controls   bool // R7: an answer counts even if HubSpot answers nobody
	bin        bool // R7: nobody asks the recycle bin
	copies     bool // R7: nobody asks which archived copies name losers
	neither    bool // R8: what is neither answered nor reported is missing
	stuck      bool // R18: what HubSpot does not answer is left to the other finders
	second     bool // R9: one confirm is enough for a purge

	linkOrder       bool // R1: a set of links is as old as its answer
	secondSet       bool // R14: a set of several calls counts like one of a single call
	exchange        bool // R14: the delete of a record ends its links without a reading
	union           bool // R14: a sweep asks about live records only
	deletedBefore   bool // R8: a record that is not found has no links
	subscribedFirst bool // R16: the journal begins after the tiers and the backfill
	earliest        bool // R16: where there was no file yet, the newest is the next
	journalLast     bool // R16: the cursor moves before what a file names is settled
	placeLost       bool // R16: a place that is lost has nothing newer
	afterLoss       bool // R16: nothing begins where files are lost or odd
	journalWaits    bool // R16: the cursor moves before that has begun
	journalContent  bool // R16: what events show is published
	publishedFirst  bool // R16: the links of a record that is not published are read
	namedOnce       bool // R16: where an event names what is gone, one reading is enough

	witness bool // R19: one set that lacks a link is enough to delete it
	// whole: HubSpot's sets lack nothing. R19's second witness hides most of what
	// follows from the rules for one set, so these are left out together with it, in
	// a HubSpot that gives no reason for it.
	whole bool
}

// places encodes a finder's cursor.
func places(values ...int64) []byte {
	out := make([]byte, 0, 32)
	for _, v := range values {
		out = binary.AppendVarint(out, v)
	}
	return out
}

func place(b []byte) (out [4]int64) {
	for i := 0; len(b) > 0 && i < len(out); i++ {
		v, n := binary.Varint(b)
		out[i], b = v, b[n:]
	}
	return out
}

// tier follows the index (R3).
type tier struct {
	stream string
	lag    time.Duration
	window cdc.Window
	// carried are the tiers that the walk under way serves too. They begin no walk
	// of their own meanwhile.
	carried []cdc.TierWindow
	// passing: the tier is in a pass, so that no other tier's walk may carry it.
	passing bool
}

func (t *tier) joint() cdc.Joint {
	return cdc.Joint{Own: cdc.TierWindow{Window: t.window, Lag: t.lag}, Others: t.carried}
}

// carry makes the walk that begins serve the trailing tier too, by chance: any
// choice is sound, and the real one (stream.Tier) only saves calls.
func (t *tier) carry(a *agent) {
	other := &a.trailing
	if t.lag > 0 || t.window.Walking() || other.passing || other.window.Walking() || a.w.everyWay && a.w.agent(trailingStream) == nil {
		return
	}
	joins := a.w.choices.of(2) == 1
	if a.hear(joins); joins {
		t.carried = []cdc.TierWindow{{Window: other.window, Lag: other.lag}}
		a.w.tally["joint walks"]++
	}
}

func (t *tier) pass(a *agent) error {
	if t.lag > 0 && len(a.leading.carried) > 0 {
		return nil
	}
	t.passing, t.carried = true, nil
	defer func() { t.passing, t.carried = false, nil }()
	t.carry(a)
	for {
		a.forget()
		w, joint := a.w, t.joint()
		q := joint.Search(hubspot.SearchQuery{})
		start := joint.SkipFrom()
		if w.without.start {
			start = 0
		}
		page, err := a.walk(q, joint.SkipFrom(), t.lag > 0 || len(t.carried) > 0)
		if errors.Is(err, cdc.ErrUnordered) {
			return nil // out of order: the next pass tries again
		}
		if err != nil {
			return err
		}
		rows, more := page.Page.Rows, page.Page.More
		ids, err := a.lane.Unskipped(context.Background(), rows, start)
		if err != nil {
			return err
		}
		if w.said != nil {
			w.tell("%s: search from %s above %d gives %s, to be read: %v", a.name, clock(q.Since), t.window.Last, spell(rows), ids)
		}
		readings, err := a.read(ids)
		if err != nil {
			return err
		}
		place := t.past(w, page)
		a.hear(place)
		cursors := []cdc.Cursor{{Stream: t.stream, Value: places(int64(place.Own.Start), int64(place.Own.T0), int64(place.Own.Last))}}
		if more && w.without.unfinished { // the walk starts over after a crash
			cursors[0].Value = places(int64(place.Own.Start), 0, 0)
		}
		moved := len(t.carried) > 0 && (!more || w.without.jointEarly)
		if moved {
			cursors = append(cursors, cdc.Cursor{Stream: trailingStream, Value: places(int64(place.Others[0].Start), 0, 0)})
		}
		if err := a.publish(cdc.Page{Stream: t.stream, Readings: readings, Cursors: cursors}, func() { a.hear(place, more) }); err != nil {
			return err
		}
		if t.window = place.Own.Window; moved {
			a.trailing.window = place.Others[0].Window
		}
		if !more {
			return nil
		}
	}
}

// walk reads a page of the index; without R2, in whatever order.
func (a *agent) walk(q hubspot.SearchQuery, skipFrom hubspot.Millis, trailing bool) (*cdc.Walk, error) {
	p, before := cdc.NewWalk(q), a.memory
	for q, wait, more := p.Next(); more; q, wait, more = p.Next() {
		if err := a.sleep(wait); err != nil {
			return p, err
		}
		_, page, date, err := ask(a, func() hubspot.SearchPage { return a.w.search(q, skipFrom, trailing) })
		if err != nil {
			return p, err
		}
		page.Date = date
		if a.w.without.order {
			slices.SortFunc(page.Rows, func(a, b hubspot.SearchRow) int { return cmp.Compare(a.ID, b.ID) })
			page.More = page.More && len(page.Rows) > 0
		}
		if a.w.without.ownClock {
			page.Date = a.w.now.Add(20 * time.Second)
		}
		p.Take(page)
		a.heardIs(before, p)
		if p.Refused > 0 {
			a.w.tally["pages out of order"]++
		}
	}
	return p, p.Err()
}

// past is cdc.Joint.Past, or what a broken rule makes of it.
func (t *tier) past(w *world, page *cdc.Walk) cdc.Joint {
	joint, more := t.joint(), page.Page.More
	if w.without.lag {
		joint.Own.Lag = 0
	}
	before := joint
	place := joint.Past(page)
	switch {
	case w.without.rowTime && !more:
		place.Own.Window = cdc.Window{Start: t.window.Start}
		for _, row := range page.Page.Rows {
			place.Own.Start = max(place.Own.Start, row.Updated)
		}
	case w.without.unfinished:
		place.Own.Start = max(place.Own.Start, place.Own.Finish(before.Own.Lag).Start)
	}
	for i, other := range before.Others {
		lag := other.Lag
		if w.without.lag || w.without.jointLag {
			lag = 0
		}
		if !more || w.without.jointEarly {
			place.Others[i].Window = other.Begin(before.Own.Begin(page.Page.Date).T0).Finish(lag)
		}
	}
	return place
}

func spell(rows []hubspot.SearchRow) (out []string) {
	for _, row := range rows {
		out = append(out, row.ID.String()+"@"+clock(row.Updated))
	}
	return out
}

// sweep reads everything: once (backfill), or again and again (reconcile, and the
// snapshots that an operator asks for).
type sweep struct {
	stream string
	after  hubspot.ID // the last id read
	done   bool
	gaps   cdc.Gaps
	left   []cdc.Chain // if the list is read in several ranges (ranges_test.go)
	// answers is which request of the journal's finder it answers (R16); 0: none.
	answers int
}

// pass reads what is left. It reads at most one page ahead of what it publishes.
func (s *sweep) pass(a *agent) error {
	if s.done && s.stream == backfill {
		return nil
	}
	if s.done {
		s.done, s.after, s.answers = false, 0, a.feed.reconcile
		if s.stream == reconcile { // else an older reading that repeats what is published hides a delete
			if err := a.lane.Fence(context.Background()); err != nil {
				return err
			}
		}
	}
	if s.divides(a) {
		return s.ranges(a)
	}
	after := s.after
	var ahead []sweepPage
	for {
		if len(ahead) == 0 {
			a.forget() // after is s.after
		}
		page, err := s.fetch(a, cdc.Range{After: after})
		if err != nil {
			return err
		}
		ahead = append(ahead, page)
		after = page.last
		if page.more && len(ahead) < 2 && s.stream != snapshot {
			another := a.w.choices.of(2) == 1
			if a.hear(another); another {
				continue
			}
		}
		for i, page := range ahead {
			if err := s.publish(a, page, i == len(ahead)-1); err != nil {
				return err
			}
		}
		if ahead = ahead[:0]; !page.more {
			return nil
		}
	}
}

const (
	backfill  = "backfill"
	reconcile = "reconcile"
	snapshot  = "snapshot"
)

type sweepPage struct {
	readings []cdc.Reading
	last     hubspot.ID
	more     bool
}

// fetch reads a page of a range, and confirms what the page lacks (R11).
func (s *sweep) fetch(a *agent, in cdc.Range) (page sweepPage, err error) {
	w, from := a.w, in.After
	sent, list, date, err := ask(a, func() hubspot.ListPage { return w.list(from, w.page) })
	if err != nil {
		return page, err
	}
	page.last, page.more = from, list.After != ""
	ids := make([]hubspot.ID, len(list.Records))
	for i := range list.Records {
		ids[i] = list.Records[i].ID
		page.last = max(page.last, ids[i])
		if in.Contains(ids[i]) {
			page.readings = append(page.readings, sent.Reading(ids[i], cdc.IsLive, &list.Records[i], date))
		}
	}
	w.tell("%s: list above %s gives %v", a.name, from, ids)
	if page.readings, err = a.complete(page.readings, nil); err != nil {
		return page, err
	}
	in, covered := s.gaps.Covered(in, ids, page.more)
	if !covered {
		return page, nil
	}
	lacking, err := a.lane.Lacking(context.Background(), in.After, in.UpTo, ids, sent.Stamp)
	if err != nil {
		return page, err
	}
	confirmed, err := a.complete(nil, lacking)
	page.readings = append(page.readings, confirmed...)
	return page, err
}

func (s *sweep) publish(a *agent, page sweepPage, last bool) error {
	next := *s
	next.after, next.done = page.last, !page.more
	var rest func()
	if last {
		rest = func() { a.hear(next) }
	}
	if s.stream == snapshot {
		page.readings = cdc.Only(page.readings, func(id hubspot.ID) bool { return id > s.after && (next.done || id <= page.last) })
	}
	err := a.publish(cdc.Page{
		Stream: s.stream, Readings: page.readings, Sync: next.done, Snapshot: s.stream == snapshot,
		Cursors: []cdc.Cursor{{Stream: s.stream, Value: next.cursor()}},
	}, rest)
	if err == nil {
		s.moved(a, next)
	}
	return err
}

// moved goes on to the next place. What has begun is no longer asked for.
func (s *sweep) moved(a *agent, next sweep) {
	if *s = next; s.answers != 0 && s.stream == reconcile {
		a.feed.reconcile = answered(a.feed.reconcile, s.answers)
	}
	s.answers = 0
}

func (s *sweep) cursor() []byte {
	done := int64(0)
	if s.done {
		done = 1
	}
	return append(places(int64(s.after), done), spellChains(s.left)...)
}

// bin names the ids in the list of archived records.
type bin struct{ after hubspot.ID }

const archiveStream = "archive"

type copyPage struct {
	copies []hubspot.Record
	more   bool
}

func (b *bin) pass(a *agent) error {
	for {
		a.forget()
		w := a.w
		_, page, _, err := ask(a, func() (p copyPage) {
			p.copies, p.more = w.listArchived(b.after)
			return p
		})
		if err != nil {
			return err
		}
		var ids []hubspot.ID
		for _, c := range page.copies {
			ids = append(ids, c.ID)
		}
		more := page.more
		next := bin{}
		if more {
			next.after = ids[len(ids)-1]
		}
		w.tell("%s: list above %s gives %v", a.name, b.after, ids)
		readings, err := a.complete(nil, ids, page.copies...)
		if err != nil {
			return err
		}
		if err := a.publish(cdc.Page{
			Stream: archiveStream, Readings: readings,
			Cursors: []cdc.Cursor{{Stream: archiveStream, Value: places(int64(next.after))}},
		}, func() { a.hear(next, more) }); err != nil {
			return err
		}
		if *b = next; !more {
			return nil
		}
	}
}

// census stands for any finder that names ids by itself, as the real census does.
// It reads what the index shows and the table lacks, and confirms what the table
// has and the index lacks. The real one counts first, which saves calls and decides
// nothing.
type census struct{}

const censusStream = "census"

func (census) pass(a *agent) error {
	w := a.w
	_, page, _, err := ask(a, func() hubspot.SearchPage { return w.search(hubspot.SearchQuery{Limit: lastID}, 0, false) })
	if err != nil {
		return err
	}
	if _, ok := cdc.Ascending(&page, 0, false); !ok {
		return nil // out of order: the next pass tries again
	}
	var shown []hubspot.ID
	for _, row := range page.Rows {
		shown = append(shown, row.ID)
	}
	lacking, err := a.lane.LiveAmong(context.Background(), everyID)
	if err != nil {
		return err
	}
	var extra []hubspot.ID
	for _, id := range shown {
		if !slices.Contains(lacking, id) {
			extra = append(extra, id)
		}
	}
	lacking = slices.DeleteFunc(lacking, func(id hubspot.ID) bool { return slices.Contains(shown, id) })
	readings, err := a.complete(nil, lacking)
	if err != nil {
		return err
	}
	others, err := a.read(extra)
	if err != nil {
		return err
	}
	return a.publish(cdc.Page{Stream: censusStream, Readings: append(readings, others...)}, func() {})
}

var everyID = func() (ids []hubspot.ID) {
	for id := range hubspot.ID(lastID) {
		ids = append(ids, id+1)
	}
	return ids
}()

// again confirms what is due again (R9).
type again struct{}

const recheckStream = "recheck"

func (again) pass(a *agent) error {
	stream, ids, _ := a.recheck.Take(a.w.now.Time())
	if len(ids) == 0 {
		return nil
	}
	a.hear(stream, ids)
	a.w.tell("recheck: confirms %v", ids)
	readings, err := a.complete(nil, ids)
	if err != nil {
		return err
	}
	return a.publish(cdc.Page{Stream: stream, Readings: readings}, func() {})
}

const stuckStream = "stuck"

// askStuck asks again about the records that HubSpot did not answer (R18).
func (a *agent) askStuck() error {
	p := a.process
	ids := p.stuck.ids()
	if len(ids) == 0 {
		return nil
	}
	p.retried = p.stuck
	a.w.tell("stuck: asks again about %v", ids)
	readings, err := a.read(ids)
	if err != nil {
		return err
	}
	if err := a.publish(cdc.Page{Stream: stuckStream, Readings: readings}, nil); err != nil {
		return err
	}
	p.stuck &^= p.retried // settle took out those that are still stuck
	p.retried = 0
	return a.keepStuck()
}

// settle notes the records that HubSpot did not answer: their cursor is committed
// before the page that named them.
func (a *agent) settle(ids []hubspot.ID) error {
	p := a.process
	if len(ids) == 0 || a.w.without.stuck {
		return nil
	}
	for _, id := range ids {
		a.w.tally["stuck"]++
		p.stuck |= 1 << id
		p.retried &^= 1 << id
	}
	return a.keepStuck()
}

func (a *agent) keepStuck() error {
	_, err := a.lane.Publish(context.Background(), cdc.Page{Stream: stuckStream, Sync: true, Cursors: []cdc.Cursor{
		{Stream: stuckStream, Value: places(int64(a.process.stuck))},
	}})
	return err
}
