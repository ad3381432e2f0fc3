package connector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

const (
	// changedShare is the part of the day's calls that may go to the links of
	// changed records, and changedBurst how many of these calls may come at once.
	changedShare = 0.25
	changedBurst = 50
	// changedLeast, in calls a second, may always be spent: the governor stops the
	// calls when nothing is left of the day.
	changedLeast = 1.0 / 60
)

// pairs are the pairs of types whose links a run follows, and those that were
// published before and are not followed now.
type pairs struct {
	run     *run
	types   *types
	learnt  *learntPairs
	changed *rate.Limiter   // of calls for changed records' links
	pace    *stream.Patient // of the reads of labels
	asked   atomic.Int64    // how many calls the latest one took
	byName  map[cdc.Pair]*pair
}

func newPairs(r *run, t *types, learnt *learntPairs) *pairs {
	ps := &pairs{
		run: r, types: t, learnt: learnt,
		changed: rate.NewLimiter(rate.Inf, changedBurst), byName: map[cdc.Pair]*pair{},
	}
	ps.pace = r.pace.Patient("", "labels", func() stream.Demand {
		return r.setup.Config.Sync.LabelsDemand(int(ps.asked.Load()))
	})
	return ps
}

// pair is two object types whose links are followed, or were published.
type pair struct {
	run    *run
	lane   *cdc.LinkLane
	labels []hubspot.AssociationLabel
	// both are nil while no stream runs
	links   *stream.Pair
	streams *task
	unread  []hubspot.ID // records that could not be asked about when streams last ran
}

// streamed lists the pairs that streams run for.
func (ps *pairs) streamed() []*stream.Pair {
	var out []*stream.Pair
	for _, p := range ps.byName {
		if p.links != nil {
			out = append(out, p.links)
		}
	}
	return out
}

// lacking reports whether a pair that was published does not stream because HubSpot
// tells nothing about it. One that lacks a type is the type's to report.
func (ps *pairs) lacking() bool {
	return slices.ContainsFunc(ps.learnt.hidden, func(h stream.HiddenPair) bool {
		p := ps.byName[h.Name()]
		return ps.published(h.Name()) && (p == nil || p.streams == nil)
	})
}

// take follows the pairs that are to be followed, and sweeps those again whose
// labels have changed. first means the beginning of a run, which need not ask for
// what the run before it has just learnt.
func (ps *pairs) take(ctx context.Context, first bool) error {
	objects := ps.types.streamed()
	found, err := ps.learn(ctx, objects, first)
	if err != nil {
		return err
	}
	var added []*stream.Pair
	var started []*pair
	var places []offsets.Associations
	for _, e := range found {
		p := ps.byName[e.Name()]
		if p != nil && p.streams != nil {
			if e.Labels == nil { // HubSpot refuses to show them now
				continue
			}
			if added, removed := compared(p.labels, e.Labels); p.labels != nil && added+removed != "" {
				p.links.Log.Info("association labels changed; reading all associations of the pair again", "added", added, "removed", removed)
				ps.run.tellSchema(e.Name().String(), map[string][]string{"added_labels": {added}, "removed_labels": {removed}})
				p.links.SweepNow()
				ps.pace.Changed()
			}
			p.labels = e.Labels
			continue
		}
		p, place, err := ps.prepare(ctx, e)
		if err != nil {
			return fmt.Errorf("start associations %s: %w", e.Name(), err)
		}
		added, started, places = append(added, p.links), append(started, p), append(places, place)
	}
	if err := stream.Watch(ctx, objects, added); err != nil {
		return err
	}
	for i, p := range started {
		streams := []stream.Runner{
			&stream.AssociationSweep{Pair: p.links, Place: places[i]},
			&stream.ChangedAssociations{Pair: p.links, Wait: ps.spaced},
			&stream.RecheckLinks{Pair: p.links},
			p.links.Stuck(),
		}
		if at := ps.run.republish(p.links.Name()); at != nil {
			streams = append(streams, stream.NewPairRepublish(p.links, ps.run.setup.Config.Kafka.TopicPrefix, *at))
		}
		p.streams = ps.run.tasks.spawn(streams...)
	}
	return nil
}

// compared lists the labels that came and went, as category, type id and text. A
// label whose text changed does both.
func compared(before, now []hubspot.AssociationLabel) (added, removed string) {
	lacking := func(from, in []hubspot.AssociationLabel) string {
		var out []string
		for _, l := range from {
			if !slices.Contains(in, l) {
				out = append(out, strings.TrimSpace(fmt.Sprintf("%s:%d %s", l.Category, l.TypeID, l.Label)))
			}
		}
		return strings.Join(out, ",")
	}
	return lacking(now, before), lacking(before, now)
}

// spaced spaces the calls for changed records' links.
func (ps *pairs) spaced(ctx context.Context) error {
	ps.changed.SetLimit(rate.Limit(max(ps.run.setup.Governor.Rates().Day*changedShare, changedLeast)))
	return ps.changed.Wait(ctx)
}

// learntPairs are the pairs that HubSpot named. There may be hundreds to ask for,
// one call each, so runs that follow each other do not ask again.
type learntPairs struct {
	types  []hubspot.ObjectType
	pairs  []stream.FoundPair
	hidden []stream.HiddenPair
	at     time.Time
}

const pairsLastFor = time.Hour

// learn finds out which pairs to follow.
func (ps *pairs) learn(ctx context.Context, objects []*stream.Object, first bool) ([]stream.FoundPair, error) {
	types := make([]hubspot.ObjectType, len(objects))
	for i, o := range objects {
		types[i] = o.Type
	}
	if first && slices.Equal(ps.learnt.types, types) && time.Since(ps.learnt.at) < pairsLastFor {
		return ps.learnt.pairs, nil
	}
	ps.asked.Store(int64(stream.LabelCalls(len(types), ps.run.setup.Config.HubSpot.Associations)))
	found, hidden, err := stream.Pairs(ctx, ps.run.setup.HubSpot, types, ps.run.setup.Config.HubSpot.Associations, ps.types.away, ps.published)
	if wrong, ok := errors.AsType[*stream.PairError](err); ok {
		return nil, &ConfigError{[]string{wrong.Error()}}
	}
	if err != nil {
		return nil, err
	}
	for _, h := range hidden {
		if h.Unanswered {
			ps.run.log.Warn("HubSpot does not answer about the associations of two types; asking again", "object", h.Name().String())
		} else {
			ps.run.log.Debug("HubSpot does not show the associations of two types", "object", h.Name().String(), "err", h.Err)
		}
	}
	for _, p := range found {
		slices.SortFunc(p.Labels, func(a, b hubspot.AssociationLabel) int {
			return cmp.Or(strings.Compare(a.Category, b.Category), cmp.Compare(a.TypeID, b.TypeID))
		})
	}
	*ps.learnt = learntPairs{types, found, hidden, time.Now()}
	return found, nil
}

// published reports whether links of a pair were published.
func (ps *pairs) published(name cdc.Pair) bool {
	if p := ps.byName[name]; p != nil { // its lane has the table now
		return p.lane.Live() > 0
	}
	t := ps.run.loaded.Links[name]
	return t != nil && t.Live() > 0
}

// prepare makes what the streams of a pair need. place is where an earlier run
// left its sweep.
func (ps *pairs) prepare(ctx context.Context, e stream.FoundPair) (p *pair, place offsets.Associations, err error) {
	r, name := ps.run, e.Name()
	if v := r.cursor(name.String(), offsets.AssociationsStream); v != nil {
		if place, err = offsets.ParseAssociations(v); err != nil {
			return nil, place, err
		}
		if r.clock().Back(&place.Started, &place.Completed) {
			r.sayAhead(name.String(), offsets.AssociationsStream)
			place = offsets.Associations(cdc.LinkPlace{Completed: place.Completed}.Begin(r.clock().Now))
		}
	}
	if _, there := r.loaded.Topics[offsets.PairTopic(r.setup.Config.Kafka.TopicPrefix, name)]; there {
		if err := r.out.PairTopic(ctx, name); err != nil && !refusedTopic(err) {
			return nil, place, err
		}
	}
	p = ps.pair(name)
	p.lane.SetSwept(place.Completed != 0)
	p.labels = e.Labels
	links := stream.Pair{
		From: ps.types.byName[e.From.Name].records, FromPath: e.From.Path, ToPath: e.To.Path, ToTypeID: e.To.TypeID, Lane: p.lane,
		Log: r.log.With("object", name.String()), Waits: r.timings.Links,
		Unread: p.unread,
	}
	if to := ps.types.byName[e.To.Name]; to != nil && to.streams != nil {
		links.To = to.records
	}
	links.Pace = r.pace.Patient(name.String(), offsets.AssociationsStream, func() stream.Demand {
		return r.setup.Config.Sync.LinksDemand(stream.LinkCalls(links.From.Lane.Live()), links.Lane.Live() > 0)
	})
	p.links = stream.NewPair(&links, place)
	r.out.FollowPair(name.String())
	r.out.FollowFrontier(name.String())
	r.status.Watch(name.String(), p.lane)
	r.status.Expect(name.String(), offsets.AssociationsStream)
	return p, place, nil
}

// pair gives the pair of that name. If there is none yet, it makes one from what
// was published.
func (ps *pairs) pair(name cdc.Pair) *pair {
	if p := ps.byName[name]; p != nil {
		return p
	}
	lane := func(object string) *cdc.Lane {
		if o := ps.types.byName[object]; o != nil {
			return o.records.Lane
		}
		return nil
	}
	p := &pair{run: ps.run, unread: ps.run.unread(name.String()), lane: cdc.NewLinkLane(cdc.LinkLaneConfig{
		Pair: name, Table: ps.run.loaded.Links[name], From: lane(name.From), To: lane(name.To), Committer: ps.run.out,
		Patience: ps.run.timings.Gone,
	})}
	ps.byName[name] = p
	return p
}

// of lists every pair of a type that has published something.
func (ps *pairs) of(object string) []*pair {
	for name := range ps.run.loaded.Links {
		ps.pair(name)
	}
	var out []*pair
	for name, p := range ps.byName {
		if name.From == object || name.To == object {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *pair) int { return strings.Compare(a.lane.Pair().String(), b.lane.Pair().String()) })
	return out
}

func (p *pair) stop() {
	p.streams.end()
	if p.links != nil {
		p.links.Unwatch()
		p.unread = p.links.StillUnread()
	}
	p.links, p.streams = nil, nil
}

// end publishes a delete for every link, because one of the two types was
// removed.
func (p *pair) end(ctx context.Context, date hubspot.Millis) error {
	name := p.lane.Pair().String()
	p.unread = nil
	p.run.status.Forget(name)
	p.run.pace.Remove(name)
	return p.run.forget(name, []string{offsets.AssociationsStream, offsets.StuckStream}, func(cursors []cdc.Cursor) error {
		return stream.EndLinks(ctx, p.lane, date, cursors)
	})
}
