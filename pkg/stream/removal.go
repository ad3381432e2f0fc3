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
	// Wait is the shortest time between the two answers that a removal takes.
	Wait time.Duration

	since map[string]time.Time // by type id: when it was first found gone
}

// Removed asks HubSpot for a type's own schema and reports whether the type was
// removed. It was if HubSpot says archived or not found twice, at least Wait apart.
// Any other answer in between, a refusal included, starts over. One such answer is
// enough if the type was replaced: HubSpot has another id under its name.
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

// Back starts over: the type is there, or HubSpot does not tell.
func (r *Removals) Back(t hubspot.ObjectType) { delete(r.since, t.TypeID) }

// endPage is how many records a page of End or EndLinks holds.
const endPage = 500

// End publishes the delete of every record of a removed type. date is HubSpot's
// time of the events, and cursors move with the last page. The caller must have
// ended the type's streams.
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
			return fmt.Errorf("publish the deletes of a removed object type: %w", err)
		}
		if len(ids) < endPage {
			return nil
		}
	}
}

// EndLinks publishes the delete of every link of a pair, one of whose types was
// removed. It is the one exception to R14, by which only a reading of a record's
// set of links changes that set. date and cursors are as for End.
func EndLinks(ctx context.Context, lane *cdc.LinkLane, date hubspot.Millis, cursors []cdc.Cursor) error {
	after := hubspot.ID(0)
	for {
		ids, err := lane.Next(ctx, after, endPage)
		if err != nil {
			return err
		}
		page := cdc.LinkPage{Stream: SchemaStream, Sync: true}
		for _, id := range ids {
			page.Readings = append(page.Readings, cdc.LinkReading{From: id, Ended: true, Stamp: lane.Now(), SentAt: date, Date: date, Calls: 1})
		}
		if len(ids) < endPage {
			page.Cursors = cursors
		} else {
			after = ids[len(ids)-1]
		}
		if _, err := lane.Publish(ctx, page); err != nil {
			return fmt.Errorf("publish the deletes of a removed object type's links: %w", err)
		}
		if len(ids) < endPage {
			return nil
		}
	}
}
