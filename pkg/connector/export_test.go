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

// Start waits for a turn to start.
func (c *Connector) Start(ctx context.Context) (done func(), err error) { return c.start(ctx) }

// Load waits for a turn in loading.
func (c *Connector) Load(ctx context.Context) (done func(), err error) { return c.load(ctx) }

// Unshare gives back what New took of Options.Shared, for a connector that does not run.
func (c *Connector) Unshare() { c.setup.unshare() }

// Users is how many connectors use what is shared of Kafka and of registries.
func (s *Shared) Users() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.kafkas {
		n += k.users
	}
	for _, r := range s.registries {
		n += r.users
	}
	return n
}

// Locked reports whether somebody holds the lock of what connectors share.
func (s *Shared) Locked() bool {
	if !s.mu.TryLock() {
		return true
	}
	s.mu.Unlock()
	return false
}
