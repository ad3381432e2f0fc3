package connector

import (
	"context"
	"time"

	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// journalPatience is how long the first start of the types waits for the journal's
// first place.
const journalPatience = 10 * time.Second

// startJournal begins to read the webhooks journal before any type starts, so that
// what it did not carry belongs to the tiers (R16). It is nil where there is no
// journal.
func (r *run) startJournal(ctx context.Context, seen stream.Seen) (*stream.Journal, error) {
	s := r.setup
	if s.Journal == nil {
		return nil, nil
	}
	j := &stream.Journal{
		Source: s.Journal, Portal: r.portal, Wanted: s.Config.HubSpot.Journal == JournalOn,
		Committer: r.out, Status: r.status, Metrics: r.counts, Audit: r.audit, Log: r.log.With("stream", offsets.JournalStream),
	}
	for _, found := range seen.Found {
		j.Types = append(j.Types, found.Type.TypeID)
	}
	if v := r.cursor("", offsets.JournalStream); v != nil {
		place, err := offsets.ParseJournal(v)
		if err != nil {
			return nil, err
		}
		j.Place = &place
	}
	j = stream.NewJournal(j)
	first := j.Place == nil
	r.tasks.spawn(j)
	if first {
		j.AwaitBegin(ctx, journalPatience)
	}
	return j, ctx.Err()
}
