package cdcmodel

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// process is one life of the connector: from a start to a crash.
type process struct {
	w          *world
	recordLane *cdc.Lane
	clock      hubspot.Millis // the latest Date that was received
	clockAt    hubspot.Millis // when it was received
	recheck    cdc.Rechecks
	stuck      idSet // records that HubSpot did not answer
	retried    idSet // those of them that are being asked about again
	agents     []*agent

	leading, trailing   tier
	backfill, reconcile sweep
	snapshot            sweep // the one that an operator asked for
	bin                 bin
	pair                // if the world has links
	feed                // if it has a journal
	// waited are the records that ever waited for a second confirm, or for a second
	// set of links.
	waited, waitedSets idSet
}

// now is a time that HubSpot's clock has passed.
func (p *process) now() hubspot.Millis { return p.clock + p.w.now - p.clockAt }

func (a *agent) now() hubspot.Millis {
	at := a.process.now()
	a.hear(at)
	return at
}

// agent is a finder at work: it stops at every moment at which others may take a
// step.
type agent struct {
	*process
	name string
	memory
	// lane and links are the process's lanes, seen through the memory.
	lane   heardLane
	links  heardLinks
	yield  func(moment) bool
	next   func() (moment, bool)
	stop   func()
	at     moment
	sent   cdc.Sent
	unsent bool // what was sent did not arrive
	passes int  // how many are over
	err    error
}

// moment is what an agent waits for.
type moment struct {
	what  what
	until hubspot.Millis // of a sleep
}

type what uint8

const (
	toBegin what = iota
	toSend
	toServe
	toReceive
	toWake
	toPass // between two passes
)

var errStopped = errors.New("the process was killed")

func (a *agent) pause(m what) error {
	if !a.yield(moment{what: m}) {
		return errStopped
	}
	return nil
}

func (a *agent) sleep(d time.Duration) error {
	if d > 0 && !a.yield(moment{toWake, a.w.now.Add(d)}) {
		return errStopped
	}
	return nil
}

// resend sends again what was not served yet.
func (w *world) resend(a *agent) {
	a.unsent = true
	w.step(a)
	w.step(a)
}

// sentNow reports that sending again makes no difference.
func (a *agent) sentNow() bool {
	return a.sent.Stamp == a.recordLane.Now() && a.sent.At == a.process.now() &&
		(a.linkLane == nil || a.sent.LinkStamp == a.linkLane.Now())
}

// ask makes one request: sent, served and received are three steps.
func ask[answer any](a *agent, serve func() answer) (sent cdc.Sent, out answer, date hubspot.Millis, err error) {
	before := a.memory
	for {
		if err := a.pause(toSend); err != nil {
			return sent, out, 0, err
		}
		sent = cdc.Sent{Stamp: a.lane.Now(), At: a.now(), Slots: slots}
		if a.links.lane != nil {
			sent.LinkStamp = a.links.Now()
		}
		a.sent = sent
		if err := a.pause(toServe); err != nil {
			return sent, out, 0, err
		}
		if !a.unsent {
			break
		}
		a.memory, a.unsent = before, false // it was never sent
	}
	out, date = serve(), a.w.date()
	a.hear(out, date)
	if err := a.pause(toReceive); err != nil {
		return sent, out, 0, err
	}
	if date >= a.process.now() {
		a.clock, a.clockAt = date, a.w.now
	}
	if a.w.without.readingOrder {
		sent.Stamp = a.lane.Now()
	}
	if a.w.without.linkOrder && a.links.lane != nil {
		sent.LinkStamp = a.links.Now()
	}
	if a.w.without.settled {
		sent.At = a.w.now.Add(time.Hour)
		a.hear(sent.At)
	}
	return sent, out, date, nil
}

// read reads ids and makes the readings fit to be published.
func (a *agent) read(ids []hubspot.ID) ([]cdc.Reading, error) {
	before, l := a.memory, cdc.NewLookUp(ids)
	if err := a.drive(l); err != nil {
		return nil, err
	}
	a.heardIs(before, l.Missing)
	return a.complete(l.Readings, l.Missing)
}

func (a *agent) complete(readings []cdc.Reading, missing []hubspot.ID, copies ...hubspot.Record) ([]cdc.Reading, error) {
	c := cdc.NewComplete(readings, missing, copies)
	a.hear(c)
	err := a.drive(c)
	return c.Readings, err
}

// drive takes a protocol's questions to the portal and to the lane. The protocol
// holds all that it was told, so the memory keeps nothing else.
func (a *agent) drive(p cdc.Protocol) error {
	before := a.memory
	for q, more := p.Next(); more; q, more = p.Next() {
		if !a.w.everyWay { // in exhaustive search time passes only where the scenario has it
			if err := a.sleep(q.Wait); err != nil {
				return err
			}
		}
		_, lookUp := p.(*cdc.LookUp)
		answer, err := a.inParts(q, !lookUp)
		if err != nil {
			return err
		}
		p.Take(answer)
		a.heardIs(before, p)
	}
	a.w.tally["unresolved"] += len(p.Unresolved())
	unanswered := slices.Concat(p.Stuck(), p.Unresolved()) // somebody asks again about both (R8, R18)
	if _, links := p.(*cdc.LinkRead); links {
		for _, id := range unanswered {
			a.w.doubtSets(id)
		}
		return nil // the next sweep asks again
	}
	return a.settle(unanswered)
}

// inParts asks a question, in parts if HubSpot fails it (R18).
func (a *agent) inParts(q cdc.Ask, confirm bool) (cdc.Answer, error) {
	stuck := func(id hubspot.ID) bool { return id <= lastID && (a.stuck&^a.retried)&(1<<id) != 0 }
	parts := cdc.NewParts(q, hubspot.MaxLinks, stuck, false)
	for part, more := parts.Next(); more; part, more = parts.Next() {
		if a.w.fails(&part) {
			parts.Fail(errFails)
			continue
		}
		answer, err := a.answer(part, confirm)
		if err != nil {
			return answer, err
		}
		parts.Take(answer)
	}
	answer, err := parts.Answer()
	if err != nil { // HubSpot answers nobody: a later question may fare better
		answer.Stuck = append(q.IDs, linkIDs(q.Links)...)
	}
	return answer, nil
}

func linkIDs(in []hubspot.LinkInput) (ids []hubspot.ID) {
	for _, l := range in {
		ids = append(ids, l.ID)
	}
	return ids
}

var errFails = errors.New("HubSpot fails the request")

// answer answers a question, or answers it as if a rule were missing.
func (a *agent) answer(q cdc.Ask, confirm bool) (out cdc.Answer, err error) {
	w, ctx := a.w, context.Background()
	switch q.What {
	case cdc.AskLiveAmong:
		out.IDs, err = a.lane.LiveAmong(ctx, q.IDs)
	case cdc.AskGoneBefore:
		out.IDs, err = a.lane.GoneBefore(ctx, q.IDs)
	case cdc.AskControls:
		if !w.without.controls && !w.without.confirm {
			out.IDs, err = a.lane.Controls(ctx, q.IDs)
		}
	case cdc.AskDeletedBefore:
		if out.IDs = q.IDs; !w.without.deletedBefore {
			out.IDs, err = a.lane.DeletedBefore(ctx, q.IDs, q.Stamp)
		}
	case cdc.AskLinks:
		out.Sent, out.Links, out.Links.Date, err = ask(a, func() hubspot.LinksPage { return w.readLinks(q.Links) })
	case cdc.AskList:
		if w.without.controls || w.without.confirm {
			return out, nil
		}
		out.Sent, out.List, out.List.Date, err = ask(a, func() hubspot.ListPage { return w.list(0, lastID) })
	case cdc.AskBin:
		if !w.without.copies {
			out.Sent, out.List, out.List.Date, err = ask(a, w.losersInCopies)
		}
	case cdc.AskLive, cdc.AskArchived:
		inBin := q.What == cdc.AskArchived
		switch {
		case confirm && w.without.confirm:
			out.Sent = cdc.Sent{Stamp: a.lane.Now(), At: a.now(), Slots: slots}
			out.Batch.Missing, out.Batch.Date = q.IDs, w.date()
			return out, nil
		case inBin && w.without.bin:
			return out, nil
		}
		out.Sent, out.Batch, out.Batch.Date, err = ask(a, func() hubspot.BatchPage { return w.batchRead(q.IDs, inBin) })
		if w.without.neither {
			out.Batch.Missing = append(out.Batch.Missing, out.Batch.Unanswered...)
			out.Batch.Unanswered = nil
		}
	}
	return out, err
}

// publish commits a page. rest hears what the caller still needs once the page is
// committed; nil if that is more than it can hear again.
func (a *agent) publish(page cdc.Page, rest func()) error {
	if a.w.without.cursorLast {
		if _, err := a.lane.Publish(context.Background(), cdc.Page{Stream: page.Stream, Cursors: page.Cursors, Sync: true}); err != nil {
			return err
		}
		if err := a.pause(toSend); err != nil {
			return err
		}
		page.Cursors = nil
	}
	p := cdc.NewPublication(page)
	for {
		a.w.published++
		left, err := a.lane.Publish(context.Background(), p.Page)
		if err != nil {
			return err
		}
		if named := a.w.without.namedOnce && page.Stream == journalStream; (named || a.w.without.second) && len(left.Later) > 0 {
			for i := range p.Page.Readings {
				r := &p.Page.Readings[i]
				r.Date, r.SentAt = r.Date.Add(patience), r.SentAt.Add(patience)
				r.Doubtful = r.Doubtful && !named
			}
			if left, err = a.lane.Publish(context.Background(), p.Page); err != nil {
				return err
			}
		}
		a.watch(left.Committed)
		a.recheck.Add(a.w.now.Time(), page.Stream, left.Later)
		for _, l := range left.Later {
			a.waited |= 1 << l.ID
			a.w.tell("%s: record %s must be confirmed again", a.name, l.ID)
			a.w.tally["confirmed again"]++
		}
		for _, again := range left.Again {
			a.w.tell("%s: record %s must be read again: %s", a.name, again.ID, again.Cause)
			a.w.tally["read again: "+again.Cause.String()]++
		}
		ids, wait := p.Left(left.Again)
		if len(ids) == 0 {
			return nil
		}
		if rest != nil {
			a.forget()
			rest()
			a.hear(p)
		}
		if err := a.sleep(wait); err != nil {
			return err
		}
		readings, err := a.read(ids)
		if err != nil {
			return err
		}
		p.Reread(readings)
	}
}
