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
// published as live. Each round counts the whole type and one range of ids, each
// range in turn. Where the counts differ, the census halves the range until one
// search page shows all its ids (R12). It finds deletes of any kind and missed
// creates. While nothing is wrong, a round costs at most two searches.
type Census struct {
	Object   *Object
	Interval time.Duration
	// Recent is how far the index may lag behind what is published.
	Recent time.Duration
	// Recheck is how long an id whose confirm contradicted the index stays
	// disputed.
	Recheck time.Duration

	round    int
	rotating cdc.Range
	standing map[cdc.Range]int // in how many rounds in a row a range has differed
	disputed map[hubspot.ID]disputed
}

// disputed is an id about which index and object store disagree.
type disputed struct {
	since time.Time
	shown bool // the index has it
}

const (
	// censusPart is roughly how many records the rotating range holds.
	censusPart = 10_000
	// censusLeaf is how many rows one search page shows.
	censusLeaf = 200
	// censusLeaves is how many ranges of that size may differ in one round
	// before it is cheaper to read everything again.
	censusLeaves = 20
	// censusDoubt is how many rounds a difference must stand if recent
	// decisions can explain it. Any other needs two.
	censusDoubt = 10
)

// Run counts until ctx ends, once the type's backfill is done.
func (c *Census) Run(ctx context.Context) error {
	if err := c.Object.backfilled(ctx); err != nil {
		return err
	}
	c.standing, c.disputed = map[cdc.Range]int{}, map[hubspot.ID]disputed{}
	return supervise(ctx, c.Object, CensusStream, func() time.Duration { return c.Interval }, c.pass)
}

func (c *Census) pass(ctx context.Context) error {
	o := c.Object
	began := o.Client.Now()
	if err := c.forget(ctx); err != nil {
		return err
	}
	if c.standing[c.rotating] == 0 { // a range that differs is counted again
		delete(c.standing, c.rotating)
		part, err := o.Lane.Part(ctx, c.round, censusPart)
		if err != nil {
			return err
		}
		c.rotating = part
		c.round++
	}
	whole := cdc.Range{}
	ranges := []cdc.Range{whole}
	if c.rotating != whole {
		ranges = append(ranges, c.rotating)
	}
	leaves := 0
	for _, in := range ranges {
		stands, err := c.stands(ctx, in)
		if err != nil {
			return err
		}
		if !stands {
			continue
		}
		c.standing[in] = 0
		if err := c.halve(ctx, in, &leaves); err != nil {
			return err
		}
	}
	if leaves > censusLeaves {
		o.Log.Warn("the search index differs in many ranges; the reconcile reads everything again", "stream", CensusStream)
		o.askReconcile()
	}
	o.Metrics.disputed.WithLabelValues(o.Type.Name).Set(float64(len(c.disputed)))
	o.Status.started(o.Type.Name, CensusStream)
	o.Status.reached(o.Type.Name, CensusStream, began)
	return nil
}

// forget drops the disputed ids that are due to be counted again, and those that
// other finders have settled meanwhile.
func (c *Census) forget(ctx context.Context) error {
	ids := slices.Collect(maps.Keys(c.disputed))
	live, err := c.Object.Lane.LiveAmong(ctx, ids)
	if err != nil {
		return err
	}
	isLive := map[hubspot.ID]bool{}
	for _, id := range live {
		isLive[id] = true
	}
	maps.DeleteFunc(c.disputed, func(id hubspot.ID, d disputed) bool {
		return time.Since(d.since) >= c.Recheck || d.shown == isLive[id]
	})
	return nil
}

// stands counts a range and reports whether it has differed for long enough.
func (c *Census) stands(ctx context.Context, in cdc.Range) (bool, error) {
	count, err := c.count(ctx, in)
	switch {
	case err != nil:
		return false, err
	case count.exact():
		c.standing[in] = 0
		return false, nil
	case count.hidden():
		return false, nil
	}
	c.standing[in]++
	if count.explained() {
		return c.standing[in] >= censusDoubt, nil
	}
	return c.standing[in] >= 2, nil
}

// counted is how many records of a range the index and the table have. Both
// count disputed ids as the index has them.
type counted struct {
	index int
	ours  cdc.Count
}

// exact reports whether the counts agree and no recent decision can hide a
// difference.
func (c counted) exact() bool { return c.ours.Recent == 0 && c.index == c.ours.Certain }

// explained reports whether recent decisions can account for the difference.
func (c counted) explained() bool {
	return c.index >= c.ours.Certain && c.index <= c.ours.Certain+c.ours.Recent
}

// hidden reports whether there are so many recent decisions that the count shows
// nothing. Smaller ranges and the reconcile have to find what differs.
func (c counted) hidden() bool { return c.explained() && c.ours.Recent > censusLeaves }

func (c *Census) count(ctx context.Context, in cdc.Range) (counted, error) {
	o := c.Object
	total, date, err := c.total(ctx, in)
	if err != nil {
		return counted{}, fmt.Errorf("count by search: %w", err)
	}
	ours, err := o.Lane.Count(ctx, in, date.Add(-c.Recent))
	if err != nil {
		return counted{}, err
	}
	out := counted{total, ours}
	if total == hubspot.NoTotal { // nothing to compare with
		return counted{ours.Certain, cdc.Count{Certain: ours.Certain}}, nil
	}
	for id, d := range c.disputed {
		switch {
		case !in.Contains(id):
		case d.shown:
			out.ours.Certain++
		default:
			out.ours.Certain--
		}
	}
	return out, nil
}

// total is how many records the index has in a range, as of a Date. Rows at which
// the search fails count one each.
func (c *Census) total(ctx context.Context, in cdc.Range) (total int, date hubspot.Millis, err error) {
	for {
		page, err := c.Object.search(ctx, hubspot.Census, query(in, 1))
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

// halve follows a difference down to its leaves.
func (c *Census) halve(ctx context.Context, in cdc.Range, leaves *int) error {
	if *leaves > censusLeaves {
		return nil
	}
	count, err := c.count(ctx, in)
	if err != nil || count.exact() || count.hidden() {
		return err
	}
	middle, ok, err := c.Object.Lane.Middle(ctx, in)
	if err != nil {
		return err
	}
	if max(count.index, count.ours.Certain+count.ours.Recent) <= censusLeaf || !ok {
		*leaves++
		return c.leaf(ctx, in)
	}
	if err := c.halve(ctx, cdc.Range{After: in.After, UpTo: middle}, leaves); err != nil {
		return err
	}
	return c.halve(ctx, cdc.Range{After: middle, UpTo: in.UpTo}, leaves)
}

// leaf compares a range id by id, and reads what differs from the object store.
func (c *Census) leaf(ctx context.Context, in cdc.Range) error {
	o := c.Object
	var shown []hubspot.ID
	var date hubspot.Millis
	for rest := in; ; { // several pages only where HubSpot does not answer a whole one
		page, err := o.search(ctx, hubspot.Census, query(rest, censusLeaf-len(shown)))
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
	more, err := o.read(ctx, hubspot.Confirm, extra)
	if err != nil {
		return err
	}
	if err := o.publish(ctx, cdc.Page{Stream: CensusStream, Readings: append(readings, more...)}); err != nil {
		return err
	}
	// Where the object store contradicts the index, the id is disputed.
	still, err := o.Lane.LiveAmong(ctx, lacking)
	if err != nil {
		return err
	}
	for _, id := range still {
		c.disputed[id] = disputed{since: time.Now()}
	}
	live, err := o.Lane.LiveAmong(ctx, extra)
	if err != nil {
		return err
	}
	for _, id := range extra {
		if !slices.Contains(live, id) {
			c.disputed[id] = disputed{since: time.Now(), shown: true}
		}
	}
	return nil
}
