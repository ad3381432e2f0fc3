package cdcmodel

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// pair is the part of a process that publishes links: the lane, and what its
// finders share (stream.Pair).
type pair struct {
	linkLane *cdc.LinkLane
	begun    bool // the first sweep has begun
	looks    map[look]dueLook
	sweep    linkSweep
	facts    []hubspot.ID // deletes that were published
}

// startPair begins with what is committed, and looks at what the life before
// may have missed (stream.Watch).
func (p *process) startPair() {
	w := p.w
	table := cdc.NewLinkTable()
	for k, row := range w.linkRows {
		table.Put(k, row)
	}
	v := place(w.cursors[associationsStream])
	p.pair = pair{looks: map[look]dueLook{}}
	p.pair.sweep = linkSweep{hubspot.ID(v[0]), hubspot.Millis(v[1]), hubspot.Millis(v[2])}
	p.begun = v[1] != 0
	p.linkLane = cdc.NewLinkLane(cdc.LinkLaneConfig{
		Pair: cdc.Pair{From: "contacts", To: "contacts"}, Table: table, From: p.recordLane, To: p.recordLane,
		Swept: v[2] != 0, Committer: w,
	})
	ctx := context.Background()
	lately, err := p.recordLane.LatelyModified(ctx, lastLook)
	if err != nil {
		panic(err)
	}
	for _, id := range lately {
		p.notify(id, cdc.Read)
	}
	dangling, err := p.linkLane.Dangling(ctx)
	if err != nil {
		panic(err)
	}
	for _, id := range dangling {
		p.look(look{fromEnd, id})
	}
}

// lookAfter are the waits of stream.looks, and lastLook stream.lastLook, to the
// scale of the model's lags.
var lookAfter = [...]time.Duration{0, 3 * time.Second, 12 * time.Second}

const lastLook = 20 * time.Second

// end, look and dueLook mirror those of stream.
type end uint8

const (
	fromEnd end = iota
	toEnd
)

type look struct {
	end end
	id  hubspot.ID
}

type dueLook struct {
	since hubspot.Millis
	step  int
}

// look mirrors stream.looks.add.
func (p *process) look(l look) { p.looks[l] = dueLook{since: p.w.now} }

// notify mirrors stream.watchers.pass: told is an id, never what was found.
func (p *process) notify(id hubspot.ID, op cdc.Op) {
	if op != cdc.Read || p.begun {
		p.look(look{fromEnd, id})
	}
	if op != cdc.Read {
		p.look(look{toEnd, id})
	}
}

// watch mirrors stream.watchers.tell.
func (a *agent) watch(changes []cdc.Change) {
	if a.linkLane == nil {
		return
	}
	for i := range changes {
		if e := changes[i].Event; e != nil {
			a.notify(changes[i].ID, e.Op)
			if a.w.without.exchange && e.Op == cdc.Delete {
				a.facts = append(a.facts, changes[i].ID)
			}
		}
	}
}

// endLinks is what must not be: a pair is told that records are deleted, and
// takes that for a reading without links.
func (a *agent) endLinks() error {
	for _, id := range a.facts {
		r := cdc.LinkReading{From: id, Stamp: a.links.Now(), Date: a.w.date(), Calls: 1}
		page := cdc.LinkPage{Stream: associationsStream, Readings: []cdc.LinkReading{r}}
		if _, err := a.links.Publish(context.Background(), page); err != nil {
			return err
		}
	}
	a.facts = a.facts[:0]
	return nil
}

const (
	associationsStream = "associations"
	changedStream      = "associations-changed"
)

// linkSweep mirrors stream.AssociationSweep.
type linkSweep struct {
	after              hubspot.ID
	started, completed hubspot.Millis
}

func (s *linkSweep) underWay() bool { return s.completed < s.started }

// pass mirrors stream.AssociationSweep.pass.
func (s *linkSweep) pass(a *agent) error {
	if !a.backfill.done {
		return nil
	}
	if !s.underWay() {
		s.after, s.started = 0, max(a.now(), s.completed+1)
	}
	a.begun = true
	first := s.completed == 0
	for {
		a.forget() // first comes of s, which ends with the pass
		ids, err := a.nextLinked(s.after, a.w.page)
		if err != nil {
			return err
		}
		a.w.tell("%s: records above %s: %v", a.name, s.after, ids)
		readings, err := a.readLinks(ids)
		if err != nil {
			return err
		}
		next, ended := *s, len(ids) < a.w.page
		if ended {
			next.after, next.completed = 0, max(a.now(), next.started)
		} else {
			next.after = ids[len(ids)-1]
		}
		if err := a.publishLinks(cdc.LinkPage{
			Stream: associationsStream, Readings: readings, Sync: ended && first, Swept: ended,
			Cursors: []cdc.Cursor{{Stream: associationsStream, Value: places(int64(next.after), int64(next.started), int64(next.completed))}},
		}); err != nil {
			return err
		}
		if *s = next; ended {
			return nil
		}
	}
}

// nextLinked is cdc.LinkLane.Next, or what it must not be.
func (a *agent) nextLinked(after hubspot.ID, n int) ([]hubspot.ID, error) {
	if !a.w.without.union {
		return a.links.Next(context.Background(), after, n)
	}
	ids, err := a.lane.LiveAmong(context.Background(), everyID[after:])
	return ids[:min(n, len(ids))], err
}

// changed mirrors stream.ChangedAssociations.
type changed struct{}

func (changed) pass(a *agent) error {
	if a.w.without.exchange {
		if err := a.endLinks(); err != nil {
			return err
		}
	}
	var ids, others []hubspot.ID
	for _, l := range a.dueLooks() {
		if l.end == fromEnd {
			ids = append(ids, l.id)
		} else {
			others = append(others, l.id)
		}
	}
	a.hear(ids, others)
	holders, err := a.links.Holders(context.Background(), others)
	if err != nil {
		return err
	}
	ids = append(ids, holders...)
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) == 0 {
		return nil
	}
	a.w.tell("%s: looks at %v", a.name, ids)
	readings, err := a.readLinks(ids)
	if err != nil {
		return err
	}
	return a.publishLinks(cdc.LinkPage{Stream: associationsStream, Readings: readings})
}

// dueLooks mirrors stream.looks.take.
func (p *process) dueLooks() (out []look) {
	for l, d := range p.looks {
		if p.w.now < d.since.Add(lookAfter[d.step]) {
			continue
		}
		out = append(out, l)
		if d.step++; d.step < len(lookAfter) {
			p.looks[l] = d
		} else {
			delete(p.looks, l)
		}
	}
	slices.SortFunc(out, func(a, b look) int { return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.id, b.id)) })
	return out
}

// publishLinks mirrors stream.Pair.publish.
func (a *agent) publishLinks(page cdc.LinkPage) error {
	for {
		again, err := a.links.Publish(context.Background(), page)
		if err != nil {
			return err
		}
		if len(again) == 0 {
			return nil
		}
		ids, before := make([]hubspot.ID, len(again)), map[hubspot.ID]uint64{}
		for i, l := range again {
			a.w.tell("%s: the links of %s are to be read again: %s", a.name, l.From, l.Cause)
			a.w.tally["links read again: "+l.Cause.String()]++
			ids[i], before[l.From] = l.From, l.Set
		}
		if page.Readings, err = a.readLinks(ids); err != nil {
			return err
		}
		for i := range page.Readings {
			page.Readings[i].Before = before[page.Readings[i].From]
		}
	}
}

// linkRead mirrors stream.linkRead.
type linkRead struct {
	*agent
	open map[hubspot.ID]*cdc.LinkReading
	done []cdc.LinkReading
}

// readLinks mirrors stream.Pair.read and linkRead.run, with fewer tries.
func (a *agent) readLinks(ids []hubspot.ID) ([]cdc.LinkReading, error) {
	const tries = 2
	r := linkRead{agent: a, open: map[hubspot.ID]*cdc.LinkReading{}}
	unanswered := ids
	for try := 0; try < tries && len(unanswered) > 0; try++ {
		if err := a.sleep(time.Duration(try) * time.Second); err != nil {
			return nil, err
		}
		inputs := make([]hubspot.LinkInput, len(unanswered))
		for i, id := range unanswered {
			inputs[i].ID = id
		}
		unanswered = nil
		for len(inputs) > 0 {
			next, missed, err := r.call(inputs, try == tries-1)
			if err != nil {
				return nil, err
			}
			inputs, unanswered = next, append(unanswered, missed...)
		}
	}
	slices.SortFunc(r.done, func(a, b cdc.LinkReading) int { return cmp.Compare(a.From, b.From) })
	return r.done, nil
}

// call mirrors stream.linkRead.call. A page never leads to itself here.
func (r *linkRead) call(inputs []hubspot.LinkInput, last bool) (next []hubspot.LinkInput, unanswered []hubspot.ID, err error) {
	sent, page, date, err := ask(r.agent, func() hubspot.LinksPage { return r.w.readLinks(inputs) })
	if err != nil {
		return nil, nil, err
	}
	for _, set := range page.Sets {
		reading := r.open[set.From]
		if reading == nil {
			reading = &cdc.LinkReading{From: set.From, Stamp: sent.LinkStamp}
			r.open[set.From] = reading
		}
		reading.Links = append(reading.Links, set.Links...)
		reading.Calls++
		reading.Date = date
		if set.After == "" {
			r.finish(reading)
		} else {
			next = append(next, hubspot.LinkInput{ID: set.From, After: set.After})
		}
	}
	for _, id := range page.Empty {
		reading := r.open[id]
		if reading == nil {
			reading = &cdc.LinkReading{From: id, Stamp: sent.LinkStamp}
		}
		reading.Calls, reading.Date = reading.Calls+1, date
		r.finish(reading)
	}
	gone := page.NotFound
	if last {
		gone = slices.Concat(gone, page.Unanswered)
	} else {
		unanswered = append(unanswered, page.Unanswered...)
	}
	if !r.w.without.deletedBefore {
		gone, err = r.lane.DeletedBefore(context.Background(), gone, sent.Stamp)
		if err != nil {
			return nil, nil, err
		}
	}
	for _, id := range gone {
		r.finish(&cdc.LinkReading{From: id, Stamp: sent.LinkStamp, Date: date, Calls: 1})
	}
	if last {
		for _, id := range page.Unanswered {
			if !slices.Contains(gone, id) {
				unanswered = append(unanswered, id)
			}
		}
	}
	for _, id := range unanswered {
		delete(r.open, id)
	}
	return next, unanswered, nil
}

// finish mirrors stream.linkRead.finish.
func (r *linkRead) finish(reading *cdc.LinkReading) {
	delete(r.open, reading.From)
	compare := func(a, b hubspot.Link) int { return cmp.Or(cmp.Compare(a.To, b.To), cmp.Compare(a.TypeID, b.TypeID)) }
	if reading.Calls > 1 {
		r.w.tally["sets of several calls"]++
		slices.Reverse(reading.Links)
		slices.SortStableFunc(reading.Links, compare)
		reading.Links = slices.CompactFunc(reading.Links, func(a, b hubspot.Link) bool { return compare(a, b) == 0 })
	}
	if r.w.without.secondSet {
		reading.Calls = 1
	}
	r.done = append(r.done, *reading)
}

// linkEvent is what a consumer of the pair's topic saw.
type linkEvent struct {
	op     cdc.Op
	reason cdc.Reason
	label  uint8
	seq    int64
	// swept: the first sweep's end was committed before; due is the reason that
	// a delete has to give, by what was published of the two records.
	swept bool
	due   cdc.Reason
}

func (e linkEvent) String() string {
	text := string(e.op)
	if e.label != 0 {
		text += " label " + strconv.Itoa(int(e.label))
	}
	if e.reason != cdc.NoReason {
		text += " " + e.reason.String()
	}
	return text + " seq=" + strconv.FormatInt(e.seq, 10)
}

// sawLink notes an event of the pair's topic as a consumer sees it.
func (w *world) sawLink(c *cdc.LinkChange) {
	e := linkEvent{op: c.Op, reason: c.Reason, seq: c.Row.Seq, due: cdc.Removed, swept: place(w.cursors[associationsStream])[2] != 0}
	n, _ := strconv.Atoi(c.Label)
	e.label = uint8(n)
	for _, id := range []hubspot.ID{c.Key.To, c.Key.From} {
		if row, known := w.rows[id]; known && !row.Live {
			e.due = row.Reason
		}
	}
	k := linkID{c.Key.From, c.Key.To, c.Key.TypeID}
	w.linkEvents[k.index()] = append(w.linkEvents[k.index()], e)
	name := "published: link " + string(e.op)
	if e.reason != cdc.NoReason {
		name += " " + e.reason.String()
	}
	w.tally[name]++
	w.tell("published: link %s %s", k, e)
}
