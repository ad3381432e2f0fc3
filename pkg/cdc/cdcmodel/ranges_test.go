package cdcmodel

import (
	"encoding/binary"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// divides reports whether a sweep reads the list in several ranges. A history of
// exhaustive search has only two records.
func (s *sweep) divides(a *agent) bool {
	if a.w.everyWay || s.stream == snapshot || s.gaps.Unordered {
		return false
	}
	return len(s.left) > 0 || a.w.choices.of(2) == 1
}

// ranges reads what is left, by the chains that the connector has. Pages of two of
// them are read before either is published, then they are published in any order, or
// together.
func (s *sweep) ranges(a *agent) error {
	w := a.w
	if len(s.left) == 0 {
		s.left = []cdc.Chain{{Last: s.after}}
	}
	chains := cdc.NewChains(s.left...)
	var held []*cdc.Chain
	divide := func(c *cdc.Chain) {
		if w.choices.of(2) == 1 {
			at := c.Last + hubspot.ID(w.choices.of(3))
			if upper := chains.Divide(c, at, cdc.Unknown, cdc.Unknown); upper != nil {
				w.tally["ranges divided"]++
				w.tell("%s: divides its range at %s", a.name, at)
				held = append(held, upper)
			}
		}
	}
	for !chains.Done() {
		for c := chains.Claim(); c != nil; c = chains.Claim() {
			held = append(held, c)
		}
		divide(held[0])
		n := min(len(held), 1+w.choices.of(2))
		var pages []sweepPage
		var moves []cdc.ChainPage
		for _, c := range held[:n] {
			_, rest, _ := chains.Next(c)
			if w.without.border && c.In.After != 0 && !c.Begun {
				rest.After++
			}
			page, err := s.fetch(a, rest)
			if err != nil {
				return err
			}
			if s.gaps.Unordered { // a range shows nothing then: the list is read as one
				s.left, s.after = nil, 0
				return s.pass(a)
			}
			move := cdc.ChainPage{Chain: c, Last: page.last, IDs: len(page.readings)}
			if page.more {
				move.Place = page.last.String()
			}
			chains.Read(move)
			pages, moves = append(pages, page), append(moves, move)
		}
		divide(held[0])
		if n == 2 && w.choices.of(2) == 1 {
			pages[0], pages[1], moves[0], moves[1] = pages[1], pages[0], moves[1], moves[0]
		}
		for len(pages) > 0 {
			some := 1 + w.choices.of(len(pages))
			if err := s.publishRanges(a, chains, pages[:some], moves[:some], moves); err != nil {
				return err
			}
			if pages, moves = pages[some:], moves[some:]; len(pages) > 0 {
				if err := a.pause(toSend); err != nil {
					return err
				}
			}
		}
		var open []*cdc.Chain
		for _, c := range held {
			if !chains.Ended(cdc.ChainPage{Chain: c}) {
				open = append(open, c)
			}
		}
		held = open
	}
	return nil
}

// publishRanges publishes pages of ranges. all are the pages that are read.
func (s *sweep) publishRanges(a *agent, chains *cdc.Chains, pages []sweepPage, moves, all []cdc.ChainPage) error {
	next := *s
	if next.left = chains.After(moves); a.w.without.together {
		next.left = chains.After(all)
	}
	p := cdc.Page{Stream: s.stream}
	for _, page := range pages {
		p.Readings = append(p.Readings, page.readings...)
		next.after = page.last
	}
	next.done = len(next.left) == 0
	p.Sync, p.Cursors = next.done, []cdc.Cursor{{Stream: s.stream, Value: next.cursor()}}
	err := a.publish(p, nil)
	if err == nil {
		s.moved(a, next)
		chains.Move(moves)
	}
	return err
}

// spellChains writes chains behind the places of a sweep's cursor.
func spellChains(left []cdc.Chain) (out []byte) {
	for _, c := range left {
		for _, v := range []hubspot.ID{c.In.After, c.In.UpTo, c.Last} {
			out = binary.AppendVarint(out, int64(v))
		}
	}
	return out
}

func readChains(cursor []byte) (left []cdc.Chain) {
	var v []hubspot.ID
	for len(cursor) > 0 {
		n, size := binary.Varint(cursor)
		v, cursor = append(v, hubspot.ID(n)), cursor[size:]
	}
	for v = v[2:]; len(v) > 0; v = v[3:] {
		left = append(left, cdc.Chain{In: cdc.Range{After: v[0], UpTo: v[1]}, Last: v[2]})
	}
	return left
}
