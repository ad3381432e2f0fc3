package verify

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/fleet"
)

const (
	// underWay is how long a change may be under way beside a connector. Where no
	// interval is set, a census counts every five minutes at the least, the first
	// trailing tier finds what search shows late within seven, and the links of a
	// changed record are read for the last time after ten. A busy portal, whose
	// records come back without a new time, needs about as long (docs/contract.md
	// sections 2 and 3).
	underWay = 10 * time.Minute
	// standFor is the least time between two looks. It is enough for what no change
	// that is under way explains, and where no connector runs.
	standFor = 2 * time.Second
	// catchUp is for what has been so in HubSpot for longer than underWay: a connector
	// that was away reads it first of all.
	catchUp = time.Minute
	// restarts is how long a connector that ran a moment ago may be away.
	restarts = 3 * time.Minute
	// longestStep is the longest time between two looks.
	longestStep = 30 * time.Second
)

// patience is how long the suspects of a topic, so many that are left, must stand. A
// connector may have ended, or begun, since the comparison did.
func (v *verifier) patience(ctx context.Context, topic string) func(left int) time.Duration {
	return func(left int) time.Duration {
		wait := standFor
		if v.running(ctx) {
			wait = underWay
		}
		v.progress(Progress{Topic: topic, Suspects: left, Wait: wait})
		return wait
	}
}

// running reports whether an instance of the connector runs, or may, or seems to be
// restarting.
func (v *verifier) running(ctx context.Context) bool {
	seated := v.seated(ctx)
	v.mu.Lock()
	defer v.mu.Unlock()
	if seated {
		v.ran = time.Now()
	}
	return !v.ran.IsZero() && time.Since(v.ran) < restarts
}

// seated reports whether the group of the owners has a member, or that of the fleet to
// which the portal may belong, or may have one.
func (v *verifier) seated(ctx context.Context) bool {
	names := []string{connector.OwnerGroup(v.prefix)}
	if at := strings.LastIndexByte(v.prefix, '.'); at >= 0 {
		names = append(names, fleet.Name(v.prefix[:at]))
	}
	groups, err := v.admin.DescribeGroups(ctx, names...)
	nobody := func(err error) bool {
		return err == nil || errors.Is(err, kerr.GroupIDNotFound) || errors.Is(err, kerr.CoordinatorNotAvailable)
	}
	for _, g := range groups {
		if len(g.Members) > 0 || !nobody(g.Err) {
			return true
		}
	}
	return !nobody(err)
}
