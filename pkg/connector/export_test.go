package connector

import (
	"context"

	"github.com/hubspot-cdc/connector/pkg/group"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// What tests of the whole program see beyond the public API.

type Seat struct{ *group.Member }

var ErrNotOwner = errNotOwner

// Status is that of the run under way, nil between runs.
func (c *Connector) Status() *stream.Status {
	if c.health.owner() == nil {
		return nil
	}
	return c.health.status
}

// TakeSeat joins the group, and runs nothing.
func (c *Connector) TakeSeat(ctx context.Context) (*Seat, error) {
	m, err := takeSeat(ctx, c.setup.SinkConfig())
	return &Seat{m}, err
}

func (s *Seat) Owns() bool {
	_, owner := s.Now().Holds[0]
	return owner
}

// Repeat runs as the owner that s says this instance is.
func (c *Connector) Repeat(ctx context.Context, s *Seat) error { return c.own(ctx, s.Confirm) }
