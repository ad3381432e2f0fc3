package cdc

import (
	"maps"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Rechecks holds the ids to be confirmed again (R9): when, and which finder named
// each.
type Rechecks map[hubspot.ID]recheck

type recheck struct {
	at     time.Time
	stream string
}

// dateStep is the resolution of HubSpot's Date header, by which the lane measures
// the time between two confirms.
const dateStep = time.Second

// Add notes ids that a finder named. One that waits already keeps its finder, and is
// due at the earlier time. now is on the clock that they count from, as in Take.
func (q Rechecks) Add(now time.Time, stream string, ids []Later) {
	for _, l := range ids {
		next := recheck{now.Add(l.After + dateStep), stream}
		if l.From != 0 {
			next.at = l.From.Time().Add(l.After)
		}
		if old, waits := q[l.ID]; waits {
			next.stream = old.stream
			if old.at.Before(next.at) {
				next.at = old.at
			}
		}
		q[l.ID] = next
	}
}

// Take removes and returns the due ids of one finder. If none are due, wait is the
// time until some are, at most an hour.
func (q Rechecks) Take(now time.Time) (stream string, ids []hubspot.ID, wait time.Duration) {
	wait = time.Hour
	for _, id := range slices.Sorted(maps.Keys(q)) {
		d := q[id]
		if left := d.at.Sub(now); left > 0 {
			wait = min(wait, left)
			continue
		}
		if stream == "" {
			stream = d.stream
		}
		if d.stream == stream {
			ids = append(ids, id)
			delete(q, id)
		}
	}
	return stream, ids, wait
}
