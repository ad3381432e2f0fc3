package cdc

import (
	"slices"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// LinkPublication is a page of links on its way to be committed, as Publication
// is one of records. A driver gives Page to LinkLane.Publish each time.
type LinkPublication struct {
	Page LinkPage

	try    int
	before map[hubspot.ID]uint64 // the sets of the records to be read again
}

// pagedTries is how often a record with several pages of links is read until
// two readings on end are alike (R14). What was lacked stays published then:
// its links change faster than they are read.
const pagedTries = 8

// NewLinkPublication begins with a page as it was read.
func NewLinkPublication(p LinkPage) *LinkPublication { return &LinkPublication{Page: p} }

// Left takes what a publish left. It gives the ids to be read again, and those
// of sets that the page does not wait for any longer: a snapshot's are to be
// looked at another time. done says that the page is committed.
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
