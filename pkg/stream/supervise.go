package stream

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// errFinished is returned by a pass after which the stream has nothing to do.
var errFinished = errors.New("stream finished")

// supervise repeats a pass. What HubSpot lastingly refuses (a scope, a type
// that is gone), or the registry (a schema), concerns this stream alone: it is
// reported, and tried again after one second, growing to a minute. A refused token concerns the run, as
// does every other error.
func supervise(ctx context.Context, o *Object, stream string, interval func() time.Duration, pass func(context.Context) error) error {
	return superviseAs(ctx, subject{o.Type.Name, o.Status, o.Log}, stream, interval, pass)
}

// subject is what a stream is about: an object type, or a pair of them.
type subject struct {
	name   string
	status *Status
	log    *slog.Logger
}

func superviseAs(ctx context.Context, of subject, stream string, interval func() time.Duration, pass func(context.Context) error) error {
	wait := time.Second
	for {
		err := pass(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errFinished):
			of.status.started(of.name, stream)
			return nil
		case refused(err):
			if wait == time.Second {
				of.log.Warn("a stream is refused; the others go on, and it is tried again", "stream", stream, "err", err)
			}
			of.status.Problem(of.name, stream, err)
			if err := sleep(ctx, wait); err != nil {
				return err
			}
			wait = min(2*wait, time.Minute)
			continue
		case err != nil:
			return err
		}
		if wait > time.Second {
			of.log.Info("a stream goes on", "stream", stream)
			wait = time.Second
		}
		if err := sleep(ctx, interval()); err != nil {
			return err
		}
	}
}

// refused says that HubSpot answered a stream with a lasting error, or that the
// registry refuses the schema of its topic.
func refused(err error) bool {
	var e *hubspot.Error
	var topic *cdc.RefusedError
	return errors.Is(err, cdc.ErrUnordered) || errors.As(err, &topic) || errors.As(err, &e) && !hubspot.Unauthorized(err)
}
