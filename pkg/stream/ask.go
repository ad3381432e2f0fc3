package stream

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
)

// errNoAnswer says that HubSpot answered the other questions, and this one with
// nothing that counts: a page of a proxy, a lasting 500.
var errNoAnswer = errors.New("HubSpot does not answer this, though it answers the rest")

const (
	// askAtOnce bounds the requests that askEach has under way.
	askAtOnce = 8
	// askPatience is for how long the last questions are waited for, since the
	// one before them was answered.
	askPatience = 20 * time.Second
)

// askEach asks n questions. Each waits as long as HubSpot needs, but not where
// the others were answered and it alone is not, for askPatience: its context then
// ends, with the cause errNoAnswer. While nothing at all is answered everything
// waits. An ask that is not answered returns nil, as one that is refused does.
func askEach(ctx context.Context, n int, ask func(ctx context.Context, i int) error) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(askAtOnce)
	late, giveUp := context.WithCancelCause(gctx)
	defer giveUp(nil)
	timer := time.AfterFunc(askPatience, func() { giveUp(errNoAnswer) })
	timer.Stop() // until the first answer
	defer timer.Stop()
	for i := range n {
		g.Go(func() error {
			err := ask(late, i)
			if err == nil && !unanswered(late) {
				timer.Reset(askPatience)
			}
			return err
		})
	}
	return g.Wait()
}

// unanswered says that askEach has given a question up.
func unanswered(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errNoAnswer) }
