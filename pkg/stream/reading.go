package stream

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// reading is a sweep under way. It begins with one reader. Once a page shows that
// HubSpot's limit can feed more, others take over the ranges that the cursor has, or
// divide the longest one. Each reader has one page at a time between HubSpot and its
// commit, so a crash costs no more than that to be read again.
type reading struct {
	*Sweep
	chains   *cdc.Chains
	group    *errgroup.Group
	pages    chan sweepPage
	dividers atomic.Int32 // readers that are looking for something to read
	// unanswered is how many places HubSpot did not answer about: is it ill, or are
	// they no places?
	unanswered atomic.Int32
	committed  atomic.Int64 // pages
}

const mostUnanswered = 3

var errSwept = errors.New("everything is read")

// read reads what is left of the ranges.
func (s *Sweep) read(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	r := &reading{Sweep: s, chains: chainsOf(s.Place.Ranges, s.wasRestarted()), group: g, pages: make(chan sweepPage)}
	first := r.chains.Claim()
	if first == nil {
		return nil
	}
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.Object.Readers.forget(r)
	r.keep()
	g.Go(func() error { return r.publishing(ctx) })
	r.start(ctx, first)
	if err := g.Wait(); !errors.Is(err, errSwept) {
		return err
	}
	return nil
}

// publishing commits pages, those that come within gathers of each other in one
// transaction, until everything is read. The cursor of each has the places of all
// chains, so one goroutine writes them, in order.
func (r *reading) publishing(ctx context.Context) error {
	for {
		pages, err := r.gathered(ctx)
		if err != nil {
			return err
		}
		moved := make([]cdc.ChainPage, len(pages))
		for i := range pages {
			moved[i] = pages[i].chainPage()
		}
		if err := r.publish(ctx, pages, r.chains.After(moved)); err != nil {
			return err
		}
		r.chains.Move(moved)
		read := 0
		for _, page := range pages {
			read += r.chains.Own(page.chain, page.ids)
			close(page.committed)
		}
		r.Object.Status.advance(r.Object.Type.Name, r.Stream, read)
		r.keep()
		if r.chains.Done() {
			r.Object.Status.end(r.Object.Type.Name, r.Stream)
			return errSwept
		}
		_, known := r.Object.Status.left(r.Object.Type.Name, r.Stream)
		if r.Stream == offsets.BackfillStream && !known && time.Since(r.asked) > countEvery {
			r.asked = time.Now()
			r.group.Go(func() error { return r.expect(ctx) })
		}
		r.grow(ctx)
	}
}

// countEvery is the time between two questions for how many records a type has.
const countEvery = time.Minute

// gathers is how long a page waits for those of other readers: a transaction costs
// about a fifth of what a page costs of the processor. It is about five pages at
// HubSpot's limits. Longer waits need more readers, and their ranges have more
// borders, at which pages are read in part.
const gathers = 300 * time.Millisecond

// gathered waits for a page and, where others read too, for theirs. While the limit
// could feed more readers than there are, no page waits: each holds up its reader.
func (r *reading) gathered(ctx context.Context) (pages []sweepPage, err error) {
	var over <-chan time.Time // nothing comes before the first page
	for {
		select {
		case page := <-r.pages:
			if pages = append(pages, page); !r.chains.Divided() || r.spare() > 0 {
				return pages, nil
			}
			if len(pages) == 1 {
				over = time.After(gathers)
			}
		case <-over:
			return pages, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// keep says how many records are left, and whether more readers could share them.
func (r *reading) keep() {
	left, _ := r.Object.Status.left(r.Object.Type.Name, r.Stream)
	more, dividing := r.chains.Unclaimed() || r.divisible(), r.dividers.Load() > 0
	said := &more
	if dividing && (!more || r.spare() <= 0) { // who divides may wait long for HubSpot's answer
		said = nil
	}
	r.Object.Status.readBy(r.Object.Readers.keep(r, left, said))
}

// grow starts as many readers as the limit can feed, if it is the sweep's turn.
func (r *reading) grow(ctx context.Context) {
	for r.spare() > 0 && r.Object.Readers.takes(r) {
		chain := r.chains.Claim()
		if chain == nil && !r.divisible() {
			return
		}
		r.start(ctx, chain)
	}
}

// spare is how many more readers the limit can feed.
func (r *reading) spare() int {
	return r.Object.Readers.spare(r.Priority, r.between()) - int(r.dividers.Load())
}

// start starts a reader of a chain or, without one, of what it divides off another.
// It goes on with other chains, while the limit can feed it.
func (r *reading) start(ctx context.Context, c *cdc.Chain) {
	if c != nil {
		r.Object.Readers.join(r)
	} else {
		r.dividers.Add(1)
	}
	r.group.Go(func() (err error) {
		for first := (*sweepPage)(nil); ; first = nil {
			if c == nil {
				c, first, err = r.divide(ctx)
				if r.dividers.Add(-1); c == nil || err != nil {
					return err
				}
				r.Object.Readers.join(r)
			}
			released, err := r.chain(ctx, c, first)
			if r.Object.Readers.leave(r); released || err != nil {
				return err
			}
			switch c = r.chains.Claim(); {
			case c != nil:
				r.Object.Readers.join(r)
			case !r.divisible() || r.spare() <= 0 || !r.Object.Readers.takes(r):
				return nil
			default:
				r.dividers.Add(1)
			}
		}
	})
}

// chain reads a chain to its end, or until there are too many readers.
func (r *reading) chain(ctx context.Context, c *cdc.Chain, first *sweepPage) (released bool, err error) {
	for seen, came := r.committed.Load(), (trail{}); ; {
		page := first
		if first = nil; page == nil {
			if page, err = r.next(ctx, c, came); err != nil {
				return false, err
			}
		}
		if (r.unordered() || page.shifted()) && r.chains.Divided() {
			return false, errAsOne
		}
		page.chain, page.committed = c, make(chan struct{})
		r.chains.Read(page.chainPage())
		ready := time.Now()
		select {
		case r.pages <- *page:
		case <-ctx.Done():
			return false, ctx.Err()
		}
		select {
		case <-page.committed:
		case <-ctx.Done():
			return false, ctx.Err()
		}
		r.Object.Readers.took(page.trip + time.Since(ready))
		if r.chains.Ended(page.chainPage()) {
			return false, nil
		}
		// Who goes on must be a reader whom HubSpot answers.
		others := r.committed.Add(1) - seen - 1
		seen += others + 1
		if others > 0 && (r.spare() < -1 || r.Object.Readers.gives(r)) && r.chains.Release(c) {
			return true, nil
		}
		if err := r.pause(ctx); err != nil {
			return false, err
		}
	}
}

// pause waits between two pages of a chain. A reader that waits needs no call.
func (r *reading) pause(ctx context.Context) error {
	pause := r.between()
	if pause <= 0 {
		return nil
	}
	r.Object.Readers.leave(r)
	defer r.Object.Readers.join(r)
	return sleep(ctx, pause)
}

// between is the pause between two pages: none while another reconcile is asked for, which
// begins when this one has ended.
func (r *reading) between() time.Duration {
	if len(r.Object.wanted) > 0 {
		return 0
	}
	return r.Pause
}

// next reads the next page of a chain.
func (r *reading) next(ctx context.Context, c *cdc.Chain, seen trail) (*sweepPage, error) {
	for {
		at := r.at(c)
		at.seen = seen
		page, err := r.fetch(ctx, at)
		switch {
		case err == nil:
			return &page, nil
		case !hubspot.BadRequest(err) && !errors.Is(err, errNoEntry):
			return nil, err
		case r.chains.Restart(c):
			// HubSpot does not promise to continue from an old place in its list.
			// Start over only once: if it refuses again, the place is not the
			// reason.
			r.setRestarted()
			clear(seen)
			r.Object.Log.Warn("HubSpot refuses to continue its list; the stream reads it from the beginning", "stream", r.Stream, "after", c.In.After.String(), "err", err)
		case r.chains.Divided():
			r.Object.Log.Warn("HubSpot's list cannot be entered in its middle any more; the stream reads it from the beginning", "stream", r.Stream, "err", err)
			return nil, errAsOne
		default:
			return nil, err
		}
	}
}

// at is where a chain goes on.
func (r *reading) at(c *cdc.Chain) listPlace {
	place, rest, entered := r.chains.Next(c)
	return listPlace{after: place, in: rest, entered: entered}
}

// divisible reports whether another reader would find something to divide.
func (r *reading) divisible() bool {
	return !r.Object.asOne.Load() && !r.unordered() && r.chains.Divisible(r.Object.Readers.least)
}

// divide gives the upper half of the longest chain to a new one, whose first page
// shows that HubSpot's list can be entered there: HubSpot does not document that an
// id is a place (docs/hubspot.md section 2). It returns nil where nothing is worth
// dividing.
func (r *reading) divide(ctx context.Context) (upper *cdc.Chain, first *sweepPage, err error) {
	c := r.chains.Longest(r.Object.Readers.least)
	if c == nil {
		return nil, nil, nil
	}
	whole := true
	defer func() { r.chains.Keep(c, whole) }()
	if !r.chains.AtIDs(c) {
		r.readAsOne("its places are no ids")
		return nil, nil, nil
	}
	if at, over, ok := r.leap(c); ok {
		upper, first, err = r.enter(ctx, c, at, over, cdc.Unknown)
		if whole = r.Object.asOne.Load(); first != nil || err != nil || whole {
			return upper, first, err
		}
		whole = true
		r.chains.Overleapt(c, at)
	}
	if at, left, right, ok := r.chains.Half(c); ok {
		if left+right < r.Object.Readers.least {
			whole = false
			return nil, nil, nil
		}
		upper, first, err = r.enter(ctx, c, at, left, right)
		if whole = r.Object.asOne.Load(); first != nil || err != nil || whole {
			return upper, first, err
		}
		whole = true
	}
	at, left, right, ok, err := r.middle(ctx, c)
	switch {
	case refused(err):
		r.Object.Log.Debug("HubSpot does not count the records of a range; it is not divided", "stream", r.Stream, "err", err)
		return nil, nil, nil
	case err != nil || !ok:
		return nil, nil, err
	}
	upper, first, err = r.enter(ctx, c, at, left, right)
	whole = first == nil // the search counted records that the list does not have
	return upper, first, err
}

// leap is an id for a backfill to try. A reconcile knows the ids that there are.
func (r *reading) leap(c *cdc.Chain) (at hubspot.ID, over int, ok bool) {
	if r.Stream == offsets.ReconcileStream {
		return 0, 0, false
	}
	return r.chains.Leap(c, r.Object.Readers.least)
}

// enter divides a chain at an id, if HubSpot's list has a page there; first is nil if
// it has none.
func (r *reading) enter(ctx context.Context, c *cdc.Chain, at hubspot.ID, left, right int) (upper *cdc.Chain, first *sweepPage, err error) {
	page, err := r.page(ctx, listPlace{after: at.String(), in: cdc.Range{After: at, UpTo: r.at(c).in.UpTo}, entered: true, trial: true})
	switch {
	case hubspot.Unanswered(err) && r.unanswered.Add(1) < mostUnanswered:
		return nil, nil, nil
	case hubspot.Divisible(err) || errors.Is(err, errNoEntry) || errors.Is(err, errCircle):
		r.readAsOne(err.Error())
		return nil, nil, nil
	case err != nil || len(page.ids) == 0:
		return nil, nil, err
	}
	if upper = r.chains.Divide(c, at, left, right); upper != nil {
		r.Object.Log.Debug("a range is divided", "stream", r.Stream, "at", at.String())
	}
	return upper, &page, nil
}

// readAsOne notes that the type's list cannot be divided.
func (r *reading) readAsOne(why string) {
	if !r.Object.asOne.Swap(true) {
		r.Object.Log.Info("HubSpot's list cannot be entered in its middle; the stream reads it from one end to the other", "stream", r.Stream, "err", why)
	}
}

// middle looks for an id with about as many records of a chain on both sides: in our
// own table for a reconcile, for a backfill by the totals of searches. ok is false
// if the chain is too short.
func (r *reading) middle(ctx context.Context, c *cdc.Chain) (at hubspot.ID, left, right int, ok bool, err error) {
	o := r.Object
	in, n, counted := r.chains.Rest(c)
	if r.Stream == offsets.ReconcileStream {
		count, err := o.Lane.Count(ctx, in, farFuture)
		if err != nil || count.Certain < o.Readers.least {
			return 0, 0, 0, false, err
		}
		at, ok, err := o.Lane.Middle(ctx, in)
		return at, count.Certain / 2, count.Certain - count.Certain/2, ok, err
	}
	if !counted {
		if n, err = r.total(ctx, in); err != nil {
			return 0, 0, 0, false, err
		}
		r.chains.Count(c, n)
	}
	if n < o.Readers.least {
		return 0, 0, 0, false, nil
	}
	m := r.chains.Middle(c, in, n)
	for at, more := m.Next(); more; at, more = m.Next() {
		above, err := r.total(ctx, cdc.Range{After: at, UpTo: in.UpTo})
		if err != nil {
			return 0, 0, 0, false, err
		}
		m.Take(above)
	}
	r.chains.Top(m)
	at, left, right, ok = m.Found()
	return at, left, right, ok, nil
}

// farFuture is after every decision.
const farFuture = hubspot.AnyTime

// total is how many records a search finds in a range; 0 if it does not tell.
func (r *reading) total(ctx context.Context, in cdc.Range) (int, error) {
	page, err := r.Object.search(ctx, r.Priority, query(in, 1))
	if err != nil || unsearched(&page) {
		return 0, err
	}
	return max(0, page.Total), nil
}
