package cdc

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// linkAbsences are the links that a complete set of their record lacked and that are
// still published as live: they need another witness (R19). They are not stored:
// after a restart the next sweep finds them missing again.
type linkAbsences struct {
	sets    map[hubspot.ID]lackingSet
	waiting int // links in sets
	held    int // those of them that are held
	gone    []goneLinks
	named   witnesses
	shown   shownLinks
}

// lackingSet is what a record's sets have lacked since a reading.
type lackingSet struct {
	links []uint64       // digests, sorted
	at    hubspot.Millis // Date of that reading
	// decided is the lane's counter after that reading: one that was sent before saw
	// the same moment, and is no second witness.
	decided uint64
	held    hubspot.Millis // when the brake began to hold them; 0: it does not
}

// goneLinks counts the deletes of one publish that no delete of a record explains.
type goneLinks struct {
	at hubspot.Millis
	n  int
}

// fewLinks is how many links may vanish, from several records, before it counts that
// no set of the answer is whole.
const fewLinks = 3

// doubt is what becomes of the sets of a page that lack something.
type doubt struct {
	sets  map[hubspot.ID]lackingSet // their new state; without links: forget them
	later []Later
	gone  goneLinks
	at    hubspot.Millis // Date of its latest reading
}

// hold takes the deletes out of a decision for which there is only one witness, or
// too many at once. A delete that follows from a record's own delete waits for
// nothing. Any other link must be missing from two complete sets, the second sent
// Patience.Second after the first came, or Patience.Witnessed where HubSpot's journal
// named every such link of the record. Where more links than the brake allows go
// within Patience.Repeat, those of sets that came back empty are held until a set that
// was sent after Patience.Repeat lacks them too. What the journal named does not count:
// its event is the second witness.
//
// A page decides only if one of its sets is whole, or if it was read with controls
// (controlled) and there is nothing left that could be whole. Where a control lacks
// links too, or several records lack more than a few, they are held as well.
func (a *linkAbsences) hold(d *linkDecision, controlled bool, live int, p *Patience) doubt {
	out := doubt{sets: map[hubspot.ID]lackingSet{}}
	waiting, records, fresh, latest := a.waiting, len(a.sets), 0, hubspot.Millis(0)
	lacks := make([][]uint64, len(d.sets))
	for i := range d.sets {
		s := &d.sets[i]
		if s.lacks {
			continue
		}
		lacks[i] = s.unexplained()
		latest = max(latest, s.reading.Date)
		before, known := a.sets[s.reading.From]
		waiting += len(lacks[i]) - len(before.links)
		if known && len(lacks[i]) == 0 {
			records--
		} else if !known && len(lacks[i]) > 0 {
			records++
			fresh++
		}
	}
	out.at = latest
	recent := waiting + a.within(latest.Add(-p.Repeat))
	for i := range d.sets {
		s := &d.sets[i]
		if len(lacks[i]) == 0 {
			before, known := a.sets[s.reading.From]
			if earlier := s.reading.Stamp < before.decided; !s.lacks && !earlier && (known || a.named.has(s.reading.From)) {
				out.sets[s.reading.From] = lackingSet{}
			}
			continue
		}
		brake := recent > max(brakeLeast, live/brakeShare)
		says := decides
		switch {
		case d.whole == 0 && !controlled:
			says = saysNothing
		case brake && len(s.reading.Links) == 0 && !a.named.all(s.reading.From, lacks[i]):
			says = saysTooMuch
		case d.whole == 0 && (fresh > 0 || records > 1 && waiting > fewLinks):
			says = isDoubtful
		}
		next, wait, due := a.sets[s.reading.From].witness(s.reading, lacks[i], says, p, &a.named)
		out.sets[s.reading.From] = next
		if len(next.links) > 0 {
			out.later = append(out.later, Later{ID: s.reading.From, After: wait, Held: next.held != 0})
		}
		kept := s.changes[:0]
		for _, c := range s.changes {
			if !s.explains(&c) {
				if _, isDue := slices.BinarySearch(due, digestOf(&c.Key)); !isDue {
					continue
				}
				if !a.named.all(s.reading.From, due) {
					out.gone.at, out.gone.n = max(out.gone.at, s.reading.Date), out.gone.n+1
				}
			}
			kept = append(kept, c)
		}
		s.changes = kept
	}
	return out
}

// testimony is what a page's sets are worth as the second witness.
type testimony uint8

const (
	decides     testimony = iota
	saysNothing           // the set is to be read again, with controls
	saysTooMuch           // more than the brake allows
	isDoubtful
)

// witness hears another set that lacks links. It returns what is still in doubt,
// when to read the set again, and the links whose delete is certain.
func (s lackingSet) witness(r *LinkReading, lacks []uint64, says testimony, p *Patience, named *witnesses) (next lackingSet, wait time.Duration, due []uint64) {
	second := func(links []uint64) time.Duration {
		if named.all(r.From, links) {
			return p.Witnessed
		}
		return p.Second
	}
	if r.Stamp < s.decided { // it shows how it was before, and neither confirms nor refutes
		return s, max(time.Duration(s.at.Add(second(s.links))-r.SentAt)*time.Millisecond, 0), nil
	}
	both := slices.DeleteFunc(slices.Clone(s.links), func(l uint64) bool {
		_, missing := slices.BinarySearch(lacks, l)
		return !missing
	})
	if len(both) == 0 {
		return lackingSet{links: lacks, at: r.Date}, second(lacks), nil
	}
	s.links = both
	if missing := s.at.Add(second(both)) - r.SentAt; missing > 0 || says == saysNothing {
		return s, max(time.Duration(missing)*time.Millisecond, 0), nil
	}
	if says != decides {
		if s.held == 0 {
			s.held = r.Date
		}
		if missing := s.held.Add(p.Repeat) - r.SentAt; missing > 0 {
			// Before that, HubSpot may show them again.
			often := p.Repeat / 4
			if says == isDoubtful {
				often = p.Second
			}
			return s, min(time.Duration(missing)*time.Millisecond, often), nil
		}
	}
	rest := slices.DeleteFunc(slices.Clone(lacks), func(l uint64) bool {
		_, known := slices.BinarySearch(both, l)
		return known
	})
	return lackingSet{links: rest, at: r.Date}, second(rest), both
}

func (a *linkAbsences) within(start hubspot.Millis) (n int) {
	for _, g := range a.gone {
		if g.at > start {
			n += g.n
		}
	}
	return n
}

// apply takes over what was committed. counter is the lane's, after it.
func (a *linkAbsences) apply(d *doubt, counter uint64, p *Patience) {
	if a.sets == nil {
		a.sets = map[hubspot.ID]lackingSet{}
	}
	for from, s := range d.sets {
		before := a.sets[from]
		a.named.keep(from, s.links)
		a.waiting += len(s.links) - len(before.links)
		if before.held != 0 {
			a.held -= len(before.links)
		}
		if s.held != 0 {
			a.held += len(s.links)
		}
		if len(s.links) == 0 {
			delete(a.sets, from)
			continue
		}
		if s.decided == 0 {
			s.decided = counter
		}
		a.sets[from] = s
	}
	if d.gone.n > 0 {
		start := d.gone.at.Add(-p.Repeat)
		a.gone = append(slices.DeleteFunc(a.gone, func(g goneLinks) bool { return g.at <= start }), d.gone)
	}
	a.named.age(d.at, p.Repeat)
}

// unexplained returns the digests of the links that a set lacks and whose delete no
// record's own delete explains.
func (s *decidedSet) unexplained() (out []uint64) {
	for i := range s.changes {
		if !s.explains(&s.changes[i]) {
			out = append(out, digestOf(&s.changes[i].Key))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// explains reports whether a change needs no further witness.
func (s *decidedSet) explains(c *LinkChange) bool {
	return c.Op != Delete || c.witnessed || s.reading.Ended
}

func digestOf(k *LinkKey) uint64 {
	var d xxhash.Digest
	d.Reset()
	digestLink(&d, k.To, k.Category, k.TypeID)
	return d.Sum64()
}

// LinkRemoved is what an event of HubSpot's journal tells of a link.
type LinkRemoved struct {
	LinkKey
	At hubspot.Millis // when it was removed, on HubSpot's clock
}

// Witness notes that HubSpot's journal named these links as removed (R16): the second
// reading of a set that lacks published links, and none but such, may follow sooner.
// It is no evidence of anything else: read the set too. What was removed before it was
// published came back since, and is not noted: events come late and doubled.
//
// All types of links between two records count as named where the named one has no
// label: that link carries the labels, and a primary one is two of which HubSpot tells
// one. A label goes alone. A caller that knows no type, but that it is no label's,
// gives TypeID 0.
func (l *LinkLane) Witness(ctx context.Context, removed []LinkRemoved) error {
	if err := l.take(ctx); err != nil {
		return err
	}
	defer l.release()
	for _, r := range removed {
		all := r.TypeID == 0
		for key, old := range l.table.between(r.From, r.To) {
			all = all || key == r.LinkKey && old.reason == NoReason && old.label == 0
		}
		for key, old := range l.table.between(r.From, r.To) {
			if old.reason == NoReason && (all || key == r.LinkKey) && r.At > l.absences.shown.last(&key) {
				l.absences.named.add(r.From, digestOf(&key))
			}
		}
	}
	return nil
}

// LinkWitnesses is how many sets in doubt one call reads, beside the controls.
const LinkWitnesses = hubspot.MaxLinks - controlIDs

// Controls returns up to three records that have links and about which there is no
// doubt, none of them in except. A read of sets that are in doubt reads theirs too:
// if not one of them is whole, the answer shows nothing (R19).
func (l *LinkLane) Controls(ctx context.Context, except []hubspot.ID) ([]hubspot.ID, error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	var out []hubspot.ID
	from := hubspot.ID(0)
	if len(except) > 0 { // their neighbours: not always the same three
		from = slices.MinFunc(except, cmp.Compare)
	}
	for _, start := range []hubspot.ID{from, 0} {
		for id := range l.table.linking(start) {
			if _, doubted := l.absences.sets[id]; !doubted && !slices.Contains(except, id) && !slices.Contains(out, id) {
				out = append(out, id)
			}
			if len(out) == controlIDs {
				return out, nil
			}
		}
	}
	return out, nil
}

// shownLinks are when links were published as live, as far as it is remembered.
type shownLinks struct {
	at     map[LinkKey]hubspot.Millis
	before hubspot.Millis // when those may have been that are not remembered
}

// shownAtMost bounds the memory of a large first sweep.
const shownAtMost = 4_000

// note remembers a link that an answer showed, which came by that moment.
func (s *shownLinks) note(key LinkKey, by hubspot.Millis) {
	if s.at == nil || len(s.at) == shownAtMost {
		for _, at := range s.at {
			s.before = max(s.before, at)
		}
		s.at = map[LinkKey]hubspot.Millis{}
	}
	s.at[key] = by
}

// last is the latest moment at which HubSpot may have shown a link when it was
// published. A Date has whole seconds.
func (s *shownLinks) last(key *LinkKey) hubspot.Millis {
	return max(s.at[*key], s.before).Add(time.Second)
}
