package stream

import (
	"context"
	"fmt"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Removals decides which custom object types were removed from the portal (R9).
type Removals struct {
	Client *hubspot.Client
	// Wait is the time between the two looks that it takes.
	Wait time.Duration

	since map[string]time.Time // by type id: when it was found gone first
}

// Removed asks HubSpot for a type's own schema. A type is removed when the
// answer was archived, or that there is none, twice, with Wait between them and
// nothing else in between. Of a type that stands in HubSpot under its name with
// another id (replaced), one answer is enough.
func (r *Removals) Removed(ctx context.Context, t hubspot.ObjectType, replaced bool) (bool, error) {
	schema, err := r.Client.Schema(ctx, hubspot.Call{Priority: hubspot.Schema}, t.TypeID)
	switch {
	case err == nil && schema.Archived, hubspot.NotFound(err):
	case err == nil || refused(err):
		r.Back(t)
		return false, nil
	default:
		return false, fmt.Errorf("read the schema of %s: %w", t.Name, err)
	}
	if r.since == nil {
		r.since = map[string]time.Time{}
	}
	first, seen := r.since[t.TypeID]
	if !seen {
		first = time.Now()
		r.since[t.TypeID] = first
	}
	return replaced || seen && time.Since(first) >= r.Wait, nil
}

// Back says that a type is there, or that HubSpot does not tell.
func (r *Removals) Back(t hubspot.ObjectType) { delete(r.since, t.TypeID) }

// endPage is how many deletes one page of an end holds.
const endPage = 500

// End publishes that every record of a type is gone because the type was
// removed. cursors move with the last page. No other stream of the type runs
// any more.
func End(ctx context.Context, lane *cdc.Lane, date hubspot.Millis, cursors []cdc.Cursor) error {
	for {
		ids, err := lane.LiveAfter(ctx, 0, endPage)
		if err != nil {
			return err
		}
		page := cdc.Page{Stream: SchemaStream, Sync: true}
		for _, id := range ids {
			page.Readings = append(page.Readings, cdc.Reading{
				ID: id, Outcome: cdc.IsRemoved, Slots: lane.Slots(), Stamp: lane.Now(), SentAt: date, Date: date,
			})
		}
		if len(ids) < endPage {
			page.Cursors = cursors
		}
		if _, err := lane.Publish(ctx, page); err != nil {
			return fmt.Errorf("publish that an object type is gone: %w", err)
		}
		if len(ids) < endPage {
			return nil
		}
	}
}

// EndLinks publishes that every link of a pair is gone because one of its types
// was removed: the one exception from R14, by which only a reading of a
// record's set of links changes it.
func EndLinks(ctx context.Context, lane *cdc.LinkLane, date hubspot.Millis, cursors []cdc.Cursor) error {
	after := hubspot.ID(0)
	for {
		ids, err := lane.Next(ctx, after, endPage)
		if err != nil {
			return err
		}
		page := cdc.LinkPage{Stream: SchemaStream, Sync: true}
		for _, id := range ids {
			page.Readings = append(page.Readings, cdc.LinkReading{From: id, Stamp: lane.Now(), Date: date, Calls: 1})
		}
		if len(ids) < endPage {
			page.Cursors = cursors
		} else {
			after = ids[len(ids)-1]
		}
		if _, err := lane.Publish(ctx, page); err != nil {
			return fmt.Errorf("publish that the links of an object type are gone: %w", err)
		}
		if len(ids) < endPage {
			return nil
		}
	}
}
