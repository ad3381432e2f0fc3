package stream

import (
	"bytes"
	"context"
	"slices"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// withLosers looks for survivors of merges among readings. Losers that are
// published as live are confirmed, and their readings come first: their deletes
// and the survivor's event share a transaction (R7).
func (o *Object) withLosers(ctx context.Context, readings []cdc.Reading) ([]cdc.Reading, error) {
	var named []hubspot.ID
	for i := range readings {
		if readings[i].Outcome != cdc.IsLive {
			continue
		}
		for text := range bytes.SplitSeq(readings[i].Record.Merged, []byte(";")) {
			id, err := hubspot.ParseID(string(bytes.TrimSpace(text)))
			if err == nil && !slices.ContainsFunc(readings, func(r cdc.Reading) bool { return r.ID == id }) {
				named = append(named, id)
			}
		}
	}
	losers, err := o.Lane.LiveAmong(ctx, named)
	if err != nil || len(losers) == 0 {
		return readings, err
	}
	slices.Sort(losers)
	confirmed, err := o.confirm(ctx, slices.Compact(losers))
	return append(confirmed, readings...), err
}
