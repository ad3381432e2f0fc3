package cdctest

import (
	"strconv"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// Key names a record: the object type and the id.
type Key struct{ Object, ID string }

func (k Key) String() string { return k.Object + "/" + k.ID }

// State is a record as HubSpot had it for a while.
type State struct {
	Since      hubspot.Millis // when it could first be read
	Indexed    hubspot.Millis // when search could first show it; 0: never
	Live       bool
	Created    hubspot.Millis
	Version    hubspot.Millis    // updatedAt
	ArchivedAt hubspot.Millis    // of an archived record
	Survivors  []string          // of a merged record: what it was merged into, and what that was merged into
	Values     map[string]string // raw text by property; "" and absent are both null
}

// History is what HubSpot really had: the states of each record, in order. The last
// one is what must have been published in the end.
type History map[Key][]State

// HistoryOf returns the history of some object types in a simulated portal.
func HistoryOf(p *hubspottest.Portal, objects ...string) History {
	h := make(History)
	for _, object := range objects {
		into := make(map[uint64]uint64)
		for _, c := range p.History(object) {
			into[c.State.ID] = c.State.MergedInto
		}
		for _, c := range p.History(object) {
			key := Key{object, strconv.FormatUint(c.State.ID, 10)}
			h[key] = append(h[key], State{
				Since:      hubspot.Millis(c.At),
				Indexed:    hubspot.Millis(c.Indexed),
				Live:       c.State.Live(),
				Created:    hubspot.Millis(c.State.CreatedAt),
				Version:    hubspot.Millis(c.State.UpdatedAt),
				ArchivedAt: hubspot.Millis(c.State.ArchivedAt),
				Survivors:  survivors(into, c.State.MergedInto),
				Values:     c.State.Properties,
			})
		}
	}
	return h
}

func survivors(into map[uint64]uint64, id uint64) (out []string) {
	for ; id != 0; id = into[id] {
		out = append(out, strconv.FormatUint(id, 10))
	}
	return out
}
