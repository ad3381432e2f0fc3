package cdcmodel

import (
	"fmt"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// tieChange is what a user does to a link.
type tieChange uint8

const (
	makeTie tieChange = iota
	labelTie
	untie
)

// planLink plans a change of a link, if the records at its ends exist then.
func planLink(k linkID, what tieChange) planned {
	names := [...]string{makeTie: "tie", labelTie: "label", untie: "untie"}
	return planned{fmt.Sprintf("%s %s", names[what], k), func(w *world) {
		t := &w.ties[k.index()]
		switch {
		case w.records[k.from].kind != live || k.to <= lastID && w.records[k.to].kind != live:
		case what == labelTie && t.made:
			t.label = w.freshLabel()
		case what != labelTie:
			t.made, t.label = what == makeTie, 0
		}
		w.relink()
	}}
}

// shorten makes the next answer about a record's links lack one.
func shorten(id hubspot.ID) planned {
	return planned{"shorten " + id.String(), func(w *world) {
		w.short |= 1 << id
	}}
}

// linkScenarios are small worlds with links: those of a record that has two, read
// in two calls, and one between the two records.
func linkScenarios(large bool) (out []scenario) {
	a, b, between := linkID{1, lastTo - 1, 1}, linkID{1, lastTo, 1}, linkID{1, 2, 1}
	worlds := []scenario{
		{links: []linkID{a}, changes: [2][]planned{{planLink(a, labelTie)}, {plan(1, mergeKept, false)}}},
		{links: []linkID{a}, changes: [2][]planned{{planLink(a, labelTie), planLink(a, untie)}}},
		{links: []linkID{a}, changes: [2][]planned{{planLink(a, untie), planLink(a, makeTie)}, {plan(1, update, false)}}},
		{links: []linkID{a, b}, changes: [2][]planned{{planLink(a, untie), planLink(a, makeTie)}}},
		{links: []linkID{a, b}, changes: [2][]planned{{planLink(a, untie)}, {planLink(b, untie)}}},
		{links: []linkID{a}, changes: [2][]planned{{plan(1, archive, false), plan(1, update, false)}}},
		{links: []linkID{between}, changes: [2][]planned{{planLink(between, labelTie)}, {plan(2, archive, false)}}},
		{links: []linkID{between}, changes: [2][]planned{{plan(2, purge, false)}}},
		{links: []linkID{a}, changes: [2][]planned{{shorten(1)}, {planLink(a, labelTie)}}},
		{links: []linkID{a, b}, changes: [2][]planned{{shorten(1), planLink(b, untie)}}},
	}
	out = append(out, scenario{
		finders: [2]string{associationsStream, changedStream}, page: 2, faulty: true,
		links: []linkID{a}, changes: [2][]planned{{planLink(a, labelTie)}},
	})
	for _, finders := range [][2]string{
		{associationsStream, changedStream},
		{associationsStream, leadingStream},
		{changedStream, leadingStream},
		{associationsStream, relookStream},
		{associationsStream, archiveStream},
	} {
		for i, s := range worlds {
			s.finders, s.page = finders, 2
			out = append(out, s)
			s.crash = true
			if large || i%5 == 0 && finders[1] != leadingStream {
				out = append(out, s)
			}
			if large {
				s.crash, s.page, s.tick = false, 1, true
				out = append(out, s)
			}
		}
	}
	return out
}
