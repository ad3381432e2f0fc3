package cdc

import "context"

// turn is the right to touch a lane's table. It is a channel and not a mutex: a
// caller can give up, and a test's virtual time does not stop.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) release() { <-t }
