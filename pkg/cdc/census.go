package cdc

import (
	"context"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// recent holds the keys that began or ceased to be live lately, with the Date of the
// answer that decided each: the index need not show these changes yet (R12).
type recent struct{ keys []decidedKey }

type decidedKey struct {
	id hubspot.ID
	at hubspot.Millis
	// shown says that the index shows the change: a search named the record.
	shown bool
}

// recentFor is the longest time for which a decision counts as recent.
const recentFor = 10 * time.Minute

// note adds the keys of a committed page, and forgets those decided more than
// recentFor ago. searched says that a search named the page's ids.
func (r *recent) note(changes []Change, at hubspot.Millis, searched bool) {
	old := sort.Search(len(r.keys), func(i int) bool { return r.keys[i].at > at.Add(-recentFor) })
	r.keys = slices.Delete(r.keys, 0, old)
	if n := len(r.keys); n > 0 { // keep the keys in order if a page is late
		at = max(at, r.keys[n-1].at)
	}
	for i := range changes {
		// The index has an updated record before and after the update.
		if e := changes[i].Event; e != nil && e.Op != Update {
			r.keys = append(r.keys, decidedKey{changes[i].ID, at, searched && changes[i].Row.Live})
		}
	}
}

// since returns the distinct keys of a range of ids that were decided after a time
// and that the index need not show as they are now.
func (r *recent) since(at hubspot.Millis, in Range) map[hubspot.ID]bool {
	out := map[hubspot.ID]bool{}
	for i := len(r.keys) - 1; i >= 0 && r.keys[i].at > at; i-- {
		k := &r.keys[i]
		if _, later := out[k.id]; !later && in.Contains(k.id) {
			out[k.id] = !k.shown
		}
	}
	maps.DeleteFunc(out, func(_ hubspot.ID, hidden bool) bool { return !hidden })
	return out
}

// Range is the ids above After, up to and including UpTo; with UpTo 0 it has no
// end.
type Range struct{ After, UpTo hubspot.ID }

// Contains reports whether an id is in the range.
func (r Range) Contains(id hubspot.ID) bool { return id > r.After && (r.UpTo == 0 || id <= r.UpTo) }

// Count describes a range. Certain is how many of its records are published as live
// and must be in the index. Recent is how many keys the index may have or not: those
// decided lately, live or not, and those that wait for their second confirm (R9).
type Count struct{ Certain, Recent int }

// Count counts a range. Keys decided after since, a time of HubSpot's, are recent
// (R12).
func (l *Lane) Count(ctx context.Context, in Range, since hubspot.Millis) (Count, error) {
	if err := l.take(ctx); err != nil {
		return Count{}, err
	}
	defer l.release()
	upTo := l.table.Live()
	if in.UpTo != 0 {
		upTo = l.table.rank(in.UpTo)
	}
	c := Count{Certain: upTo - l.table.rank(in.After)}
	for id := range l.unsure(since, in) {
		c.Recent++
		if row, _ := l.table.Get(id); row.Live {
			c.Certain--
		}
	}
	return c, nil
}

// unsure are the keys of a range that the index may have or not.
func (l *Lane) unsure(since hubspot.Millis, in Range) map[hubspot.ID]bool {
	out := l.lately.since(since, in)
	for id := range l.absences.first {
		if in.Contains(id) {
			out[id] = true
		}
	}
	return out
}

// Known returns the range up to the highest live id.
func (l *Lane) Known(ctx context.Context) (Range, error) {
	if err := l.take(ctx); err != nil {
		return Range{}, err
	}
	defer l.release()
	var r Range
	if n := l.table.Live(); n > 0 {
		r.UpTo = l.table.nth(n - 1)
	}
	return r, nil
}

// Middle returns a live id that divides a range into halves with about as many live
// records. ok is false if there are fewer than two.
func (l *Lane) Middle(ctx context.Context, in Range) (id hubspot.ID, ok bool, err error) {
	if err := l.take(ctx); err != nil {
		return 0, false, err
	}
	defer l.release()
	from, to := l.table.rank(in.After), l.table.Live()
	if in.UpTo != 0 {
		to = l.table.rank(in.UpTo)
	}
	if to-from < 2 {
		return 0, false, nil
	}
	return l.table.nth(from + (to-from)/2 - 1), true, nil
}

// Part returns the n-th range of about size live records, from the lowest id on. n
// wraps around, so the ranges of successive n cover every id.
func (l *Lane) Part(ctx context.Context, n, size int) (Range, error) {
	if err := l.take(ctx); err != nil {
		return Range{}, err
	}
	defer l.release()
	parts := max(1, l.table.Live()/size)
	n %= parts
	var r Range
	if n > 0 {
		r.After = l.table.nth(n*size - 1)
	}
	if n < parts-1 {
		r.UpTo = l.table.nth((n+1)*size - 1)
	}
	return r, nil
}

// Compare holds the ids that the index shows of a range, in ascending order,
// against the table. It returns the live ids that the index lacks, and the ids that
// it shows and that are not live. It leaves out keys decided after since, and those
// that wait for their second confirm.
func (l *Lane) Compare(ctx context.Context, in Range, shown []hubspot.ID, since hubspot.Millis) (lacking, extra []hubspot.ID, err error) {
	if err := l.take(ctx); err != nil {
		return nil, nil, err
	}
	defer l.release()
	unsure := l.unsure(since, in)
	for _, id := range l.table.lacking(in.After, in.UpTo, shown, l.counter.Load()) {
		if !unsure[id] {
			lacking = append(lacking, id)
		}
	}
	for _, id := range shown {
		if row, _ := l.table.Get(id); !row.Live && !unsure[id] {
			extra = append(extra, id)
		}
	}
	return lacking, extra, nil
}

// Contradict returns what the object store has otherwise than the index: the ids
// among lacking that are live and do not wait for their second confirm, and those
// among extra that are not live.
func (l *Lane) Contradict(ctx context.Context, lacking, extra []hubspot.ID) (still, absent []hubspot.ID, err error) {
	if err := l.take(ctx); err != nil {
		return nil, nil, err
	}
	defer l.release()
	for _, id := range lacking {
		_, waits := l.absences.first[id]
		if row, _ := l.table.Get(id); row.Live && !waits {
			still = append(still, id)
		}
	}
	for _, id := range extra {
		if row, _ := l.table.Get(id); !row.Live {
			absent = append(absent, id)
		}
	}
	return still, absent, nil
}

// rank is the number of live ids up to and including id.
func (t *Table) rank(id hubspot.ID) int { return t.rows.rank(keyedRow{id: id}) }

// nth is the n-th live id, from 0 on; 0 if there are not so many.
func (t *Table) nth(n int) hubspot.ID {
	r, _ := t.rows.nth(n)
	return r.id
}
