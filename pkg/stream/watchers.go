package stream

import (
	"context"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// watchers are the pairs that an object type takes part in: they are told which
// records were published, and read those records' links (R14). Told are ids,
// never what was found.
type watchers struct {
	mu sync.Mutex
	// early is what was published before the pairs were known; nil afterwards.
	early map[hubspot.ID]cdc.Op
	from  []*Pair // pairs of which the type is from
	to    []*Pair // pairs of which it is to
}

func newWatchers() *watchers { return &watchers{early: map[hubspot.ID]cdc.Op{}} }

// tell passes on what was committed. An op that is a snapshot's says nothing
// new of the other end's links.
func (w *watchers) tell(changes []cdc.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range changes {
		if e := changes[i].Event; e != nil {
			if w.early != nil {
				w.early[changes[i].ID] = e.Op
			}
			w.pass(changes[i].ID, e.Op)
		}
	}
}

func (w *watchers) pass(id hubspot.ID, op cdc.Op) {
	for _, p := range w.from {
		if op != cdc.Read || p.begun.Load() {
			p.looks.add(look{fromEnd, id})
		}
	}
	for _, p := range w.to {
		if op != cdc.Read {
			p.looks.add(look{toEnd, id})
		}
	}
}

// missed adds records that an earlier run published. Where no sweep has begun
// yet it reads them all, as after a snapshot.
func (w *watchers) missed(ids []hubspot.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if _, known := w.early[id]; !known {
			w.early[id] = cdc.Read
		}
	}
}

// set makes the pairs known, and passes on what they have missed.
func (w *watchers) set(from, to []*Pair) {
	w.mu.Lock()
	defer w.mu.Unlock()
	early := w.early
	w.early, w.from, w.to = nil, from, to
	for id, op := range early {
		w.pass(id, op)
	}
}

// lastLook is how far back a run looks for records that the one before it may
// have published and not have looked at any more: the longest wait, and some.
const lastLook = 15 * time.Minute

// Watch has every pair told of what its types publish. It is called once, with
// all pairs of a run and all object types.
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
		if len(from)+len(to) > 0 {
			ids, err := o.Lane.LatelyModified(ctx, lastLook)
			if err != nil {
				return err
			}
			o.watchers.missed(ids)
		}
		o.watchers.set(from, to)
	}
	for _, p := range pairs {
		ids, err := p.Lane.Dangling(ctx)
		if err != nil {
			return err
		}
		for _, id := range ids {
			p.looks.add(look{fromEnd, id})
		}
	}
	return nil
}
