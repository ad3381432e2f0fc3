package stream

import (
	"context"
	"fmt"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// walk reads one search page of the type (R2).
func (o *Object) walk(ctx context.Context, prio hubspot.Priority, q hubspot.SearchQuery) (*cdc.Walk, error) {
	q.Object, q.ModifiedProperty = o.Type.Path, o.Type.ModifiedProperty
	w := cdc.NewWalk(q)
	for q, wait, more := w.Next(); more; q, wait, more = w.Next() {
		if err := sleep(ctx, wait); err != nil {
			return w, err
		}
		page, err := o.Client.Search(ctx, hubspot.Call{Priority: prio}, q)
		if err != nil {
			return w, fmt.Errorf("search after id %s: %w", q.After, err)
		}
		refused := w.Refused
		w.Take(page)
		o.Metrics.rereads.WithLabelValues(o.Type.Name, "unordered").Add(float64(w.Refused - refused))
	}
	return w, w.Err()
}
