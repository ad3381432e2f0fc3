package fleet

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// running is a portal that this instance runs, or ends.
type running struct {
	file   *file
	term   context.Context
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	c       *connector.Connector // the latest; nil: none could be made
	stopped []stream.Problem     // why it needs its operator, as the last try found; nil: no try has ended
	trying  time.Time            // since when it is tried again; zero: it is not
}

// start runs a portal until its term ends or it is cancelled.
func (f *Fleet) start(one *file, term context.Context) {
	ctx, cancel := context.WithCancelCause(term)
	r := &running{file: one, term: term, cancel: cancel}
	f.running[one.Name] = r
	go func() { // finish waits for it
		defer func() {
			cancel(nil)
			f.mu.Lock()
			delete(f.running, one.Name)
			f.mu.Unlock()
			f.rouse()
		}()
		f.follow(ctx, r)
	}()
}

// follow runs a portal until ctx ends. What ends it otherwise needs its operator.
func (f *Fleet) follow(ctx context.Context, r *running) {
	o := f.cfg.Each
	o.Shared, o.Own, o.Version, o.List = f.shared, f.confirm, f.cfg.Version, "../../"
	o.Sums = f.cfg.Metrics == MetricsPortal
	o.Logger = f.cfg.Log.With("portal_name", r.file.Name)
	for wait := startAgain; ; wait = min(2*wait, startSeldom) {
		began := time.Now()
		c, err := connector.New(r.file.cfg, o)
		r.tries(c)
		if err == nil {
			err = c.Run(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		r.stops(cmp.Or(err, errors.New("it has stopped")))
		if time.Since(began) > startSeldom {
			wait = startAgain
		}
		o.Logger.Error("the portal needs its operator; it is tried again", "err", err, "after", wait.String())
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

func (r *running) tries(c *connector.Connector) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.c, r.trying = c, time.Now()
}

// stops notes that the portal needs its operator.
func (r *running) stops(failed error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.stopped
	r.trying, r.stopped = time.Time{}, nil
	if r.c != nil {
		r.stopped = r.c.Brief().Problems
	}
	if len(r.stopped) == 0 {
		r.stopped = []stream.Problem{{Area: "connector", Problem: failed.Error(), Action: connector.TriedAgain, Since: moment(time.Now())}}
	}
	for i := range r.stopped { // the try before may have found the same
		if same := slices.IndexFunc(before, func(p stream.Problem) bool { return p.Problem == r.stopped[i].Problem }); same >= 0 {
			r.stopped[i].Since = before[same].Since
		}
	}
}

// now gives the latest connector, and why the portal needs its operator. It does until a
// try streams, or finds something else wrong.
func (r *running) now() (c *connector.Connector, stopped []stream.Problem, trying time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.c, r.stopped, r.trying
}
