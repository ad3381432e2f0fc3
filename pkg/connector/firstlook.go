package connector

import (
	"context"
	"log/slog"
	"sync"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// firstLook asks HubSpot which types there are and how many calls of the day are
// left, while the state is read from Kafka: each takes about a second. It reads no
// record before the state is there (R1). Once that is there, it asks only about the types
// that were followed before, unless the operator names some: the others take seconds, and
// most tokens may not read them. The next look follows soon.
type firstLook struct {
	both sync.WaitGroup
	seen stream.Seen
	err  error

	loaded chan struct{} // closed when types is set
	types  *types
}

// lookFirst begins. It ends when ctx does.
func lookFirst(ctx context.Context, s *Setup, log *slog.Logger) *firstLook {
	l := &firstLook{loaded: make(chan struct{})}
	ask := introspection(s, log)
	ask.Streaming = func(hubspot.ObjectType) bool { return false }
	ask.Known = func(word string) bool {
		select {
		case <-l.loaded:
			return l.types.known(word)
		case <-ctx.Done():
			return false
		}
	}
	if !s.Config.HubSpot.names() {
		ask.Later = l.later
	}
	l.both.Go(func() { s.LearnDay(ctx, log) })
	l.both.Go(func() { l.seen, l.err = ask.Look(ctx) })
	return l
}

// later reports whether a type may wait for the next look.
func (l *firstLook) later(t hubspot.ObjectType) bool {
	select {
	case <-l.loaded:
		return len(l.types.byName) > 0 && l.types.byName[t.Name] == nil
	default:
		return false
	}
}

// result waits for the end. types are what earlier runs have published.
func (l *firstLook) result(types *types) (stream.Seen, error) {
	l.types = types
	close(l.loaded)
	l.both.Wait()
	return l.seen, l.err
}
