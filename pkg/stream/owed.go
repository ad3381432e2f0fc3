package stream

import (
	"context"
	"maps"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// payInterval is how often what resumed streams owe is looked at, while they owe it.
const payInterval = 10 * time.Second

// payOff asks for the sweeps that resumed streams owe, until each has shown
// everything. What a sweep of an earlier run has found may have waited for another
// reading when that run ended, so a run asks for all that is owed.
func (s *Signals) payOff(ctx context.Context) error {
	for first := true; ; first = false {
		paid, owed := false, s.Status.pauses.owes()
		for name, since := range owed {
			c := s.pausable(name)
			if c == nil {
				continue // it is not followed now
			}
			switch begun, all := c.readSince(since); {
			case all:
				s.Status.pauses.paid(name, since)
				paid = true
			case first || !begun:
				c.readAgain()
			}
		}
		if paid {
			if err := s.save(ctx, true, func() {}); err != nil {
				return err
			}
		}
		var again <-chan time.Time
		if len(owed) > 0 {
			again = time.After(payInterval)
		}
		select {
		case <-again:
		case <-s.resumed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pausable returns the collection of a name that can be paused, or nil.
func (s *Signals) pausable(name string) pausable {
	for _, c := range s.collections() {
		if p, can := c.(pausable); can && c.name() == name {
			return p
		}
	}
	return nil
}

func (c *objectCollection) readAgain() {
	c.Audit.excuse(c.name(), time.Now().Add(excuseFor))
	c.askReconcile()
}

func (c *objectCollection) readSince(at hubspot.Millis) (begun, all bool) {
	return c.sweeps.begunSince(at), c.verified.shownSince(at)
}

func (c *pairCollection) readAgain() {
	c.From.Audit.excuse(c.name(), time.Now().Add(excuseFor))
	c.SweepNow()
}

func (c *pairCollection) readSince(at hubspot.Millis) (begun, all bool) {
	return c.sweeps.begunSince(at), c.verified.shownSince(at)
}

// setOwed takes over what an earlier run owed. A time that is yet to come, such as one
// that somebody typed, counts as now: no sweep begins after it, however often one is asked for.
func (p *pauses) setOwed(owed map[string]hubspot.Millis, now hubspot.Millis) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owed = make(map[string]hubspot.Millis, len(owed))
	for name, at := range owed {
		p.owed[name] = min(at, now)
	}
}

// owe notes that objects were resumed.
func (p *pauses) owe(at hubspot.Millis, objects ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.owed == nil {
		p.owed = map[string]hubspot.Millis{}
	}
	for _, name := range objects {
		p.owed[name] = at
	}
}

// owes returns what was resumed and not read again since.
func (p *pauses) owes() map[string]hubspot.Millis {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.owed)
}

// paid notes that an object has been read again since a time.
func (p *pauses) paid(object string, since hubspot.Millis) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.owed[object] == since { // it was not resumed again meanwhile
		delete(p.owed, object)
	}
}
