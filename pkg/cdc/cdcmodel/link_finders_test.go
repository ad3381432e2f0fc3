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
// finders share.
type pair struct {
	linkLane *cdc.LinkLane
	begun    bool // the first sweep has begun
	looks    *cdc.Looks
	relook   cdc.Rechecks // sets that need a second witness
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
	p.pair = pair{looks: cdc.NewLooks(lookAfter[:]...), relook: cdc.Rechecks{}}
	p.pair.sweep = cdc.LinkPlace{ID: hubspot.ID(v[0]), Started: hubspot.Millis(v[1]), Completed: hubspot.Millis(v[2])}
	p.signal = hubspot.ID(place(w.cursors[signalsStream])[0])
	p.begun = v[1] != 0
	p.linkLane = cdc.NewLinkLane(cdc.LinkLaneConfig{
		Pair: cdc.Pair{From: "contacts", To: "contacts"}, Table: table, From: p.recordLane, To: p.recordLane,
		Swept: v[2] != 0, Committer: w, Patience: cdc.Patience{Second: w.linkPatience(), Witnessed: min(witnessed, w.linkPatience()), Repeat: linkRepeat},
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

// linkRepeat is how long the brake holds links (R19).
const linkRepeat = time.Hour

// linkPatience is the time between the two sets that lack a link (R19). Exhaustive
// search lets no time pass: there it is enough that the second was sent after the
// first was decided.
func (w *world) linkPatience() time.Duration {
	if w.everyWay {
		return 0
	}
	return patience
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
func (a *agent) endLinks(facts []hubspot.ID) error {
	for _, id := range facts {
		r := cdc.LinkReading{From: id, Stamp: a.links.Now(), SentAt: a.now(), Date: a.w.date(), Calls: 1}
		page := cdc.LinkPage{Stream: associationsStream, Readings: []cdc.LinkReading{r}}
		if err := a.publishLinks(page, a.memory); err != nil {
			return err
		}
	}
	return nil
}

const (
	associationsStream = "associations"
	changedStream      = "associations-changed"
	signalsStream      = "signals"
	relookStream       = "associations-recheck"
)

// sweepLinks reads the links of every record (R14).
func (a *agent) sweepLinks() error {
	if !a.backfill.done {
		return nil
	}
	s := &a.pair.sweep
	answers := 0 // which request of the journal's finder (R16)
	if !s.UnderWay() {
		*s, answers = s.Begin(a.now()), a.feed.sweep
		if err := a.links.Fence(context.Background()); err != nil {
			return err
		}
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
		*s = next
		a.feed.sweep, answers = answered(a.feed.sweep, answers), 0
		if ended {
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
func (a *agent) lookAtChanged() (err error) {
	if a.w.without.exchange {
		facts := slices.Clone(a.facts)
		defer func() { err = cmp.Or(err, a.endLinks(facts)) }()
		a.facts = a.facts[:0]
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

// lookAgain reads the sets again that lacked links, and their controls (R19).
func (a *agent) lookAgain() error {
	stream, ids, _ := a.relook.Take(a.w.now.Time())
	a.hear(stream, ids)
	if len(ids) == 0 {
		return nil
	}
	a.w.tell("%s: looks again at %v", a.name, ids)
	controls, err := a.links.Controls(context.Background(), ids)
	if err != nil {
		return err
	}
	before := a.memory
	readings, err := a.readLinks(slices.Concat(ids, controls))
	if err != nil {
		return err
	}
	return a.publishLinks(cdc.LinkPage{Stream: stream, Readings: readings, Controlled: true}, before)
}

// publishLinks commits a page of links. before is what was heard before they were
// read.
func (a *agent) publishLinks(page cdc.LinkPage, before memory) error {
	p := cdc.NewLinkPublication(page)
	for {
		now := a.links.Now()
		overtaken := slices.ContainsFunc(p.Page.Readings, func(r cdc.LinkReading) bool { return r.Stamp != now })
		left, err := a.links.Publish(context.Background(), p.Page)
		if err != nil {
			return err
		}
		// A reading that others have overtaken is no second one: R1 holds without R19 too.
		if named := a.w.without.namedOnce && page.Stream == journalStream; (named || a.w.without.witness) && len(left.Later) > 0 && !overtaken {
			p.Page.Controlled = true
			for i := range p.Page.Readings {
				r := &p.Page.Readings[i]
				r.Stamp, r.Date, r.SentAt = a.links.Now(), r.Date.Add(patience), r.SentAt.Add(patience)
			}
			if left, err = a.links.Publish(context.Background(), p.Page); err != nil {
				return err
			}
		}
		a.relook.Add(a.w.now.Time(), page.Stream, left.Later)
		for _, l := range left.Later {
			a.waitedSets |= 1 << l.ID
			a.w.tell("%s: the links of %s need a second witness", a.name, l.ID)
			a.w.tally["links looked at again"]++
		}
		for _, l := range left.Again {
			a.w.tell("%s: the links of %s must be read again: %s", a.name, l.From, l.Cause)
			a.w.tally["links read again: "+l.Cause.String()]++
		}
		ids, aside, done := p.Left(left.Again)
		for _, id := range aside {
			a.w.tally["links put aside"]++
			a.w.doubtSets(id)
			if page.Snapshot {
				a.looks.Add(cdc.Look{End: cdc.FromEnd, ID: id}, a.w.now.Time())
			}
		}
		if done {
			return nil
		}
		a.heardIs(before, p)
		if p.Page.Controlled {
			controls, err := a.links.Controls(context.Background(), ids)
			if err != nil {
				return err
			}
			ids = slices.Concat(ids, controls)
		}
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
