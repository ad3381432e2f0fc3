package cdc

import (
	"slices"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Parts asks one question of a protocol, in ever smaller parts where HubSpot does
// not answer it whole (R18). An id about which HubSpot does not answer even alone
// is stuck: it has no part in the answer.
//
// Whether the records are the reason, another record decides (a probe): if HubSpot
// does not answer about that either, the question fails as a whole. Where no other
// record is known, the parts decide: one that HubSpot answers is proof enough.
type Parts struct {
	question Ask
	full     bool  // nothing more may become stuck
	todo     []Ask // parts that are not answered yet; the next one is last
	step     partsStep
	probes   []hubspot.ID // known records; from the first answer on, the one that was answered
	proven   bool         // HubSpot answered about a probe, or a part
	hasty    bool         // some suspects had only one try
	closed   bool         // the probe was answered once more at the end
	doubted  bool         // HubSpot failed to answer about a probe too
	failures int
	answered int // parts
	largest  int // of them
	answer   Answer
	suspects []hubspot.ID // HubSpot does not answer about them alone
	// each are the records of Ask.Each that HubSpot answered, and in how many parts.
	each  []hubspot.Record
	seen  map[hubspot.ID]int
	first error // why HubSpot did not answer at first
	last  error // and lately
	err   error // the question fails as a whole
}

type partsStep uint8

const (
	askParts partsStep = iota
	chooseProbes
	askProbe
)

const (
	// PartTries is how often a request may fail before its records are suspected
	// (R18). A part between the whole and a single id has only one try: if it
	// failed by chance, its halves are answered.
	PartTries = 3
	// carefully is how many suspects a question may have of which each had all
	// tries. After that they have one, and the probe is asked once more at the end,
	// in case it is HubSpot that failed meanwhile.
	carefully = 3
	// unprovenFailures is how many parts may fail while HubSpot has answered none.
	unprovenFailures = 16
)

// NewParts begins with a question, in parts of at most so many ids. Ids that are
// stuck already are left out of it. If nothing more may become stuck (full), a
// question that HubSpot does not answer fails as a whole.
func NewParts(q Ask, most int, stuck func(hubspot.ID) bool, full bool) *Parts {
	p := &Parts{question: q, full: full}
	if !q.divisible() {
		p.todo = []Ask{q}
		return p
	}
	q = q.once()
	for _, id := range q.Own() {
		if stuck(id) {
			p.answer.Stuck = append(p.answer.Stuck, id)
		}
	}
	if len(p.answer.Stuck) > 0 {
		q = q.without(stuck)
	}
	switch own := q.Own(); {
	case len(own) == 0:
	case len(own) <= most:
		p.todo = []Ask{q}
	default:
		for chunk := range slices.Chunk(own, most) {
			p.todo = append(p.todo, q.only(chunk))
		}
	}
	return p
}

// divisible reports whether the question is about ids, so that a part of it can be
// asked.
func (q *Ask) divisible() bool {
	return q.What == AskLive || q.What == AskArchived || q.What == AskLinks
}

// once is the question with each id once: the halves of one id that stands there twice
// would be as large as the whole.
func (q Ask) once() Ask {
	seen := make(map[hubspot.ID]bool, len(q.IDs)+len(q.Links))
	again := func(id hubspot.ID) bool {
		before := seen[id]
		seen[id] = true
		return before
	}
	q.IDs = slices.DeleteFunc(slices.Clone(q.IDs), again)
	q.Links = slices.DeleteFunc(slices.Clone(q.Links), func(in hubspot.LinkInput) bool { return again(in.ID) })
	return q
}

// Own are the ids that the question is about, without Each.
func (q *Ask) Own() (ids []hubspot.ID) {
	for _, in := range q.Links {
		ids = append(ids, in.ID)
	}
	for _, id := range q.IDs {
		if !slices.Contains(q.Each, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// without is the question without some of its own ids, only is it about some.
func (q Ask) without(drop func(hubspot.ID) bool) Ask {
	q.IDs = slices.DeleteFunc(slices.Clone(q.IDs), func(id hubspot.ID) bool { return drop(id) && !slices.Contains(q.Each, id) })
	q.Links = slices.DeleteFunc(slices.Clone(q.Links), func(in hubspot.LinkInput) bool { return drop(in.ID) })
	return q
}

func (q *Ask) only(ids []hubspot.ID) Ask {
	keep := make(map[hubspot.ID]bool, len(ids))
	for _, id := range ids {
		keep[id] = true
	}
	return q.without(func(id hubspot.ID) bool { return !keep[id] })
}

// Next is the part to be asked now.
func (p *Parts) Next() (Ask, bool) {
	switch {
	case p.err != nil:
		return Ask{}, false
	case p.step == chooseProbes:
		return Ask{What: AskControls, IDs: append(p.question.Own(), p.question.Each...)}, true
	case p.step == askProbe:
		return p.probe(), true
	case len(p.todo) > 0:
		part := p.todo[len(p.todo)-1]
		part.Tries = p.tries(&part)
		part.Quick = part.Tries == 1 && len(part.Own()) > 1
		return part, true
	case p.hasty && !p.closed:
		p.step = askProbe
		return p.probe(), true
	}
	return Ask{}, false
}

func (p *Parts) probe() Ask {
	probe := Ask{What: p.question.What, Tries: 1}
	if probe.What == AskLinks {
		probe.Links = []hubspot.LinkInput{{ID: p.probes[0]}}
	} else {
		probe.IDs = p.probes[:1]
	}
	return probe
}

func (p *Parts) tries(part *Ask) int {
	switch single := len(part.Own()) == 1; {
	case p.first == nil, single && (len(p.suspects) < carefully || len(p.probes) == 0):
		return PartTries
	case single:
		p.hasty = true
	}
	return 1
}

// Take takes the answer to a part.
func (p *Parts) Take(a Answer) {
	switch p.step {
	case chooseProbes:
		if p.probes, p.step = a.IDs, askProbe; len(a.IDs) == 0 {
			p.halve()
		}
	case askProbe:
		p.probes, p.proven, p.step = p.probes[:1], true, askParts
		if p.closed = len(p.todo) == 0; !p.closed {
			p.halve()
		}
	default:
		part := p.todo[len(p.todo)-1]
		p.todo = p.todo[:len(p.todo)-1]
		p.largest = max(p.largest, len(part.Own()))
		p.merge(a)
	}
}

// Fail says that HubSpot does not answer the part.
func (p *Parts) Fail(err error) {
	switch {
	case p.step == askProbe:
		p.doubted = true
		if p.probes = p.probes[1:]; len(p.probes) == 0 {
			if p.err = p.first; p.proven { // it answered before
				p.err = err
			}
		}
		return
	case !p.question.divisible() || p.full:
		p.err = err
	case p.first == nil && !p.proven:
		p.first, p.step = err, chooseProbes
	default:
		if p.first == nil {
			p.first = err
		}
		p.halve()
	}
	p.last = err
}

// halve replaces the part that failed by its halves. A single id with controls is
// asked without them, in case it is one of them that HubSpot does not answer.
func (p *Parts) halve() {
	p.step = askParts
	part := p.todo[len(p.todo)-1]
	p.todo = p.todo[:len(p.todo)-1]
	own := part.Own()
	switch p.failures++; {
	case len(own) > 1:
		p.todo = append(p.todo, part.only(own[len(own)/2:]), part.only(own[:len(own)/2]))
	case len(part.Each) > 0:
		part.IDs, part.Each = own, nil
		p.todo = append(p.todo, part)
	default:
		p.suspects = append(p.suspects, own...)
	}
	if !p.proven && p.failures > unprovenFailures {
		p.err = p.first
	}
}

// merge adds the answer to a part. What all parts say together is as old as the
// oldest of them.
func (p *Parts) merge(a Answer) {
	all := &p.answer
	a.Stuck = all.Stuck
	p.proven = true
	if p.answered++; p.answered == 1 && len(p.todo) == 0 && p.first == nil {
		*all = a // the whole
		return
	}
	if p.seen == nil {
		p.seen = map[hubspot.ID]int{}
	}
	each := func(id hubspot.ID) bool { return slices.Contains(p.question.Each, id) }
	a.Batch.Records = slices.DeleteFunc(a.Batch.Records, func(r hubspot.Record) bool {
		if !each(r.ID) {
			return false
		}
		if p.seen[r.ID]++; p.seen[r.ID] == 1 {
			p.each = append(p.each, r)
		}
		return true
	})
	a.Batch.Missing = slices.DeleteFunc(a.Batch.Missing, each)
	a.Batch.Unanswered = slices.DeleteFunc(a.Batch.Unanswered, each)
	a.Batch.Unread = slices.DeleteFunc(a.Batch.Unread, each)
	if p.answered == 1 {
		*all = a
		return
	}
	all.Stamp, all.LinkStamp, all.At = min(all.Stamp, a.Stamp), min(all.LinkStamp, a.LinkStamp), min(all.At, a.At)
	b := &all.Batch
	b.Date = max(b.Date, a.Batch.Date)
	b.Records = append(b.Records, a.Batch.Records...)
	b.Missing = append(b.Missing, a.Batch.Missing...)
	b.Unanswered = append(b.Unanswered, a.Batch.Unanswered...)
	b.Unread = append(b.Unread, a.Batch.Unread...)
	b.Foreign = append(b.Foreign, a.Batch.Foreign...)
	l := &all.Links
	l.Date = max(l.Date, a.Links.Date)
	l.Sets = append(l.Sets, a.Links.Sets...)
	l.Empty = append(l.Empty, a.Links.Empty...)
	l.NotFound = append(l.NotFound, a.Links.NotFound...)
	l.Unanswered = append(l.Unanswered, a.Links.Unanswered...)
	l.Unread = append(l.Unread, a.Links.Unread...)
}

// Answer is the answer to the whole question, or why there is none. It has a record
// of Each only if HubSpot answered it in every part: a part that lacks it may have
// left out others too (R7).
func (p *Parts) Answer() (Answer, error) {
	if p.err == nil && len(p.suspects) > 0 && !p.proven {
		p.err = p.first
	}
	if p.err != nil {
		return Answer{}, p.err
	}
	for _, r := range p.each {
		if p.seen[r.ID] == p.answered {
			p.answer.Batch.Records = append(p.answer.Batch.Records, r)
		}
	}
	p.answer.Stuck = append(p.answer.Stuck, p.suspects...)
	return p.answer, nil
}

// Size is how many ids a part may have, if HubSpot answered about each of them and
// only not about so many at once. Where it failed a known record too, it may have
// failed the larger parts by chance.
func (p *Parts) Size() (size int, heavy bool) {
	return p.largest, p.first != nil && p.err == nil && len(p.suspects) == 0 && !p.doubted
}

// Whole reports whether HubSpot answered all that it was asked, at once.
func (p *Parts) Whole() bool { return p.first == nil && p.err == nil }

// Doubted reports whether HubSpot failed to answer about a known record too, so that
// what is stuck may be so by chance.
func (p *Parts) Doubted() bool { return p.doubted }

// Why is why HubSpot did not answer about those that are stuck.
func (p *Parts) Why() error { return p.last }
