package cdc

import (
	"maps"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Rechecks are the ids that are to be confirmed once more (R9): when, and which
// finder named each.
type Rechecks map[hubspot.ID]recheck

type recheck struct {
	at     time.Time
	stream string
}

// dateStep is the step of HubSpot's Date header, by which the lane measures the
// time between two confirms.
const dateStep = time.Second

// Add notes ids of a finder, but for those that wait already.
func (q Rechecks) Add(now time.Time, stream string, ids []Later) {
	for _, l := range ids {
		if _, waits := q[l.ID]; !waits {
			q[l.ID] = recheck{now.Add(l.After + dateStep), stream}
		}
	}
}

// Take removes the ids of one finder that are due; with none, it says how long
// until there are.
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
