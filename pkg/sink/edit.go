package sink

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// EditCursors changes cursors while no instance runs. It fences as a run does.
// Only then does edit look at the cursors, and EditCursors writes what edit
// returns in one transaction. An owner that starts meanwhile is either fenced or
// fences; it never continues with cursors that it did not read.
func EditCursors(ctx context.Context, cfg Config, edit func() ([]offsets.Edit, error)) error {
	s, err := connect(cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.fence(ctx); err != nil {
		return err
	}
	edits, err := edit()
	if err != nil || len(edits) == 0 {
		return err
	}
	records := make([]*kgo.Record, len(edits))
	for i, e := range edits {
		records[i] = &kgo.Record{Topic: s.cursorTopic, Key: e.Key, Value: e.Value}
	}
	return s.transact(ctx, records)
}
