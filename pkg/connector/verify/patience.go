package verify

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/hubspot-cdc/connector/pkg/connector"
)

// patience is how long a difference must stand to count.
type patience struct {
	wait time.Duration // a change may be under way for so long
	gap  time.Duration // between two looks at what no such change explains
}

// step is the time between two looks.
func (p patience) step() time.Duration { return min(max(p.wait/8, p.gap), 30*time.Second) }

const (
	// standFor is how long both sides must stand where nothing is under way.
	standFor = 2 * time.Second
	// How often the connector looks, at the least, where no interval is set
	// (docs/contract.md section 3). It looks at links and lists less often than
	// this: a comparison does not wait for hours.
	leadingMost, censusMost, otherMost = 2 * time.Minute, 5 * time.Minute, 10 * time.Minute
	// leastWait is for a portal where much happens. A purge, or a restore that moves no
	// time, may then take minutes, however often the connector counts.
	leastWait = 10 * time.Minute
	// confirmMost is the time between the two confirms of a purge (R9).
	confirmMost = 30 * time.Second
)

// recordPatience is how long a change of a record may be under way: until search has
// shown it to the first trailing tier, or until the census has counted and a delete
// was confirmed.
func (v *verifier) recordPatience() patience {
	s := &v.setup.Config.Sync
	trailing := time.Duration(0)
	if len(v.setup.Lags) > 0 {
		lag := v.setup.Lags[0]
		trailing = lag.By + s.Trailing(lag, false, 0)
	}
	return v.until(max(2*set(s.LeadingInterval, leadingMost), trailing, set(s.CensusInterval, censusMost)+set(s.ArchiveInterval, confirmMost)))
}

// otherPatience is that of links and of entries of reference lists.
func (v *verifier) otherPatience(interval time.Duration) patience {
	return v.until(max(v.recordPatience().wait, 2*set(interval, otherMost/2)+set(min(interval, confirmMost), confirmMost)))
}

// until is the patience for changes that take so long.
func (v *verifier) until(wait time.Duration) patience {
	return patience{max(wait+wait/10, leastWait), standFor}
}

// idle is the patience where no connector runs: nothing is under way.
var idle = patience{standFor, standFor}

// now is the patience of this moment: the connector may have ended, or begun, since the
// comparison did.
func (v *verifier) now(ctx context.Context, running patience) patience {
	groups, err := v.admin.DescribeGroups(ctx, connector.OwnerGroup(v.prefix))
	if err == nil {
		err = groups.Error()
	}
	for _, g := range groups {
		if len(g.Members) > 0 {
			return running
		}
	}
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) && !errors.Is(err, kerr.CoordinatorNotAvailable) {
		return running // perhaps
	}
	return idle
}

// looking tells how far the looks at a topic's suspects are, and gives the patience of
// each.
func (v *verifier) looking(ctx context.Context, topic string, running patience) func(left int) patience {
	return func(left int) patience {
		v.progress(Progress{Topic: topic, Suspects: left})
		return v.now(ctx, running)
	}
}

// set is an interval, or what stands for it where none is set.
func set(interval, otherwise time.Duration) time.Duration {
	if interval > 0 {
		return interval
	}
	return otherwise
}
