package cdc

import (
	"slices"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Parts asks one question of a protocol, in ever smaller parts where HubSpot does
// not answer it whole (R18). An id about which HubSpot does not answer even alone
// is stuck: it has no part in the answer.
//
// Whether the records are the reason, one other record decides: if HubSpot does not
// answer about that either, the question fails as a whole. Where no other record is
// known, the parts decide: one that HubSpot answers is proof enough.
type Parts struct {
	question Ask
	todo     []Ask // parts that are not answered yet; the next one is last
	step     partsStep
	probes   []hubspot.ID // known records to be asked about
	proven   bool         // HubSpot answered about a probe, or a part
	failures int
	answered int // parts
	answer   Answer
	suspects []hubspot.ID // HubSpot does not answer about them alone
	// each are the records of Ask.Each that HubSpot answered, and in how many parts.
	each  []hubspot.Record
	seen  map[hubspot.ID]int
	first error // why HubSpot did not answer the whole
	last  error // why HubSpot did not answer the latest part
	err   error // the question fails as a whole
}

type partsStep uint8

const (
	askWhole partsStep = iota
	chooseProbes
	askProbe
	askParts
)

const (
	// PartTries is how often a request may fail before its records are suspected
	// (R18). A part between the whole and a single id has only one try: if it
	// failed by chance, its halves are answered.
	PartTries = 3
	// unprovenFailures is how many parts may fail while HubSpot has answered none.
	unprovenFailures = 16
)

// NewParts begins with a question. Ids that are stuck already are left out of it.
// If nothing more may become stuck (full), a question that HubSpot does not answer
// fails as a whole.
func NewParts(q Ask, stuck func(hubspot.ID) bool, full bool) *Parts {
	p := &Parts{question: q}
	if !q.divisible() {
		p.todo = []Ask{q}
		return p
	}
	for _, id := range q.own() {
		if stuck(id) {
			p.answer.Stuck = append(p.answer.Stuck, id)
		}
	}
	if len(p.answer.Stuck) > 0 {
		q = q.without(stuck)
	}
	if len(q.own()) > 0 {
		p.todo = []Ask{q}
	}
	if full {
		p.failures = unprovenFailures
	}
	return p
}

// divisible reports whether the question is about ids, so that a part of it can be
// asked.
func (q *Ask) divisible() bool {
	return q.What == AskLive || q.What == AskArchived || q.What == AskLinks
}

// own are the ids that the question is about, without Each.
func (q *Ask) own() (ids []hubspot.ID) {
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

// without is the question without some of its own ids.
func (q Ask) without(drop func(hubspot.ID) bool) Ask {
	q.IDs = slices.DeleteFunc(slices.Clone(q.IDs), func(id hubspot.ID) bool { return drop(id) && !slices.Contains(q.Each, id) })
	q.Links = slices.DeleteFunc(slices.Clone(q.Links), func(in hubspot.LinkInput) bool { return drop(in.ID) })
	return q
}

// Next is the part to be asked now.
func (p *Parts) Next() (Ask, bool) {
	switch {
	case p.err != nil || len(p.todo) == 0:
		return Ask{}, false
	case p.step == chooseProbes:
		return Ask{What: AskControls, IDs: append(p.question.own(), p.question.Each...)}, true
	case p.step == askProbe:
		probe := Ask{What: p.question.What, Tries: 1}
		if probe.What == AskLinks {
			probe.Links = []hubspot.LinkInput{{ID: p.probes[0]}}
		} else {
			probe.IDs = p.probes[:1]
		}
		return probe, true
	}
	part := p.todo[len(p.todo)-1]
	if part.Tries = 1; p.step == askWhole || len(part.own()) == 1 {
		part.Tries = PartTries
	}
	return part, true
}

// Take takes the answer to a part.
func (p *Parts) Take(a Answer) {
	switch p.step {
	case chooseProbes:
		if p.probes, p.step = a.IDs, askProbe; len(a.IDs) == 0 {
			p.halve()
		}
	case askProbe:
		p.proven = true
		p.halve()
	default:
		p.todo = p.todo[:len(p.todo)-1]
		p.merge(a)
	}
}

// Fail says that HubSpot does not answer the part.
func (p *Parts) Fail(err error) {
	p.last = err
	switch {
	case p.step == askProbe:
		if p.probes = p.probes[1:]; len(p.probes) == 0 {
			p.err = p.first
		}
	case p.step == askWhole && (!p.question.divisible() || p.failures > 0):
		p.err = err
	case p.step == askWhole:
		p.first, p.step = err, chooseProbes
	default:
		p.halve()
	}
}

// halve replaces the part that failed by its halves. A single id with controls is
// asked without them, in case it is one of them that HubSpot does not answer.
func (p *Parts) halve() {
	p.step = askParts
	part := p.todo[len(p.todo)-1]
	p.todo = p.todo[:len(p.todo)-1]
	own := part.own()
	switch p.failures++; {
	case len(own) > 1:
		left := own[:len(own)/2]
		isLeft := func(id hubspot.ID) bool { return slices.Contains(left, id) }
		p.todo = append(p.todo, part.without(isLeft), part.without(func(id hubspot.ID) bool { return !isLeft(id) }))
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
	if p.step == askWhole {
		*all = a
		return
	}
	p.proven = true
	p.answered++
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

// Why is why HubSpot did not answer about those that are stuck.
func (p *Parts) Why() error { return p.last }
