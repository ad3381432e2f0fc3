package stream

import (
	"slices"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Changed names the properties for which a new property set needs records read
// again (R13).
type Changed struct {
	// Ask are properties whose holders a search can find.
	Ask []string
	// Gone are properties that HubSpot no longer has. It knows no holders of
	// them, and refuses a search that names one.
	Gone []string
}

// Renew changes the places of a type's streams so that they read again the records
// that a new property set concerns. It adds the changed cursors to First, for the
// caller to commit together with the set. A refill reads the holders, together with
// those of a refill that was under way. For properties that are gone, and for more
// of them than a search takes, a reconcile reads everything. A backfill that has
// not begun yet reads everything anyway. What another sweep read lacks those
// properties, so it verifies nothing (R17).
func (p *Places) Renew(object string, c Changed, now hubspot.Millis) {
	if unbegun(p.Sweep) {
		return
	}
	ask, left := slices.Clone(c.Ask), []string(nil)
	if p.Refill != nil {
		left = slices.DeleteFunc(slices.Clone(p.Refill.Properties), func(name string) bool { return slices.Contains(c.Gone, name) })
		if len(ask) > 0 || len(left) < len(p.Refill.Properties) {
			ask = append(ask, left...)
			slices.Sort(ask)
			ask = slices.Compact(ask)
		}
	}
	whole := len(c.Gone) > 0 || len(ask) > refillMost
	if whole {
		p.Reconcile = offsets.Sweep{Ranges: []offsets.Range{{From: "0"}}, Started: now, Asked: true}
		p.First = append(p.First, cdc.Cursor{Object: object, Stream: offsets.ReconcileStream, Value: p.Reconcile.Bytes()})
	}
	switch {
	case len(ask) > refillMost || p.Refill != nil && len(left) == 0 && len(ask) == 0:
		if p.Refill != nil {
			p.Refill = nil
			p.First = append(p.First, cdc.Cursor{Object: object, Stream: offsets.RefillStream})
		}
	case len(ask) > 0:
		p.Refill = &offsets.Refill{Properties: ask, Round: 1}
		p.First = append(p.First, cdc.Cursor{Object: object, Stream: offsets.RefillStream, Value: p.Refill.Bytes()})
	}
	if p.Refill != nil || whole {
		p.Sweep.Waits, p.Reconcile.Waits = true, !unbegun(p.Reconcile)
	}
}
