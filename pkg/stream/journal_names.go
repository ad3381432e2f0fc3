package stream

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// journalNames are the keys that some files of the journal name. What else an event
// says of them counts for nothing: it may be late, doubled or out of order (R16).
type journalNames struct {
	now     hubspot.Millis
	first   hubspot.Millis // when this run began
	records map[*Object]*namedRecords
	links   map[*Pair]*namedLinks
}

// namedRecords are records of a type. One that was only said to be gone is confirmed
// at once; any other is read.
type namedRecords struct {
	changed, gone map[hubspot.ID]bool
	purged        []hubspot.ID
	merged        map[hubspot.ID][]hubspot.ID // losers, by survivor
}

// names reports whether a record is among them.
func (r *namedRecords) names(id hubspot.ID) bool {
	if r == nil {
		return false
	}
	_, survives := r.merged[id]
	return survives || r.changed[id] || r.gone[id]
}

// namedLinks are the links of a pair that came or went; witnessed are those that went
// lately.
type namedLinks struct {
	added, removed []cdc.LinkKey
	witnessed      []cdc.LinkRemoved
}

// split keeps apart the links of which something holds.
func (l *namedLinks) split(holds func(from, to hubspot.ID) bool) (not, those *namedLinks) {
	not, those = new(namedLinks), new(namedLinks)
	for _, e := range l.added {
		to := not
		if holds(e.From, e.To) {
			to = those
		}
		to.added = append(to.added, e)
	}
	for _, e := range l.removed {
		to := not
		if holds(e.From, e.To) {
			to = those
		}
		to.removed = append(to.removed, e)
	}
	not.witnessed = l.witnessed // before any set is read
	return not, those
}

// witnessAge is how old an event may be that counts as a witness. After a lost place
// the journal tells of three days at once, and of much that was undone since.
const witnessAge = 10 * time.Minute

// lately reports whether an event is new enough to be a witness.
func (n *journalNames) lately(e *hubspot.JournalEvent) bool {
	return e.Occurred.Add(witnessAge) > n.now
}

// publish reads what files name and publishes it. Links of records that the files
// name too come after those: a link that went with its record has the record's
// reason. A nil file names nothing. missed reports that something cannot be read or
// written for now.
func (j *Journal) publish(ctx context.Context, files []*hubspot.JournalFile) (missed bool, err error) {
	objects, pairs, err := j.following(ctx)
	if err != nil {
		return false, err
	}
	names := j.names(files, objects, pairs)
	maps.DeleteFunc(names.records, func(o *Object, _ *namedRecords) bool { return j.Status.Paused(o.Type.Name) })
	maps.DeleteFunc(names.links, func(p *Pair, _ *namedLinks) bool { return j.Status.Paused(p.Name()) })
	var passedOver atomic.Bool
	g, gctx := errgroup.WithContext(ctx)
	after := map[*Pair]*namedLinks{}
	for p, named := range names.links {
		now, later := named.split(func(from, to hubspot.ID) bool {
			return names.records[p.From].names(from) || p.To != nil && names.records[p.To].names(to)
		})
		after[p] = later
		g.Go(func() error { return p.publishNamed(gctx, now, &passedOver) })
	}
	for o, named := range names.records {
		g.Go(func() error { return o.publishNamed(gctx, named, &passedOver) })
	}
	if err := g.Wait(); err != nil {
		return false, err
	}
	g, gctx = errgroup.WithContext(ctx)
	for p, named := range after {
		g.Go(func() error { return p.publishNamed(gctx, named, &passedOver) })
	}
	err = g.Wait()
	return passedOver.Load(), err
}

// names sorts the events of files by what they name, and counts them.
func (j *Journal) names(files []*hubspot.JournalFile, objects []*Object, pairs []*Pair) journalNames {
	n := journalNames{j.now(), j.first, map[*Object]*namedRecords{}, map[*Pair]*namedLinks{}}
	types := map[string]*Object{}
	for _, o := range objects {
		types[o.Type.TypeID] = o
	}
	ends := map[[2]string]*Pair{}
	for _, p := range pairs {
		ends[[2]string{p.From.Type.TypeID, p.ToTypeID}] = p
	}
	for _, f := range files {
		if f == nil {
			continue
		}
		j.Metrics.journalEvents.WithLabelValues(journalOdd).Add(float64(f.Odd))
		for i := range f.Events {
			e := &f.Events[i]
			outcome := journalDropped
			switch {
			case e.Portal != j.Portal && e.Portal != 0:
				outcome = journalForeign
			case e.Kind == hubspot.ObjectEvent && types[e.TypeID] != nil:
				outcome = journalNamed
				n.record(types[e.TypeID], e, j.Audit)
			case e.Kind == hubspot.AssociationEvent:
				there := ends[[2]string{e.TypeID, e.ToTypeID}]
				back := ends[[2]string{e.ToTypeID, e.TypeID}]
				if there != nil {
					outcome = journalNamed
					n.link(there, e.ID, e.ToID, e, true, j.Audit)
				}
				if back != nil {
					outcome = journalNamed
					n.link(back, e.ToID, e.ID, e, false, j.Audit)
				}
			}
			j.Metrics.journalEvents.WithLabelValues(outcome).Inc()
		}
	}
	return n
}

func (n *journalNames) record(o *Object, e *hubspot.JournalEvent, a *Audit) {
	r := n.records[o]
	if r == nil {
		r = &namedRecords{changed: map[hubspot.ID]bool{}, gone: map[hubspot.ID]bool{}, merged: map[hubspot.ID][]hubspot.ID{}}
		n.records[o] = r
	}
	switch e.Action {
	case hubspot.ActionPurge:
		if n.lately(e) {
			r.purged = append(r.purged, e.ID)
		}
		r.gone[e.ID] = true
	case hubspot.ActionDelete:
		r.gone[e.ID] = true
	default:
		r.changed[e.ID] = true
	}
	life := slices.Contains([]string{hubspot.ActionDelete, hubspot.ActionPurge, hubspot.ActionRestore, hubspot.ActionMerge}, e.Action)
	a.Named(o.Type.Name, e.ID, e.Occurred, life)
	for _, id := range e.Merged {
		if id != e.ID {
			r.merged[e.ID] = append(r.merged[e.ID], id)
			r.gone[id] = true
			a.Named(o.Type.Name, id, e.Occurred, life)
		}
	}
}

// link notes a link of a pair, told from the pair's own side or from the other.
func (n *journalNames) link(p *Pair, from, to hubspot.ID, e *hubspot.JournalEvent, own bool, a *Audit) {
	l := n.links[p]
	if l == nil {
		l = new(namedLinks)
		n.links[p] = l
	}
	key := cdc.LinkKey{From: from, To: to, Category: e.Category, TypeID: e.AssociationType}
	if e.Action == hubspot.ActionRemoved {
		l.removed = append(l.removed, key)
		if !own { // HubSpot numbers the type differently in each direction
			key.TypeID = 0
		}
		// When links were published before this run, nobody remembers.
		if n.lately(e) && e.Occurred > n.first && (key.TypeID != 0 || p.From != p.To && mayBeAll(e)) {
			l.witnessed = append(l.witnessed, cdc.LinkRemoved{LinkKey: key, At: e.Occurred})
		}
	} else {
		l.added = append(l.added, key)
	}
	a.NamedLink(p.Name(), from, to, e.Occurred)
}

// mayBeAll reports whether an event may be of all links between two records, and not
// of a label alone.
func mayBeAll(e *hubspot.JournalEvent) bool { return e.Category == "HUBSPOT_DEFINED" && !e.Primary }

const (
	// namedPage is how many records are read at a time, gonePage how many are
	// confirmed, and mergePage how many survivors are read with their losers. Each
	// loser needs a read of its own, one after the other.
	namedPage = 10 * hubspot.MaxBatch
	gonePage  = 25
	mergePage = 2
	// namedAtOnce is how many such pages of a type are under way at a time.
	namedAtOnce = 8
)

// publishNamed reads records and publishes them. Pages do not wait for each other,
// because the confirm of a merge takes several questions.
func (o *Object) publishNamed(ctx context.Context, named *namedRecords, passedOver *atomic.Bool) error {
	if err := o.Lane.Witness(ctx, named.purged); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(namedAtOnce)
	page := func(changed, gone []hubspot.ID) {
		g.Go(func() error { return o.passOver(o.publishIDs(ctx, changed, gone), passedOver) })
	}
	for survivors := range slices.Chunk(slices.Sorted(maps.Keys(named.merged)), mergePage) {
		var losers []hubspot.ID
		for _, id := range survivors {
			delete(named.changed, id)
			losers = append(losers, named.merged[id]...)
		}
		for _, id := range losers {
			delete(named.gone, id)
		}
		page(survivors, losers)
	}
	for id := range named.changed {
		delete(named.gone, id) // the read confirms it if it is missing
	}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(named.changed)), namedPage) {
		page(ids, nil)
	}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(named.gone)), gonePage) {
		page(nil, ids)
	}
	return g.Wait()
}

// publishIDs reads records, confirms others, and publishes what that shows.
func (o *Object) publishIDs(ctx context.Context, changed, gone []hubspot.ID) error {
	release, err := o.claims.claim(ctx, slices.Concat(changed, gone))
	if err != nil {
		return err
	}
	defer release()
	readings, err := o.read(ctx, hubspot.Leading, changed)
	if err != nil {
		return err
	}
	for i := range readings { // a survivor names its losers
		gone = slices.DeleteFunc(gone, func(id hubspot.ID) bool { return id == readings[i].ID })
	}
	if len(gone) > 0 {
		if readings, err = o.complete(ctx, readings, gone); err != nil {
			return err
		}
	}
	return o.publish(ctx, cdc.Page{Stream: offsets.JournalStream, Readings: readings, Told: true})
}

// passOver takes what keeps a type from being read or written for now: it must not
// hold up the others.
func (o *Object) passOver(err error, passedOver *atomic.Bool) error {
	if !refused(err) {
		return err
	}
	o.Status.Problem(o.Type.Name, offsets.JournalStream, err)
	o.askReconcile()
	passedOver.Store(true)
	return nil
}

// publishNamed reads the links of records and publishes them. The links of a record
// that is not published are read when it is: if it went before, nothing would ever
// end its links (R8).
func (p *Pair) publishNamed(ctx context.Context, named *namedLinks, passedOver *atomic.Bool) error {
	if err := p.Lane.Witness(ctx, named.witnessed); err != nil {
		return err
	}
	var from []hubspot.ID
	for _, e := range slices.Concat(named.added, named.removed) {
		from = append(from, e.From)
	}
	slices.Sort(from)
	from, err := p.From.Lane.LiveAmong(ctx, slices.Compact(from))
	if err != nil {
		return err
	}
	for ids := range slices.Chunk(from, hubspot.MaxLinks) {
		readings, err := p.read(ctx, hubspot.Leading, ids)
		if err == nil {
			err = p.publish(ctx, cdc.LinkPage{Stream: offsets.JournalStream, Readings: readings})
		}
		if refused(err) {
			p.SweepNow()
			passedOver.Store(true)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}
