package stream

import (
	"context"
	"maps"
	"slices"
	"sync"
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
	turn chan struct{} // one slot: held by whoever looks

	mu     sync.Mutex
	copies map[hubspot.ID]hubspot.Record
	pages  int       // of the list
	read   time.Time // when the latest reading of the whole list began; zero if there was none
	looked time.Time // when the latest look began
	none   bool      // HubSpot does not list the type's archived records
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
func (b *bin) note(copies []hubspot.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range copies {
		if len(r.Merged) > 0 {
			r.Merged = slices.Clone(r.Merged) // the page's slab goes
			b.copies[r.ID] = hubspot.Record{ID: r.ID, Archived: true, Merged: r.Merged}
		}
	}
}

// whole notes that a reading of the whole list began at some time and took a number
// of pages.
func (b *bin) whole(began time.Time, pages int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if began.After(b.read) {
		b.read, b.pages = began, pages
	}
}

func (b *bin) known() []hubspot.Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Values(b.copies))
}

// due reports whether to look: if nobody has looked in this run, and where records
// have no copy of their own. Their first confirm ended longer ago than second, so any
// reading of the list that began since then shows what explains them.
func (b *bin) due(gone bool, second time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.none && (b.looked.IsZero() || gone && time.Since(b.read) >= second && time.Since(b.looked) >= b.spacing())
}

// spacing is the least time between two looks.
func (b *bin) spacing() time.Duration { return time.Duration(b.pages) * binSpacing }

// losersInBin returns the archived copies that name losers, for records that a second
// confirm found gone, and for archived ones.
func (o *Object) losersInBin(ctx context.Context, gone bool) ([]hubspot.Record, error) {
	second := o.Lane.Second()
	if o.bin.due(gone, second) {
		if err := o.look(ctx, func() bool { return o.bin.due(gone, second) }); err != nil {
			return nil, err
		}
	}
	return o.bin.known(), nil
}

// lookAhead looks while records wait for their second confirm, if the list is so long
// that the confirm would wait for it.
func (o *Object) lookAhead(ctx context.Context, wait time.Duration) error {
	long := func() bool {
		second := o.Lane.Second()
		o.bin.mu.Lock()
		long := o.bin.spacing() > second && wait <= 2*second
		o.bin.mu.Unlock()
		return long && o.bin.due(true, second)
	}
	if !long() {
		return nil
	}
	return o.look(ctx, long)
}

// look reads the list of archived records, if that is still due when it is its turn.
func (o *Object) look(ctx context.Context, due func() bool) error {
	b := o.bin
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-b.turn }()
	if !due() {
		return nil
	}
	began, pages, seen := time.Now(), 0, trail{}
	for after := ""; ; {
		pages++
		page, err := o.archivedPage(ctx, after, seen)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case hubspot.ArchivedUnsupported(err):
			b.mu.Lock()
			defer b.mu.Unlock()
			b.none = true
			return nil
		case err != nil:
			o.Log.Warn("HubSpot does not list its archived records; the losers of merges whose survivor is among them may be published as purged or archived", "err", err)
		default:
			b.note(page.Records)
			if after = page.After; after != "" {
				continue
			}
		}
		if err == nil {
			b.whole(began, pages)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.looked = began; err != nil {
			b.pages = int(binUnanswered / binSpacing)
		}
		return nil
	}
}

func (o *Object) archivedPage(ctx context.Context, after string, seen trail) (hubspot.ListPage, error) {
	ctx, cancel := context.WithTimeout(ctx, binPatience)
	defer cancel()
	return o.archived(ctx, hubspot.Confirm, after, seen)
}

// archived reads a page of the type's archived records, with what they name as
// merged. Where HubSpot does not answer even a page of one record, the page names
// the ids there that are published as live, so that they are confirmed.
func (o *Object) archived(ctx context.Context, prio hubspot.Priority, after string, seen trail) (page hubspot.ListPage, err error) {
	err = o.stuck.patiently(ctx, func() error {
		page, err = o.list(ctx, hubspot.Call{Priority: prio}, mergedOnly, after, true, seen)
		if divisiblePage(err) && !o.binPages.triedInVain(after) {
			page, err = o.archivedBeyond(ctx, prio, after, err)
		}
		return err
	})
	return page, err
}

// passedMost is how many published records are confirmed where the list of archived
// records passes over some.
const passedMost = 1000

// archivedBeyond finds out how the list goes on after a record that HubSpot does not
// answer. No search shows archived records, so it tries the places as if they were
// ids (docs/hubspot.md section 2). It cannot know how many it passes over, so the page
// names those before the place, the nearest first, that are published as live. err is
// why HubSpot does not answer, and is returned where that does not help.
func (o *Object) archivedBeyond(ctx context.Context, prio hubspot.Priority, after string, err error) (page hubspot.ListPage, _ error) {
	o.binPages.inVain(after)
	low, odd := hubspot.ParseID(after)
	if after != "" && odd != nil {
		return page, err
	}
	behind := func(place hubspot.ID) (bool, error) {
		return answered(ctx, func(ctx context.Context, sent func(hubspot.Millis)) error {
			list, err := o.Client.List(ctx, hubspot.Call{Priority: prio, Tries: 1, OnSend: sent}, o.Type.Path, mergedOnly, place.String(), true, 1)
			if err == nil && page.Date == 0 {
				page.Answer = list.Answer
			}
			return err
		})
	}
	if ok, lost := behind(farEnd); lost != nil {
		return page, lost
	} else if !ok {
		return page, err
	}
	place, lost := o.binPages.bisect(low, farEnd, behind)
	if lost != nil {
		return page, lost
	}
	live, lost := o.Lane.Lacking(ctx, max(low, 1)-1, place, nil, o.Lane.Now())
	if lost != nil {
		return page, lost
	}
	o.binPages.passed(after)
	o.Log.Debug("HubSpot's list of archived records fails at one; the stream passes over it", "stream", offsets.ArchiveStream, "place", place.String(), "err", err)
	page.After = place.String()
	for _, id := range live[max(0, len(live)-passedMost):] {
		page.Records = append(page.Records, hubspot.Record{ID: id})
	}
	return page, nil
}
