package stream

import (
	"context"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// journalNames are the keys that some files of the journal name. What else an event
// says of them counts for nothing: it may be late, doubled or out of order (R16).
type journalNames struct {
	records map[*Object]*namedRecords
	links   map[*Pair]*namedLinks
}

// namedRecords are records of a type. One that was only said to be gone is confirmed
// at once; any other is read.
type namedRecords struct {
	changed, gone map[hubspot.ID]bool
	purged        []hubspot.ID
}

// namedLinks are the records of a pair's from type whose links came or went, and the
// links that went.
type namedLinks struct {
	from    map[hubspot.ID]bool
	removed []cdc.LinkEnds
}

// publish reads what files name and publishes it: records first, because links need
// theirs. A nil file names nothing.
func (j *Journal) publish(ctx context.Context, files []*hubspot.JournalFile) error {
	objects, pairs, err := j.following(ctx)
	if err != nil {
		return err
	}
	names := j.names(files, objects, pairs)
	g, gctx := errgroup.WithContext(ctx)
	for o, named := range names.records {
		g.Go(func() error { return o.publishNamed(gctx, named) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	g, gctx = errgroup.WithContext(ctx)
	for p, named := range names.links {
		g.Go(func() error { return p.publishNamed(gctx, named) })
	}
	return g.Wait()
}

// names sorts the events of files by what they name, and counts them.
func (j *Journal) names(files []*hubspot.JournalFile, objects []*Object, pairs []*Pair) journalNames {
	n := journalNames{map[*Object]*namedRecords{}, map[*Pair]*namedLinks{}}
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
					n.link(there, e.ID, e.ToID, e, j.Audit)
				}
				if back != nil {
					outcome = journalNamed
					n.link(back, e.ToID, e.ID, e, j.Audit)
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
		r = &namedRecords{changed: map[hubspot.ID]bool{}, gone: map[hubspot.ID]bool{}}
		n.records[o] = r
	}
	switch e.Action {
	case hubspot.ActionPurge:
		r.purged = append(r.purged, e.ID)
		r.gone[e.ID] = true
	case hubspot.ActionDelete:
		r.gone[e.ID] = true
	default:
		r.changed[e.ID] = true
	}
	a.Named(o.Type.Name, e.ID, e.Occurred)
	for _, id := range e.Merged {
		if id != e.ID {
			r.gone[id] = true
			a.Named(o.Type.Name, id, e.Occurred)
		}
	}
}

func (n *journalNames) link(p *Pair, from, to hubspot.ID, e *hubspot.JournalEvent, a *Audit) {
	l := n.links[p]
	if l == nil {
		l = &namedLinks{from: map[hubspot.ID]bool{}}
		n.links[p] = l
	}
	l.from[from] = true
	if e.Action == hubspot.ActionRemoved {
		l.removed = append(l.removed, cdc.LinkEnds{From: from, To: to})
	}
	a.Named(p.Name(), from, e.Occurred)
}

// namedPage is how many records are read and published at a time.
const namedPage = 10 * hubspot.MaxBatch

// publishNamed reads records and publishes them. Where the type is refused, a
// reconcile makes up for it once it is not.
func (o *Object) publishNamed(ctx context.Context, named *namedRecords) error {
	if err := o.Lane.Witness(ctx, named.purged); err != nil {
		return err
	}
	for id := range named.changed {
		delete(named.gone, id)
	}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(named.changed)), namedPage) {
		readings, err := o.read(ctx, hubspot.Leading, ids)
		if err == nil {
			err = o.publish(ctx, cdc.Page{Stream: offsets.JournalStream, Readings: readings})
		}
		if err := o.passOver(err); err != nil {
			return err
		}
	}
	readings, err := o.complete(ctx, nil, slices.Sorted(maps.Keys(named.gone)))
	if err == nil {
		err = o.publish(ctx, cdc.Page{Stream: offsets.JournalStream, Readings: readings})
	}
	return o.passOver(err)
}

// passOver takes what keeps a type from being read or written for now: it must not
// hold up the others.
func (o *Object) passOver(err error) error {
	if !refused(err) {
		return err
	}
	o.Status.Problem(o.Type.Name, offsets.JournalStream, err)
	o.askReconcile()
	return nil
}

// publishNamed reads the links of records and publishes them.
func (p *Pair) publishNamed(ctx context.Context, named *namedLinks) error {
	if err := p.Lane.Witness(ctx, named.removed); err != nil {
		return err
	}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(named.from)), hubspot.MaxLinks) {
		readings, err := p.read(ctx, hubspot.Leading, ids)
		if err == nil {
			err = p.publish(ctx, cdc.LinkPage{Stream: offsets.JournalStream, Readings: readings})
		}
		if refused(err) {
			p.SweepNow()
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}
