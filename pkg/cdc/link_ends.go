package cdc

import (
	"context"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// What a link lane asks of the lanes of its two types. Both may be one.

// reasons gives the reason of each id whose last published event is a delete.
// A nil lane, of a type that is not synced, knows of none.
func (l *Lane) reasons(ctx context.Context, ids []hubspot.ID) (map[hubspot.ID]Reason, error) {
	if l == nil {
		return nil, nil
	}
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer l.release()
	out := map[hubspot.ID]Reason{}
	for _, id := range ids {
		if e, known := l.table.rows[id]; known && !e.Live {
			out[id] = e.Reason
		}
	}
	return out, nil
}

// liveAfter gives up to n live ids above after, in order.
func (l *Lane) liveAfter(ctx context.Context, after hubspot.ID, n int) ([]hubspot.ID, error) {
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

// DeletedBefore keeps the ids whose delete was published before the moment
// that stamp (Lane.Now) stands for, and that are not live again: only of these
// does it mean that there are no links when HubSpot, asked then, answers that
// there is no such record (R8).
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
