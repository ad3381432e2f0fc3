package cdc

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// ReferencePage is the unit of work of a reference list, as Page is of an object
// type.
type ReferencePage struct {
	Stream   string
	Readings []ReferenceReading
	// Cursors move in the publish that leaves nothing to be read again (R6).
	Cursors []Cursor
	// Snapshot: see Page. If Only is not nil, it means only the entries whose own
	// id (the last part of the key) is in Only.
	Snapshot bool
	Only     []string
	Sync     bool
	// Swept says that the list's first sweep ends with this page: entries found
	// from now on are new, and not a snapshot's.
	Swept bool
}

// ReferenceLeft is what a publish of a reference list leaves to do.
type ReferenceLeft struct {
	// Again says that the list must be read again: at once, or after OlderWait if
	// Cause is Older.
	Again bool
	Cause Cause
	// After is when to read the list again for entries that it lacked; zero means
	// when it is next due.
	After time.Duration
	// Held is how many entries the readings lack in bulk, or lack although HubSpot
	// shows them: they stay as they are for now (R19).
	Held int
}

func (l *ReferenceLeft) again(c Cause) {
	if !l.Again || c == Older {
		l.Again, l.Cause = true, c
	}
}

// wait asks for the next reading after d at the latest.
func (l *ReferenceLeft) wait(d time.Duration) {
	if l.After == 0 || d < l.After {
		l.After = d
	}
}

// ReferenceLaneConfig configures a ReferenceLane.
type ReferenceLaneConfig struct {
	Reference string
	// Rows are what previous runs published.
	Rows map[EntryKey]Row
	// Swept says that the list's first sweep has ended.
	Swept bool
	// SkipUnchanged leaves out events whose only change is the modified time.
	SkipUnchanged bool
	// Patience has the time between the two readings that a delete needs, and how
	// long all readings must agree where entries are gone in bulk (R19).
	Patience  Patience
	Committer Committer
}

// ReferenceLane is the one writer of a reference list's topic.
type ReferenceLane struct {
	reference string
	committer Committer
	turn
	table   referenceTable
	rules   referenceRules
	counter atomic.Uint64
	live    atomic.Int64
}

// NewReferenceLane returns a lane that begins with what is published.
func NewReferenceLane(cfg ReferenceLaneConfig) *ReferenceLane {
	l := &ReferenceLane{
		reference: cfg.Reference, committer: cfg.Committer, turn: newTurn(),
		table: referenceTable{rows: make(map[EntryKey]entry, len(cfg.Rows)), absent: map[EntryKey]hubspot.Millis{}, last: map[string]listed{}},
		rules: referenceRules{cfg.Swept, cfg.SkipUnchanged, cfg.Patience},
	}
	for key, row := range cfg.Rows {
		l.table.rows[key] = entry{Row: row}
	}
	l.live.Store(int64(l.table.live()))
	return l
}

// Reference is what the lane publishes.
func (l *ReferenceLane) Reference() string { return l.reference }

// Now is the stamp of a reading whose request is sent now (R1).
func (l *ReferenceLane) Now() uint64 { return l.counter.Load() }

// Live is how many entries are published as live.
func (l *ReferenceLane) Live() int { return int(l.live.Load()) }

// LiveUnder returns the keys that are published as live under a part, sorted; ""
// means all.
func (l *ReferenceLane) LiveUnder(ctx context.Context, part string) ([]EntryKey, error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	return l.table.lacking(part, nil), nil
}

// Publish decides a page, commits it and then applies it to the table; see
// Lane.Publish. The page's cursors do not wait for entries that must be found
// missing a second time.
func (l *ReferenceLane) Publish(ctx context.Context, p ReferencePage) (ReferenceLeft, error) {
	if err := l.take(ctx); err != nil {
		return ReferenceLeft{}, err
	}
	defer l.release()

	d := l.table.diff(&p, &l.rules)
	if d.left.Again && p.Snapshot {
		d.changes = nil
	}
	b := Batch{Object: l.reference, Entries: d.changes, Sync: p.Sync}
	b.Live = liveAfter(l.Live(), b.Entries, func(c *ReferenceChange) (was, is bool) { return l.table.rows[c.Key].Live, c.Row.Live })
	if !d.left.Again {
		b.Cursors = p.Cursors
	}
	if len(b.Entries) > 0 || len(b.Cursors) > 0 {
		if err := l.committer.Commit(ctx, &b); err != nil {
			return ReferenceLeft{}, err
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
