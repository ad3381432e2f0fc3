package stream

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// errNoAnswer says that HubSpot answered other questions, but gave this one
// nothing that counts as an answer: a proxy's page, a lasting 500.
var errNoAnswer = errors.New("HubSpot does not answer this request, though it answers others")

const (
	// askAtOnce is the most questions that askEach has under way.
	askAtOnce = 8
	// askPatience is how long askEach waits for the next answer once it has had
	// one. Time stands still while all questions wait for HubSpot's limits.
	askPatience = 20 * time.Second
)

// askEach asks n questions, and waits as long as HubSpot needs while it answers
// none. Once it has answered one, and then none for askPatience, askEach gives up
// the rest: it ends their context with the cause errNoAnswer. ask returns nil for
// a question that HubSpot refuses and for one that was given up; any other error
// of ask ends all of them.
func askEach(ctx context.Context, n int, ask func(ctx context.Context, i int) error) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(askAtOnce)
	late, patience := hubspot.WithPatience(gctx, 0, errNoAnswer) // until the first answer
	defer patience.Stop()
	for i := range n {
		g.Go(func() error {
			err := ask(late, i)
			if err == nil && !unanswered(late) {
				patience.Again(askPatience)
			}
			return err
		})
	}
	return g.Wait()
}

// unanswered reports whether askEach has given up the question of this context.
func unanswered(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errNoAnswer) }
