package cdcmodel

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// The model's pair has the modelled type at both ends, so one lane is From and To.
// Ids above lastID are records at the to end that nobody publishes.
const (
	lastTo   = lastID + 2
	lastType = 2
)

// category is the category of all links.
const category = "HUBSPOT_DEFINED"

// linkID is a link's key.
type linkID struct {
	from, to hubspot.ID
	typeID   int
}

func (k linkID) index() int {
	return (int(k.from-1)*lastTo+int(k.to-1))*lastType + k.typeID - 1
}

func (k linkID) String() string { return fmt.Sprintf("%s->%s:%d", k.from, k.to, k.typeID) }

// everyLink has the keys by their index, in the order of hubspot.LinkSet.
var everyLink = func() (out [lastID * lastTo * lastType]linkID) {
	for i := range out {
		out[i] = linkID{
			from: hubspot.ID(i/lastType/lastTo + 1), to: hubspot.ID(i/lastType%lastTo + 1), typeID: i%lastType + 1,
		}
	}
	return out
}()

// linkState is what reads can see of a link for a while.
type linkState struct {
	there bool
	label uint8 // 0: none
}

func (s linkState) String() string {
	switch {
	case !s.there:
		return "not there"
	case s.label == 0:
		return "there"
	}
	return fmt.Sprintf("there with label %d", s.label)
}

// labelText is a label as HubSpot writes it.
func labelText(label uint8) string {
	if label == 0 {
		return ""
	}
	return strconv.Itoa(int(label))
}

// tie is one link's life.
type tie struct {
	made    bool // by a user; the link shows only between live records
	label   uint8
	history []linkState
	told    bool // the journal promises to tell the last change
}

func (t *tie) state() linkState { return t.history[len(t.history)-1] }

// linkStore is HubSpot's store of links: current, read in small pages.
type linkStore struct {
	linked bool // the world has links
	ties   [len(everyLink)]tie
	shown  int // links on a page
	// short are the records whose next answer lacks a link, shortened those that had
	// such an answer: one each, because a delete has two witnesses (R19).
	short, shortened idSet
	whole            bool // no answer lacks any
	// unsureSets are the records whose links HubSpot did not answer properly, or of
	// which a crash made the connector forget a second set.
	unsureSets idSet
}

func (s *linkStore) reset() {
	s.short, s.shortened, s.unsureSets = 0, 0, 0
	if s.linked {
		for i := range s.ties {
			s.ties[i] = tie{history: append(s.ties[i].history[:0], linkState{})}
		}
	}
}

// relink makes links come and go with the records at their ends: an archived record
// hides its links until it is restored.
func (p *portal) relink() {
	if !p.linked {
		return
	}
	for i, k := range everyLink {
		t := &p.ties[i]
		s := linkState{}
		if t.made && p.records[k.from].kind == live && (k.to > lastID || p.records[k.to].kind == live) {
			s = linkState{true, t.label}
		}
		if s != t.state() {
			t.history, t.told = append(t.history, s), false
			p.tell("HubSpot: link %s is %s", k, s)
		}
	}
}

// moveLinks gives the links of a merged record, at both ends, to the record that
// survives. A link that is there already stays as it is.
func (p *portal) moveLinks(loser, into hubspot.ID) {
	if !p.linked {
		return
	}
	for i, k := range everyLink {
		t := &p.ties[i]
		if !t.made || k.from != loser && k.to != loser {
			continue
		}
		t.made = false
		if k.from == loser {
			k.from = into
		}
		if k.to == loser {
			k.to = into
		}
		if moved := &p.ties[k.index()]; k.from != k.to && !moved.made {
			moved.made, moved.label = true, t.label
		}
	}
}

// firstLinks are those that a world may begin with.
var firstLinks = [...]linkID{{1, 5, 1}, {1, 6, 1}, {1, 2, 1}, {2, 1, 1}, {2, 5, 1}, {1, 5, 2}}

// makeFirst makes some of firstLinks.
func (p *portal) makeFirst(which int) {
	for i, k := range firstLinks {
		p.ties[k.index()].made = which>>i&1 == 1
	}
	p.relink()
}

// Few records have most of the links, so that some sets have several pages.
var (
	linkedFroms = [...]hubspot.ID{1, 1, 1, 2, 2, 3, 4, 1}
	linkedTypes = [...]int{1, 1, 1, 2}
)

// actLink makes, removes or labels a link between existing records.
func (p *portal) actLink() {
	k := linkID{from: linkedFroms[p.choices.of(len(linkedFroms))], to: hubspot.ID(1 + p.choices.of(lastTo))}
	k.typeID = linkedTypes[p.choices.of(len(linkedTypes))]
	labelled := p.choices.of(2) == 1
	if k.from == k.to {
		k.to = lastTo
	}
	t := &p.ties[k.index()]
	before := t.made
	switch {
	case p.records[k.from].kind != live || k.to <= lastID && p.records[k.to].kind != live:
		return
	case !t.made:
		t.made, t.label = true, 0
		if labelled {
			t.label = p.freshLabel()
		}
	case labelled:
		t.label = p.freshLabel()
	default:
		t.made = false
	}
	p.relink()
	switch {
	case labelled && t.label != 0 && before: // no event
	case t.made:
		p.tellsLink(k, didTie)
	default:
		p.tellsLink(k, didUntie)
	}
}

// freshLabel returns a label that no link had before.
func (p *portal) freshLabel() uint8 {
	p.labels++
	return p.labels
}

// doubtSets notes that HubSpot does not answer a record's links properly.
func (p *portal) doubtSets(id hubspot.ID) {
	if p.journaled {
		p.unsureSets |= 1 << id
	}
}

// stayed reports whether a record was never gone.
func (p *portal) stayed(id hubspot.ID) bool {
	return !slices.ContainsFunc(p.records[id].history, func(s state) bool { return s.kind != live })
}

// readLinks answers a batch read of associations: a page of each record's links.
// after counts links, so a link that comes or goes shifts the border between two
// pages.
func (p *portal) readLinks(inputs []hubspot.LinkInput) (page hubspot.LinksPage) {
	const (
		fine = iota
		unseen
		silent
		looping
		lacking
		faults
	)
	fault := fine
	if p.faulty && p.choices.of(4) == 1 {
		fault = p.choices.of(faults)
	}
	for _, in := range inputs {
		switch r := &p.records[in.ID]; r.kind {
		case live:
			// A call that does not see a record counts as evidence of its delete if
			// that was published (R8). The model spares records that were restored.
			always := p.stayed(in.ID)
			switch {
			case fault == unseen && always:
				page.NotFound = append(page.NotFound, in.ID)
				p.doubtSets(in.ID)
				continue
			case fault == silent && always:
				p.doubtSets(in.ID)
				page.Unanswered = append(page.Unanswered, in.ID)
				continue
			}
			if fault == lacking && !p.shortened.has(in.ID) {
				p.short |= 1 << in.ID
			}
			lacks := p.short.has(in.ID) && !p.whole
			if lacks {
				p.doubtSets(in.ID)
				p.short, p.shortened = p.short&^(1<<in.ID), p.shortened|1<<in.ID
			}
			skip, _ := strconv.Atoi(in.After)
			set := hubspot.LinkSet{From: in.ID}
			at := 0
			for i := (linkID{in.ID, 1, 1}).index(); i < (linkID{in.ID, lastTo, lastType}).index()+1; i++ {
				s := p.ties[i].state()
				if !s.there {
					continue
				}
				if lacks {
					p.tell("HubSpot: this answer lacks link %s", everyLink[i])
					lacks = false
					continue
				}
				if at++; at <= skip {
					continue
				}
				if len(set.Links) == p.shown {
					if set.After = strconv.Itoa(skip + p.shown); fault == looping && skip > 0 {
						set.After = in.After
					}
					break
				}
				set.Links = append(set.Links, hubspot.Link{
					To: everyLink[i].to, Category: category, TypeID: everyLink[i].typeID, Label: labelText(s.label),
				})
			}
			if len(set.Links) == 0 {
				page.Empty = append(page.Empty, in.ID)
			} else {
				page.Sets = append(page.Sets, set)
			}
		case merged: // answered under the survivor's id
			page.Unanswered = append(page.Unanswered, in.ID)
		default:
			switch p.choices.of(3) {
			case 0:
				page.NotFound = append(page.NotFound, in.ID)
			case 1:
				page.Empty = append(page.Empty, in.ID)
			default:
				page.Unanswered = append(page.Unanswered, in.ID)
			}
		}
	}
	if p.said != nil {
		p.tell("HubSpot: links of %v: sets %v, none %v, not found %v, neither %v", inputs, page.Sets, page.Empty, page.NotFound, page.Unanswered)
	}
	return page
}
