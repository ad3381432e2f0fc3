package cdc

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Page is the unit of work (R6): the readings of the ids that one request of a
// stream named, and the stream's cursors after them.
type Page struct {
	// Stream is the finder that named the ids: source.stream of the events.
	Stream   string
	Readings []Reading
	// Searched says that a search named the ids: the index has the live records
	// among them (R12).
	Searched bool
	// Told says that HubSpot's journal named the ids, which nobody may do again. Live
	// readings of such a page overrule older ones even where they change nothing: a
	// record that came back must not go by a confirm from before (R1).
	Told bool
	// Cursors move in the publish that leaves no id to be read again.
	Cursors []Cursor
	// Waiting, unless nil, move in their place if something of the page waits for
	// another confirm (R9).
	Waiting []Cursor
	// Snapshot says that an operator asked for these records: the lane publishes
	// what is live even if it is published already. Only the cursors show that such
	// a page was published, so it is committed with them or not at all. The caller
	// publishes all of its readings again, with the new readings in the place of
	// those that had to be read again.
	Snapshot bool
	// Sync and Set: see Batch.
	Sync bool
	Set  []byte
}

// LaneConfig configures a Lane.
type LaneConfig struct {
	Object string
	// Table is what previous runs published; nil = nothing. It belongs to the lane.
	Table *Table
	// Slots is the property set in force, Content the part of it that counts as
	// content (R10).
	Slots   *hubspot.Slots
	Content *Content
	// Started is HubSpot's time of the type's first start (R10).
	Started hubspot.Millis
	// SkipUnchanged leaves out events whose only change is the modified time.
	SkipUnchanged bool
	Patience      Patience
	Committer     Committer
}

// Lane is the one writer of a topic. Only whoever holds its turn touches its table,
// so every page is decided against what is committed.
type Lane struct {
	object    string
	committer Committer
	slots     atomic.Pointer[hubspot.Slots] // rules.slots, for callers without the turn
	rules     rules
	turn
	table    *Table
	absences absences
	lately   recent
	recent   []hubspot.ID // found live by the latest readings, newest last
	counter  atomic.Uint64
	live     atomic.Int64
	older    atomic.Int64
	held     atomic.Int64
}

// NewLane returns a lane that begins with what is published.
func NewLane(cfg LaneConfig) *Lane {
	l := &Lane{
		object:    cfg.Object,
		committer: cfg.Committer,
		rules: rules{
			content: cfg.Content, slots: cfg.Slots,
			started: cfg.Started, skipUnchanged: cfg.SkipUnchanged, patience: cfg.Patience,
		},
		turn:  newTurn(),
		table: cfg.Table,
	}
	if l.table == nil {
		l.table = NewTable()
	}
	l.live.Store(int64(l.table.Live()))
	l.slots.Store(cfg.Slots)
	return l
}

// Now is the stamp of a reading whose request is sent now (R1).
func (l *Lane) Now() uint64 { return l.counter.Load() }

// Slots is the property set to read records with. The next call may return another
// one: a request and its readings must use the same.
func (l *Lane) Slots() *hubspot.Slots { return l.slots.Load() }

// Live is how many records are published as live.
func (l *Lane) Live() int { return int(l.live.Load()) }

// Second is the least time between the two confirms of a purge (R9).
func (l *Lane) Second() time.Duration { return l.rules.patience.Second }

// WentBack counts the records that were published with an older version than
// before, because a second read agreed (R1). It tells how far the object store can
// be trusted.
func (l *Lane) WentBack() int { return int(l.older.Load()) }

// Fence makes every reading that was sent before, and that differs from what is
// published, one to be read again. A sweep calls it when it begins: else a reading
// from before could still undo, after the sweep, what that has shown (R17).
func (l *Lane) Fence(ctx context.Context) error {
	if err := l.take(ctx); err != nil {
		return err
	}
	defer l.release()
	l.table.decided.fence(l.counter.Add(1))
	return nil
}

// Waiting returns the records that a confirm found gone and that are still published
// as live: they need another confirm (R9).
func (l *Lane) Waiting(ctx context.Context) ([]hubspot.ID, error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	return slices.Sorted(maps.Keys(l.absences.first)), nil
}

// Held counts the records whose deletes the brake holds (R9).
func (l *Lane) Held() int { return int(l.held.Load()) }

// Publish decides a page, commits it and then applies it to the table. It returns
// the ids to be read again. The page's cursors move only when there are none to be
// read at once (R6): the caller reads those ids and publishes them with the same
// cursors. Any error but a *RefusedError ends the run: only Kafka then knows what
// was committed.
func (l *Lane) Publish(ctx context.Context, p Page) (Left, error) {
	if err := l.take(ctx); err != nil {
		return Left{}, err
	}
	defer l.release()

	d := l.table.Diff(&p, &l.rules, &l.absences)
	if p.Snapshot && len(d.left.Again) > 0 {
		d = decision{left: d.left, dropped: true}
	}
	b := Batch{Object: l.object, Changes: slices.Concat(d.changes, d.repeats), Sync: p.Sync, Set: p.Set}
	b.Live = liveAfter(l.Live(), b.Changes, func(c *Change) (was, is bool) { return c.was, c.Row.Live })
	if len(d.left.Again) == 0 {
		b.Cursors = p.Cursors
		if len(d.left.Later) > 0 && p.Waiting != nil {
			b.Cursors = p.Waiting
		}
	}
	if len(b.Changes) > 0 || len(b.Cursors) > 0 || b.Set != nil {
		if err := l.committer.Commit(ctx, &b); err != nil {
			return Left{}, err
		}
	}
	l.apply(b.Changes, p.Readings)
	if p.Told {
		now := l.counter.Add(1)
		for i := range p.Readings {
			if r := &p.Readings[i]; r.Outcome == IsLive {
				l.table.decided.note(r.ID, now)
			}
		}
	}
	l.lately.note(b.Changes[:len(d.changes)], latest(p.Readings), p.Searched)
	l.absences.apply(&d, p.Readings, &l.rules.patience)
	l.held.Store(int64(len(l.absences.held)))
	l.older.Add(int64(d.older))
	d.left.Committed = b.Changes[:len(d.changes)]
	return d.left, nil
}

// apply raises the counter in the same turn in which it changes the rows: from now
// on no reading that was sent before can overrule them.
func (l *Lane) apply(changes []Change, readings []Reading) {
	if len(changes) > 0 {
		l.table.apply(changes, l.counter.Add(1))
		l.live.Store(int64(l.table.Live()))
	}
	for i := range readings {
		if readings[i].Outcome == IsLive {
			l.recent = append(l.recent, readings[i].ID)
		}
	}
	if n := len(l.recent); n > recentKept {
		l.recent = slices.Delete(l.recent, 0, n-recentKept)
	}
}

func latest(readings []Reading) (at hubspot.Millis) {
	for i := range readings {
		at = max(at, readings[i].Date)
	}
	return at
}

// recentKept is how many ids that were live lately a lane remembers: enough that
// some remain when a confirm takes out those that it asks about.
const recentKept = 8

// Controls returns up to three ids that HubSpot answered live lately, none of them
// in except. A confirm reads them too, and an answer that misses all of them is
// evidence of nothing (R7).
func (l *Lane) Controls(ctx context.Context, except []hubspot.ID) ([]hubspot.ID, error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	var out []hubspot.ID
	add := func(id hubspot.ID) bool {
		if row, _ := l.table.Get(id); row.Live && !slices.Contains(except, id) && !slices.Contains(out, id) {
			out = append(out, id)
		}
		return len(out) < 3
	}
	for _, id := range slices.Backward(l.recent) {
		if !add(id) {
			return out, nil
		}
	}
	for id := range l.table.liveAfter(0) { // nothing read since the start: any live row
		if !add(id) {
			break
		}
	}
	return out, nil
}

// LiveAmong returns those of ids that are published as live.
func (l *Lane) LiveAmong(ctx context.Context, ids []hubspot.ID) ([]hubspot.ID, error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	var out []hubspot.ID
	for _, id := range ids {
		if row, _ := l.table.Get(id); row.Live {
			out = append(out, id)
		}
	}
	return out, nil
}

// Lacking returns the live ids in (after, upTo] that a list page lacks although it
// is complete for them: they go to confirm (R11). present has the ids of the page
// in ascending order, stamp is when it was sent. Nothing is marked, so a restart in
// the middle of a sweep loses nothing. With upTo 0 the range has no end.
func (l *Lane) Lacking(ctx context.Context, after, upTo hubspot.ID, present []hubspot.ID, stamp uint64) ([]hubspot.ID, error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	return l.table.lacking(after, upTo, present, stamp), nil
}

// Unskipped returns the ids of search rows that must be read. start is where the
// walk's window begins (R4).
func (l *Lane) Unskipped(ctx context.Context, rows []hubspot.SearchRow, start hubspot.Millis) ([]hubspot.ID, error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	var out []hubspot.ID
	for _, row := range rows {
		if published, _ := l.table.Get(row.ID); !skip(published, row.Updated, start) {
			out = append(out, row.ID)
		}
	}
	return out, nil
}
