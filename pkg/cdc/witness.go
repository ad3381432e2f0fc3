package cdc

import (
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// witnesses are the records and links that HubSpot's journal named as removed, and
// that are still published (R16). Such an event may be late, doubled or wrong, so it
// only shortens the wait between two readings. They are not stored: after a restart
// that wait is the long one.
type witnesses struct {
	of     map[hubspot.ID]witness
	turned hubspot.Millis // when the latest generation began
}

type witness struct {
	links []uint64       // digests, sorted; none for a record
	born  hubspot.Millis // in which generation
}

func (w *witnesses) has(id hubspot.ID) bool {
	_, named := w.of[id]
	return named
}

// all reports whether every one of a record's links was named.
func (w *witnesses) all(id hubspot.ID, links []uint64) bool {
	named := w.of[id].links
	return !slices.ContainsFunc(links, func(l uint64) bool {
		_, has := slices.BinarySearch(named, l)
		return !has
	})
}

// add notes a record, with those of its links that were named.
func (w *witnesses) add(id hubspot.ID, links ...uint64) {
	if w.of == nil {
		w.of = map[hubspot.ID]witness{}
	}
	all := slices.Concat(w.of[id].links, links)
	slices.Sort(all)
	w.of[id] = witness{slices.Compact(all), w.turned}
}

// keep forgets all of a record's links but these.
func (w *witnesses) keep(id hubspot.ID, links []uint64) {
	named, has := w.of[id]
	if !has {
		return
	}
	named.links = slices.DeleteFunc(named.links, func(l uint64) bool { return !slices.Contains(links, l) })
	if w.of[id] = named; len(named.links) == 0 {
		w.forget(id)
	}
}

func (w *witnesses) forget(id hubspot.ID) { delete(w.of, id) }

// age forgets what no reading has answered for life.
func (w *witnesses) age(now hubspot.Millis, life time.Duration) {
	if len(w.of) == 0 || now < w.turned.Add(life) {
		return
	}
	for id, one := range w.of {
		if one.born < w.turned {
			delete(w.of, id)
		}
	}
	w.turned = now
}
