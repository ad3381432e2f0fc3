package stream

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// bin knows which archived copies name losers of merges (R7). If the survivor of a
// merge was archived before anybody read it, nothing else tells that its losers were
// merged: they look purged, or archived.
//
// HubSpot cannot filter its list of archived records, so a look reads all of it. The
// archive stream adds what it sees.
type bin struct {
	turn   chan struct{} // one slot
	copies map[hubspot.ID]hubspot.Record
	pages  int
	looked time.Time // when the last look began; zero if there was none
}

func newBin() *bin {
	return &bin{turn: make(chan struct{}, 1), copies: map[hubspot.ID]hubspot.Record{}}
}

const (
	// binSpacing bounds what looks cost: on average one call in this time.
	binSpacing = 5 * time.Second
	// binPatience is how long a look waits for a page. Without it, what is known
	// has to do.
	binPatience = time.Minute
	// binUnanswered is how long the connector does without a look after HubSpot did
	// not answer one. Otherwise each record that is gone would hold up its page for
	// binPatience.
	binUnanswered = 10 * time.Minute
)

// mergedOnly requests nothing but hs_merged_object_ids.
var mergedOnly = &hubspot.Slots{Merged: true}

// note keeps what a page of the archived list names.
func (b *bin) note(ctx context.Context, copies []hubspot.Record) error {
	if err := b.take(ctx); err != nil {
		return err
	}
	defer b.release()
	b.keep(copies)
	return nil
}

func (b *bin) keep(copies []hubspot.Record) {
	for _, r := range copies {
		if len(r.Merged) > 0 {
			r.Merged = slices.Clone(r.Merged) // the page's slab goes
			b.copies[r.ID] = hubspot.Record{ID: r.ID, Archived: true, Merged: r.Merged}
		}
	}
}

// losersInBin returns the archived copies that name losers. It looks if nobody has
// looked in this run, and again where records have no copy of their own.
func (o *Object) losersInBin(ctx context.Context, gone []hubspot.ID) ([]hubspot.Record, error) {
	b := o.bin
	if err := b.take(ctx); err != nil {
		return nil, err
	}
	defer b.release()
	if b.looked.IsZero() || len(gone) > 0 && time.Since(b.looked) >= time.Duration(b.pages)*binSpacing {
		if err := o.look(ctx, b); err != nil {
			return nil, err
		}
	}
	return slices.Collect(maps.Values(b.copies)), nil
}

// look reads the list of archived records.
func (o *Object) look(ctx context.Context, b *bin) error {
	b.looked, b.pages = time.Now(), 0
	for after := ""; ; {
		b.pages++
		page, err := o.archivedPage(ctx, after)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case hubspot.ArchivedUnsupported(err):
			return nil
		case err != nil:
			b.pages = int(binUnanswered / binSpacing)
			o.Log.Warn("HubSpot does not list its archived records; the losers of merges whose survivor is among them may be published as purged or archived", "err", err)
			return nil
		}
		b.keep(page.Records)
		if after = page.After; after == "" {
			return nil
		}
	}
}

func (o *Object) archivedPage(ctx context.Context, after string) (hubspot.ListPage, error) {
	ctx, cancel := context.WithTimeout(ctx, binPatience)
	defer cancel()
	return o.archived(ctx, hubspot.Confirm, after)
}

func (b *bin) take(ctx context.Context) error {
	select {
	case b.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *bin) release() { <-b.turn }

// archived reads a page of the type's archived records, with what they name as
// merged. Where HubSpot does not answer even a page of one record, the page names
// the ids there, so that one that is published as live is confirmed.
func (o *Object) archived(ctx context.Context, prio hubspot.Priority, after string) (page hubspot.ListPage, err error) {
	err = o.stuck.patiently(ctx, func() error {
		page, err = o.list(ctx, hubspot.Call{Priority: prio}, mergedOnly, after, true)
		if divisiblePage(err) && !o.binPages.triedInVain(after) {
			page, err = o.archivedBeyond(ctx, prio, after, err)
		}
		return err
	})
	return page, err
}

// archivedBeyond finds out how the list goes on after a record that HubSpot does not
// answer. No search shows archived records, so it tries the places as if they were
// ids (docs/hubspot.md section 2). err is why HubSpot does not answer, and is
// returned where that does not help.
func (o *Object) archivedBeyond(ctx context.Context, prio hubspot.Priority, after string, err error) (page hubspot.ListPage, _ error) {
	o.binPages.inVain(after)
	low, odd := hubspot.ParseID(after)
	if after != "" && odd != nil {
		return page, err
	}
	place, ok, lost := o.binPages.bisect(low, farEnd, func(place hubspot.ID) (bool, error) {
		return answered(ctx, func(ctx context.Context) error {
			list, err := o.Client.List(ctx, hubspot.Call{Priority: prio, Tries: 1}, o.Type.Path, mergedOnly, place.String(), true, 1)
			if err == nil && page.Date == 0 {
				page.Answer = list.Answer
			}
			return err
		})
	})
	switch {
	case lost != nil:
		return page, lost
	case !ok:
		return page, err
	}
	o.binPages.passed(after)
	o.Log.Debug("HubSpot's list of archived records fails at one; the stream passes over it", "stream", offsets.ArchiveStream, "place", place.String(), "err", err)
	page.After, page.Records = place.String(), []hubspot.Record{{ID: place - 1}, {ID: place}}
	return page, nil
}
