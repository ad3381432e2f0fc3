package stream

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Pair is two object types whose links are published: what its streams share.
// NewPair makes it.
type Pair struct {
	looks *looks
	begun atomic.Bool   // the first sweep has begun
	anew  chan struct{} // one slot: a sweep is wanted now

	From *Object
	To   *Object // nil: the type is not synced
	// FromPath and ToPath are the types as they stand in addresses.
	FromPath, ToPath string
	Lane             *cdc.LinkLane
	Log              *slog.Logger
	// Interval is that of the sweep where it was set; else zero.
	Interval time.Duration
}

// associationsStream is the finder of links: source.stream of all their events,
// whatever record's change had the set read.
const associationsStream = "associations"

// NewPair makes the parts of p that streams talk to it by; place is where its
// sweep is.
func NewPair(p *Pair, place offsets.Associations) *Pair {
	p.looks, p.anew = newLooks(p.Interval), make(chan struct{}, 1)
	p.begun.Store(place.Started != 0)
	return p
}

// Name is the pair's object in cursors, metrics and logs.
func (p *Pair) Name() string { return p.Lane.Pair().String() }

// Anew has a sweep begin now, or after the one under way.
func (p *Pair) Anew() {
	select {
	case p.anew <- struct{}{}:
	default:
	}
}

// Unwatch ends what Watch began.
func (p *Pair) Unwatch() {
	p.From.watchers.drop(p)
	if p.To != nil {
		p.To.watchers.drop(p)
	}
}

func (p *Pair) subject() subject { return subject{p.Name(), p.From.Status, p.Log} }

// publish has a page committed; see Object.publish.
func (p *Pair) publish(ctx context.Context, page cdc.LinkPage) error {
	for try := 0; ; try++ {
		again, err := p.Lane.Publish(ctx, page)
		if err != nil {
			return fmt.Errorf("publish a page of links of %s: %w", p.Name(), err)
		}
		if len(again) == 0 {
			return nil
		}
		var ids []hubspot.ID
		before := map[hubspot.ID]uint64{}
		for _, a := range again {
			if a.Cause == cdc.Paged && page.Snapshot {
				p.looks.add(look{fromEnd, a.From}) // it does not hold the page
				continue
			}
			if a.Cause == cdc.Paged && try >= pagedTries {
				p.From.Metrics.unresolved.WithLabelValues(p.Name()).Inc()
				continue // its links change faster than they are read; the next sweep asks again
			}
			ids, before[a.From] = append(ids, a.From), a.Set
			p.From.Metrics.rereads.WithLabelValues(p.Name(), a.Cause.String()).Inc()
		}
		if page.Snapshot && len(ids) == 0 {
			return nil
		}
		readings, err := p.read(ctx, hubspot.Confirm, ids)
		if err != nil {
			return err
		}
		for i := range readings {
			readings[i].Before = before[readings[i].From]
		}
		if page.Snapshot {
			readings = append(slices.DeleteFunc(page.Readings, func(rd cdc.LinkReading) bool { return slices.Contains(ids, rd.From) }), readings...)
		}
		page.Readings = readings
	}
}

// pagedTries is how often a record with several pages of links is read until
// two readings on end are alike (R14). What was lacked stays published then.
const pagedTries = 8

// read asks for the links of records, however many, each to its last page. A
// record of which HubSpot says nothing that counts has no reading (R8).
func (p *Pair) read(ctx context.Context, prio hubspot.Priority, ids []hubspot.ID) ([]cdc.LinkReading, error) {
	var out []cdc.LinkReading
	for chunk := range slices.Chunk(ids, hubspot.MaxLinks) {
		r := linkRead{pair: p, prio: prio, open: map[hubspot.ID]*cdc.LinkReading{}}
		if err := r.run(ctx, chunk); err != nil {
			return nil, fmt.Errorf("read the links of %d records: %w", len(chunk), err)
		}
		slices.SortFunc(r.done, func(a, b cdc.LinkReading) int { return cmp.Compare(a.From, b.From) })
		out = append(out, r.done...)
	}
	return out, nil
}

// linkRead is the reading of up to a thousand records' links.
type linkRead struct {
	pair *Pair
	prio hubspot.Priority
	open map[hubspot.ID]*cdc.LinkReading // of sets with pages to come
	done []cdc.LinkReading
}

func (r *linkRead) run(ctx context.Context, ids []hubspot.ID) error {
	unanswered := ids
	for try := range cdc.AloneTries {
		if err := sleep(ctx, time.Duration(try)*time.Second); err != nil {
			return err
		}
		asked := unanswered
		inputs := make([]hubspot.LinkInput, len(asked))
		for i, id := range asked {
			inputs[i].ID = id
		}
		unanswered = nil
		for len(inputs) > 0 {
			next, missed, err := r.call(ctx, inputs, try == cdc.AloneTries-1)
			if err != nil {
				return err
			}
			inputs, unanswered = next, append(unanswered, missed...)
		}
		if len(unanswered) == 0 {
			return nil
		}
	}
	p := r.pair
	p.From.Metrics.unresolved.WithLabelValues(p.Name()).Add(float64(len(unanswered)))
	p.Log.Warn("HubSpot neither answers for some records nor says that they have no links; their links stay as they are", "records", len(unanswered))
	return nil
}

// call makes one request. next are the pages that follow, unanswered the
// records to be asked for anew.
func (r *linkRead) call(ctx context.Context, inputs []hubspot.LinkInput, last bool) (next []hubspot.LinkInput, unanswered []hubspot.ID, err error) {
	p := r.pair
	var stamp, fromStamp uint64
	page, err := p.From.Client.Links(ctx, hubspot.Call{Priority: r.prio, OnSend: func(hubspot.Millis) {
		stamp, fromStamp = p.Lane.Now(), p.From.Lane.Now()
	}}, p.FromPath, p.ToPath, inputs)
	if err != nil {
		return nil, nil, err
	}
	asked := make(map[hubspot.ID]string, len(inputs))
	for _, in := range inputs {
		asked[in.ID] = in.After
	}
	for _, set := range page.Sets {
		reading := r.open[set.From]
		if reading == nil {
			reading = &cdc.LinkReading{From: set.From, Stamp: stamp}
			r.open[set.From] = reading
		}
		reading.Links = append(reading.Links, set.Links...)
		reading.Calls++
		reading.Date = page.Date
		switch {
		case set.After == "":
			r.finish(reading)
		case set.After == asked[set.From]: // a page that leads to itself
			unanswered = append(unanswered, set.From)
		default:
			next = append(next, hubspot.LinkInput{ID: set.From, After: set.After})
		}
	}
	for _, id := range page.Empty {
		reading := r.open[id]
		if reading == nil {
			reading = &cdc.LinkReading{From: id, Stamp: stamp}
		}
		reading.Calls, reading.Date = reading.Calls+1, page.Date
		r.finish(reading)
	}
	// That there is no such record means that it has no links only where its
	// delete was published before: else it may be hidden from this call alone.
	// A record that was merged may be answered under its survivor's id, for
	// ever, which is as good once it was asked often enough.
	gone := page.NotFound
	if last {
		gone = slices.Concat(gone, page.Unanswered)
	} else {
		unanswered = append(unanswered, page.Unanswered...)
	}
	gone, err = p.From.Lane.DeletedBefore(ctx, gone, fromStamp)
	if err != nil {
		return nil, nil, err
	}
	for _, id := range gone {
		r.finish(&cdc.LinkReading{From: id, Stamp: stamp, Date: page.Date, Calls: 1})
	}
	if last {
		for _, id := range page.Unanswered {
			if !slices.Contains(gone, id) {
				unanswered = append(unanswered, id)
			}
		}
	}
	for _, id := range unanswered { // whatever was read of them is in part
		delete(r.open, id)
	}
	return next, unanswered, nil
}

// finish brings a set that is complete into order. Of a link that came on two
// pages the later answer counts.
func (r *linkRead) finish(reading *cdc.LinkReading) {
	delete(r.open, reading.From)
	if reading.Calls > 1 {
		slices.Reverse(reading.Links)
		slices.SortStableFunc(reading.Links, func(a, b hubspot.Link) int {
			return cmp.Or(cmp.Compare(a.To, b.To), strings.Compare(a.Category, b.Category), cmp.Compare(a.TypeID, b.TypeID))
		})
		reading.Links = slices.CompactFunc(reading.Links, func(a, b hubspot.Link) bool {
			return a.To == b.To && a.Category == b.Category && a.TypeID == b.TypeID
		})
	}
	r.done = append(r.done, *reading)
}
