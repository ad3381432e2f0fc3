package cdc

import (
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Patience is how long a record that is found absent, without an archived copy
// and without a survivor, is believed to come back (R9).
type Patience struct {
	// Second is the time between the two confirms that a purge needs.
	Second time.Duration
	// Repeat is how long the brake holds deletes back, and the span in which it
	// counts them.
	Repeat time.Duration
}

// brakeLeast and brakeShare are how many records of a type may go within
// Patience.Repeat before the brake holds: a hundred, or one in a hundred.
const (
	brakeLeast = 100
	brakeShare = 100
)

// absences are the records that confirms found gone, and that are still
// published as live. They are not stored: after a restart the next sweep or
// census names such a record again.
type absences struct {
	first map[hubspot.ID]hubspot.Millis // when it was found gone for the first time
	// doubted are those whose second confirm was doubtful: it takes a third.
	// While HubSpot hides records, a survivor may be hidden, and the loser of a
	// merge looks purged. Once is enough: among many that are purged, those that
	// HubSpot ought to answer may be gone themselves.
	doubted map[hubspot.ID]bool
	held    map[hubspot.ID]hubspot.Millis // since when the brake holds it
	gone    []hubspot.Millis              // when deletes for absence were published, in the last Repeat
}

// wait says whether a record that is found gone has to be confirmed once more
// before its delete may be published.
func (a *absences) wait(r *Reading, live int, p *Patience) (Later, bool) {
	first, seen := a.first[r.ID]
	if !seen {
		return Later{ID: r.ID, After: p.Second}, true
	}
	// From the end of the first confirm to the beginning of this one: two that
	// overlap have looked at one moment, and are one.
	if missing := first.Add(p.Second) - r.SentAt; missing > 0 {
		return Later{ID: r.ID, After: time.Duration(missing) * time.Millisecond}, true
	}
	if r.Doubtful && !a.doubted[r.ID] {
		return Later{ID: r.ID, After: p.Second}, true
	}
	recent := len(a.first) // this one and all others that wait
	for _, at := range a.gone {
		if at > r.Date.Add(-p.Repeat) {
			recent++
		}
	}
	since, held := a.held[r.ID]
	switch {
	case recent <= max(brakeLeast, live/brakeShare):
		return Later{}, false
	case !held:
		return Later{ID: r.ID, After: p.Repeat, Held: true}, true
	}
	missing := since.Add(p.Repeat) - r.SentAt
	return Later{ID: r.ID, After: time.Duration(missing) * time.Millisecond, Held: true}, missing > 0
}

// apply notes what a decision found, after it was committed.
func (a *absences) apply(d *decision, readings []Reading, p *Patience) {
	if a.first == nil {
		a.first, a.held = map[hubspot.ID]hubspot.Millis{}, map[hubspot.ID]hubspot.Millis{}
		a.doubted = map[hubspot.ID]bool{}
	}
	later := map[hubspot.ID]bool{}
	for _, l := range d.left.Later {
		later[l.ID] = l.Held
	}
	for i := range readings {
		r := &readings[i]
		held, waits := later[r.ID]
		switch {
		case r.Outcome != IsGone:
			a.forget(r.ID)
		case waits && a.first[r.ID] == 0:
			a.first[r.ID] = r.Date
		case waits && r.Doubtful && r.SentAt >= a.first[r.ID].Add(p.Second):
			a.doubted[r.ID] = true
		case held && a.held[r.ID] == 0:
			a.held[r.ID] = r.Date
		}
	}
	for _, c := range d.changes {
		if c.Event == nil || c.Row.Reason != Purged {
			continue
		}
		a.forget(c.ID)
		at := c.Event.SourceMs
		a.gone = slices.DeleteFunc(a.gone, func(old hubspot.Millis) bool { return old <= at.Add(-p.Repeat) })
		a.gone = append(a.gone, at)
	}
}

func (a *absences) forget(id hubspot.ID) {
	delete(a.first, id)
	delete(a.held, id)
	delete(a.doubted, id)
}
