package cdc

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// ListPage is the unit of work of a list, as Page is of an object type.
type ListPage struct {
	Stream   string
	Readings []ListReading
	// Cursors move in the publish that leaves nothing to be read again (R6).
	Cursors []Cursor
	// Snapshot: as Page.Snapshot; of the entries whose own id (the last part of
	// the key) is among Only, where there is one.
	Snapshot bool
	Only     []string
	Sync     bool
	// Swept says that with this page the list's first sweep has ended: entries
	// that are found from now on are new, and no snapshot.
	Swept bool
}

// ListLeft is what a publish of a list leaves to be done.
type ListLeft struct {
	// Again says that the list is to be read once more at once, or after
	// OlderWait where the cause is Older.
	Again bool
	Cause Cause
	// After is when to read the list again for entries that it lacks; zero:
	// when it is due.
	After time.Duration
}

func (l *ListLeft) again(c Cause) {
	if !l.Again || c == Older {
		l.Again, l.Cause = true, c
	}
}

// ListLaneConfig says what a list's lane is for.
type ListLaneConfig struct {
	List string
	// Rows are what previous runs published.
	Rows map[EntryKey]Row
	// Swept says that the list's first sweep has ended.
	Swept bool
	// SkipUnchanged leaves out events whose only change is the modified time.
	SkipUnchanged bool
	// Second is the time between the two readings that a delete needs.
	Second    time.Duration
	Committer Committer
}

// ListLane is the one writer of a list's topic.
type ListLane struct {
	list      string
	committer Committer
	turn
	table   listTable
	rules   listRules
	counter atomic.Uint64
	live    atomic.Int64
}

// NewListLane starts a lane with what is published.
func NewListLane(cfg ListLaneConfig) *ListLane {
	l := &ListLane{
		list: cfg.List, committer: cfg.Committer, turn: newTurn(),
		table: listTable{rows: make(map[EntryKey]entry, len(cfg.Rows)), absent: map[EntryKey]hubspot.Millis{}, last: map[string]listed{}},
		rules: listRules{cfg.Swept, cfg.SkipUnchanged, cfg.Second},
	}
	for key, row := range cfg.Rows {
		l.table.rows[key] = entry{Row: row}
	}
	l.live.Store(int64(l.table.live()))
	return l
}

// List is what the lane publishes.
func (l *ListLane) List() string { return l.list }

// Now is the stamp of a reading whose request is sent now (R1).
func (l *ListLane) Now() uint64 { return l.counter.Load() }

// Live is the number of entries published.
func (l *ListLane) Live() int { return int(l.live.Load()) }

// LiveUnder gives the keys that are published as live under a part; "" is all.
func (l *ListLane) LiveUnder(ctx context.Context, part string) ([]EntryKey, error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	return l.table.lacking(part, nil), nil
}

// Publish decides a page, has it committed and then takes it over; see
// Lane.Publish. The page's cursors do not wait for entries that are to be
// missed a second time.
func (l *ListLane) Publish(ctx context.Context, p ListPage) (ListLeft, error) {
	if err := l.take(ctx); err != nil {
		return ListLeft{}, err
	}
	defer l.release()

	d := l.table.diff(&p, &l.rules)
	if d.left.Again && p.Snapshot {
		d.changes = nil
	}
	b := Batch{Object: l.list, Entries: d.changes, Sync: p.Sync}
	if !d.left.Again {
		b.Cursors = p.Cursors
	}
	if len(b.Entries) > 0 || len(b.Cursors) > 0 {
		if err := l.committer.Commit(ctx, &b); err != nil {
			return ListLeft{}, err
		}
	}
	if !d.left.Again && p.Swept {
		l.rules.swept = true
	}
	counter := l.counter.Load()
	if len(d.changes) > 0 {
		counter = l.counter.Add(1)
	}
	l.table.apply(&d, counter)
	l.live.Store(int64(l.table.live()))
	return d.left, nil
}
