package stream

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// watchers are the pairs that an object type takes part in. They hear which records
// were published, and read those records' links (R14). They hear ids, never what a
// reading found.
type watchers struct {
	mu sync.Mutex
	// early is what was published before the pairs were known; nil afterwards.
	early map[hubspot.ID]cdc.Op
	from  []*Pair // pairs in which the type is from
	to    []*Pair // pairs in which it is to
}

func newWatchers() *watchers { return &watchers{early: map[hubspot.ID]cdc.Op{}} }

// tell passes on which records were committed with an event.
func (w *watchers) tell(changes []cdc.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range changes {
		if e := changes[i].Event; e != nil {
			if w.early != nil {
				w.early[changes[i].ID] = e.Op
			}
			pass(w.from, w.to, changes[i].ID, e.Op)
		}
	}
}

func pass(from, to []*Pair, id hubspot.ID, op cdc.Op) {
	for _, p := range from {
		if cdc.FromEnd.Moves(op, p.begun.Load()) {
			p.looks.add(cdc.Look{End: cdc.FromEnd, ID: id})
		}
	}
	for _, p := range to {
		if cdc.ToEnd.Moves(op, p.begun.Load()) {
			p.looks.add(cdc.Look{End: cdc.ToEnd, ID: id})
		}
	}
}

// add makes pairs known and passes on to them what they have missed: what the type
// published before, and lately, which an earlier run published. lately counts as
// read for a snapshot: a pair whose first sweep has not begun needs none of it,
// because that sweep reads them all.
func (w *watchers) add(from, to []*Pair, lately []hubspot.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	missed := w.early
	if missed == nil {
		missed = map[hubspot.ID]cdc.Op{}
	}
	for _, id := range lately {
		if _, known := missed[id]; !known {
			missed[id] = cdc.Read
		}
	}
	for id, op := range missed {
		pass(from, to, id, op)
	}
	w.early, w.from, w.to = nil, append(w.from, from...), append(w.to, to...)
}

// drop removes a pair.
func (w *watchers) drop(p *Pair) {
	w.mu.Lock()
	defer w.mu.Unlock()
	is := func(q *Pair) bool { return q == p }
	w.from, w.to = slices.DeleteFunc(w.from, is), slices.DeleteFunc(w.to, is)
}

// lastLook is how far back a run searches for records that the run before may have
// published without reading their links: the longest wait of R14 and some margin.
const lastLook = 15 * time.Minute

// Watch connects pairs with their types: from now on they hear what those publish.
// Watch also queues what an earlier run may have left unread. objects are all
// followed types, those in no pair too: they stop remembering what they published.
func Watch(ctx context.Context, objects []*Object, pairs []*Pair) error {
	for _, o := range objects {
		var from, to []*Pair
		for _, p := range pairs {
			if p.From == o {
				from = append(from, p)
			}
			if p.To == o {
				to = append(to, p)
			}
		}
		var lately []hubspot.ID
		if len(from)+len(to) > 0 {
			var err error
			if lately, err = o.Lane.LatelyModified(ctx, lastLook); err != nil {
				return err
			}
		}
		o.watchers.add(from, to, lately)
	}
	for _, p := range pairs {
		ids, err := p.Lane.Dangling(ctx)
		if err != nil {
			return err
		}
		for _, id := range ids {
			p.looks.add(cdc.Look{End: cdc.FromEnd, ID: id})
		}
	}
	return nil
}
