package cdc

import "github.com/hubspot-cdc/connector/pkg/hubspot"

// decisions is a lane's counter when each key, or each record's links, last changed
// (R1). It is not stored: a run begins to read after it has rebuilt what is published.
// Its size is limited: a reading from before the floor that differs counts as stale,
// whatever it is about.
type decisions struct {
	at, before map[hubspot.ID]uint64
	// turned is the counter when at became before, floor the highest that may be
	// forgotten or that a fence has set.
	turned, floor uint64
}

// decidedKept is how many keys' counters are kept at least, and half of what is kept
// at most. No request is under way for so many decisions, unless it waits for long.
const decidedKept = 1 << 14

func (d *decisions) stale(id hubspot.ID, stamp uint64) bool {
	return stamp < max(d.floor, d.at[id], d.before[id])
}

func (d *decisions) note(id hubspot.ID, counter uint64) {
	if d.at == nil || len(d.at) >= decidedKept {
		d.at, d.before = map[hubspot.ID]uint64{}, d.at
		d.floor, d.turned = max(d.floor, d.turned), counter
	}
	d.at[id] = counter
}

// fence makes every reading stale that was sent before the counter had this value.
func (d *decisions) fence(counter uint64) { d.floor = counter }
