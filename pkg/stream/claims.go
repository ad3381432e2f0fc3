package stream

import (
	"context"
	"slices"
	"sync"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// claims keeps finders that name the same records at the same time from reading them
// twice: the later one waits until what the earlier one read is published, and then
// has less to ask. It saves calls, and nothing depends on it.
type claims struct {
	mu   sync.Mutex
	held map[hubspot.ID]chan struct{} // closed when the claim ends
}

func newClaims() *claims { return &claims{held: map[hubspot.ID]chan struct{}{}} }

// claim waits until nobody holds any of these records, and takes them all. The caller
// calls release once they are published.
func (c *claims) claim(ctx context.Context, ids []hubspot.ID) (release func(), err error) {
	ids = slices.Clone(ids)
	ended := make(chan struct{})
	for {
		busy := c.take(ids, ended)
		if busy == nil {
			break
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, id := range ids {
			delete(c.held, id)
		}
		close(ended)
	}, nil
}

// take claims all of the records, or none and returns the end of another claim.
func (c *claims) take(ids []hubspot.ID, ended chan struct{}) (busy <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if other := c.held[id]; other != nil {
			return other
		}
	}
	for _, id := range ids {
		c.held[id] = ended
	}
	return nil
}
