package cdc

import (
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Publication carries a page to its commit: what the lane wants read again is read
// again, until nothing is left and the page's cursors have moved (R1, R6). A driver
// gives Page to Lane.Publish each time.
type Publication struct {
	Page Page

	again  []hubspot.ID
	second map[hubspot.ID]bool // read once with an older version: the next reading decides (R1)
}

// NewPublication begins with a page as it was read.
func NewPublication(p Page) *Publication {
	return &Publication{Page: p, second: map[hubspot.ID]bool{}}
}

// Left takes what a publish left, and returns the ids to be read again and how long
// to wait before that. If there are none the page is committed.
func (p *Publication) Left(again []Again) (ids []hubspot.ID, wait time.Duration) {
	p.again = nil
	for _, a := range again {
		p.again = append(p.again, a.ID)
		if a.Cause == Older {
			p.second[a.ID] = true
			wait = OlderWait
		}
	}
	if !p.Page.Snapshot {
		p.Page.Readings = nil
	}
	return p.again, wait
}

// Reread takes the readings of these ids. Nothing of a snapshot's page is committed
// without the rest, so there they replace the former readings.
func (p *Publication) Reread(readings []Reading) {
	if p.Page.Snapshot {
		readings = Only(readings, func(id hubspot.ID) bool { return slices.Contains(p.again, id) })
		readings = append(readings, slices.DeleteFunc(p.Page.Readings, func(r Reading) bool {
			return slices.Contains(p.again, r.ID) || slices.ContainsFunc(readings, func(again Reading) bool { return again.ID == r.ID })
		})...)
	}
	for i := range readings {
		readings[i].Second = readings[i].Second || p.second[readings[i].ID]
	}
	p.Page.Readings = readings
}

// Only leaves out live readings of records that a snapshot's page does not ask for:
// the losers of a merge come with their survivor (R7), and would be published
// twice.
func Only(readings []Reading, asked func(hubspot.ID) bool) []Reading {
	return slices.DeleteFunc(readings, func(r Reading) bool { return r.Outcome == IsLive && !asked(r.ID) })
}
