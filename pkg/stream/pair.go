package stream

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Pair is two object types whose links are published: what the pair's streams
// share. NewPair makes it.
type Pair struct {
	looks   *looks
	recheck *queue
	stuck   *stuck
	begun   atomic.Bool // the first sweep has begun
	sweeps  sweeps
	// aside counts the records whose links kept changing while they were read, or were left
	// out of HubSpot's answers (R8). They wait for the next sweep: one during which there
	// were any has not shown everything.
	aside   atomic.Uint64
	unfound *unfound
	// verified says for which time all links are published.
	verified *verification
	wanted   chan struct{} // one slot: somebody wants a sweep now

	From *Object
	To   *Object // nil: the type is not followed
	// ToTypeID is To's id in HubSpot, followed or not.
	ToTypeID string
	// FromPath and ToPath name the types in HubSpot's URLs.
	FromPath, ToPath string
	Lane             *cdc.LinkLane
	Log              *slog.Logger
	// Pace says how often the links of every record are read.
	Pace *Patient
	// Waits are how long after a record's change its links are read, in
	// ascending order. The first is 0 (R14).
	Waits []time.Duration
	// Unread are the records whose links could not be read before (R18).
	Unread []hubspot.ID
}

// NewPair completes p with what streams use to talk to it. place is where its
// sweep is.
func NewPair(p *Pair, place offsets.Associations) *Pair {
	p.stuck = newStuck(p.subject(), p.From.Metrics, p.Unread, func(ctx context.Context, c cdc.Cursor) error {
		_, err := p.Lane.Publish(ctx, cdc.LinkPage{Stream: offsets.StuckStream, Sync: true, Cursors: []cdc.Cursor{c}})
		return err
	})
	p.verified = newVerification(p.Name(), p.From.Frontiers, func(ctx context.Context) ([]hubspot.ID, error) {
		ids, err := p.Lane.Waiting(ctx)
		return slices.Concat(ids, p.stuck.all(), p.unfound.all()), err
	})
	p.unfound = &unfound{at: map[hubspot.ID]hubspot.Millis{}}
	p.looks, p.recheck, p.wanted = newLooks(p.Waits, func() bool { return p.From.Status.Paused(p.Name()) }), newQueue(ownClock), make(chan struct{}, 1)
	p.begun.Store(place.Started != 0)
	p.From.Metrics.follow(p.Name(), cdc.Stale.String(), cdc.Paged.String())
	p.From.Metrics.zero(p.From.Metrics.unresolved.MetricVec, p.Name())
	p.From.Audit.follow(p.Name(), []string{p.From.Type.TypeID, p.ToTypeID}, linkFinders...)
	return p
}

// Name returns the pair's object in cursors, metrics and logs.
func (p *Pair) Name() string { return p.Lane.Pair().String() }

// SweepNow asks for a sweep: now, or after the one under way.
func (p *Pair) SweepNow() {
	select {
	case p.wanted <- struct{}{}:
	default:
	}
}

// Unwatch undoes Watch.
func (p *Pair) Unwatch() {
	p.From.watchers.drop(p)
	if p.To != nil {
		p.To.watchers.drop(p)
	}
}

func (p *Pair) subject() subject { return subject{p.Name(), p.From.Status, p.Log} }

// publish commits a page of links; see Object.publish.
func (p *Pair) publish(ctx context.Context, page cdc.LinkPage) error {
	pub := cdc.NewLinkPublication(page)
	for {
		pub.Page.By = latestOf(p.From.Client)
		left, err := p.Lane.Publish(ctx, pub.Page)
		if err != nil {
			return fmt.Errorf("publish a page of links of %s: %w", p.Name(), err)
		}
		found(ctx, len(left.Committed))
		p.recheck.add(page.Stream, left.Later)
		decided := pub.Page.Readings
		p.From.Audit.links(p.Lane.Pair(), left.Committed, p.From.Client.Now())
		p.sayHeld()
		ids, aside, done := pub.Left(left.Again)
		if done || !page.Snapshot { // else nothing of the page is published yet
			p.unfound.read(decided, left.Again)
		}
		for _, a := range left.Again {
			switch {
			case !slices.Contains(aside, a.From):
				p.From.Metrics.rereads.WithLabelValues(p.Name(), a.Cause.String()).Inc()
			case page.Snapshot:
				p.looks.add(cdc.Look{End: cdc.FromEnd, ID: a.From})
			default: // the next sweep asks again
				p.aside.Add(1)
				p.From.Metrics.unresolved.WithLabelValues(p.Name()).Inc()
			}
		}
		if done {
			p.verified.settle(ctx)
			return nil
		}
		if page.Controlled {
			controls, err := p.Lane.Controls(ctx, ids)
			if err != nil {
				return err
			}
			ids = slices.Concat(ids, controls)
		}
		readings, err := p.read(ctx, hubspot.Confirm, ids)
		if err != nil {
			return err
		}
		pub.Reread(readings)
	}
}

// sayHeld keeps log and status up to date about links that are held back (R19).
func (p *Pair) sayHeld() {
	held := p.Lane.Held()
	p.From.Metrics.held.WithLabelValues(p.Name()).Set(float64(held))
	if held == 0 {
		p.From.Status.Held(p.Log, p.Name(), brakePart, nil)
		return
	}
	p.From.Status.Held(p.Log, p.Name(), brakePart, &HeldError{
		What: fmt.Sprintf("HubSpot's answers lack %d of the published links", held),
		Wait: "their deletes are held back until more answers agree, at most until they have been missing for an hour",
	})
}

// read reads the links of any number of records, each to its last page. It
// returns no reading of a record about which HubSpot says nothing that counts (R8).
func (p *Pair) read(ctx context.Context, prio hubspot.Priority, ids []hubspot.ID) ([]cdc.LinkReading, error) {
	readings, _, err := p.readings(ctx, prio, ids)
	return readings, err
}

// readings is read for one who has to know which records HubSpot's answers leave out.
func (p *Pair) readings(ctx context.Context, prio hubspot.Priority, ids []hubspot.ID) (out []cdc.LinkReading, leftOut []hubspot.ID, err error) {
	for chunk := range slices.Chunk(ids, hubspot.MaxLinks) {
		r, err := p.ask(ctx, prio, chunk)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, r.Readings...)
		silent, stuck := r.Unresolved(), r.Stuck()
		alone, err := p.linking(ctx, chunk, silent)
		if err != nil {
			return nil, nil, err
		}
		for _, id := range alone {
			one, err := p.ask(ctx, prio, []hubspot.ID{id})
			if err != nil {
				return nil, nil, err
			}
			if len(one.Unresolved()) > 0 {
				break
			}
			silent = slices.DeleteFunc(silent, func(other hubspot.ID) bool { return other == id })
			out, stuck = append(out, one.Readings...), append(stuck, one.Stuck()...)
		}
		if err := p.settle(ctx, silent, stuck); err != nil {
			return nil, nil, err
		}
		leftOut = append(leftOut, silent...)
	}
	slices.SortFunc(out, func(a, b cdc.LinkReading) int { return cmp.Compare(a.From, b.From) })
	return out, leftOut, nil
}

// linking are those of many records that HubSpot's answer left out of which links are
// published. HubSpot counts more errors than it lists (R8), so it may never say that one of
// many has no links left. Such a record is asked for alone, until HubSpot is as silent about
// one.
func (p *Pair) linking(ctx context.Context, asked, silent []hubspot.ID) ([]hubspot.ID, error) {
	if len(asked) == 1 || len(silent) == 0 { // as usual: a read must not wait for a commit
		return nil, nil
	}
	return p.Lane.LinkingAmong(ctx, silent)
}

// ask reads the links of as many records as one call takes.
func (p *Pair) ask(ctx context.Context, prio hubspot.Priority, ids []hubspot.ID) (*cdc.LinkRead, error) {
	r := cdc.NewLinkRead(ids)
	if err := drive(ctx, r, p.stuck, func(ask cdc.Ask) (cdc.Answer, error) { return p.answer(ctx, prio, ask) }); err != nil {
		return nil, fmt.Errorf("read the links of %d records: %w", len(ids), err)
	}
	p.unfound.add(r.Unfound(), p.From.Client.Now())
	return r, nil
}

// settle leaves to the next sweep what HubSpot's answers leave out: they may do so with
// every record that has no links. What was stuck stays so.
func (p *Pair) settle(ctx context.Context, silent, stuck []hubspot.ID) error {
	var again []hubspot.ID
	for _, id := range silent {
		if p.stuck.retrying(id) {
			again = append(again, id)
		}
	}
	if n := len(silent); n > 0 {
		p.aside.Add(uint64(n))
		p.From.Metrics.unresolved.WithLabelValues(p.Name()).Add(float64(n))
		p.Log.Warn("HubSpot neither returns the links of some records nor says that they have none; their links stay as published", "records", n)
	}
	return p.stuck.settle(ctx, stuck, again)
}

func (p *Pair) answer(ctx context.Context, prio hubspot.Priority, ask cdc.Ask) (a cdc.Answer, err error) {
	switch ask.What {
	case cdc.AskDeletedBefore:
		a.IDs, err = p.From.Lane.DeletedBefore(ctx, ask.IDs, ask.Stamp)
		return a, err
	case cdc.AskControls:
		a.IDs, err = p.From.Lane.Controls(ctx, slices.Concat(ask.IDs, p.stuck.all()))
		return a, err
	}
	a.Links, err = p.From.Client.Links(ctx, hubspot.Call{Priority: prio, Tries: ask.Tries, Quick: ask.Quick, OnSend: func(now hubspot.Millis) {
		a.LinkStamp, a.Stamp, a.At = p.Lane.Now(), p.From.Lane.Now(), now
	}}, p.FromPath, p.ToPath, ask.Links)
	return a, err
}

// unfound are the records that HubSpot did not find when asked for their links, and whose
// delete was not published then. A sweep that got no reading of them has shown everything
// only once one that was sent later is published, as when the delete is (R17).
type unfound struct {
	mu sync.Mutex
	at map[hubspot.ID]hubspot.Millis // when HubSpot had answered
}

func (u *unfound) add(ids []hubspot.ID, at hubspot.Millis) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, id := range ids {
		u.at[id] = at
	}
}

// read takes readings that are published, but for those that are to be read again.
func (u *unfound) read(readings []cdc.LinkReading, again []cdc.LinkAgain) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := range readings {
		rd := &readings[i]
		at, waits := u.at[rd.From]
		if waits && rd.SentAt >= at && !slices.ContainsFunc(again, func(a cdc.LinkAgain) bool { return a.From == rd.From }) {
			delete(u.at, rd.From)
		}
	}
}

func (u *unfound) all() []hubspot.ID {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Collect(maps.Keys(u.at))
}
