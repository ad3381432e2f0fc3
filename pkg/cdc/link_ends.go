package cdc

import (
	"context"
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
		if row, known := l.table.Get(id); known && !row.Live {
			out[id] = deletion{row.Reason, l.table.deleted[id]}
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
	for id := range l.table.liveAfter(after) {
		if out = append(out, id); len(out) >= n {
			break
		}
	}
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
		if row, known := l.table.Get(id); known && !row.Live && l.table.deleted[id] <= stamp {
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
	for _, row := range l.table.All() {
		newest = max(newest, row.Version)
	}
	var out []hubspot.ID
	for id, row := range l.table.All() {
		if row.Live && row.Version >= newest.Add(-within) {
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
	from, err := l.from.deleted(ctx)
	if err != nil {
		return nil, err
	}
	to, err := l.to.deleted(ctx)
	if err != nil || len(from)+len(to) == 0 {
		return nil, err
	}
	return l.table.dangling(from, to), nil
}

// deleted returns all records whose last published event is a delete. A nil lane, of
// a type that is not synced, knows none.
func (l *Lane) deleted(ctx context.Context) (map[hubspot.ID]bool, error) {
	if l == nil {
		return nil, nil
	}
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	out := map[hubspot.ID]bool{}
	for id, row := range l.table.All() {
		if !row.Live {
			out[id] = true
		}
	}
	return out, nil
}
