package stream

import (
	"context"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Recheck confirms again what is published as live and was found gone: a purge
// needs a second confirm, and what the brake holds needs one more after the hour
// (R9). It is no finder: an event names the stream that found the id.
type Recheck struct{ Object *Object }

// Run confirms ids as they become due, until ctx ends.
func (r *Recheck) Run(ctx context.Context) error {
	return supervise(ctx, r.Object, recheckStream, func() time.Duration { return 0 }, r.pass)
}

func (r *Recheck) pass(ctx context.Context) error {
	o := r.Object
	stream, ids, err := o.recheck.next(ctx, o.lookAhead)
	if err != nil {
		return err
	}
	readings, err := o.complete(ctx, nil, ids)
	if err == nil {
		_, err = o.publishes(ctx, cdc.Page{Stream: stream, Readings: readings}) // the finder may be refused still
	}
	if err != nil {
		o.recheck.add(stream, later(ids))
		return err
	}
	o.Status.Clear(o.Type.Name, recheckStream)
	return nil
}

// recheckRetry is how long an id waits after HubSpot refused to read it.
const recheckRetry = time.Minute

func later(ids []hubspot.ID) []cdc.Later {
	out := make([]cdc.Later, len(ids))
	for i, id := range ids {
		out[i] = cdc.Later{ID: id, After: recheckRetry}
	}
	return out
}

// queue holds ids until they are due. It lives as long as the run.
type queue struct {
	now  func() hubspot.Millis // HubSpot's clock, where ids are due by that (cdc.Later)
	mu   sync.Mutex
	due  cdc.Rechecks
	wake chan struct{}
}

func newQueue(now func() hubspot.Millis) *queue {
	return &queue{now: now, due: cdc.Rechecks{}, wake: make(chan struct{}, 1)}
}

func ownClock() hubspot.Millis { return hubspot.MillisOf(time.Now()) }

// latestOf is a time that HubSpot's clock has not passed, or ours: what HubSpot's
// answers say may be too early, because R21 prefers that where it is in doubt.
func latestOf(c *hubspot.Client) hubspot.Millis { return max(c.Latest(), ownClock()) }

func (q *queue) add(stream string, ids []cdc.Later) {
	if len(ids) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.due.Add(q.now().Time(), stream, ids)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) take() (stream string, ids []hubspot.ID, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.due.Take(q.now().Time())
}

// next waits until ids are due. Before each wait it calls ahead, unless that is nil, with
// how long nothing will be. It returns nothing that is not due: a pass that has asked
// HubSpot nothing would count as one that HubSpot has answered.
func (q *queue) next(ctx context.Context, ahead func(context.Context, time.Duration) error) (stream string, ids []hubspot.ID, err error) {
	for {
		stream, ids, wait := q.take()
		if len(ids) > 0 {
			return stream, ids, nil
		}
		if ahead != nil {
			if err := ahead(ctx, wait); err != nil {
				return "", nil, err
			}
		}
		if err := q.wait(ctx, wait); err != nil {
			return "", nil, err
		}
	}
}

// wait returns when something is added, or after d.
func (q *queue) wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-q.wake:
	case <-t.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}
