package connector

import (
	"time"

	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// Brief is how a connector is, in a line. What is not known is null.
type Brief struct {
	Ready    bool             `json:"ready"` // but for the brokers, which it does not ask
	Role     string           `json:"role"`  // starting, standby or owner
	Since    time.Time        `json:"since"` // of the role
	Portal   int64            `json:"portal,omitempty"`
	Live     int              `json:"live"`     // records
	Behind   *float64         `json:"behind"`   // seconds since the leading search that is the oldest of all types
	Backfill *stream.Backfill `json:"backfill"` // of all object types together; null: none runs
	Problems []stream.Problem `json:"problems"`
}

// Brief asks nobody and waits for nobody.
func (c *Connector) Brief() Brief {
	h := c.health
	is := h.now()
	known := h.unasked(&is)
	b := Brief{Ready: known.Ready, Role: known.Role, Since: moment(is.since), Portal: is.portal, Problems: known.Problems, Backfill: h.status.Backfill()}
	for _, f := range h.status.Followed() {
		b.Live += f.Live
		for _, s := range f.Streams {
			if s.Stream == offsets.LeadingStream && s.Behind != nil && (b.Behind == nil || *b.Behind < *s.Behind) {
				b.Behind = s.Behind
			}
		}
	}
	return b
}

// Waits reports whether nothing is wrong and the connector only needs time.
func (b *Brief) Waits() bool {
	for _, p := range b.Problems {
		if p.Area != areaLoading {
			return false
		}
	}
	return true
}

// Hanging reports whether a Kafka transaction has been under way for so long that a
// restart is the cure, as GET /healthz does.
func (c *Connector) Hanging() bool {
	s := c.health.owner()
	return s != nil && s.Hanging()
}
