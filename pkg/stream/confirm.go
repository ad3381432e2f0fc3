package stream

import (
	"context"
	"fmt"
	"slices"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// confirm asks the object store about ids that are published as live and were
// named as gone: live read, archived read, live read once more (R7). Another id
// that answers, an archived copy, or nothing at all, twice, is what a delete is
// decided on; the lane decides. What HubSpot answers no question about is left
// out and stays as it is.
func (o *Object) confirm(ctx context.Context, ids []hubspot.ID) ([]cdc.Reading, error) {
	var out []cdc.Reading
	for chunk := range slices.Chunk(ids, batchSize-controlIDs) {
		readings, err := o.confirmChunk(ctx, chunk)
		if err != nil {
			return nil, fmt.Errorf("confirm %d records: %w", len(chunk), err)
		}
		out = append(out, readings...)
	}
	return out, nil
}

// controlIDs is how many ids of the type, found live lately, a confirm's live
// read carries along: when none of them is answered, HubSpot answers nothing.
const controlIDs = 3

func (o *Object) confirmChunk(ctx context.Context, ids []hubspot.ID) ([]cdc.Reading, error) {
	first, out, missing, err := o.confirmLive(ctx, ids)
	if err != nil || len(missing) == 0 {
		return out, err
	}
	archived, err := o.confirmArchived(ctx, &first, missing)
	if err != nil {
		return nil, err
	}
	out = append(out, archived...)
	for _, r := range archived {
		missing = slices.DeleteFunc(missing, func(id hubspot.ID) bool { return id == r.ID })
	}
	if len(missing) == 0 {
		return out, nil
	}
	last, live, missing, err := o.confirmLive(ctx, missing)
	if err != nil {
		return nil, err
	}
	for _, id := range missing {
		gone := o.reading(&first, cdc.IsGone, nil, last.date)
		gone.ID, gone.Doubtful = id, first.doubtful || last.doubtful
		live = append(live, gone)
	}
	return append(out, live...), nil
}

// confirmLive reads ids live and returns those that HubSpot, credibly, does
// not have.
func (o *Object) confirmLive(ctx context.Context, ids []hubspot.ID) (a lookup, answered []cdc.Reading, missing []hubspot.ID, err error) {
	controls, err := o.Lane.Controls(ctx, ids)
	if err != nil {
		return a, nil, nil, err
	}
	a, err = o.lookUp(ctx, hubspot.Confirm, slices.Concat(ids, controls))
	if err != nil {
		return a, nil, nil, err
	}
	live := 0
	for _, r := range a.readings {
		switch {
		case !slices.Contains(controls, r.ID):
			answered = append(answered, r)
		case r.Outcome == cdc.IsLive:
			live++
		}
	}
	a.doubtful = live < len(controls)
	missing = slices.DeleteFunc(a.missing, func(id hubspot.ID) bool { return slices.Contains(controls, id) })
	if len(missing) > 0 && live == 0 {
		if missing, err = o.listLacks(ctx, missing); err != nil {
			return a, nil, nil, err
		}
	}
	return a, answered, missing, nil
}

// listLacks takes the place of control ids where none is left: a list page of
// the type, sent after the live read, that does not name the id.
func (o *Object) listLacks(ctx context.Context, ids []hubspot.ID) ([]hubspot.ID, error) {
	page, err := o.Client.List(ctx, hubspot.Call{Priority: hubspot.Confirm}, o.Type.Path, nil, "", false, 0)
	if err != nil {
		return nil, fmt.Errorf("list a page as a control: %w", err)
	}
	return slices.DeleteFunc(ids, func(id hubspot.ID) bool {
		return slices.ContainsFunc(page.Records, func(r hubspot.Record) bool { return r.ID == id })
	}), nil
}

// confirmArchived returns the archived copies of ids that first found missing.
// A type that cannot read archived records has none.
func (o *Object) confirmArchived(ctx context.Context, first *lookup, ids []hubspot.ID) ([]cdc.Reading, error) {
	var second lookup
	page, err := o.batchRead(ctx, hubspot.Confirm, &second, ids, true)
	if hubspot.ArchivedUnsupported(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []cdc.Reading
	for i := range page.Records {
		if r := &page.Records[i]; r.Archived {
			out = append(out, o.reading(first, cdc.IsArchived, r, page.Date))
		}
	}
	return out, nil
}
