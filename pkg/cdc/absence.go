package cdc

import (
	"context"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Patience is how long a lane waits before it believes that a record without an
// archived copy and without a survivor is gone (R9).
type Patience struct {
	// Second is the time between the two confirms that a purge needs.
	Second time.Duration
	// Witnessed is that time where HubSpot's journal named the record, or the links,
	// as removed (R16). It is no more than Second.
	Witnessed time.Duration
	// Repeat is how long the brake holds deletes, and the span in which it counts
	// them.
	Repeat time.Duration
}

// The brake holds when more records of a type go within Patience.Repeat than
// brakeLeast and than one in brakeShare.
const (
	brakeLeast = 100
	brakeShare = 100
)

// absences are the records that confirms found gone and that are still published as
// live. They are not stored: after a restart the next sweep or census names such a
// record again.
type absences struct {
	first map[hubspot.ID]hubspot.Millis // when a confirm first found it gone
	// doubted holds the records whose second confirm was doubtful: they need a
	// third. While HubSpot hides records it may hide a survivor, and the loser of a
	// merge then looks purged. One doubt is enough: when many records are purged,
	// those that HubSpot should answer may be gone themselves.
	doubted map[hubspot.ID]bool
	held    map[hubspot.ID]hubspot.Millis // when the brake began to hold it
	gone    []hubspot.Millis              // when purges were published, within the last Repeat
	named   witnesses
}

// wait reports whether a record that a confirm found gone must be confirmed again
// before its delete may be published.
func (a *absences) wait(r *Reading, live int, p *Patience) (Later, bool) {
	first, seen := a.first[r.ID]
	if !seen {
		return Later{ID: r.ID, After: a.second(r.ID, p), From: r.Date}, true
	}
	// From the end of the first confirm to the beginning of this one: two that
	// overlap saw the same moment, and count as one.
	if missing := first.Add(a.second(r.ID, p)) - r.SentAt; missing > 0 {
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
	case recent <= max(brakeLeast, live/brakeShare), a.named.has(r.ID): // the journal's event is another witness
		return Later{}, false
	case !held:
		return Later{ID: r.ID, After: p.Repeat, Held: true}, true
	}
	missing := since.Add(p.Repeat) - r.SentAt
	return Later{ID: r.ID, After: time.Duration(missing) * time.Millisecond, Held: true}, missing > 0
}

// second is the time between the two confirms of a record.
func (a *absences) second(id hubspot.ID, p *Patience) time.Duration {
	if a.named.has(id) {
		return p.Witnessed
	}
	return p.Second
}

// apply notes what a decision found, after it was committed.
func (a *absences) apply(d *decision, readings []Reading, p *Patience) {
	if a.first == nil {
		a.first, a.held = map[hubspot.ID]hubspot.Millis{}, map[hubspot.ID]hubspot.Millis{}
		a.doubted = map[hubspot.ID]bool{}
	}
	later, again := map[hubspot.ID]bool{}, map[hubspot.ID]bool{}
	for _, l := range d.left.Later {
		later[l.ID] = l.Held
	}
	for _, r := range d.left.Again {
		again[r.ID] = true
	}
	for i := range readings {
		r := &readings[i]
		held, waits := later[r.ID]
		switch {
		case again[r.ID]: // nothing is decided
		case r.Outcome == IsLive && r.SentAt < a.first[r.ID].Add(dateStep): // it was there before
		case r.Outcome != IsGone:
			if !d.dropped {
				a.forget(r.ID)
			}
		case waits && a.first[r.ID] == 0:
			a.first[r.ID] = r.Date
		case waits && r.Doubtful && !a.doubted[r.ID] && r.SentAt >= a.first[r.ID].Add(a.second(r.ID, p)):
			a.doubted[r.ID] = true
			a.named.forget(r.ID) // what HubSpot hides from reads is in doubt, whatever it told
		case held && a.held[r.ID] == 0:
			a.held[r.ID] = r.Date
		}
	}
	for _, c := range d.changes {
		if c.Event == nil || c.Row.Reason != Purged {
			continue
		}
		named := a.named.has(c.ID)
		if a.forget(c.ID); named {
			continue
		}
		at := c.Event.SourceMs
		a.gone = slices.DeleteFunc(a.gone, func(old hubspot.Millis) bool { return old <= at.Add(-p.Repeat) })
		a.gone = append(a.gone, at)
	}
	a.named.age(latest(readings), p.Repeat)
}

func (a *absences) forget(id hubspot.ID) {
	delete(a.first, id)
	delete(a.held, id)
	delete(a.doubted, id)
	a.named.forget(id)
}

// Witness notes that HubSpot's journal named these records as purged (R16): the
// second confirm of those that are published as live may follow sooner. It is no
// evidence of anything else: confirm them too.
func (l *Lane) Witness(ctx context.Context, ids []hubspot.ID) error {
	if err := l.take(ctx); err != nil {
		return err
	}
	defer l.release()
	for _, id := range ids {
		if row, _ := l.table.Get(id); row.Live {
			l.absences.named.add(id)
		}
	}
	return nil
}

// GoneBefore returns those of ids that an earlier confirm found gone too, and that
// are still published as live (R9).
func (l *Lane) GoneBefore(ctx context.Context, ids []hubspot.ID) ([]hubspot.ID, error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	var out []hubspot.ID
	for _, id := range ids {
		if l.absences.first[id] != 0 {
			out = append(out, id)
		}
	}
	return out, nil
}
