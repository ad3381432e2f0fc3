package cdc

import (
	"slices"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// LinkPublication carries a page of links to its commit, as Publication does for
// records. A driver gives Page to LinkLane.Publish each time.
type LinkPublication struct {
	Page LinkPage

	try    int
	before map[hubspot.ID]uint64 // the sets of the records to be read again
}

// pagedTries is how often a record with several pages of links is read until two
// consecutive readings agree (R14). Then the links that were missing stay
// published: the record's links change faster than they are read.
const pagedTries = 8

// NewLinkPublication begins with a page as it was read.
func NewLinkPublication(p LinkPage) *LinkPublication { return &LinkPublication{Page: p} }

// Left takes what a publish left. It returns the ids to be read again, and as aside
// those whose sets the page no longer waits for: a snapshot's are to be read
// another time. done reports that the page is committed.
func (p *LinkPublication) Left(again []LinkAgain) (ids, aside []hubspot.ID, done bool) {
	p.before = map[hubspot.ID]uint64{}
	for _, a := range again {
		if a.Cause == Paged && (p.Page.Snapshot || p.try >= pagedTries) {
			aside = append(aside, a.From)
			continue
		}
		ids, p.before[a.From] = append(ids, a.From), a.Set
	}
	if !p.Page.Snapshot {
		p.Page.Readings = nil
	}
	return ids, aside, len(again) == 0 || p.Page.Snapshot && len(ids) == 0
}

// Reread takes the readings of these ids.
func (p *LinkPublication) Reread(readings []LinkReading) {
	for i := range readings {
		readings[i].Before = p.before[readings[i].From]
	}
	if p.Page.Snapshot {
		readings = append(slices.DeleteFunc(p.Page.Readings, func(rd LinkReading) bool {
			_, again := p.before[rd.From]
			return again
		}), readings...)
	}
	p.Page.Readings = readings
	p.try++
}
