package connector

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// tasks are the goroutines of a run. The first that fails ends all others.
type tasks struct {
	ctx    context.Context // the run's
	group  *errgroup.Group
	client *hubspot.Client
}

func newTasks(ctx context.Context, client *hubspot.Client) *tasks {
	group, ctx := errgroup.WithContext(ctx)
	return &tasks{ctx, group, client}
}

// add runs f for as long as the run lasts.
func (t *tasks) add(f func(context.Context) error) {
	t.group.Go(func() error { return f(t.ctx) })
}

// wait returns when all have ended, with the error of the first that failed.
func (t *tasks) wait() error { return t.group.Wait() }

// task is a number of streams that can be ended before the run ends.
type task struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// spawn runs streams as part of the run.
func (t *tasks) spawn(streams ...stream.Runner) *task {
	ctx, cancel := context.WithCancel(t.ctx)
	one := &task{cancel: cancel}
	for _, s := range streams {
		ctx := t.client.Charge(ctx, stream.Charged(s))
		one.done.Add(1)
		t.group.Go(func() error {
			defer one.done.Done()
			err := s.Run(ctx)
			if ctx.Err() != nil && t.ctx.Err() == nil && errors.Is(err, context.Canceled) {
				return nil // it was ended alone
			}
			return err
		})
	}
	return one
}

// end ends the streams, and returns when they have ended. A nil task has none.
func (t *task) end() {
	if t != nil {
		t.cancel()
		t.done.Wait()
	}
}
