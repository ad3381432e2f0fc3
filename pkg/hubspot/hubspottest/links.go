package hubspottest

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// link is an association as one of its ends sees it. The other end has its own
// link, with the inverse type.
type link struct {
	to  uint64
	typ *linkType
}

func linkOrder(a, b link) int {
	return cmp.Or(cmp.Compare(a.to, b.to), strings.Compare(a.typ.category, b.typ.category), cmp.Compare(a.typ.id, b.typ.id))
}

// Associate links two records by a type of association, without moving either's
// updatedAt. Category "" with typeID 0 stands for the unlabelled type. As in
// HubSpot, a link of any type is also one of the unlabelled type, and a record
// has one primary company: a new one replaces the old one. Associate returns
// false if nothing changed or one of them is not a live record.
func (p *Portal) Associate(from string, fromID uint64, to string, toID uint64, category string, typeID int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.associate(p.mustLinkType(from, to, category, typeID), fromID, toID)
}

func (p *Portal) associate(lt *linkType, from, to uint64) bool {
	if !lt.shows(from, to) || lt.pair.from == lt.pair.to && from == to {
		return false
	}
	unlabelled := p.join(OpAssociate, lt.pair.types[0], from, to)
	if !lt.has(from, to) {
		if other, ok := lt.taken(from, to); ok {
			p.part(OpDissociate, lt, other.from, other.to)
		}
	}
	return p.join(OpAssociate, lt, from, to) || unlabelled
}

// Dissociate removes one type of a link, or the whole link if the type is the
// unlabelled one. It returns false if there is no such link between live
// records.
func (p *Portal) Dissociate(from string, fromID uint64, to string, toID uint64, category string, typeID int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dissociate(p.mustLinkType(from, to, category, typeID), fromID, toID)
}

func (p *Portal) dissociate(lt *linkType, from, to uint64) bool {
	if !lt.shows(from, to) || !lt.has(from, to) {
		return false
	}
	if lt != lt.pair.types[0] {
		p.part(OpDissociate, lt, from, to)
		return true
	}
	for _, l := range slices.Clone(lt.pair.links[from]) {
		if l.to == to {
			p.part(OpDissociate, l.typ, from, to)
		}
	}
	return true
}

// join makes a link unless it exists. Only join and part change links, and they
// change both ends.
func (p *Portal) join(op Op, lt *linkType, from, to uint64) bool {
	if lt.has(from, to) {
		return false
	}
	lt.pair.insert(from, link{to, lt})
	lt.inverse.pair.insert(to, link{from, lt.inverse})
	if lt.shows(from, to) {
		p.noteBoth(op, lt, from, to, true)
	}
	return true
}

func (p *Portal) part(op Op, lt *linkType, from, to uint64) {
	if lt.shows(from, to) {
		p.noteBoth(op, lt, from, to, false)
	}
	lt.pair.remove(from, link{to, lt})
	lt.inverse.pair.remove(to, link{from, lt.inverse})
}

func (pr *pair) insert(from uint64, l link) {
	i, _ := slices.BinarySearchFunc(pr.links[from], l, linkOrder)
	pr.links[from] = slices.Insert(pr.links[from], i, l)
}

func (pr *pair) remove(from uint64, l link) {
	i, ok := slices.BinarySearchFunc(pr.links[from], l, linkOrder)
	switch {
	case ok && len(pr.links[from]) == 1:
		delete(pr.links, from)
	case ok:
		pr.links[from] = slices.Delete(pr.links[from], i, i+1)
	}
}

func (lt *linkType) has(from, to uint64) bool {
	_, ok := slices.BinarySearchFunc(lt.pair.links[from], link{to, lt}, linkOrder)
	return ok
}

// shows reports whether reads can see a link: both records must be live.
func (lt *linkType) shows(from, to uint64) bool {
	return lt.pair.from.shows(from) && lt.pair.to.shows(to)
}

func (t *objectType) shows(id uint64) bool { return !t.removed && t.liveState(id) != nil }

// ends are the two records of a link.
type ends struct{ from, to uint64 }

// taken returns the link that prevents another of this type: the one to the
// record's primary company.
func (lt *linkType) taken(from, to uint64) (ends, bool) {
	if lt.single {
		for _, l := range lt.pair.links[from] {
			if l.typ == lt {
				return ends{from, l.to}, true
			}
		}
	}
	if lt.inverse != lt && lt.inverse.single {
		other, ok := lt.inverse.taken(to, from)
		return ends{other.to, other.from}, ok
	}
	return ends{}, false
}

// each calls f for all links of the type, in order of id. f may remove the link.
func (lt *linkType) each(f func(from, to uint64)) {
	for _, from := range slices.Sorted(maps.Keys(lt.pair.links)) {
		for _, l := range slices.Clone(lt.pair.links[from]) {
			if l.typ == lt && lt.has(from, l.to) {
				f(from, l.to)
			}
		}
	}
}

// follow notes that a record's links appear or disappear with the record: reads
// do not see those of an archived record, and see those of a restored one again.
func (p *Portal) follow(op Op, t *objectType, id uint64, live bool) {
	for _, pr := range t.pairs {
		for _, l := range pr.links[id] {
			if pr.to.shows(l.to) {
				p.noteBoth(op, l.typ, id, l.to, live)
			}
		}
	}
}

// unlink drops the links of a record that is gone.
func (t *objectType) unlink(id uint64) {
	for _, pr := range t.pairs {
		for _, l := range pr.links[id] {
			pr.inverse.remove(l.to, link{id, l.typ.inverse})
		}
		delete(pr.links, id)
	}
}

// linksOf returns a record's links of all pairs.
func (t *objectType) linksOf(id uint64) []link {
	var all []link
	for _, pr := range t.pairs {
		all = append(all, pr.links[id]...)
	}
	return all
}

// inherit gives the survivor of a merge the losers' links: each link once, none
// to a loser or to itself, and only the first primary company.
func (p *Portal) inherit(t *objectType, survivor uint64, links []link) {
	for _, l := range links {
		if l.typ.pair.to == t && (l.to == survivor || t.aliases[l.to] != 0) {
			continue
		}
		if _, taken := l.typ.taken(survivor, l.to); !taken {
			p.join(OpMerge, l.typ, survivor, l.to)
		}
	}
}

// Link is a link as it was at some time, seen from one of its ends.
type Link struct {
	From, To uint64
	Category string
	TypeID   int
	Label    string // "": null
}

// LinkChange is one step of a link's life, as reads could see it.
type LinkChange struct {
	At   int64 // milliseconds on the portal's clock
	Op   Op    // what users did to the link, or to the record at one of its ends
	Link Link
	Live bool // the link exists after the change
}

type linkChange struct {
	at       int64
	op       Op
	typ      *linkType
	from, to uint64
	label    string
	live     bool
}

// note adds a visible change of a link to the history of one direction.
func (p *Portal) note(op Op, lt *linkType, from, to uint64, live bool) {
	if !p.opt.NoHistory {
		lt.pair.history = append(lt.pair.history, linkChange{p.now(), op, lt, from, to, lt.label, live})
	}
}

func (p *Portal) noteBoth(op Op, lt *linkType, from, to uint64, live bool) {
	p.note(op, lt, from, to, live)
	p.note(op, lt.inverse, to, from, live)
	p.tellLink(op, lt, from, to, live)
	if lt.inverse != lt || from != to {
		p.tellLink(op, lt.inverse, to, from, live)
	}
}

func (lt *linkType) public(from, to uint64, label string) Link {
	return Link{From: from, To: to, Category: lt.category, TypeID: lt.id, Label: label}
}

// Links returns the links from live records of one type to live records of
// another, sorted by from, to, category and type id: the truth that a consumer
// should end up with.
func (p *Portal) Links(from, to string) []Link {
	p.mu.Lock()
	defer p.mu.Unlock()
	pr := p.knownPair(from, to)
	if pr == nil {
		return nil
	}
	var all []Link
	for _, id := range pr.from.live {
		for _, l := range pr.visible(id) {
			all = append(all, l.typ.public(id, l.to, l.typ.label))
		}
	}
	return all
}

// visible returns the links of a record that reads can see.
func (pr *pair) visible(id uint64) []link {
	if !pr.from.shows(id) {
		return nil
	}
	var seen []link
	for _, l := range pr.links[id] {
		if pr.to.shows(l.to) {
			seen = append(seen, l)
		}
	}
	return seen
}

// LinkHistory returns every change of the links from one type to another, in
// the order in which they happened.
func (p *Portal) LinkHistory(from, to string) []LinkChange {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, b := p.known(from).name, p.known(to).name
	var changes []LinkChange
	for _, t := range p.types {
		for _, pr := range t.pairs {
			if t.name != a || pr.to.name != b {
				continue
			}
			for _, c := range pr.history {
				changes = append(changes, LinkChange{At: c.at, Op: c.op, Link: c.typ.public(c.from, c.to, c.label), Live: c.live})
			}
		}
	}
	slices.SortStableFunc(changes, func(a, b LinkChange) int { return cmp.Compare(a.At, b.At) })
	return changes
}

// knownPair finds a pair, even one that has been removed.
func (p *Portal) knownPair(from, to string) *pair {
	a, b := p.known(from), p.known(to)
	for _, pr := range a.pairs {
		if pr.to == b {
			return pr
		}
	}
	return nil
}
