package connector

import (
	"context"

	"github.com/hubspot-cdc/connector/pkg/stream"
)

// What tests of the whole program see beyond the public API.

type Seat = seat

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
	return takeSeat(ctx, c.setup.SinkConfig())
}

func (s *seat) Leave() { s.leave() }

func (s *seat) Owns() bool {
	role, _, _ := s.now()
	return role == owner
}

// Repeat runs as the owner that s says this instance is.
func (c *Connector) Repeat(ctx context.Context, s *Seat) error { return c.repeat(ctx, s) }
