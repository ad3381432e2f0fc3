package hubspottest

import (
	"cmp"
	"fmt"
	"slices"
)

// pair holds the associations from records of one type to records of another.
// Two types have a pair in each direction, and both pairs hold the same links. A
// type has one pair with itself.
type pair struct {
	from, to *objectType
	inverse  *pair             // the pair itself if from and to are the same type
	types    []*linkType       // the first is the unlabelled type
	links    map[uint64][]link // by id of from; includes those of archived records, which reads do not see
	history  []linkChange      // of visible links
}

// linkType is a type of association in one direction. Every link has the
// unlabelled type and any number of others besides.
type linkType struct {
	pair     *pair
	inverse  *linkType // in the other direction; the type itself if both are the same
	category string
	id       int
	label    string // "": null
	single   bool   // a record of from has at most one: its primary company
}

const (
	hubspotDefined = "HUBSPOT_DEFINED"
	userDefined    = "USER_DEFINED"
)

// standardLinks are the type ids of docs/hubspot.md section 4: there, back, and
// those of the primary association if the pair has one.
var standardLinks = []struct {
	from, to                  string
	there, back               int
	primaryThere, primaryBack int
}{
	{"contacts", "companies", 279, 280, 1, 2},
	{"contacts", "deals", 4, 3, 0, 0},
	{"deals", "companies", 341, 342, 5, 6},
	{"contacts", "tickets", 15, 16, 0, 0},
	{"tickets", "companies", 339, 340, 26, 25},
	{"deals", "tickets", 27, 28, 0, 0},
}

// unlinked are the types without any associations, so that some pairs do not
// exist.
var unlinked = map[string]bool{"products": true, "users": true, "goal_targets": true}

// firstLinkType is the number above which the portal makes up type ids.
const firstLinkType = 1000

// definePairs gives a new type its pairs with all types of the portal, including
// itself.
func (p *Portal) definePairs(t *objectType) {
	for _, other := range p.types {
		if !other.removed && !unlinked[t.name] && !unlinked[other.name] {
			p.definePair(other, t)
		}
	}
}

func (p *Portal) definePair(a, b *objectType) {
	there := &pair{from: a, to: b, links: make(map[uint64][]link)}
	there.inverse = there
	a.pairs = append(a.pairs, there)
	if a == b {
		p.defineLink(there, hubspotDefined, p.newLinkType(), 0, "", "")
		return
	}
	back := &pair{from: b, to: a, links: make(map[uint64][]link), inverse: there}
	there.inverse = back
	b.pairs = append(b.pairs, back)
	for _, s := range standardLinks {
		pr := there
		if s.from == b.name && s.to == a.name {
			pr = back
		} else if s.from != a.name || s.to != b.name {
			continue
		}
		p.defineLink(pr, hubspotDefined, s.there, s.back, "", "")
		if s.primaryThere != 0 {
			p.defineLink(pr, hubspotDefined, s.primaryThere, s.primaryBack, "Primary", "Primary").single = true
		}
		return
	}
	p.defineLink(there, hubspotDefined, p.newLinkType(), p.newLinkType(), "", "")
}

func (p *Portal) newLinkType() int {
	p.linkTypes++
	return firstLinkType + p.linkTypes
}

// defineLink defines a type of association. If back is 0, the type is its own
// inverse.
func (p *Portal) defineLink(pr *pair, category string, there, back int, label, inverse string) *linkType {
	lt := &linkType{pair: pr, category: category, id: there, label: label}
	lt.inverse = lt
	pr.types = append(pr.types, lt)
	if back != 0 {
		lt.inverse = &linkType{pair: pr.inverse, category: category, id: back, label: inverse, inverse: lt}
		pr.inverse.types = append(pr.inverse.types, lt.inverse)
	}
	return lt
}

// AddLabel defines a user's label for associations from one type to another, and
// its inverse from the other end ("Manager" and "Report"). Without an inverse
// both ends use the same label, and a type's label for itself then has a single
// type id. AddLabel returns the type ids of both directions; the category is
// USER_DEFINED.
func (p *Portal) AddLabel(from, to, label, inverse string) (typeID, inverseID int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	lt := p.addLabel(p.mustPair(from, to), label, inverse)
	return lt.id, lt.inverse.id
}

func (p *Portal) addLabel(pr *pair, label, inverse string) *linkType {
	if pr.inverse == pr && inverse == "" {
		return p.defineLink(pr, userDefined, p.newLinkType(), 0, label, "")
	}
	return p.defineLink(pr, userDefined, p.newLinkType(), p.newLinkType(), label, cmp.Or(inverse, label))
}

// RenameLabel changes the label of a USER_DEFINED type in one direction, and so
// the label of every link of that type.
func (p *Portal) RenameLabel(from, to string, typeID int, label string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rename(p.mustLinkType(from, to, userDefined, typeID), label)
}

func (p *Portal) rename(lt *linkType, label string) {
	if lt.label == label {
		return
	}
	lt.label = label
	lt.each(func(from, to uint64) {
		if lt.shows(from, to) {
			p.note(OpRelabel, lt, from, to, true)
		}
	})
}

// RemoveLabel removes a USER_DEFINED type in both directions, with its links.
// The unlabelled links stay.
func (p *Portal) RemoveLabel(from, to string, typeID int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	lt := p.mustLinkType(from, to, userDefined, typeID)
	lt.each(func(from, to uint64) { p.part(OpDissociate, lt, from, to) })
	for _, end := range []*linkType{lt, lt.inverse} {
		end.pair.types = slices.DeleteFunc(end.pair.types, func(other *linkType) bool { return other == end })
	}
}

// ForbidPair removes the pair of two types in both directions, with its links:
// from now on records of these types cannot be associated.
func (p *Portal) ForbidPair(from, to string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pr := p.mustPair(from, to)
	for _, lt := range pr.types {
		lt.each(func(from, to uint64) { p.part(OpDissociate, lt, from, to) })
	}
	pr.types, pr.inverse.types = nil, nil
}

// pair returns the pair of a type with another, or nil if records of these types
// cannot be associated.
func (t *objectType) pair(to *objectType) *pair {
	for _, pr := range t.pairs {
		if pr.to == to && len(pr.types) > 0 {
			return pr
		}
	}
	return nil
}

func (p *Portal) mustPair(from, to string) *pair {
	pr := p.must(from).pair(p.must(to))
	if pr == nil {
		panic(fmt.Sprintf("hubspottest: %s and %s cannot be associated", from, to))
	}
	return pr
}

func (p *Portal) mustLinkType(from, to, category string, typeID int) *linkType {
	pr := p.mustPair(from, to)
	if category == "" && typeID == 0 {
		return pr.types[0]
	}
	for _, lt := range pr.types {
		if lt.category == category && lt.id == typeID {
			return lt
		}
	}
	panic(fmt.Sprintf("hubspottest: associations from %s to %s have no type %s %d", from, to, category, typeID))
}
