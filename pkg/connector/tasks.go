package connector

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"
)

// runner is a stream: it runs until its context ends, or until something fails
// that ends the run.
type runner interface{ Run(context.Context) error }

// tasks are the goroutines of a run. The first that fails ends all others.
type tasks struct {
	ctx   context.Context // the run's
	group *errgroup.Group
}

func newTasks(ctx context.Context) *tasks {
	group, ctx := errgroup.WithContext(ctx)
	return &tasks{ctx, group}
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
func (t *tasks) spawn(streams ...runner) *task {
	ctx, cancel := context.WithCancel(t.ctx)
	one := &task{cancel: cancel}
	for _, s := range streams {
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
