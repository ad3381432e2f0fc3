package cdcmodel

import (
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// journal is HubSpot's webhooks journal: files of events, kept for a while. What
// happens before the subscription, calculated values and labels are in no file.
type journal struct {
	journaled  bool // the world has one
	subscribed bool
	// loses: some events never come. lies: some name what is there as gone.
	loses, lies bool
	files       []journalFile // those that are kept; the first has the offset first+1
	first       int
	pending     []pendingEvent
	earlier     []journalEvent // those that were told, for HubSpot to tell again
	gap         bool           // the connector learnt that it misses files
}

// journalFile is published at a time. An odd one cannot be understood.
type journalFile struct {
	events    []journalEvent
	published hubspot.Millis
	odd       bool
}

type pendingEvent struct {
	due   hubspot.Millis
	event journalEvent
}

// journalEvent names a record, or a link by its ends.
type journalEvent struct {
	action action
	at     hubspot.Millis
	id     hubspot.ID
	losers idSet // of a merge
	to     hubspot.ID
	shows  state // the record's, then
}

type action uint8

const (
	didUpdate action = iota // or create
	didRestore
	didDelete
	didPurge
	didMerge
	didTie
	didUntie
)

func (a action) String() string {
	return [...]string{"UPDATE", "RESTORE", "DELETE", "GDPR_DELETE", "MERGE", "ASSOCIATION_ADDED", "ASSOCIATION_REMOVED"}[a]
}

// journalLags are how long an event takes to its file, and retention how long that
// is kept.
var journalLags = [...]time.Duration{0, 0, time.Second, 3 * time.Second, 20 * time.Second}

const retention = time.Minute

func (j *journal) reset() {
	*j = journal{files: j.files[:0], pending: j.pending[:0], earlier: j.earlier[:0]}
}

// journalTells queues an event, and reports whether the journal promises to tell it.
func (p *portal) journalTells(e journalEvent) bool {
	if !p.journaled {
		return false
	}
	e.at = p.now
	lag := journalLags[p.choices.of(len(journalLags))]
	if p.loses && p.choices.of(4) == 1 {
		p.tell("HubSpot: the journal loses %s of %s", e.action, e.id)
		return false
	}
	if p.subscribed {
		p.pending = append(p.pending, pendingEvent{p.now.Add(lag), e})
		p.tell("HubSpot: the journal will tell %s of %s after %s", e.action, e.id, lag)
	}
	return true
}

// tellsRecord queues an event of a record, and of the losers that were merged into it.
func (p *portal) tellsRecord(what action, id hubspot.ID, losers idSet) {
	told := p.journalTells(journalEvent{action: what, id: id, losers: losers, shows: p.records[id].state})
	for _, one := range append(losers.ids(), id) {
		p.records[one].told = told
	}
}

// tellsLink queues an event of a link.
func (p *portal) tellsLink(k linkID, what action) {
	p.ties[k.index()].told = p.journalTells(journalEvent{action: what, id: k.from, to: k.to})
}

// cut publishes what is due, as one file.
func (p *portal) cut() {
	var f journalFile
	for _, e := range p.pending {
		if e.due <= p.now {
			f.events = append(f.events, e.event)
		}
	}
	p.pending = slices.DeleteFunc(p.pending, func(e pendingEvent) bool { return e.due <= p.now })
	if len(f.events) == 0 {
		return
	}
	p.earlier = append(p.earlier, f.events...)
	if how := p.disorderly(); how == 1 {
		slices.Reverse(f.events)
	} else {
		f.odd = how == 2 && p.faulty
	}
	f.published = p.now
	p.files = append(p.files, f)
}

// disorderly is what is wrong with a file: 1, its order; 2, its text.
func (p *portal) disorderly() int {
	if p.choices.all != nil {
		return 0
	}
	return p.choices.of(8)
}

// tellAgain makes the journal tell something once more that it told before.
func (p *portal) tellAgain() {
	if n := len(p.earlier); n > 0 {
		e := p.earlier[p.choices.of(n)]
		p.pending = append(p.pending, pendingEvent{p.now, e})
		p.tell("HubSpot: the journal tells %s of %s once more", e.action, e.id)
	}
}

// lie makes the journal tell that something is gone, whether it is or not.
func (p *portal) lie() {
	e := journalEvent{action: didPurge, id: hubspot.ID(1 + p.choices.of(lastID))}
	if p.linked && p.choices.of(2) == 1 {
		e = journalEvent{action: didUntie, id: linkedFroms[p.choices.of(len(linkedFroms))], to: hubspot.ID(1 + p.choices.of(lastTo))}
	}
	e.at = p.now
	p.pending = append(p.pending, pendingEvent{p.now, e})
	p.tell("HubSpot: the journal tells %s of %s and %s, right or wrong", e.action, e.id, e.to)
}

// expire lets so much time pass that HubSpot keeps no file that it has now.
func (p *portal) expire() {
	p.cut()
	p.now = p.now.Add(retention)
	p.first, p.files = p.first+len(p.files), p.files[:0]
	p.tell("HubSpot: the journal's files are gone")
}

// journalAnswer is an answer of the journal's: a file, nothing newer, or that the
// place is lost.
type journalAnswer struct {
	file   journalFile
	offset int // 0: there is no file
	lost   bool
}

// latest answers the newest file.
func (p *portal) latest() journalAnswer {
	p.cut()
	if n := len(p.files); n > 0 {
		return journalAnswer{file: p.files[n-1], offset: p.first + n}
	}
	return journalAnswer{}
}

// next answers the file after an offset; after 0, the earliest one.
func (p *portal) next(offset int) journalAnswer {
	p.cut()
	switch at := offset - p.first; {
	case offset == 0 && len(p.files) > 0:
		return journalAnswer{file: p.files[0], offset: p.first + 1}
	case offset > 0 && at <= 0:
		return journalAnswer{lost: true}
	case offset > 0 && at < len(p.files):
		return journalAnswer{file: p.files[at], offset: offset + 1}
	}
	return journalAnswer{}
}
