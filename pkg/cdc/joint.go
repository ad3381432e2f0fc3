package cdc

import (
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Joint is a walk of one tier that serves other tiers of its type too (R3). It
// searches from the earliest of their starts, so what it finds is what each of them
// would have found at that moment, and more. A row is skipped only if the tier with
// the latest start may skip it (R4), so no tier skips a row that it has to read.
//
// When the walk ends, each tier moves by its own arithmetic. Until then only Own has
// a place inside the walk: after a crash the others begin where they were.
type Joint struct {
	Own TierWindow
	// Others are the tiers that the walk carries; none where Own continues a walk
	// that was interrupted, because that walk began without them.
	Others []TierWindow
}

// TierWindow is a tier's place, and how far it looks back.
type TierWindow struct {
	Window
	Lag time.Duration
}

// Search completes q for the walk's next page.
func (j *Joint) Search(q hubspot.SearchQuery) hubspot.SearchQuery {
	q = j.Own.Search(q)
	for _, other := range j.Others {
		q.Since = min(q.Since, other.Start)
	}
	return q
}

// SkipFrom is the time from which R4 may skip a row.
func (j *Joint) SkipFrom() hubspot.Millis {
	from := j.Own.Start
	for _, other := range j.Others {
		from = max(from, other.Start)
	}
	return from
}

// Past is the joint walk after a page. The others move only when the walk ends.
func (j *Joint) Past(page *Walk) Joint {
	next := Joint{Own: TierWindow{j.Own.Past(page, j.Own.Lag), j.Own.Lag}}
	for _, other := range j.Others {
		if !page.Page.More {
			other.Window = other.Begin(j.Own.Begin(page.Page.Date).T0).Finish(other.Lag)
		}
		next.Others = append(next.Others, other)
	}
	return next
}
