package stream

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Tier finds created, updated and restored records through the search index (R3).
// The leading tier has lag 0. A trailing tier starts each walk its lag further back,
// because the index shows some changes late. NewTiers makes those of a type.
//
// A walk of the leading tier carries each trailing tier in whose window no change is
// known: one search answers for all of them, and such a tier makes none of its own.
type Tier struct {
	Object *Object
	// Stream is "leading" or "trailing-<lag>", with the lag as the operator
	// wrote it.
	Stream string
	Lag    time.Duration
	// Interval returns how long to wait between two walks. carried reports that the
	// latest one was a walk of the leading tier.
	Interval func(carried bool) time.Duration
	// Seen, unless nil, takes how many changes each walk found.
	Seen func(changes int)
	// Sooner, unless nil, tells that the interval may have become shorter.
	Sooner <-chan struct{}

	last   bool          // no tier looks further back
	newest *atomic.Int64 // the latest time of a row that a tier of the type has seen
	others []*Tier       // that the leading tier may carry
	wake   chan struct{} // one slot: a walk of the leading tier did not carry this one

	// turn holds a token while no walk serves the tier; who takes it may use the
	// fields below.
	turn    chan struct{}
	window  cdc.Window
	walked  time.Time // when the latest walk ended
	carried bool      // it was one of the leading tier
	many    bool      // it found many rows
}

// NewTiers returns the tiers of an object type, which continue from these windows.
func NewTiers(o *Object, lags []Lag, windows []cdc.Window) []*Tier {
	newest := new(atomic.Int64)
	newest.Store(int64(o.Client.Now())) // what came before is not known
	var latest hubspot.Millis           // where the leading tier is
	for _, w := range windows {
		latest = max(latest, w.Start)
	}
	tiers := make([]*Tier, len(lags))
	for i, lag := range lags {
		t := &Tier{Object: o, Stream: lag.Stream, Lag: lag.By, newest: newest, wake: make(chan struct{}, 1), turn: make(chan struct{}, 1), window: windows[i]}
		t.turn <- struct{}{}
		t.last = lag.By == Longest(lags)
		tiers[i] = t
	}
	for _, t := range tiers {
		o.Metrics.zero(o.Metrics.found.MetricVec, o.Type.Name, t.Stream)
		o.Status.begins(o.Type.Name, t.Stream, min(t.window.Start.Add(t.Lag), latest))
		if t.Lag == 0 {
			t.others = tiers
		}
	}
	return tiers
}

const (
	// reach is how far the leading tier looks back beyond R3's overlap, because
	// HubSpot's index shows most changes seconds late. R4 skips what was read, so
	// this costs nothing while a walk finds no more than fewRows.
	reach   = 13 * time.Second
	fewRows = hubspot.MaxSearch / 2
	// mostAhead is how far the clocks of HubSpot's servers may differ.
	mostAhead = time.Minute
)

// Run walks until ctx ends.
func (t *Tier) Run(ctx context.Context) error {
	return supervise(ctx, t.Object, t.Stream, func() time.Duration { return 0 }, t.pass)
}

// pass is one walk, or the rest of one that a restart interrupted, once it is due.
func (t *Tier) pass(ctx context.Context) error {
	if err := t.due(ctx); err != nil {
		return err
	}
	defer t.done()
	return t.walk(ctx)
}

// due waits until a walk is due, and takes the turn for it. A trailing tier's wait
// grows with each walk that carries it.
func (t *Tier) due(ctx context.Context) error {
	for {
		select {
		case <-t.turn:
		case <-ctx.Done():
			return ctx.Err()
		}
		var wait time.Duration
		if !t.walked.IsZero() {
			interval := t.Interval(t.carried)
			wait = time.Until(onBeat(t.walked.Add(interval), interval))
		}
		if wait <= 0 {
			return nil
		}
		t.done()
		if t.Lag == 0 {
			wait = min(wait, UntilBeat(shorterLook))
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-t.wake:
		case <-t.Sooner:
		case <-ctx.Done():
		}
		timer.Stop()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

func (t *Tier) done() { t.turn <- struct{}{} }

// carry returns the tiers that the walk which begins now serves besides this one.
// Each is busy until its done is called.
func (t *Tier) carry() (carried []*Tier) {
	for _, other := range t.others {
		if other == t || t.window.Walking() {
			continue
		}
		select {
		case <-other.turn:
		default:
			continue // it walks itself
		}
		if other.window.Walking() || other.window.Start <= hubspot.Millis(t.newest.Load()) {
			other.done()
			continue
		}
		carried = append(carried, other)
	}
	return carried
}

// walk commits every page with the place after it.
func (t *Tier) walk(ctx context.Context) error {
	carried := t.carry()
	prio, lag := hubspot.Trailing, t.Lag
	if t.Lag == 0 {
		prio = hubspot.Leading
		if !t.many {
			lag = reach
		}
	}
	joint := cdc.Joint{Own: cdc.TierWindow{Window: t.window, Lag: lag}}
	for _, other := range carried {
		defer other.done()
		joint.Others = append(joint.Others, cdc.TierWindow{Window: other.window, Lag: other.Lag})
	}
	o := t.Object
	known, changes, rows := hubspot.Millis(t.newest.Load()), 0, 0
	for {
		w, err := o.walk(ctx, prio, joint.Search(hubspot.SearchQuery{}))
		if err != nil {
			return err
		}
		changes += t.saw(w.Page.Rows, known)
		o.Audit.shown(o.Type.Name, w.Page.Rows)
		rows += len(w.Page.Rows)
		t0, next := joint.Own.Begin(w.Page.Date).T0, joint.Past(w)
		cursors := []cdc.Cursor{tierCursor(o.Type.Name, t.Stream, next.Own.Window)}
		if !w.Page.More {
			for i, other := range carried {
				cursors = append(cursors, tierCursor(o.Type.Name, other.Stream, next.Others[i].Window))
			}
		}
		if err := t.publish(ctx, prio, w.Page.Rows, joint.SkipFrom(), cursors); err != nil {
			return err
		}
		joint = next
		t.window = next.Own.Window
		if w.Page.More {
			continue
		}
		t.ended(t0, false)
		t.many = rows > fewRows
		for i, other := range carried {
			other.window = next.Others[i].Window
			other.ended(t0, true)
		}
		t.wakeOthers(carried)
		if t.Seen != nil {
			t.Seen(changes)
		}
		return nil
	}
}

// wakeOthers has the tiers look whether a walk of their own is due that a walk of the
// leading tier did not carry: their interval follows the leading one only while it does.
func (t *Tier) wakeOthers(carried []*Tier) {
	for _, other := range t.others {
		if other == t || slices.Contains(carried, other) {
			continue
		}
		select {
		case other.wake <- struct{}{}:
		default:
		}
	}
}

// publish reads the records of rows that may have changed, and commits what that shows
// with the cursors.
func (t *Tier) publish(ctx context.Context, prio hubspot.Priority, rows []hubspot.SearchRow, start hubspot.Millis, cursors []cdc.Cursor) error {
	o := t.Object
	ids, err := o.Lane.Unskipped(ctx, rows, start)
	if err != nil {
		return err
	}
	release, err := o.claims.claim(ctx, ids)
	if err != nil {
		return err
	}
	defer release()
	if ids, err = o.Lane.Unskipped(ctx, rows, start); err != nil { // others may have read some meanwhile
		return err
	}
	readings, err := o.read(ctx, prio, ids)
	if err != nil {
		return err
	}
	return o.publish(ctx, cdc.Page{Stream: t.Stream, Readings: readings, Searched: true, Cursors: cursors})
}

// ended notes the end of a walk that serves the tier. The caller has its turn.
func (t *Tier) ended(t0 hubspot.Millis, carried bool) {
	t.walked, t.carried = time.Now(), carried
	if t.last {
		t.Object.Audit.passed(t.Object.Type.Name, t.window.Start)
	}
	t.Object.Status.started(t.Object.Type.Name, t.Stream)
	t.Object.Status.reached(t.Object.Type.Name, t.Stream, t0)
}

// saw notes the times of rows, and returns how many lie after a known one. A time that is
// yet to come hides no change that comes before it.
func (t *Tier) saw(rows []hubspot.SearchRow, known hubspot.Millis) (news int) {
	latest := t.Object.Client.Latest().Add(mostAhead)
	for _, row := range rows {
		switch {
		case row.Updated == hubspot.AnyTime:
			news++
			continue
		case row.Updated > latest:
			continue
		case row.Updated > known:
			news++
		}
		if row.Updated > hubspot.Millis(t.newest.Load()) {
			t.newest.Store(int64(row.Updated))
		}
	}
	return news
}

func tierCursor(object, stream string, w cdc.Window) cdc.Cursor {
	c := offsets.Tier{At: w.Start, T0: w.T0, ID: w.Last, Walking: w.Walking()}
	return cdc.Cursor{Object: object, Stream: stream, Value: c.Bytes()}
}
