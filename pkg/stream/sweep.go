package stream

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Sweep reads every live record of a type from the object store, in order of ids,
// a large type in several ranges at once (reading.go). Its list pages are readings
// themselves, and what they lack goes to confirm (R11). The tiers run beside it from
// the start and find the records that change after the sweep has passed them (R5).
type Sweep struct {
	Object   *Object
	Stream   string
	Priority hubspot.Priority
	Place    offsets.Sweep
	// Pause is the time between two pages.
	Pause time.Duration

	asked  time.Time          // for how many records there are
	listed *map[string]string // Object.listed when this run began the sweep, or went on with it

	order     sync.Mutex // guards what follows
	gaps      cdc.Gaps
	restarted time.Time // when HubSpot refused to continue the list, so that it is read from the beginning
	partly    bool      // not everything of it was read, or shows what is missing, or not all properties
	short     bool      // the list lacks a record that HubSpot shows when asked for it
}

// Run is the backfill: it sweeps once and returns when the sweep is done. A pause of
// the type holds the sweep, and not those that wait for one that was done before.
func (s *Sweep) Run(ctx context.Context) error {
	o := s.Object
	s.partly = s.Place.Waits
	if !s.Place.Done {
		if err := supervise(ctx, o, s.Stream, func() time.Duration { return 0 }, s.pass); err != nil {
			return err
		}
		if s.Place.Short { // what its list lacked, nobody else may come upon
			o.askReconcile()
		}
	}
	if err := s.verify(ctx); err != nil {
		return err
	}
	o.Status.started(o.Type.Name, s.Stream)
	o.Status.backfillDone(o.Type.Name)
	o.sweptAt = s.Place.Completed
	close(o.swept)
	return nil
}

func (s *Sweep) pass(ctx context.Context) error {
	o := s.Object
	if s.Place.Done { // a pause came with the commit of the last page
		return errFinished
	}
	defer o.Metrics.snapshot(o.Type.Name)()
	if err := s.sweep(ctx); err != nil {
		return err
	}
	o.Log.Info("backfill done", "stream", s.Stream, "records", o.Lane.Live())
	return errFinished
}

// unbegun reports whether nothing of a sweep was read yet.
func unbegun(p offsets.Sweep) bool {
	return len(p.Ranges) == 1 && p.Ranges[0] == offsets.Range{From: "0"} && !p.Done
}

// verify takes the sweep, which has ended, for one that has shown everything, if it
// has read everything.
func (s *Sweep) verify(ctx context.Context) error {
	if s.lacks() {
		return nil
	}
	return s.Object.verified.end(ctx, s.Place.Started, s.Place.Started)
}

// compare notes, before the last page is committed, whether HubSpot has properties that the
// sweep did not read. The cursor says so, because who begins with it must not take the
// sweep for one that has shown everything.
func (s *Sweep) compare(ctx context.Context) error {
	if s.lacks() {
		return nil
	}
	same, err := s.Object.sameProperties(ctx, s.listed)
	if err == nil && !same {
		s.setPartly()
	}
	return err
}

// lacks reports whether something of the sweep was not read, or waited when an earlier
// run ended: whether that was decided since is not known to this one.
func (s *Sweep) lacks() bool {
	s.order.Lock()
	defer s.order.Unlock()
	return s.partly || s.gaps.Unordered
}

func (s *Sweep) cameShort() bool {
	s.order.Lock()
	defer s.order.Unlock()
	return s.short
}

// errAsOne says that the list must be read from its beginning, as one range.
var errAsOne = errors.New("the list must be read from its beginning")

// sweep reads what is left of the ranges.
func (s *Sweep) sweep(ctx context.Context) error {
	if s.listed == nil {
		s.listed = s.Object.listed.Load()
	}
	for {
		err := s.read(ctx)
		if !errors.Is(err, errAsOne) {
			return err
		}
		s.Object.asOne.Store(true)
		s.setRestarted()
		s.Place.Ranges = []offsets.Range{{From: "0"}}
	}
}

func (s *Sweep) setRestarted() {
	s.order.Lock()
	defer s.order.Unlock()
	s.restarted = time.Now()
}

func (s *Sweep) wasRestarted() bool {
	s.order.Lock()
	defer s.order.Unlock()
	return justRestarted(s.restarted)
}

// restartAgain is how long after a list was begun once more a refused place is no reason
// to begin it another time: HubSpot refuses places that are old, and this one is new.
const restartAgain = time.Hour

// justRestarted reports whether a list was begun once more lately. at is zero for never.
func justRestarted(at time.Time) bool { return !at.IsZero() && time.Since(at) < restartAgain }

func (s *Sweep) setPartly() {
	s.order.Lock()
	defer s.order.Unlock()
	s.partly = true
}

// publish commits pages and the place after them.
func (s *Sweep) publish(ctx context.Context, pages []sweepPage, left []cdc.Chain) error {
	next := s.Place
	next.Ranges = nil
	for _, c := range left {
		next.Ranges = append(next.Ranges, rangeOf(c))
	}
	page := cdc.Page{Stream: s.Stream}
	end := cdc.Chain{Begun: true}
	for _, p := range pages {
		page.Readings = append(page.Readings, p.readings...)
		end.Last = max(end.Last, p.last)
	}
	if len(left) == 0 {
		if err := s.compare(ctx); err != nil {
			return err
		}
		next.Ranges, next.Done, next.Completed = []offsets.Range{rangeOf(end)}, true, pages[len(pages)-1].date
		next.Asked = false
		page.Sync = true
	}
	cursor := func() []cdc.Cursor {
		return []cdc.Cursor{{Object: s.Object.Type.Name, Stream: s.Stream, Value: next.Bytes()}}
	}
	before := next.Waits || s.lacks()
	next.Short = next.Short || s.cameShort()
	next.Waits = true
	page.Waiting = cursor()
	next.Waits = before
	page.Cursors = cursor()
	waits, err := s.Object.publishes(ctx, page)
	if err == nil {
		s.Object.Status.started(s.Object.Type.Name, s.Stream)
		next.Waits = next.Waits || waits
		s.Place = next
	}
	if err == nil && next.Done {
		s.Object.sweeps.end(next.Started)
	}
	return err
}

// begin tells the status how much of the type is read, and for a reconcile, which
// reads what is published, how much there is.
func (s *Sweep) begin(ctx context.Context) error {
	o, left := s.Object, 0
	for _, r := range s.Place.Ranges {
		from, _ := hubspot.ParseID(cmp.Or(r.ID, r.From)) // the cursor was checked when it was read
		to, _ := hubspot.ParseID(r.To)
		n, err := o.Lane.Count(ctx, cdc.Range{After: from, UpTo: to}, farFuture)
		if err != nil {
			return err
		}
		left += n.Certain
	}
	live, expected := o.Lane.Live(), cdc.Unknown
	if s.Stream == offsets.ReconcileStream {
		expected = live
	}
	o.Status.begin(o.Type.Name, s.Stream, s.Stream == offsets.BackfillStream, max(0, live-left), expected)
	return nil
}

// expect asks HubSpot's search how many records a backfill has to read. Without an
// answer nobody knows how long it takes, and types that are known to have more are read
// by more readers.
func (s *Sweep) expect(ctx context.Context) error {
	o := s.Object
	q := query(cdc.Range{}, 1)
	q.Object, q.ModifiedProperty = o.Type.Path, o.Type.ModifiedProperty
	page, err := o.Client.Search(ctx, hubspot.Call{Priority: s.Priority, Tries: 1}, q)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		o.Log.Debug("HubSpot does not count the records of a type; nobody knows how long its backfill takes", "stream", s.Stream, "err", err)
	case page.Total > 0:
		o.Status.expect(o.Type.Name, s.Stream, page.Total)
	}
	return nil
}

// rangeOf is a chain in the cursor.
func rangeOf(c cdc.Chain) offsets.Range {
	r := offsets.Range{From: c.In.After.String(), After: c.Place}
	if c.In.UpTo != 0 {
		r.To = c.In.UpTo.String()
	}
	if c.Begun && c.Last != 0 {
		r.ID = c.Last.String()
	}
	return r
}

// chainsOf are the ranges of a cursor. restarted says that HubSpot has refused a
// place of this sweep lately.
func chainsOf(ranges []offsets.Range, restarted bool) *cdc.Chains {
	var left []cdc.Chain
	for _, r := range ranges {
		from, _ := hubspot.ParseID(r.From) // the cursor was checked when it was read
		to, _ := hubspot.ParseID(r.To)
		id, err := hubspot.ParseID(r.ID)
		c := cdc.Chain{In: cdc.Range{After: from, UpTo: to}, Place: r.After, Last: max(from, id), Begun: err == nil, Restarted: restarted}
		if c.Place == "" && c.Last != 0 {
			c.Place = c.Last.String()
		}
		c.Entered = c.Last != 0 && c.Place == c.Last.String()
		left = append(left, c)
	}
	return cdc.NewChains(left...)
}
