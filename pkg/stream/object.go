package stream

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Object is one followed object type: what its streams share. NewObject makes it.
type Object struct {
	recheck     *queue
	claims      *claims
	bin         *bin
	held        *atomic.Int64  // Lane.Held as last reported
	swept       chan struct{}  // closed when the backfill is done
	sweptAt     hubspot.Millis // when it was, by its last page; set before swept is closed
	wanted      chan struct{}  // one slot: somebody wants a reconcile now
	watchers    *watchers
	withheld    *atomic.Value // what Withheld last reported, a string
	narrow      *atomic.Bool  // HubSpot found a list with all properties too long
	asOne       *atomic.Bool  // HubSpot's list cannot be read in ranges
	sweeps      *sweeps       // backfill and reconciles
	stuck       *stuck
	verified    *verification
	listed      *atomic.Pointer[map[string]string] // the properties that HubSpot listed last, and their types
	pages       *pageSizes                         // of the list
	binPages    *pageSizes                         // of the list of archived records
	searchPages *pageSizes

	Type   hubspot.ObjectType
	Client *hubspot.Client
	// Sensitivities are the kinds of properties to ask for.
	Sensitivities []string
	Lane          *cdc.Lane
	Log           *slog.Logger
	Status        *Status
	Metrics       *Metrics
	// Readers are shared by all types.
	Readers *Readers
	// Rounds hears of the records that go.
	Rounds *Rounds
	// Audit hears of what is published.
	Audit *Audit
	// Frontiers hear of what is verified; nil = nobody does.
	Frontiers Frontiers
	// Unread are the records that the run before could not read (R18).
	Unread []hubspot.ID
	// Unexplained, unless nil, is called when a record changed and nothing that was
	// read of it did.
	Unexplained func()
}

// NewObject completes o with what its streams use to talk to each other.
func NewObject(o Object) *Object {
	o.held, o.withheld, o.narrow, o.asOne = new(atomic.Int64), new(atomic.Value), new(atomic.Bool), new(atomic.Bool)
	o.sweeps, o.claims, o.listed = new(sweeps), newClaims(), new(atomic.Pointer[map[string]string])
	o.Listed(nil)
	o.recheck, o.bin, o.swept, o.wanted = newQueue(o.Client.Now), newBin(), make(chan struct{}), make(chan struct{}, 1)
	o.watchers, o.pages, o.binPages = newWatchers(), new(pageSizes), new(pageSizes)
	o.searchPages = new(pageSizes)
	lane := o.Lane
	o.stuck = newStuck(subject{o.Type.Name, o.Status, o.Log}, o.Metrics, o.Unread, func(ctx context.Context, c cdc.Cursor) error {
		_, err := lane.Publish(ctx, cdc.Page{Stream: offsets.StuckStream, Sync: true, Cursors: []cdc.Cursor{c}})
		return err
	})
	stuck := o.stuck
	o.verified = newVerification(o.Type.Name, o.Frontiers, func(ctx context.Context) ([]hubspot.ID, error) {
		ids, err := lane.Waiting(ctx)
		return append(ids, stuck.all()...), err
	})
	o.Metrics.follow(o.Type.Name, cdc.Stale.String(), cdc.Older.String(), cdc.Generation.String(), unordered)
	o.Audit.follow(o.Type.Name, []string{o.Type.TypeID}, recordFinders...)
	o.Metrics.zero(o.Metrics.pollingMissed.MetricVec, o.Type.Name)
	o.Metrics.zero(o.Metrics.unresolved.MetricVec, o.Type.Name)
	o.Metrics.zero(o.Metrics.disputed.MetricVec, o.Type.Name)
	o.Metrics.zero(o.Metrics.stuck.MetricVec, o.Type.Name)
	return &o
}

// backfilled waits until the type's backfill is done, or ctx ends.
func (o *Object) backfilled(ctx context.Context) error {
	select {
	case <-o.swept:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// askReconcile asks for a reconcile: now, or after the one under way.
func (o *Object) askReconcile() {
	select {
	case o.wanted <- struct{}{}:
	default:
	}
}

// publish commits a page of the stream that read it, whose problem is over then.
func (o *Object) publish(ctx context.Context, page cdc.Page) error {
	_, err := o.publishes(ctx, page)
	if err == nil {
		o.Status.started(o.Type.Name, page.Stream)
	}
	return err
}

// publishes commits a page. It rereads and republishes whatever the lane returns, until
// the page's cursors have moved. waits reports that something of the page waits for
// another confirm.
func (o *Object) publishes(ctx context.Context, page cdc.Page) (waits bool, err error) {
	p := cdc.NewPublication(page)
	for {
		left, err := o.Lane.Publish(ctx, p.Page)
		if err != nil {
			return waits, fmt.Errorf("publish a page of %s: %w", page.Stream, err)
		}
		if len(left.Later) > 0 && page.Waiting != nil {
			waits, p.Page.Cursors = true, page.Waiting
		}
		o.recheck.add(page.Stream, left.Later)
		found(ctx, len(left.Committed))
		o.watchers.tell(left.Committed)
		o.Audit.records(o.Type.Name, left.Committed, o.Client.Now())
		if slices.ContainsFunc(left.Committed, deletes) {
			o.Rounds.Went(o.Type.Name, time.Now())
		}
		if o.Unexplained != nil && slices.ContainsFunc(left.Committed, func(c cdc.Change) bool { return c.Unexplained }) {
			o.Unexplained()
		}
		if len(left.Committed) > 0 { // its topic takes events again
			o.Status.Clear(o.Type.Name, offsets.JournalStream)
		}
		o.sayHeld()
		ids, wait := p.Left(left.Again)
		if len(ids) == 0 {
			o.verified.settle(ctx)
			return waits, nil
		}
		for _, a := range left.Again {
			o.Metrics.rereads.WithLabelValues(o.Type.Name, a.Cause.String()).Inc()
		}
		if err := sleep(ctx, wait); err != nil {
			return waits, err
		}
		readings, err := o.read(ctx, hubspot.Confirm, ids)
		if err != nil {
			return waits, err
		}
		p.Reread(readings)
	}
}

func deletes(c cdc.Change) bool { return c.Event != nil && c.Event.Op == cdc.Delete }

// brakeError says that the brake holds back deletes (R9).
type brakeError struct{ held int }

func (e *brakeError) Error() string {
	return fmt.Sprintf("%d records are gone without an archived copy or a survivor; their deletes are held back for an hour", e.held)
}

// sayHeld keeps log and status up to date about the brake.
func (o *Object) sayHeld() {
	held := int64(o.Lane.Held())
	o.Metrics.held.WithLabelValues(o.Type.Name).Set(float64(held))
	switch before := o.held.Swap(held); {
	case held == before:
	case held == 0:
		o.Log.Info("the brake no longer holds back any delete")
		o.Status.Clear(o.Type.Name, brakePart)
	default:
		err := &brakeError{int(held)}
		o.Status.Problem(o.Type.Name, brakePart, err)
		if before == 0 {
			o.Log.Error("many records of an object type are gone at once", "err", err)
		}
	}
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
