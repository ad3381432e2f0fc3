package stream

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// errFinished is what a pass returns when the stream has nothing left to do.
var errFinished = errors.New("stream finished")

// supervise repeats a pass until ctx ends or the pass returns errFinished. A lasting
// refusal, by HubSpot (a scope, a type that is gone), by the registry (a schema) or by
// Kafka (a topic), concerns this stream alone: supervise reports it and tries again after one second,
// growing to one minute. Every other error, a refused token included, ends the run.
func supervise(ctx context.Context, o *Object, stream string, interval func() time.Duration, pass func(context.Context) error) error {
	return superviseAs(ctx, subject{o.Type.Name, o.Status, o.Log}, stream, interval, pass)
}

// subject is what a stream works on: an object type or a pair.
type subject struct {
	name   string
	status *Status
	log    *slog.Logger
}

func superviseAs(ctx context.Context, of subject, stream string, interval func() time.Duration, pass func(context.Context) error) error {
	wait := time.Second
	pauses := &of.status.pauses
	ready := func() { of.status.idle(of.name, stream) } // what is paused does not keep the rest from being ready
	for {
		if err := pauses.wait(ctx, of.name, false, ready); err != nil {
			return err
		}
		err := pauses.during(ctx, of.name, false, func(ctx context.Context) error { return TellPass(ctx, of.log, stream, pass) })
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errPaused):
			continue
		case errors.Is(err, errFinished):
			of.status.started(of.name, stream)
			return nil
		case refused(err):
			if wait == time.Second {
				of.log.Warn("a stream is refused; the others continue, and it tries again", "stream", stream, "err", err)
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
			of.log.Info("a stream continues", "stream", stream)
			wait = time.Second
		}
		if err := sleep(ctx, interval()); err != nil {
			return err
		}
	}
}

// refused reports whether HubSpot answered with a lasting error other than a refused
// token, does not sort its search, leads through its list in a circle, or leaves out more
// records than may be stuck (R18), or whether the topic cannot be written for now.
func refused(err error) bool {
	for _, lasting := range []error{cdc.ErrUnordered, errCircle, errLeftOut} {
		if errors.Is(err, lasting) {
			return true
		}
	}
	var e *hubspot.Error
	var topic *cdc.RefusedError
	return errors.As(err, &topic) || errors.As(err, &e) && !hubspot.Unauthorized(err)
}
