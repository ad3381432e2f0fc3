package cdcmodel

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// process is one life of the connector: from a start to a crash.
type process struct {
	w          *world
	recordLane *cdc.Lane
	clock      hubspot.Millis // the latest Date that was received
	clockAt    hubspot.Millis // when
	recheck    map[hubspot.ID]due
	agents     []*agent

	leading, trailing   tier
	backfill, reconcile sweep
	bin                 bin
	pair                // where the world has links
}

// due mirrors stream.dueID.
type due struct {
	at     hubspot.Millis
	stream string
}

// now mirrors hubspot.Client.Now: a time that HubSpot's clock has passed.
func (p *process) now() hubspot.Millis { return p.clock + p.w.now - p.clockAt }

func (a *agent) now() hubspot.Millis {
	at := a.process.now()
	a.hear(at)
	return at
}

// agent is a finder on its way: it stops at every moment at which others may
// take a step.
type agent struct {
	*process
	name string
	memory
	// lane and links are the process's, seen through the memory.
	lane   heardLane
	links  heardLinks
	yield  func(moment) bool
	next   func() (moment, bool)
	stop   func()
	at     moment
	sent   sending
	unsent bool // what was sent did not arrive
	passes int  // that are over
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

// sleep mirrors stream.sleep.
func (a *agent) sleep(d time.Duration) error {
	if d > 0 && !a.yield(moment{toWake, a.w.now.Add(d)}) {
		return errStopped
	}
	return nil
}

// sending is what a request has of the moment when it was sent.
type sending struct {
	stamp, links uint64
	at           hubspot.Millis
}

// resend sends once more what was not served yet.
func (w *world) resend(a *agent) {
	a.unsent = true
	w.step(a)
	w.step(a)
}

// sentNow says that sending once more makes no difference.
func (a *agent) sentNow() bool {
	return a.sent.stamp == a.recordLane.Now() && a.sent.at == a.process.now() &&
		(a.linkLane == nil || a.sent.links == a.linkLane.Now())
}

// lookup mirrors stream.lookup.
type lookup struct {
	stamp    uint64
	links    uint64 // the stamp of a reading of links
	sentAt   hubspot.Millis
	date     hubspot.Millis
	readings []cdc.Reading
	missing  []hubspot.ID
	doubtful bool // a control id was not answered live
}

// ask makes one request: sent, served and received are three steps.
func ask[answer any](a *agent, l *lookup, serve func() answer) (out answer, err error) {
	before := a.memory
	for {
		if err := a.pause(toSend); err != nil {
			return out, err
		}
		l.stamp, l.sentAt = a.lane.Now(), a.now()
		if a.links.lane != nil {
			l.links = a.links.Now()
		}
		a.sent = sending{l.stamp, l.links, l.sentAt}
		if err := a.pause(toServe); err != nil {
			return out, err
		}
		if !a.unsent {
			break
		}
		a.memory, a.unsent = before, false // it was never sent
	}
	out, l.date = serve(), a.w.date()
	a.hear(out, l.date)
	if err := a.pause(toReceive); err != nil {
		return out, err
	}
	if l.date >= a.process.now() {
		a.clock, a.clockAt = l.date, a.w.now
	}
	if a.w.without.readingOrder {
		l.stamp = a.lane.Now()
	}
	if a.w.without.settled {
		l.sentAt = a.w.now.Add(time.Hour)
		a.hear(l.sentAt)
	}
	return out, nil
}

// read mirrors stream.Object.read.
func (a *agent) read(ids []hubspot.ID) ([]cdc.Reading, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	l, err := a.lookUp(ids)
	if err != nil {
		return nil, err
	}
	gone, err := a.lane.LiveAmong(context.Background(), l.missing)
	if err != nil {
		return nil, err
	}
	confirmed, err := a.confirm(gone)
	if err != nil {
		return nil, err
	}
	return a.withLosers(append(l.readings, confirmed...))
}

// lookUp mirrors stream.Object.lookUp.
func (a *agent) lookUp(ids []hubspot.ID) (lookup, error) {
	l, unanswered, err := a.lookUpOnce(ids)
	if err != nil {
		return l, err
	}
	for _, id := range unanswered {
		alone, err := a.lookUpAlone(id)
		if err != nil {
			return l, err
		}
		l.readings = append(l.readings, alone.readings...)
		l.missing = append(l.missing, alone.missing...)
	}
	return l, nil
}

// lookUpOnce mirrors stream.Object.lookUpOnce.
func (a *agent) lookUpOnce(ids []hubspot.ID) (l lookup, unanswered []hubspot.ID, err error) {
	page, err := ask(a, &l, func() hubspot.BatchPage { return a.w.batchRead(ids, false) })
	if err != nil {
		return l, nil, err
	}
	for i := range page.Records {
		l.readings = append(l.readings, reading(&l, cdc.IsLive, &page.Records[i], l.date))
	}
	l.missing = page.Missing
	if len(ids) == 1 && len(page.Foreign) == 1 && len(page.Unanswered) == 1 {
		r := reading(&l, cdc.IsMerged, nil, l.date)
		r.ID, r.Into = ids[0], page.Foreign[0].ID
		l.readings = append(l.readings, r)
		return l, nil, nil
	}
	return l, page.Unanswered, nil
}

// lookUpAlone mirrors stream.Object.lookUpAlone, with fewer tries.
func (a *agent) lookUpAlone(id hubspot.ID) (lookup, error) {
	for range 2 {
		l, unanswered, err := a.lookUpOnce([]hubspot.ID{id})
		if err != nil || len(unanswered) == 0 {
			return l, err
		}
	}
	a.w.records[id].hidden = true // R8: no reading, the next finder asks again
	return lookup{}, nil
}

// reading mirrors stream.Object.reading.
func reading(l *lookup, outcome cdc.Outcome, r *hubspot.Record, date hubspot.Millis) cdc.Reading {
	out := cdc.Reading{Outcome: outcome, Record: r, Slots: slots, Stamp: l.stamp, SentAt: l.sentAt, Date: date}
	if r != nil {
		out.ID = r.ID
	}
	return out
}

// confirm mirrors stream.Object.confirm and confirmChunk (R7).
func (a *agent) confirm(ids []hubspot.ID) ([]cdc.Reading, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	if a.w.without.confirm {
		l := lookup{stamp: a.lane.Now(), sentAt: a.now(), date: a.w.date()}
		a.hear(l.date)
		return goneReadings(nil, &l, l.date, ids), nil
	}
	first, out, missing, err := a.confirmLive(ids)
	if err != nil || len(missing) == 0 {
		return out, err
	}
	inBin, err := a.confirmArchived(&first, missing)
	if err != nil {
		return nil, err
	}
	out = append(out, inBin...)
	for _, r := range inBin {
		missing = slices.DeleteFunc(missing, func(id hubspot.ID) bool { return id == r.ID })
	}
	if len(missing) == 0 {
		return out, nil
	}
	last, answered, missing, err := a.confirmLive(missing)
	if err != nil {
		return nil, err
	}
	first.doubtful = first.doubtful || last.doubtful
	return append(out, goneReadings(answered, &first, last.date, missing)...), nil
}

func goneReadings(out []cdc.Reading, first *lookup, date hubspot.Millis, ids []hubspot.ID) []cdc.Reading {
	for _, id := range ids {
		r := reading(first, cdc.IsGone, nil, date)
		r.ID, r.Doubtful = id, first.doubtful
		out = append(out, r)
	}
	return out
}

// confirmLive mirrors stream.Object.confirmLive.
func (a *agent) confirmLive(ids []hubspot.ID) (l lookup, answered []cdc.Reading, missing []hubspot.ID, err error) {
	var controls []hubspot.ID
	if !a.w.without.controls {
		if controls, err = a.lane.Controls(context.Background(), ids); err != nil {
			return l, nil, nil, err
		}
	}
	before := len(a.heard)
	if l, err = a.lookUp(slices.Concat(ids, controls)); err != nil {
		return l, nil, nil, err
	}
	live := 0
	for _, r := range l.readings {
		switch {
		case !slices.Contains(controls, r.ID):
			answered = append(answered, r)
		case r.Outcome == cdc.IsLive:
			live++
		}
	}
	credible := live > 0 || a.w.without.controls
	l.doubtful = live < len(controls)
	for _, id := range l.missing {
		if !slices.Contains(controls, id) {
			missing = append(missing, id)
		}
	}
	// What the controls said is not needed any more.
	a.heard = a.heard[:before]
	a.hear(l.sentAt, l.date, missing, credible, l.doubtful)
	a.hearReadings(answered)
	if len(missing) > 0 && !credible {
		missing, err = a.listLacks(missing)
	}
	return l, answered, missing, err
}

// listLacks mirrors stream.Object.listLacks; HubSpot's page of it holds more
// than all records of the model.
func (a *agent) listLacks(ids []hubspot.ID) ([]hubspot.ID, error) {
	var l lookup
	return ask(a, &l, func() (out []hubspot.ID) {
		for _, id := range ids {
			if a.w.records[id].kind != live {
				out = append(out, id)
			}
		}
		return out
	})
}

// confirmArchived mirrors stream.Object.confirmArchived.
func (a *agent) confirmArchived(first *lookup, ids []hubspot.ID) (out []cdc.Reading, err error) {
	var l lookup
	page, err := ask(a, &l, func() hubspot.BatchPage { return a.w.batchRead(ids, true) })
	if err != nil {
		return nil, err
	}
	for i := range page.Records {
		out = append(out, reading(first, cdc.IsArchived, &page.Records[i], l.date))
	}
	return out, nil
}

// withLosers mirrors stream.Object.withLosers (R7).
func (a *agent) withLosers(readings []cdc.Reading) ([]cdc.Reading, error) {
	var named []hubspot.ID
	for i := range readings {
		if readings[i].Outcome != cdc.IsLive || readings[i].Record.Values[1] == nil {
			continue
		}
		for text := range strings.SplitSeq(string(readings[i].Record.Values[1]), ";") {
			id, err := hubspot.ParseID(text)
			if err == nil && !slices.ContainsFunc(readings, func(r cdc.Reading) bool { return r.ID == id }) {
				named = append(named, id)
			}
		}
	}
	if len(named) == 0 {
		return readings, nil
	}
	losers, err := a.lane.LiveAmong(context.Background(), named)
	if err != nil || len(losers) == 0 {
		return readings, err
	}
	slices.Sort(losers)
	confirmed, err := a.confirm(slices.Compact(losers))
	return append(confirmed, readings...), err
}

// publish mirrors stream.Object.publish. rest hears what the caller still needs
// when the page is published; nil if that is more than can be heard anew.
func (a *agent) publish(page cdc.Page, rest func()) error {
	var second idSet
	if a.w.without.cursorLast {
		if _, err := a.lane.Publish(context.Background(), cdc.Page{Stream: page.Stream, Cursors: page.Cursors, Sync: true}); err != nil {
			return err
		}
		if err := a.pause(toSend); err != nil {
			return err
		}
		page.Cursors = nil
	}
	for {
		a.w.published++
		left, err := a.lane.Publish(context.Background(), page)
		if err != nil {
			return err
		}
		if a.w.without.second && len(left.Later) > 0 {
			for i := range page.Readings {
				page.Readings[i].Date = page.Readings[i].Date.Add(patience)
				page.Readings[i].SentAt = page.Readings[i].SentAt.Add(patience)
			}
			if left, err = a.lane.Publish(context.Background(), page); err != nil {
				return err
			}
		}
		a.watch(left.Committed)
		for _, l := range left.Later {
			a.w.tell("%s: record %s is to be confirmed once more", a.name, l.ID)
			a.w.tally["confirmed once more"]++
			if _, waits := a.recheck[l.ID]; !waits {
				a.recheck[l.ID] = due{a.w.now.Add(l.After + dateStep), page.Stream}
			}
		}
		if len(left.Again) == 0 {
			return nil
		}
		if rest != nil { // what was read so far is of no more use
			a.forget()
			rest()
			a.hear(page.Stream, page.Cursors, page.Sync, second, left.Again)
		}
		var wait time.Duration
		ids := make([]hubspot.ID, len(left.Again))
		for i, again := range left.Again {
			a.w.tell("%s: record %s is to be read again: %s", a.name, again.ID, again.Cause)
			a.w.tally["read again: "+again.Cause.String()]++
			ids[i] = again.ID
			if again.Cause == cdc.Older {
				second |= 1 << again.ID
				wait = cdc.OlderWait
			}
		}
		if err := a.sleep(wait); err != nil {
			return err
		}
		if page.Readings, err = a.read(ids); err != nil {
			return err
		}
		for i := range page.Readings {
			page.Readings[i].Second = second.has(page.Readings[i].ID)
		}
	}
}

// dateStep mirrors stream.dateStep.
const dateStep = time.Second
