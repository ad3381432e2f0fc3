package sink

import (
	"maps"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Frontiers configures the frontiers topic (R17).
type Frontiers struct {
	Interval time.Duration // the least time between two records of a topic, unless one takes back the other; 0 = there is no such topic
	Tiers    []string      // the streams of the tiers, the leading one first
}

// frontiers say how far each data topic is complete (R17). A record claims only what
// was committed before its transaction. So a cursor of its own transaction counts
// only where that writes no event to the topic: the events of the cursor's page
// would lie behind the record's offsets.
type frontiers struct {
	cfg    Frontiers
	prefix string
	portal int64

	mu      sync.Mutex
	topic   string // "" = no frontier is written
	objects map[string]*frontier
	written map[string]offsets.WrittenFrontier // by topic
	latest  time.Time                          // when this run last wrote any
}

// frontier is what is known of an object type, a pair or a reference list.
type frontier struct {
	topic    string
	followed bool // its streams run: only then is it written
	places   places
	verified hubspot.Millis
	live     int
}

// places are what the committed cursors of an object say.
type places struct {
	tiers      map[string]hubspot.Millis
	backfilled bool
	again      bool           // it was, and runs again for a tier that has no cursor
	short      hubspot.Millis // when the backfill ended whose list came short; 0 = it did not
	stuck      bool           // HubSpot does not answer about some records (R18)
	renewing   bool           // the topic has lost what was published: it is gone, or gets it again (R20)
	owed       hubspot.Millis // since when it has it again, while no sweep that began later has shown everything
}

// lost reports whether nothing is verified of what is published.
func (p places) lost() bool { return p.renewing || p.owed != 0 }

func newFrontiers(cfg *Config) *frontiers {
	return &frontiers{
		cfg: cfg.Frontiers, prefix: cfg.Prefix, portal: cfg.Portal,
		objects: map[string]*frontier{}, written: map[string]offsets.WrittenFrontier{},
	}
}

// of returns the frontier of an object.
func (f *frontiers) of(object string) *frontier {
	if f.objects[object] == nil {
		topic := offsets.TopicOf(f.prefix, object)
		was := f.written[topic]
		f.objects[object] = &frontier{topic: topic, verified: was.Verified, places: places{again: was.Leading != 0}}
	}
	return f.objects[object]
}

// load takes over what earlier runs committed. Where both internal topics are new,
// an earlier installation wrote the frontiers: they are forgotten.
func (f *frontiers) load(l *offsets.Loaded) (forgotten []*kgo.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.topic == "" {
		return nil
	}
	if f.written = l.Frontiers; l.Fresh {
		for topic := range f.written {
			forgotten = append(forgotten, &kgo.Record{Topic: f.topic, Key: offsets.FrontierKey{Portal: f.portal, Topic: topic}.Bytes()})
		}
		f.written = map[string]offsets.WrittenFrontier{}
	}
	for topic, was := range f.written {
		if was.At.After(time.Now()) { // by the clock of another computer
			was.At = time.Now()
			f.written[topic] = was
		}
	}
	for key, value := range l.Cursors {
		if key.Object != "" {
			one := f.of(key.Object)
			one.move(one.places.after(key.Stream, value))
		}
	}
	for object, one := range f.objects {
		if l.Cursors[offsets.Key{Portal: f.portal, Object: object, Stream: offsets.BackfillStream}] == nil { // forgotten
			one.places.again = false
		}
	}
	for object, rows := range l.Rows {
		f.of(object).live = rows.Live()
	}
	for pair, links := range l.Links {
		f.of(pair.String()).live = links.Live()
	}
	for list, rows := range l.References {
		for _, row := range rows {
			if row.Live {
				f.of(list).live++
			}
		}
	}
	return forgotten
}

// after is where an object is once a cursor has moved.
func (p places) after(stream string, value []byte) places {
	switch stream {
	case offsets.BackfillStream:
		sweep, err := offsets.ParseSweep(value)
		done := err == nil && sweep.Done
		p.again = err == nil && !done && (p.backfilled || p.again)
		if p.backfilled, p.short = done, 0; done && sweep.Short {
			p.short = sweep.Completed
		}
	case offsets.StuckStream:
		p.stuck = value != nil
	case offsets.RepublishStream:
		at, err := offsets.ParseRepublish(value)
		p.renewing, p.owed = err == nil && at.Owed == 0, at.Owed
	default:
		tier, err := offsets.ParseTier(value)
		if p.tiers = maps.Clone(p.tiers); err != nil { // forgotten, or no tier's
			delete(p.tiers, stream)
			break
		}
		if p.tiers == nil {
			p.tiers = map[string]hubspot.Millis{}
		}
		p.tiers[stream] = tier.At
	}
	return p
}

// move takes over where an object is. Of a topic that has lost something nobody
// knows what it held, until another sweep has ended.
func (f *frontier) move(to places) {
	if to.lost() && !f.places.lost() {
		f.verified = 0
	}
	f.places = to
}

// reached is how far the tiers are, once the backfill is done. While one runs again,
// what the last record said is still so, unless a tier is behind it.
func (p places) reached(tiers []string, was offsets.Frontier) (leading, complete hubspot.Millis) {
	for i, stream := range tiers {
		at := p.tiers[stream]
		if i == 0 {
			leading, complete = at, at
		}
		complete = min(complete, at)
	}
	switch {
	case p.backfilled:
		return leading, complete
	case p.again && leading >= was.Leading && complete >= was.Complete:
		return was.Leading, was.Complete
	}
	return 0, 0
}

// claim is what a record says, but for offsets and sequence number, if the cursors
// are at these places. was is what the last record said.
func (f *frontier) claim(p places, tiers []string, was offsets.Frontier) offsets.Frontier {
	out := offsets.Frontier{Live: f.live}
	if f.places.renewing || p.renewing {
		return out
	}
	if !f.places.lost() && !p.lost() {
		out.Verified = f.verified
	}
	out.Leading, out.Complete = p.reached(tiers, was)
	if p.stuck || f.verified < p.short { // what the search showed is not there, or what was there before it
		out.Leading, out.Complete = min(out.Leading, was.Leading), min(out.Complete, was.Complete)
	}
	return out
}

// retracts reports whether a claim takes back what the last record says. It does not
// wait, not even for the streams of a topic that gets again what it has lost: the events
// to come may take the topic past the last record's offsets.
func (f *frontier) retracts(claim, was offsets.Frontier) bool {
	return (f.followed || f.places.renewing) &&
		(claim.Leading < was.Leading || claim.Complete < was.Complete || claim.Verified < was.Verified)
}

// composed is the frontiers' part of a transaction.
type composed struct {
	records []*kgo.Record
	written map[string]offsets.WrittenFrontier // by topic
	cursors []movedCursor
	live    map[string]int
}

// compose says how far the topics are complete, in a transaction with these cursors
// and these numbers of live keys. seq is the last sequence number before it, and at
// the position after the last event that a topic had before it.
func (f *frontiers) compose(now time.Time, seq int64, tx *transaction, at func(topic string) map[int32]int64) *composed {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.topic == "" {
		return nil
	}
	out := &composed{written: map[string]offsets.WrittenFrontier{}, cursors: tx.cursors, live: tx.live}
	moved := map[string]places{}
	for _, cur := range tx.cursors {
		if cur.key.Object != "" {
			p, known := moved[cur.key.Object]
			if !known {
				p = f.of(cur.key.Object).places
			}
			moved[cur.key.Object] = p.after(cur.key.Stream, cur.value)
		}
	}
	for object, one := range f.objects {
		was := f.written[one.topic]
		p, moves := moved[object]
		if _, writes := tx.live[object]; writes || !moves {
			p = one.places
		}
		claim := one.claim(p, f.cfg.Tiers, was.Frontier)
		if !one.retracts(claim, was.Frontier) && (!one.followed || now.Before(was.At.Add(f.cfg.Interval))) {
			continue
		}
		claim.Seq, claim.Offsets = seq, at(one.topic)
		if claim.Same(was.Frontier) || was.At.IsZero() && !claim.Claims() {
			continue
		}
		out.written[one.topic] = offsets.WrittenFrontier{Frontier: claim, At: now}
		out.records = append(out.records, &kgo.Record{
			Topic: f.topic, Key: offsets.FrontierKey{Portal: f.portal, Topic: one.topic}.Bytes(), Value: claim.Bytes(), Timestamp: now,
		})
	}
	return out
}

// committed takes over a transaction that is committed.
func (f *frontiers) committed(c *composed) {
	if c == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.Copy(f.written, c.written)
	for _, is := range c.written {
		f.latest = is.At
	}
	for _, cur := range c.cursors {
		if cur.key.Object != "" {
			one := f.of(cur.key.Object)
			one.move(one.places.after(cur.key.Stream, cur.value)) // the topic may have been found gone meanwhile
		}
	}
	for object, live := range c.live {
		f.of(object).live = live
	}
}

// due is when the next record has to be written, even if nothing else is; zero if
// none differs from the one before it. Each transaction leaves a marker in what it
// touches (see idleInterval), so those of all topics go together. The caller holds mu.
func (f *frontiers) due(at func(topic string) map[int32]int64) (due time.Time) {
	for _, one := range f.objects {
		was := f.written[one.topic]
		next := was.At.Add(f.cfg.Interval)
		claim := one.claim(one.places, f.cfg.Tiers, was.Frontier)
		if f.topic != "" && one.retracts(claim, was.Frontier) {
			return was.At // at once
		}
		if f.topic == "" || !one.followed || !due.IsZero() && !next.Before(due) {
			continue
		}
		claim.Offsets = at(one.topic)
		if !claim.Same(was.Frontier) && (!was.At.IsZero() || claim.Claims()) {
			due = next
		}
	}
	if together := f.latest.Add(f.cfg.Interval); !due.IsZero() && due.Before(together) {
		due = together
	}
	return due
}

// FollowFrontier writes the frontiers of an object type, a pair or a reference list
// from now on. Its first cursors are committed.
func (s *Sink) FollowFrontier(object string) {
	s.frontiers.mu.Lock()
	s.frontiers.of(object).followed = true
	s.frontiers.mu.Unlock()
	s.frontierDue()
}

// lose takes back what is said of an object, because its topic is gone. Nothing is said of
// it until the topic has again what it has lost.
func (f *frontiers) lose(object string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.of(object)
	one.move(one.places.after(offsets.RepublishStream, offsets.Republish{}.Bytes()))
}

// Verified is the time for which everything of an object is published that HubSpot
// had then; 0 = none.
func (s *Sink) Verified(object string) hubspot.Millis {
	s.frontiers.mu.Lock()
	defer s.frontiers.mu.Unlock()
	return s.frontiers.of(object).verified
}

// SetVerified says that everything that HubSpot had at a time is committed, as a sweep
// has shown that began at a time. One that began before the topic had again what it had
// lost says nothing of it.
func (s *Sink) SetVerified(object string, began, at hubspot.Millis) {
	s.frontiers.mu.Lock()
	if one := s.frontiers.of(object); !one.places.renewing && began >= one.places.owed {
		one.verified = max(one.verified, at)
	}
	s.frontiers.mu.Unlock()
	s.frontierDue()
}

// frontierDue tells the committer when a frontier has to be written.
func (s *Sink) frontierDue() {
	s.frontiers.mu.Lock()
	defer s.frontiers.mu.Unlock()
	s.writeBy(s.frontiers.due(s.positions))
}

// positions are those after the last event of a topic, by partition.
func (s *Sink) positions(topic string) map[int32]int64 {
	after := s.ends.of(topic).After
	n := len(after)
	if t := s.topics.get(topic).ready; t != nil {
		n = max(n, int(t.partitions))
	}
	out := make(map[int32]int64, n)
	for p := range n {
		out[int32(p)] = 0
		if p < len(after) {
			out[int32(p)] = after[p]
		}
	}
	return out
}
