package cdcmodel

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// pair is the part of a process that publishes links: the lane, and what its
// finders share.
type pair struct {
	linkLane *cdc.LinkLane
	begun    bool // the first sweep has begun
	looks    *cdc.Looks
	sweep    cdc.LinkPlace
	signal   hubspot.ID   // the last id of the snapshot that an operator asked for
	facts    []hubspot.ID // deletes that were published
}

// startPair begins with what is committed, and looks at what the life before may
// have missed.
func (p *process) startPair() {
	w := p.w
	table := cdc.NewLinkTable()
	for k, row := range w.linkRows {
		table.Put(k, row)
	}
	v := place(w.cursors[associationsStream])
	p.pair = pair{looks: cdc.NewLooks(lookAfter[:]...)}
	p.pair.sweep = cdc.LinkPlace{ID: hubspot.ID(v[0]), Started: hubspot.Millis(v[1]), Completed: hubspot.Millis(v[2])}
	p.signal = hubspot.ID(place(w.cursors[signalsStream])[0])
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
		p.looks.Add(cdc.Look{End: cdc.FromEnd, ID: id}, w.now.Time())
	}
}

// lookAfter is when looks are due, and lastLook how far back a new life looks,
// scaled to the model's lags.
var lookAfter = [...]time.Duration{0, 3 * time.Second, 12 * time.Second}

const lastLook = 20 * time.Second

// notify tells the pair of an id, never of what was found.
func (p *process) notify(id hubspot.ID, op cdc.Op) {
	for _, end := range []cdc.End{cdc.FromEnd, cdc.ToEnd} {
		if end.Moves(op, p.begun) {
			p.looks.Add(cdc.Look{End: end, ID: id}, p.w.now.Time())
		}
	}
}

// watch tells the pair of what was committed.
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

// endLinks is what must not happen: a pair is told that records are deleted, and
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
	signalsStream      = "signals"
)

// sweepLinks reads the links of every record (R14).
func (a *agent) sweepLinks() error {
	if !a.backfill.done {
		return nil
	}
	s := &a.pair.sweep
	if !s.UnderWay() {
		*s = s.Begin(a.now())
	}
	a.begun = true
	first := s.Completed == 0
	for {
		a.forget() // first follows from s.Completed, which stays until the pass ends
		ids, err := a.nextLinked(s.ID, a.w.page)
		if err != nil {
			return err
		}
		a.w.tell("%s: records above %s: %v", a.name, s.ID, ids)
		before := a.memory
		readings, err := a.readLinks(ids)
		if err != nil {
			return err
		}
		next := s.Past(ids, a.w.page, a.now())
		ended := !next.UnderWay()
		if err := a.publishLinks(cdc.LinkPage{
			Stream: associationsStream, Readings: readings, Sync: ended && first, Swept: ended,
			Cursors: []cdc.Cursor{{Stream: associationsStream, Value: places(int64(next.ID), int64(next.Started), int64(next.Completed))}},
		}, before); err != nil {
			return err
		}
		if *s = next; ended {
			return nil
		}
	}
}

// snapshotLinks publishes every link again, as an operator asks for it.
func (a *agent) snapshotLinks() error {
	for {
		a.forget()
		ids, err := a.links.Next(context.Background(), a.signal, a.w.page)
		if err != nil {
			return err
		}
		before := a.memory
		readings, err := a.readLinks(ids)
		if err != nil {
			return err
		}
		next, ended := hubspot.ID(0), len(ids) < a.w.page
		if !ended {
			next = ids[len(ids)-1]
		}
		if err := a.publishLinks(cdc.LinkPage{
			Stream: signalsStream, Snapshot: true, Readings: readings,
			Cursors: []cdc.Cursor{{Stream: signalsStream, Value: places(int64(next))}},
		}, before); err != nil {
			return err
		}
		if a.signal = next; ended {
			return nil
		}
	}
}

// nextLinked is cdc.LinkLane.Next, or what a broken rule makes of it.
func (a *agent) nextLinked(after hubspot.ID, n int) ([]hubspot.ID, error) {
	if !a.w.without.union {
		return a.links.Next(context.Background(), after, n)
	}
	ids, err := a.lane.LiveAmong(context.Background(), everyID[after:])
	return ids[:min(n, len(ids))], err
}

// lookAtChanged reads the links of records that changed.
func (a *agent) lookAtChanged() error {
	if a.w.without.exchange {
		if err := a.endLinks(); err != nil {
			return err
		}
	}
	ids, others := cdc.Ends(a.looks.Take(a.w.now.Time()))
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
	before := a.memory
	readings, err := a.readLinks(ids)
	if err != nil {
		return err
	}
	return a.publishLinks(cdc.LinkPage{Stream: associationsStream, Readings: readings}, before)
}

// publishLinks commits a page of links. before is what was heard before they were
// read.
func (a *agent) publishLinks(page cdc.LinkPage, before memory) error {
	p := cdc.NewLinkPublication(page)
	for {
		again, err := a.links.Publish(context.Background(), p.Page)
		if err != nil {
			return err
		}
		for _, l := range again {
			a.w.tell("%s: the links of %s must be read again: %s", a.name, l.From, l.Cause)
			a.w.tally["links read again: "+l.Cause.String()]++
		}
		ids, aside, done := p.Left(again)
		for _, id := range aside {
			a.w.tally["links put aside"]++
			if page.Snapshot {
				a.looks.Add(cdc.Look{End: cdc.FromEnd, ID: id}, a.w.now.Time())
			}
		}
		if done {
			return nil
		}
		a.heardIs(before, p)
		readings, err := a.readLinks(ids)
		if err != nil {
			return err
		}
		p.Reread(readings)
	}
}

func (a *agent) readLinks(ids []hubspot.ID) ([]cdc.LinkReading, error) {
	r := cdc.NewLinkRead(ids)
	if err := a.drive(r); err != nil {
		return nil, err
	}
	for i := range r.Readings {
		if r.Readings[i].Calls > 1 {
			a.w.tally["sets of several calls"]++
		}
		if a.w.without.secondSet {
			r.Readings[i].Calls = 1
		}
	}
	return r.Readings, nil
}

// linkEvent is what a consumer of the pair's topic saw.
type linkEvent struct {
	op     cdc.Op
	reason cdc.Reason
	label  uint8
	again  bool // of a snapshot that an operator asked for
	seq    int64
	// swept: the end of the first sweep was committed before. due is the reason
	// that a delete must give, by what was published of the two records.
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
	e := linkEvent{op: c.Op, reason: c.Reason, again: c.Incremental, seq: c.Row.Seq, due: cdc.Removed, swept: place(w.cursors[associationsStream])[2] != 0}
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
	if e.again {
		name += " again"
	}
	w.tally[name]++
	w.tell("published: link %s %s", k, e)
}
