package verify

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// recordFold is a topic of records as a read_committed consumer has it: the latest
// record of every key. A record that is not the connector's counts as live with a
// content that nobody knows (cdc.UnknownRow).
type recordFold struct {
	events *digesters
	table  *cdc.Table
	// torn are the keys whose latest record is not the connector's: a tombstone
	// that does not follow its delete, or something that is no event of its. No
	// change that is under way explains that.
	torn map[hubspot.ID]bool
	strays[hubspot.ID]
	departures[hubspot.ID]
	omitted map[hubspot.ID][]string // properties that an event was too large for
	odd     map[string]bool         // live keys that are no ids
}

func newRecordFold(events *digesters) *recordFold {
	return &recordFold{
		events: events, table: cdc.NewTable(),
		torn: map[hubspot.ID]bool{}, omitted: map[hubspot.ID][]string{}, odd: map[string]bool{},
	}
}

func (f *recordFold) add(ctx context.Context, r *kgo.Record) error {
	id, ok := sink.ParseRecordKey(r.Key)
	if !ok {
		delete(f.odd, string(r.Key))
		if r.Value != nil {
			f.odd[string(r.Key)] = true
		}
		return nil
	}
	if !f.note(id, id.String(), r) {
		return nil
	}
	if r.Value == nil {
		if f.live(id) {
			f.torn[id] = true
			f.leave(id)
		}
		f.table.Remove(id)
		delete(f.omitted, id)
		return nil
	}
	delete(f.torn, id)
	delete(f.omitted, id)
	d, event, err := f.events.read(ctx, r.Value)
	switch {
	case errors.Is(err, schema.ErrForeign):
		f.table.Put(id, cdc.UnknownRow(0))
		f.torn[id] = true
	case err != nil:
		return fmt.Errorf("read %s partition %d offset %d: %w", r.Topic, r.Partition, r.Offset, err)
	case !event.Live:
		if f.left != nil && f.live(id) { // before, the table is not looked at for nothing
			f.leave(id)
		}
		f.table.Remove(id)
	default:
		s := d.state(&event)
		f.table.Put(id, cdc.Row{Version: s.version, Hash: s.hash, Live: true})
		if len(event.Omitted) > 0 {
			f.omitted[id] = event.Omitted
		}
	}
	return nil
}

func (f *recordFold) live(id hubspot.ID) bool {
	row, _ := f.table.Get(id)
	return row.Live
}

func (f *recordFold) recall(r *kgo.Record) {
	if id, ok := sink.ParseRecordKey(r.Key); ok {
		f.note(id, id.String(), r)
	}
}

// latest is the row of a key as a consumer has it. torn says that no change that is
// under way explains it.
func (f *recordFold) latest(id hubspot.ID) (row cdc.Row, torn bool) {
	if stray, live := f.strays.latest(id); stray && live {
		return cdc.UnknownRow(0), true
	} else if stray {
		return cdc.Row{}, true
	}
	row, _ = f.table.Get(id)
	return row, f.torn[id]
}
