package stream

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Census compares how many records the search index has with how many are
// published as live (R12). Where the counts differ, it halves the range of ids at
// once, until one search page shows all ids of a part. It finds deletes of any kind
// and missed creates. Nothing that it counts decides anything: what differs is read
// from the object store, so an index that is late costs searches alone.
//
// While nothing is wrong, a round costs one search, and at times two. The searches
// that follow a difference are part of the confirm of a delete, and as urgent, as long
// as they are few.
type Census struct {
	Object *Object
	// Interval is the time between two rounds; zero: Object.Rounds says.
	Interval time.Duration
	// Recent is how far the index may lag behind what is published.
	Recent time.Duration
	// Recheck is how long an id whose confirm contradicted the index stays
	// disputed.
	Recheck time.Duration

	began  time.Time // when the last round began; zero: none has ended
	round  int
	part   int       // which range of ids is next
	opened time.Time // when a round last counted without an upper end, and a part
	since  int       // rounds since then

	doubts map[hubspot.ID]doubt
	spare  float64 // searches that looks may spend ahead of others
	spared time.Time
	useful bool // the last look found something
}

// doubt is an id about which index and object store disagree. It is disputed once
// two rounds have found it so.
type doubt struct {
	since time.Time
	round int
	shown bool // the index has it
	twice bool
}

const (
	// censusPart is roughly how many records a part has.
	censusPart = 10_000
	// openRounds and openEvery are how many rounds, and how long, the census counts
	// only up to the highest known id. Above it are the records that the tiers are
	// about to find.
	openRounds, openEvery = 10, 15 * time.Minute
	// censusLeaf is how many rows one search page shows.
	censusLeaf = 200
	// censusLeaves is how many ranges of that size may differ in one round
	// before it is cheaper to read everything again.
	censusLeaves = 20
	// Looks spend spare searches: one comes in spareEvery, and at most spareMost
	// are kept. Without any, they wait for their turn as the rounds do, and only
	// if the last one found something. One that found something pays for up to
	// spareUseful of its own.
	spareEvery, spareMost, spareUseful = 10 * time.Second, 40, 15
)

// Run counts until ctx ends, once the type's backfill is done.
func (c *Census) Run(ctx context.Context) error {
	c.Object.Status.begins(c.Object.Type.Name, CensusStream, 0)
	if err := c.Object.backfilled(ctx); err != nil {
		return err
	}
	c.doubts, c.spare, c.spared = map[hubspot.ID]doubt{}, spareMost, time.Now()
	return supervise(ctx, c.Object, CensusStream, func() time.Duration { return 0 }, c.pass)
}

func (c *Census) pass(ctx context.Context) error {
	o := c.Object
	if err := o.due(ctx, c.Interval, c.began, 1, ReliedCensus); err != nil {
		return err
	}
	began, from := o.Client.Now(), time.Now()
	if err := c.forget(ctx); err != nil {
		return err
	}
	ranges, open, err := c.ranges(ctx)
	if err != nil {
		return err
	}
	c.spare = min(spareMost, c.spare+time.Since(c.spared).Seconds()/spareEvery.Seconds())
	c.spared = time.Now()
	l := look{}
	for _, in := range ranges {
		has, err := c.count(ctx, hubspot.Census, in)
		if err != nil {
			return err
		}
		if !has.differs() || c.spare <= 0 && !c.useful {
			continue
		}
		if err := c.halve(ctx, in, has, &l); err != nil {
			return err
		}
		if c.useful = l.found; l.found {
			c.spare = min(spareMost, c.spare+float64(min(l.searches, spareUseful)))
		}
	}
	if l.leaves > censusLeaves {
		o.Log.Warn("the search index differs in many ranges; the reconcile reads everything again", "stream", CensusStream)
		o.askReconcile()
	}
	o.Metrics.disputed.WithLabelValues(o.Type.Name).Set(float64(c.disputed()))
	o.Status.started(o.Type.Name, CensusStream)
	o.Status.reached(o.Type.Name, CensusStream, began)
	c.began = from
	if open {
		c.part++
		c.since, c.opened = 0, from
	}
	return nil
}

// look is one search for what differs.
type look struct {
	leaves, searches int
	found            bool // something differed in the object store
}

// ranges are what this round counts: everything up to the highest known id. At
// times it is everything, and one part of it: two differences may cancel each other
// out in the whole. open says that the round is such a one: until one has ended, the next
// one is.
func (c *Census) ranges(ctx context.Context) (ranges []cdc.Range, open bool, err error) {
	c.round++
	c.since++
	if c.since < openRounds && time.Since(c.opened) < openEvery {
		known, err := c.Object.Lane.Known(ctx)
		return []cdc.Range{known}, false, err
	}
	whole := cdc.Range{}
	part, err := c.Object.Lane.Part(ctx, c.part, censusPart)
	if err != nil || part == whole {
		return []cdc.Range{whole}, true, err
	}
	return []cdc.Range{whole, part}, true, nil
}

// forget drops the doubts that are due to be looked at again, and those that other
// finders have settled meanwhile.
func (c *Census) forget(ctx context.Context) error {
	ids := slices.Collect(maps.Keys(c.doubts))
	live, err := c.Object.Lane.LiveAmong(ctx, ids)
	if err != nil {
		return err
	}
	isLive := map[hubspot.ID]bool{}
	for _, id := range live {
		isLive[id] = true
	}
	maps.DeleteFunc(c.doubts, func(id hubspot.ID, d doubt) bool {
		return time.Since(d.since) >= c.Recheck || d.shown == isLive[id]
	})
	return nil
}

// doubt notes that a confirm contradicted the index.
func (c *Census) doubt(id hubspot.ID, shown bool) {
	d, known := c.doubts[id]
	if !known {
		d = doubt{since: time.Now(), round: c.round, shown: shown}
	}
	d.twice = d.twice || d.round != c.round
	c.doubts[id] = d
}

func (c *Census) disputed() (n int) {
	for _, d := range c.doubts {
		if d.twice {
			n++
		}
	}
	return n
}

// spend pays for a search of a look, and returns how urgent it is: as a confirm while
// there are spare searches, else as a round.
func (c *Census) spend(l *look) hubspot.Priority {
	l.searches++
	if c.spare = max(-spareUseful, c.spare-1); c.spare <= 0 {
		return hubspot.Census
	}
	return hubspot.Confirm
}

// counted is how many records of a range the index and the table have.
type counted struct {
	index int            // or hubspot.NoTotal
	date  hubspot.Millis // of the answer
	// ours counts disputed ids as the index has them.
	ours cdc.Count
}

// differs reports whether more differs than recent decisions can account for.
func (c *counted) differs() bool {
	return c.index != hubspot.NoTotal && (c.index < c.ours.Certain || c.index > c.ours.Certain+c.ours.Recent)
}

// count asks how many records the index has in a range.
func (c *Census) count(ctx context.Context, prio hubspot.Priority, in cdc.Range) (counted, error) {
	total, date, err := c.total(ctx, prio, in)
	if err != nil {
		return counted{}, fmt.Errorf("count by search: %w", err)
	}
	return c.compare(ctx, in, total, date)
}

// compare counts the table's records in a range of which the index has total.
func (c *Census) compare(ctx context.Context, in cdc.Range, total int, date hubspot.Millis) (counted, error) {
	ours, err := c.Object.Lane.Count(ctx, in, date.Add(-c.Recent))
	if err != nil {
		return counted{}, err
	}
	for id, d := range c.doubts {
		switch {
		case !d.twice || !in.Contains(id):
		case d.shown:
			ours.Certain++
		default:
			ours.Certain--
		}
	}
	return counted{total, date, ours}, nil
}

// total is how many records the index has in a range, as of a Date. Rows at which
// the search fails count one each.
func (c *Census) total(ctx context.Context, prio hubspot.Priority, in cdc.Range) (total int, date hubspot.Millis, err error) {
	for {
		page, err := c.Object.search(ctx, prio, query(in, 1))
		if err != nil {
			return 0, 0, err
		}
		if date == 0 {
			date = page.Date
		}
		if !unsearched(&page) {
			if page.Total == hubspot.NoTotal {
				total = hubspot.NoTotal
			} else {
				total += page.Total
			}
			return total, date, nil
		}
		total++
		if in.After = page.Rows[0].ID; in.UpTo != 0 && in.After >= in.UpTo {
			return total, date, nil
		}
	}
}

func query(in cdc.Range, limit int) hubspot.SearchQuery {
	return hubspot.SearchQuery{Limit: limit, After: in.After, Started: in.After != 0, UpTo: in.UpTo}
}

// halve follows a difference down to its leaves. The index has in the upper half
// what the lower half leaves, so a half costs no more than one search.
func (c *Census) halve(ctx context.Context, in cdc.Range, has counted, l *look) error {
	if !has.differs() || l.leaves > censusLeaves {
		return nil
	}
	middle, ok, err := c.Object.Lane.Middle(ctx, in)
	if err != nil {
		return err
	}
	if max(has.index, has.ours.Certain+has.ours.Recent) <= censusLeaf || !ok {
		l.leaves++
		err := c.leaf(ctx, in, l)
		if l.found { // what the table has no id to halve at may be many leaves
			l.leaves += max(0, has.index-has.ours.Certain-has.ours.Recent) / censusLeaf
		}
		return err
	}
	low, err := c.count(ctx, c.spend(l), cdc.Range{After: in.After, UpTo: middle})
	if err != nil || low.index == hubspot.NoTotal {
		return err
	}
	high, err := c.compare(ctx, cdc.Range{After: middle, UpTo: in.UpTo}, max(0, has.index-low.index), low.date)
	if err != nil {
		return err
	}
	if err := c.halve(ctx, cdc.Range{After: in.After, UpTo: middle}, low, l); err != nil {
		return err
	}
	return c.halve(ctx, cdc.Range{After: middle, UpTo: in.UpTo}, high, l)
}

// leaf compares a range id by id, and reads what differs from the object store.
func (c *Census) leaf(ctx context.Context, in cdc.Range, l *look) error {
	o := c.Object
	var shown []hubspot.ID
	var date hubspot.Millis
	for rest := in; ; { // several pages only where HubSpot does not answer a whole one
		page, err := o.search(ctx, c.spend(l), query(rest, censusLeaf-len(shown)))
		if err != nil {
			return fmt.Errorf("read a range by search: %w", err)
		}
		if _, ok := cdc.Ascending(&page, rest.After, rest.After != 0); !ok {
			return cdc.ErrUnordered
		}
		for _, row := range page.Rows {
			shown = append(shown, row.ID)
			rest.After = row.ID
		}
		if date == 0 {
			date = page.Date
		}
		if !page.More || in.UpTo != 0 && rest.After >= in.UpTo {
			break
		}
		if len(shown) == censusLeaf { // the table lacks some ids: the page ends before the range does
			in.UpTo = rest.After
			break
		}
	}
	lacking, extra, err := o.Lane.Compare(ctx, in, shown, date.Add(-c.Recent))
	if err != nil {
		return err
	}
	readings, err := o.complete(ctx, nil, lacking)
	if err != nil {
		return err
	}
	// A survivor that the tiers have not found yet comes with its losers (R7). It
	// passes for one that the index shows: if that is late, it costs a look.
	unread := slices.Clone(extra)
	for i := range readings {
		if readings[i].Outcome == cdc.IsMerged {
			unread = append(unread, readings[i].Into)
		}
	}
	slices.Sort(unread)
	more, err := o.read(ctx, hubspot.Confirm, slices.Compact(unread))
	if err != nil {
		return err
	}
	if err := o.publish(ctx, cdc.Page{Stream: CensusStream, Readings: append(readings, more...), Searched: true}); err != nil {
		return err
	}
	still, absent, err := o.Lane.Contradict(ctx, lacking, extra)
	if err != nil {
		return err
	}
	l.found = l.found || len(still) < len(lacking) || len(absent) < len(extra)
	for _, id := range still {
		c.doubt(id, false)
	}
	for _, id := range absent {
		c.doubt(id, true)
	}
	return nil
}
