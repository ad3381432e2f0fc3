package cdc

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// LinkReading is one answer of HubSpot about all the links that a record has in a
// pair (R1, R14): the complete set, and never a part of it.
type LinkReading struct {
	From hubspot.ID
	// Links is sorted by To, Category and TypeID, each once.
	Links []hubspot.Link
	// Stamp is LinkLane.Now at the moment the request's last attempt was sent; for
	// a set that took several calls, the first of them.
	Stamp uint64
	// SentAt is a time that HubSpot's clock had passed then.
	SentAt hubspot.Millis
	// Date is HubSpot's Date of the (last) answer.
	Date hubspot.Millis
	// Ended says that there are no links any more, known from elsewhere: one of the
	// two object types was removed.
	Ended bool
	// Calls is how many calls the set took. Between two of them a link may have
	// moved from a page not read yet to one read already.
	Calls int
	// Before is LinkAgain.Set of the record's previous reading, if the record is
	// read again because of Paged.
	Before uint64
}

// LinkPage is the unit of work of a pair, as Page is of an object type.
type LinkPage struct {
	Stream   string
	Readings []LinkReading
	// Cursors move in the publish that leaves no record to be read again (R6).
	Cursors []Cursor
	// Snapshot: see Page. A set that lacks links which only a second reading may
	// delete (Cause Paged) does not hold such a page: the lane publishes what it
	// has, and the caller reads its record another time.
	Snapshot bool
	// Controlled says that the sets of LinkLane.Controls were read along (R19). Read
	// them along too when records of such a page must be read again.
	Controlled bool
	Sync       bool
	// By is a moment that HubSpot's clock, as its journal tells time, had not passed when
	// the sets came. Their own Date may be too early: R21 prefers that.
	By hubspot.Millis
	// Swept says that the pair's first sweep ends with this page: links found from
	// now on are new, and not a snapshot's.
	Swept bool
}

// LinkAgain is a record whose links must be read again.
type LinkAgain struct {
	From  hubspot.ID
	Cause Cause
	// Set goes into the next reading's Before (Cause Paged).
	Set uint64
}

// LinkLeft is what a publish of links leaves to do.
type LinkLeft struct {
	Again []LinkAgain
	// Later are records whose sets lack links: these stay as they are until another
	// reading lacks them too (R19). Read them together with LinkLane.Controls.
	Later []Later
	// Committed are the committed changes.
	Committed []LinkChange
}

// LinkLaneConfig configures a LinkLane.
type LinkLaneConfig struct {
	Pair Pair
	// Table is what previous runs published.
	Table *LinkTable
	// From and To are the lanes of the two types. To is nil if that type is not
	// synced.
	From, To *Lane
	// Swept says that the pair's first sweep has ended.
	Swept bool
	// Patience is how long the lane waits before it believes that links are gone.
	Patience  Patience
	Committer Committer
}

// LinkLane is the one writer of a pair's topic.
type LinkLane struct {
	pair      Pair
	from, to  *Lane
	committer Committer
	turn
	table    *LinkTable
	decided  decisions
	absences linkAbsences
	// revived are the records of which a link was published after their delete, by
	// the counter at which that was decided.
	revived  [2]map[hubspot.ID]uint64
	patience Patience
	swept    bool
	counter  atomic.Uint64
	live     atomic.Int64
	held     atomic.Int64
}

// NewLinkLane returns a lane that begins with what is published.
func NewLinkLane(cfg LinkLaneConfig) *LinkLane {
	l := &LinkLane{
		pair: cfg.Pair, from: cfg.From, to: cfg.To, committer: cfg.Committer,
		turn: newTurn(), table: cfg.Table, swept: cfg.Swept, patience: cfg.Patience,
	}
	if l.table == nil {
		l.table = NewLinkTable()
	}
	l.live.Store(int64(l.table.Live()))
	return l
}

// Pair is what the lane publishes.
func (l *LinkLane) Pair() Pair { return l.pair }

// Now is the stamp of a reading whose request is sent now (R1).
func (l *LinkLane) Now() uint64 { return l.counter.Load() }

// SetSwept tells the lane whether the pair's first sweep has ended. Call it before
// anything is published.
func (l *LinkLane) SetSwept(swept bool) { l.swept = swept }

// Live is how many links are published and not deleted.
func (l *LinkLane) Live() int { return int(l.live.Load()) }

// Fence does for sets of links what Lane.Fence does for records.
func (l *LinkLane) Fence(ctx context.Context) error {
	if err := l.take(ctx); err != nil {
		return err
	}
	defer l.release()
	l.decided.fence(l.counter.Add(1))
	return nil
}

// Waiting returns the records whose sets lacked links that are still published as
// live: they need another reading (R19).
func (l *LinkLane) Waiting(ctx context.Context) ([]hubspot.ID, error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	return slices.Sorted(maps.Keys(l.absences.sets)), nil
}

// Held is how many links are published as live and held back from their delete
// (R19).
func (l *LinkLane) Held() int { return int(l.held.Load()) }

// Publish decides a page, commits it and then applies it to the table; see
// Lane.Publish. It returns the records whose sets must be read again, at once or
// later.
func (l *LinkLane) Publish(ctx context.Context, p LinkPage) (LinkLeft, error) {
	if err := l.take(ctx); err != nil {
		return LinkLeft{}, err
	}
	defer l.release()

	d := l.table.diff(&p, &l.decided, l.swept)
	holds := len(d.again) > 0
	if p.Snapshot {
		holds = slices.ContainsFunc(d.again, func(a LinkAgain) bool { return a.Cause != Paged })
		if holds {
			d.sets = nil
		}
	}
	if err := l.explain(ctx, d.sets); err != nil {
		return LinkLeft{}, err
	}
	doubt := l.absences.hold(&d, p.Controlled, l.table.Live(), &l.patience)
	b := Batch{Object: l.pair.String(), Pair: l.pair, Links: d.changes(), Sync: p.Sync}
	b.Live = liveAfter(l.Live(), b.Links, func(c *LinkChange) (was, is bool) { return c.was, c.Row.Live })
	if !holds {
		b.Cursors = p.Cursors
	}
	if len(b.Links) > 0 || len(b.Cursors) > 0 {
		if err := l.committer.Commit(ctx, &b); err != nil {
			return LinkLeft{}, err
		}
	}
	if !holds && p.Swept {
		l.swept = true
	}
	if len(b.Links)+len(doubt.later) > 0 {
		l.counter.Add(1)
	}
	now := l.counter.Load()
	for i := range b.Links {
		c := &b.Links[i]
		l.table.Put(c.Key, c.Row)
		l.decided.note(c.Key.From, now)
		if c.Op != Delete && c.Op != Update {
			l.absences.shown.note(c.Key, max(doubt.at, p.By))
		}
		if c.Op != Delete {
			l.revive(FromEnd, c.Key.From, c.revives[FromEnd])
			l.revive(ToEnd, c.Key.To, c.revives[ToEnd])
		}
	}
	l.absences.apply(&doubt, now, &l.patience)
	l.live.Store(int64(l.table.Live()))
	l.held.Store(int64(l.absences.held))
	return LinkLeft{d.again, doubt.later, b.Links}, nil
}

// revive notes that a link was published of a record whose delete was decided before;
// 0: it was not deleted.
func (l *LinkLane) revive(end End, id hubspot.ID, decided uint64) {
	switch {
	case decided == 0:
		delete(l.revived[end], id)
	case l.revived[end] == nil:
		l.revived[end] = map[hubspot.ID]uint64{id: decided}
	default:
		l.revived[end][id] = decided
	}
}

// explain gives the deletes of links their reason: that of a record's delete if one
// was published before, else Removed, because HubSpot removed the link itself. Such a
// record's delete is also a witness (R19): but not if an earlier run published it,
// and not once a link of the record was published after it, because then the record
// is about to come back.
func (l *LinkLane) explain(ctx context.Context, sets []decidedSet) error {
	var changes []*LinkChange
	var ids [2][]hubspot.ID
	for i := range sets {
		for j := range sets[i].changes {
			c := &sets[i].changes[j]
			changes = append(changes, c)
			ids[FromEnd], ids[ToEnd] = append(ids[FromEnd], c.Key.From), append(ids[ToEnd], c.Key.To)
		}
	}
	if len(changes) == 0 {
		return nil
	}
	for _, end := range []End{ToEnd, FromEnd} {
		gone, err := [...]*Lane{l.from, l.to}[end].deletions(ctx, ids[end])
		if err != nil {
			return err
		}
		for i, c := range changes {
			id := ids[end][i]
			d, deleted := gone[id]
			switch {
			case c.Op == Delete && deleted:
				c.Row.Reason = d.reason
				c.witnessed = c.witnessed || d.decided != 0 && l.revived[end][id] != d.decided
			case c.Op == Delete && c.Row.Reason == NoReason:
				c.Row.Reason = Removed
			case c.Op != Delete && deleted:
				c.revives[end] = d.decided
			}
			c.Reason = cmp.Or(c.Row.Reason, c.Reason)
		}
	}
	return nil
}

// Next returns up to n records above after whose links a sweep asks for, in order:
// the live ones, and those that still have links (R14).
func (l *LinkLane) Next(ctx context.Context, after hubspot.ID, n int) ([]hubspot.ID, error) {
	live, err := l.from.LiveAfter(ctx, after, n)
	if err != nil {
		return nil, err
	}
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	out := make([]hubspot.ID, 0, n)
	for id := range l.table.linking(after) {
		for len(live) > 0 && live[0] < id {
			out, live = append(out, live[0]), live[1:]
		}
		if len(live) > 0 && live[0] == id {
			live = live[1:]
		}
		if out = append(out, id); len(out) >= n {
			return out[:n], nil
		}
	}
	out = append(out, live...)
	return out[:min(n, len(out))], nil
}

// LinkingAmong returns those of ids of which a link is published as live.
func (l *LinkLane) LinkingAmong(ctx context.Context, ids []hubspot.ID) ([]hubspot.ID, error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	var out []hubspot.ID
	for _, id := range ids {
		for range l.table.LiveOf(id) {
			out = append(out, id)
			break
		}
	}
	return out, nil
}

// Holders returns the records that hold, or once held, a link to any of the given
// ones: their links must be read when those changed (R14).
func (l *LinkLane) Holders(ctx context.Context, of []hubspot.ID) ([]hubspot.ID, error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	var out []hubspot.ID
	for _, id := range of {
		for from := range l.table.holders(id) {
			out = append(out, from)
		}
	}
	return out, nil
}
