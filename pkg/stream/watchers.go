package stream

import (
	"sync"

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

// Watch has every pair told of what its types publish. It is called once, with
// all pairs of a run and all object types.
func Watch(objects []*Object, pairs []*Pair) {
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
		o.watchers.set(from, to)
	}
}
