package stream

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// passed is what a pass has done so far. Its context carries it.
type passed struct {
	calls hubspot.Tally
	found atomic.Int64
}

type passedKey struct{}

// TellPass does a pass of a stream. Where the log wants to know, it then says what the
// pass found and how long it took from its first call. A pass without a call was only
// a look at whether one is due. The stream is "" if the log names it already.
func TellPass(ctx context.Context, log *slog.Logger, stream string, pass func(context.Context) error) error {
	if !log.Enabled(ctx, slog.LevelDebug) {
		return pass(ctx)
	}
	p := new(passed)
	err := pass(p.calls.In(context.WithValue(ctx, passedKey{}, p)))
	n, first := p.calls.Calls()
	if n == 0 || ctx.Err() != nil {
		return err
	}
	if stream != "" {
		log = log.With("stream", stream)
	}
	attrs := []any{"found", p.found.Load(), "calls", n, "took", time.Since(first).Round(time.Millisecond).String()}
	if err != nil && !errors.Is(err, errFinished) {
		attrs = append(attrs, "err", err)
	}
	log.Debug("pass", attrs...)
	return err
}

// found notes that the pass of a context has published changes.
func found(ctx context.Context, changes int) {
	if p, ok := ctx.Value(passedKey{}).(*passed); ok {
		p.found.Add(int64(changes))
	}
}
