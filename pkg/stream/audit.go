package stream

import (
	"slices"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Audit compares what the journal names with what is published, and counts what
// either the journal or polling missed. It says whether the journal may be relied on.
// It outlives a run: what was missed counts for a day.
type Audit struct {
	metrics  *Metrics
	patience time.Duration

	mu     sync.Mutex
	whole  time.Time               // since when the journal has been whole; zero: it is not
	read   time.Time               // when it was last read to its end
	missed time.Time               // when polling last proved that the journal lacks something
	lacks  []string                // ids of types of which the journal lacks something
	types  map[string][]string     // the types of an object or a pair, by their ids in HubSpot
	since  hubspot.Millis          // what changed earlier is not the journal's; 0: it is not running
	keys   map[auditKey]*auditTale // what happened lately
	wait   []auditEntry            // publications to be judged, oldest first
	kept   []auditEntry            // everything in keys, oldest first

	excused map[string]time.Time // objects that were paused, until when

	unshown map[string]map[hubspot.ID]hubspot.Millis // see unshown.go
}

// auditKey is a record, or the links between two records. to is 0 for a record.
type auditKey struct {
	object string
	id, to hubspot.ID
}

// auditTale is what happened to a key lately, in the order in which it was heard.
type auditTale struct {
	named     []naming
	published []*publication
}

// naming is an event of the journal.
type naming struct {
	occurred hubspot.Millis
	life     bool // the record came or went, and its links with it
}

// publication is a change as it was committed.
type publication struct {
	at      hubspot.Millis // HubSpot's time of the change, or an upper bound of it
	exact   bool
	carried bool        // the journal is to carry changes of this kind
	polled  bool        // it was found without the journal
	whole   bool        // the journal was whole then
	link    cdc.LinkKey // the zero value for a record
	ends    []auditKey  // of a link
	dropped bool        // before it could be judged
}

// auditEntry is a naming (published is nil) or a publication of a key.
type auditEntry struct {
	key       auditKey
	at        time.Time
	published *publication
}

const (
	// wholeFor is how long the journal must have been whole before polling stretches,
	// and missedFor how long polling does not stretch after it proved that the
	// journal lacks something.
	wholeFor, missedFor = time.Hour, 24 * time.Hour
	// readWithin is how long ago its end may have been read: a journal that is
	// further behind finds nothing in time.
	readWithin = time.Minute
	// namingReach is how far the time of an event and the modified time of the change
	// that it names may lie apart, and namingSkew how far two times of the same
	// change commonly do.
	namingReach, namingSkew = 10 * time.Second, time.Second
	// lifeReach is how long after a record's end its links may be found gone: R14
	// reads them three times in ten minutes.
	lifeReach = 15 * time.Minute
	// auditMost bounds the memory of an import. The oldest entries leave without a
	// judgement.
	auditMost = 200_000
)

// NewAudit makes an audit that counts in m. patience is how long the journal may take
// to name what polling has published.
func NewAudit(m *Metrics, patience time.Duration) *Audit {
	return &Audit{metrics: m, patience: patience, types: map[string][]string{}, keys: map[auditKey]*auditTale{}, unshown: map[string]map[hubspot.ID]hubspot.Millis{}}
}

// Begin begins a run. The journal does not count as whole in it yet.
func (a *Audit) Begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.whole, a.since = time.Time{}, 0
	a.wait, a.kept = nil, nil
	clear(a.keys)
	clear(a.unshown)
}

// follow makes the counters of an object or a pair, and says which types its changes
// are of. finders are the streams that may find them.
func (a *Audit) follow(object string, typeIDs []string, finders ...string) {
	a.metrics.zero(a.metrics.missed.MetricVec, object)
	for _, finder := range finders {
		a.metrics.zero(a.metrics.found.MetricVec, object, finder)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.types[object] = typeIDs
}

// Whole notes that the journal has been read to its end.
func (a *Audit) Whole(now hubspot.Millis) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.since == 0 {
		a.since = now
	}
	a.read = time.Now()
	if a.whole.IsZero() {
		a.whole = a.read
	}
	a.settle(a.read)
}

// Broken notes that the journal may lack something from now on: its place was lost,
// a file cannot be read, or HubSpot does not answer.
func (a *Audit) Broken() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.whole = time.Time{}
}

// Lacks sets the types, by their ids, of which HubSpot writes not everything into the
// journal.
func (a *Audit) Lacks(types []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lacks = types
}

// Relied reports whether the journal may be relied on for an object or a pair: it has
// been whole for an hour, HubSpot writes these types into it, and for a day polling
// found nothing that it lacked, of any type. A journal that lost an event of one type
// may lose those of another.
func (a *Audit) Relied(object string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.settle(now)
	if a.whole.IsZero() || now.Sub(a.read) > readWithin || now.Sub(a.whole) < wholeFor || !a.missed.IsZero() && now.Sub(a.missed) < missedFor {
		return false
	}
	return !a.lacking(object)
}

// lacking reports whether HubSpot writes not every change of an object or a pair into
// the journal. The caller holds the lock.
func (a *Audit) lacking(object string) bool {
	types := a.types[object]
	return len(types) == 0 || slices.ContainsFunc(types, func(id string) bool { return id == "" || slices.Contains(a.lacks, id) })
}

// Named notes that the journal named a record. occurred is 0 where the event does not
// say when. life says that the record came or went.
func (a *Audit) Named(object string, id hubspot.ID, occurred hubspot.Millis, life bool) {
	a.name(auditKey{object: object, id: id}, naming{occurred, life})
}

// NamedLink notes that the journal named a link between two records.
func (a *Audit) NamedLink(pair string, from, to hubspot.ID, occurred hubspot.Millis) {
	a.name(auditKey{pair, from, to}, naming{occurred: occurred})
}

func (a *Audit) name(key auditKey, n naming) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.settle(now)
	if tale := a.tale(key); n.occurred == 0 || !slices.Contains(tale.named, n) { // events are doubled at times
		tale.named = append(tale.named, n)
		a.keep(auditEntry{key: key, at: now})
	}
}

// polls reports whether a stream finds what the journal might have named: a refill
// reads what a new property set changes, and signals what an operator asks for.
func polls(stream string) bool {
	return stream != offsets.JournalStream && stream != offsets.RefillStream && stream != offsets.SignalsStream
}

// records notes changes of records that were committed. now is HubSpot's time.
func (a *Audit) records(object string, changes []cdc.Change, now hubspot.Millis) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range changes {
		c := &changes[i]
		e := c.Event
		if e == nil || e.Op == cdc.Read {
			continue
		}
		a.metrics.found.WithLabelValues(object, e.Stream).Inc()
		dated := e.Op != cdc.Delete && e.SourceMs == c.Row.Version
		p := &publication{at: now, polled: polls(e.Stream)}
		// A restore moves no modified time (R11).
		if p.exact = dated && e.Reason != cdc.Restored; p.exact {
			p.at = c.Row.Version
		}
		p.carried = e.Op != cdc.Update || dated && !c.Unexplained
		// A pass over the recycle bin finds what went before the journal began too.
		if e.Op != cdc.Delete || e.SourceMs >= a.since {
			a.publish(auditKey{object: object, id: c.ID}, p)
		}
		a.found(object, c.ID, p)
	}
}

// links notes changes of a pair's links that were committed.
func (a *Audit) links(pair cdc.Pair, changes []cdc.LinkChange, now hubspot.Millis) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range changes {
		c := &changes[i]
		if c.Op == cdc.Read {
			continue
		}
		a.metrics.found.WithLabelValues(pair.String(), c.Stream).Inc()
		a.publish(auditKey{pair.String(), c.Key.From, c.Key.To}, &publication{
			at: now, polled: polls(c.Stream), link: c.Key,
			carried: c.Op != cdc.Update, // a label that changed
			ends:    []auditKey{{object: pair.From, id: c.Key.From}, {object: pair.To, id: c.Key.To}},
		})
	}
}

// publish keeps a publication: those of the journal too, because an event names what
// lies nearest to it. The caller holds the lock.
func (a *Audit) publish(key auditKey, p *publication) {
	now := time.Now()
	a.settle(now)
	if a.since == 0 || p.at < a.since || now.Before(a.excused[key.object]) {
		return
	}
	p.whole = !a.whole.IsZero()
	tale := a.tale(key)
	tale.published = append(tale.published, p)
	a.keep(auditEntry{key, now, p})
	if p.polled {
		a.wait = append(a.wait, auditEntry{key, now, p})
	}
}

func (a *Audit) tale(key auditKey) *auditTale {
	t := a.keys[key]
	if t == nil {
		t = &auditTale{}
		a.keys[key] = t
	}
	return t
}

func (a *Audit) keep(e auditEntry) {
	if a.kept = append(a.kept, e); len(a.kept) > auditMost {
		a.drop()
	}
}

// drop forgets the oldest entry.
func (a *Audit) drop() {
	e := a.kept[0]
	a.kept = a.kept[1:]
	t := a.keys[e.key]
	if e.published != nil {
		e.published.dropped = true
		t.published = t.published[1:]
	} else {
		t.named = t.named[1:]
	}
	if len(t.published)+len(t.named) == 0 {
		delete(a.keys, e.key)
	}
}

// settle judges the publications that the journal had time to name, and forgets what
// no later one can lie near to.
func (a *Audit) settle(now time.Time) {
	for len(a.wait) > 0 && now.Sub(a.wait[0].at) >= a.patience {
		e := a.wait[0]
		a.wait = a.wait[1:]
		if e.published.dropped || a.names(e.key, e.published) {
			continue
		}
		a.metrics.missed.WithLabelValues(e.key.object).Inc()
		// What the journal never carries says nothing about the journal, nor does what
		// polling found while the journal was known to be away.
		if e.published.carried && e.published.whole && !a.whole.IsZero() && !a.whole.After(e.at) && !a.lacking(e.key.object) {
			a.missed = now
		}
	}
	for len(a.kept) > 0 && now.Sub(a.kept[0].at) >= 2*a.patience {
		a.drop()
	}
}

// names reports whether the journal named a publication: whether an event tells of
// it, and of no other publication of the record or link that lies nearer to the event.
// So an event of a record's next change does not make up for one that was lost. An event
// of one link tells of all between its records: HubSpot tells with one that a primary
// link came, which is two.
func (a *Audit) names(key auditKey, p *publication) bool {
	t := a.keys[key]
	for _, n := range t.named {
		mine, ok := t.distance(p, n.occurred)
		if ok && !slices.ContainsFunc(t.published, func(q *publication) bool {
			theirs, ok := t.distance(q, n.occurred)
			return ok && q.link == p.link && theirs < mine
		}) {
			return true
		}
	}
	for _, end := range p.ends {
		if t := a.keys[end]; t != nil && slices.ContainsFunc(t.named, func(n naming) bool {
			return n.life && n.occurred >= p.at.Add(-lifeReach) && n.occurred <= p.at.Add(namingReach)
		}) {
			return true
		}
	}
	return false
}

// distance is how far an event's time lies from the time of a publication. It is not
// ok where the event cannot tell of it. A publication without a time of its own
// happened after the one before it of the same record or link.
func (t *auditTale) distance(p *publication, occurred hubspot.Millis) (d hubspot.Millis, ok bool) {
	if occurred == 0 {
		return 0, true
	}
	if p.exact {
		d = max(occurred-p.at, p.at-occurred)
		return d, d <= hubspot.Millis(namingReach.Milliseconds())
	}
	for _, q := range t.published {
		if q == p {
			break
		}
		if q.link == p.link && occurred <= q.at.Add(namingSkew) {
			return 0, false
		}
	}
	d = max(0, occurred-p.at)
	return d, d <= hubspot.Millis(namingReach.Milliseconds())
}
