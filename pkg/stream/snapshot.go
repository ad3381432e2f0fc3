package stream

import (
	"context"
	"errors"
	"slices"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// collection is what a signal can name. Each kind of topic has one implementation.
type collection interface {
	name() string  // in cursors, metrics and logs
	topic() string // of its events
	live() int
	// page reads what follows a place: of some ids, ascending, or of everything
	// if ids is nil.
	page(ctx context.Context, at place, ids []hubspot.ID) (snapshotPage, error)
}

// place is where a snapshot continues.
type place struct {
	// after is HubSpot's paging token for the next page. A snapshot goes on without one,
	// by the ids that are published, after a restart, where HubSpot refuses the token,
	// and where its list is not in order: what a list shows again would be published
	// twice.
	after string
	id    hubspot.ID
}

// snapshotPage is a page of a snapshot, read.
type snapshotPage struct {
	after   string // HubSpot's place after it, of a list
	last    hubspot.ID
	end     bool // nothing follows
	records int
	absent  []hubspot.ID                                    // asked for by id, but HubSpot has nothing
	left    []hubspot.ID                                    // published as live, and HubSpot answered nothing about them (R18)
	publish func(context.Context, string, cdc.Cursor) error // the stream, and its cursor after the page
}

// objectCollection is an object type.
type objectCollection struct {
	*Object
	prefix string
	sweep  Sweep // reads the pages of a whole type
}

func newObjectCollection(o *Object, prefix string) *objectCollection {
	return &objectCollection{o, prefix, Sweep{Object: o, Stream: offsets.SignalsStream, Priority: hubspot.Snapshot}}
}

func (c *objectCollection) name() string  { return c.Type.Name }
func (c *objectCollection) topic() string { return offsets.ObjectTopic(c.prefix, c.Type.Name) }
func (c *objectCollection) live() int     { return c.Lane.Live() }

func (c *objectCollection) page(ctx context.Context, at place, ids []hubspot.ID) (p snapshotPage, err error) {
	var readings []cdc.Reading
	var asked []hubspot.ID
	stamp := c.Lane.Now()
	named := ids != nil
	if !named && (at.after == "" && at.id != 0 || c.sweep.unordered()) {
		if ids, err = c.Lane.LiveAfter(ctx, at.id, hubspot.MaxBatch+1); err != nil {
			return p, err
		}
	}
	if ids != nil {
		asked, p.end = behind(ids, at.id, hubspot.MaxBatch)
		read, err := c.read(ctx, hubspot.Snapshot, asked)
		if err != nil {
			return p, err
		}
		readings = cdc.Only(read, func(id hubspot.ID) bool { return slices.Contains(asked, id) })
		p.last = lastOf(asked, at.id)
		for _, id := range asked {
			if named && !c.stuck.has(id) && !slices.ContainsFunc(readings, func(r cdc.Reading) bool { return r.ID == id && r.Outcome == cdc.IsLive }) {
				p.absent = append(p.absent, id)
			}
		}
	} else {
		list, err := c.sweep.fetch(ctx, listPlace{after: at.after, in: cdc.Range{After: at.id}})
		if (hubspot.BadRequest(err) || errors.Is(err, errCircle)) && at.after != "" || c.sweep.unordered() {
			return c.page(ctx, place{id: at.id}, nil)
		}
		if err != nil {
			return p, err
		}
		p.after, p.last, p.end = list.after, max(at.id, list.last), list.after == ""
		readings = cdc.Only(list.readings, func(id hubspot.ID) bool { return id > at.id && (p.end || id <= p.last) })
	}
	var answered []hubspot.ID
	for i := range readings {
		answered = append(answered, readings[i].ID)
		if readings[i].Outcome == cdc.IsLive {
			p.records++
		}
	}
	slices.Sort(answered)
	switch {
	case ids != nil:
		p.left, err = c.Lane.LiveAmong(ctx, slices.DeleteFunc(slices.Clone(asked), func(id hubspot.ID) bool { return slices.Contains(answered, id) }))
	case p.end:
		p.left, err = c.Lane.Lacking(ctx, at.id, 0, answered, stamp)
	default:
		p.left, err = c.Lane.Lacking(ctx, at.id, p.last, answered, stamp)
	}
	if err != nil {
		return p, err
	}
	p.publish = func(ctx context.Context, stream string, cursor cdc.Cursor) error {
		_, err := c.publishes(ctx, cdc.Page{Stream: stream, Snapshot: true, Readings: readings, Cursors: []cdc.Cursor{cursor}}) // a loss is a problem until its last page
		return err
	}
	return p, nil
}

// pairCollection is the links of a pair of types.
type pairCollection struct {
	*Pair
	prefix string
}

func (c *pairCollection) name() string  { return c.Name() }
func (c *pairCollection) topic() string { return offsets.PairTopic(c.prefix, c.Lane.Pair()) }
func (c *pairCollection) live() int     { return c.Lane.Live() }

func (c *pairCollection) page(ctx context.Context, at place, ids []hubspot.ID) (p snapshotPage, err error) {
	var asked []hubspot.ID
	if ids != nil {
		asked, p.end = behind(ids, at.id, hubspot.MaxLinks)
	} else {
		if asked, err = c.Lane.Next(ctx, at.id, hubspot.MaxLinks); err != nil {
			return p, err
		}
		p.end = len(asked) < hubspot.MaxLinks
	}
	p.last = lastOf(asked, at.id)
	readings, err := c.read(ctx, hubspot.Snapshot, asked)
	if err != nil {
		return p, err
	}
	for i := range readings {
		p.records += len(readings[i].Links)
	}
	silent := slices.DeleteFunc(slices.Clone(asked), func(id hubspot.ID) bool {
		return slices.ContainsFunc(readings, func(r cdc.LinkReading) bool { return r.From == id })
	})
	if p.left, err = c.Lane.LinkingAmong(ctx, silent); err != nil {
		return p, err
	}
	if ids != nil {
		p.absent = silent
	}
	p.publish = func(ctx context.Context, stream string, cursor cdc.Cursor) error {
		return c.publish(ctx, cdc.LinkPage{Stream: stream, Snapshot: true, Readings: readings, Cursors: []cdc.Cursor{cursor}})
	}
	return p, nil
}

// behind returns up to n of the ascending ids that are above last. end reports
// whether no more follow.
func behind(ids []hubspot.ID, last hubspot.ID, n int) (next []hubspot.ID, end bool) {
	i, found := slices.BinarySearch(ids, last)
	if found {
		i++
	}
	upTo := min(i+n, len(ids))
	return ids[i:upTo], upTo == len(ids)
}

func lastOf(ids []hubspot.ID, none hubspot.ID) hubspot.ID {
	if len(ids) == 0 {
		return none
	}
	return ids[len(ids)-1]
}

// ReferenceCollection is a reference list that a signal can name.
type ReferenceCollection struct {
	Prefix string
	Lane   *cdc.ReferenceLane
	// Read reads the list: all that is published of it, or else as much as HubSpot
	// lets us read.
	Read func(ctx context.Context, whole bool) ([]cdc.ReferenceReading, error)

	whole bool // a part that HubSpot refuses is an error
}

func (c *ReferenceCollection) name() string { return c.Lane.Reference() }
func (c *ReferenceCollection) topic() string {
	return offsets.ReferenceTopic(c.Prefix, c.Lane.Reference())
}
func (c *ReferenceCollection) live() int { return c.Lane.Live() }

// page reads the whole list: there is no other way.
func (c *ReferenceCollection) page(ctx context.Context, _ place, ids []hubspot.ID) (p snapshotPage, err error) {
	page := cdc.ReferencePage{Snapshot: true}
	for _, id := range ids {
		page.Only = append(page.Only, id.String())
	}
	if page.Readings, err = c.Read(ctx, c.whole); err != nil {
		return p, err
	}
	p.end, p.absent = true, slices.Clone(ids)
	for i := range page.Readings {
		for _, e := range page.Readings[i].Entries {
			parts := e.Key.Parts()
			asked := func(id hubspot.ID) bool { return id.String() == parts[len(parts)-1] }
			if ids == nil || slices.ContainsFunc(ids, asked) {
				p.records++
			}
			p.absent = slices.DeleteFunc(p.absent, asked)
		}
	}
	p.publish = func(ctx context.Context, stream string, cursor cdc.Cursor) error {
		page.Stream, page.Cursors = stream, []cdc.Cursor{cursor}
		for {
			left, err := c.Lane.Publish(ctx, page)
			if err != nil || !left.Again {
				return err
			}
			if left.Cause == cdc.Older {
				if err := sleep(ctx, cdc.OlderWait); err != nil {
					return err
				}
			}
			if page.Readings, err = c.Read(ctx, c.whole); err != nil {
				return err
			}
			for i := range page.Readings {
				page.Readings[i].Second = left.Cause == cdc.Older
			}
		}
	}
	return p, nil
}
