package cdc

import (
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// LookUp reads live records by id and keeps apart what HubSpot says about each
// (R8). An id is missing only if HubSpot names it as not found or answers it as
// archived. An id that HubSpot neither answers nor reports is read alone: if
// another id answers, the record was merged.
//
// A confirm also looks up archived copies. HubSpot has no copy of an id that it
// neither answers nor reports there.
type LookUp struct {
	Readings []Reading    // live, or an archived copy if copies are asked for, or merged
	Missing  []hubspot.ID // HubSpot named the id as not found, or has it the other way

	archived   bool         // copies are asked for
	left       []hubspot.ID // all in one batch, then each alone
	alone      bool
	try        int
	unresolved []hubspot.ID
	stuck      []hubspot.ID
	each       []hubspot.ID   // those of left that every part of the batch asks about
	sent       Sent           // of the batch
	date       hubspot.Millis // of its answer
}

// AloneTries limits how often a key is asked for while HubSpot neither answers nor
// reports it. That is no reading: the key stays as it is, and the next finder that
// names it asks again.
const AloneTries = 4

// NewLookUp reads up to hubspot.MaxBatch ids.
func NewLookUp(ids []hubspot.ID) *LookUp { return &LookUp{left: ids} }

// Next asks for the batch, then for one id at a time.
func (l *LookUp) Next() (Ask, bool) {
	what := AskLive
	if l.archived {
		what = AskArchived
	}
	switch {
	case len(l.left) == 0:
		return Ask{}, false
	case !l.alone:
		return Ask{What: what, IDs: l.left, Each: l.each}, true
	}
	return Ask{What: what, IDs: l.left[:1], Wait: time.Duration(l.try) * time.Second}, true
}

// Take sorts an answer.
func (l *LookUp) Take(a Answer) {
	page, asked, id := &a.Batch, len(l.left), l.left[0]
	for i := range page.Records {
		r := &page.Records[i]
		switch {
		case r.Archived != l.archived:
			l.Missing = append(l.Missing, r.ID)
		case r.Archived:
			l.Readings = append(l.Readings, a.Reading(r.ID, IsArchived, r, page.Date))
		default:
			l.Readings = append(l.Readings, a.Reading(r.ID, IsLive, r, page.Date))
		}
	}
	l.Missing = append(l.Missing, page.Missing...)
	l.stuck = append(l.stuck, a.Stuck...)
	silent := page.Unanswered
	if (l.alone || asked == 1) && len(silent) == 1 && len(page.Foreign) == 1 {
		merged := a.Reading(id, IsMerged, nil, page.Date)
		merged.Into = page.Foreign[0].ID
		l.Readings = append(l.Readings, merged)
		silent = nil
	}
	if l.archived && (l.alone || len(page.Foreign) == 0) {
		l.Missing, silent = append(l.Missing, silent...), nil
	}
	silent = slices.Concat(silent, page.Unread)
	switch {
	case !l.alone:
		l.alone, l.left, l.sent, l.date = true, silent, a.Sent, page.Date
		return
	case len(silent) > 0:
		if l.try++; l.try < AloneTries {
			return
		}
		if len(page.Unread) > 0 {
			l.stuck = append(l.stuck, id) // HubSpot answers it, but not so that it can be read
		} else {
			l.unresolved = append(l.unresolved, id)
		}
	}
	l.left, l.try = l.left[1:], 0
}

// Unresolved are the keys that stay as they are (R8).
func (l *LookUp) Unresolved() []hubspot.ID { return l.unresolved }

// Stuck are the keys that HubSpot does not answer (R18).
func (l *LookUp) Stuck() []hubspot.ID { return l.stuck }
