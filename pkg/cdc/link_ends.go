package cdc

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// These methods are what a link lane asks of the lanes of its two types. Both may
// be one.

// deletion is a record's last published event, if that is a delete.
type deletion struct {
	reason  Reason
	decided uint64 // the lane's counter then; 0: an earlier run published it
}

// deletions returns those of ids whose last published event is a delete. A nil lane,
// of a type that is not synced, knows none.
func (l *Lane) deletions(ctx context.Context, ids []hubspot.ID) (map[hubspot.ID]deletion, error) {
	if l == nil {
		return nil, nil
	}
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	out := map[hubspot.ID]deletion{}
	for _, id := range ids {
		if e, known := l.table.rows[id]; known && !e.Live {
			out[id] = deletion{e.Reason, e.decided}
		}
	}
	return out, nil
}

// LiveAfter returns up to n live ids above after, in order. A nil lane, of a type
// that is not synced, has none.
func (l *Lane) LiveAfter(ctx context.Context, after hubspot.ID, n int) ([]hubspot.ID, error) {
	if l == nil {
		return nil, nil
	}
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	out := make([]hubspot.ID, 0, n)
	l.table.live.Ascend(after+1, func(id hubspot.ID) bool {
		out = append(out, id)
		return len(out) < n
	})
	return out, nil
}

// DeletedBefore returns those of ids whose delete was published before stamp
// (Lane.Now) and that are not live again. Only of these does it mean that they have
// no links if HubSpot, asked at stamp, answers that there is no such record (R8).
func (l *Lane) DeletedBefore(ctx context.Context, ids []hubspot.ID, stamp uint64) ([]hubspot.ID, error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	var out []hubspot.ID
	for _, id := range ids {
		if e, known := l.table.rows[id]; known && !e.Live && e.decided <= stamp {
			out = append(out, id)
		}
	}
	return out, nil
}

// LatelyModified returns the live ids whose version is at most within older than
// the newest published version. A run that ended may have published them without
// reading their links (R14).
func (l *Lane) LatelyModified(ctx context.Context, within time.Duration) ([]hubspot.ID, error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	newest := hubspot.Millis(0)
	for _, e := range l.table.rows {
		newest = max(newest, e.Version)
	}
	var out []hubspot.ID
	for id, e := range l.table.rows {
		if e.Live && e.Version >= newest.Add(-within) {
			out = append(out, id)
		}
	}
	return out, nil
}

// Dangling returns the records with a link that is published as live although the
// delete of one of its ends was published: a run that ended did not get to read
// them.
func (l *LinkLane) Dangling(ctx context.Context) ([]hubspot.ID, error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	froms := slices.Collect(l.table.linking(0))
	deleted, err := l.from.deletions(ctx, froms)
	if err != nil {
		return nil, err
	}
	gone, err := l.to.deletions(ctx, slices.Collect(l.table.linked()))
	if err != nil {
		return nil, err
	}
	out := map[hubspot.ID]bool{}
	for id := range deleted {
		out[id] = true
	}
	for to := range gone {
		for from := range l.table.holders(to) {
			out[from] = out[from] || l.table.holds(from, to)
		}
	}
	maps.DeleteFunc(out, func(_ hubspot.ID, dangling bool) bool { return !dangling })
	return slices.Sorted(maps.Keys(out)), nil
}
