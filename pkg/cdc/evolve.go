package cdc

import (
	"context"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Evolution is a property set that follows another (R13).
type Evolution struct {
	Slots   *hubspot.Slots
	Content *Content
	// Accept makes the topic ready for the set. No batch of the lane is under way
	// while it runs.
	Accept func(context.Context) error
	// Set and Cursors are committed together: the property set in force, and what
	// must now be read again.
	Set     []byte
	Cursors []Cursor
	// Started is HubSpot's time of the type's first start (R10).
	Started hubspot.Millis
}

// Evolve makes the lane read and decide with another property set from now on. If a
// reading was asked with the set before, the lane has it read again (R13). If
// Accept or the commit fails, the lane stays as it was.
func (l *Lane) Evolve(ctx context.Context, e Evolution) error {
	if err := l.take(ctx); err != nil {
		return err
	}
	defer l.release()
	if err := e.Accept(ctx); err != nil {
		return err
	}
	if e.Set != nil || len(e.Cursors) > 0 {
		b := Batch{Object: l.object, Set: e.Set, Cursors: e.Cursors, Sync: true}
		if err := l.committer.Commit(ctx, &b); err != nil {
			return err
		}
	}
	l.rules.slots, l.rules.content, l.rules.started = e.Slots, e.Content, e.Started
	l.slots.Store(e.Slots)
	return nil
}
