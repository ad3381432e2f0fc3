package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

const (
	// changedShare is the part of the day's calls that looks at changed records'
	// links may spend, and changedBurst how many may come at once.
	changedShare = 0.25
	changedBurst = 50
	// changedLeast, in calls a second, is spent in any case: the governor says
	// when there is nothing left of the day.
	changedLeast = 1.0 / 60
)

// pair is two object types whose links are followed, or were published.
type pair struct {
	lane   *cdc.LinkLane
	labels []hubspot.AssociationLabel
	// both are nil while no stream runs
	followed *stream.Pair
	streams  *task
}

func (p *pair) stop() {
	p.streams.end()
	if p.followed != nil {
		p.followed.Unwatch()
	}
	p.followed, p.streams = nil, nil
}

// takePairs follows the pairs that are to be followed, and has those swept
// whose labels have changed. first is the beginning of a run, which need not
// ask what the one before has just learnt.
func (f *following) takePairs(ctx context.Context, first bool) error {
	var types []hubspot.ObjectType
	var objects []*stream.Object
	for _, o := range f.objects {
		if o.streams != nil {
			types, objects = append(types, o.Type), append(objects, o.Object)
		}
	}
	slices.SortFunc(types, func(a, b hubspot.ObjectType) int { return strings.Compare(a.Name, b.Name) })
	found, err := f.learn(ctx, types, first)
	if err != nil {
		return err
	}
	var added []*stream.Pair
	var started []*pair
	var places []offsets.Associations
	for _, e := range found {
		p := f.pairs[cdc.Pair{From: e.From.Name, To: e.To.Name}]
		if p != nil && p.streams != nil {
			if !slices.Equal(p.labels, e.Labels) {
				p.followed.Log.Info("association labels changed; all associations of the pair are read again")
				p.followed.Anew()
			}
			p.labels = e.Labels
			continue
		}
		p, place, err := f.newPair(ctx, e)
		if err != nil {
			return fmt.Errorf("start associations %s:%s: %w", e.From.Name, e.To.Name, err)
		}
		added, started, places = append(added, p.followed), append(started, p), append(places, place)
	}
	if err := stream.Watch(ctx, objects, added); err != nil {
		return err
	}
	for i, p := range started {
		p.streams = f.spawn(
			&stream.AssociationSweep{Pair: p.followed, Place: places[i]},
			&stream.ChangedAssociations{Pair: p.followed, Wait: f.spaced},
		)
	}
	return nil
}

// spaced spaces the looks at changed records' links.
func (f *following) spaced(ctx context.Context) error {
	f.changed.SetLimit(rate.Limit(max(f.governor.Rates().Day*changedShare, changedLeast)))
	return f.changed.Wait(ctx)
}

// learntPairs are the pairs that HubSpot told of. There may be hundreds to ask
// for, one call each: runs that follow each other do not ask again.
type learntPairs struct {
	types []hubspot.ObjectType
	pairs []stream.FoundPair
	at    time.Time
}

const pairsLastFor = time.Hour

// learn tells which pairs to follow.
func (f *following) learn(ctx context.Context, types []hubspot.ObjectType, first bool) ([]stream.FoundPair, error) {
	if first && slices.Equal(f.learnt.types, types) && time.Since(f.learnt.at) < pairsLastFor {
		return f.learnt.pairs, nil
	}
	away := func(word string) bool { return f.known(word) != nil || f.seen.Hides(word) }
	found, err := stream.Pairs(ctx, f.client, f.log, types, f.cfg.HubSpot.Associations, away)
	if wrong, ok := errors.AsType[*stream.PairError](err); ok {
		return nil, &configError{[]string{wrong.Error()}}
	}
	if err != nil {
		return nil, err
	}
	for _, p := range found {
		slices.SortFunc(p.Labels, func(a, b hubspot.AssociationLabel) int {
			return cmp.Or(strings.Compare(a.Category, b.Category), cmp.Compare(a.TypeID, b.TypeID))
		})
	}
	f.learnt = learntPairs{types, found, time.Now()}
	return found, nil
}

// newPair makes what the streams of a pair need, and takes its place from where
// an earlier run left it.
func (f *following) newPair(ctx context.Context, e stream.FoundPair) (*pair, offsets.Associations, error) {
	name := cdc.Pair{From: e.From.Name, To: e.To.Name}
	var place offsets.Associations
	if v := f.loaded.Cursors[offsets.Key{Portal: f.account, Object: name.String(), Stream: offsets.Association}]; v != nil {
		var err error
		if place, err = offsets.ParseAssociations(v); err != nil {
			return nil, place, err
		}
	}
	if _, there := f.loaded.Topics[offsets.PairTopic(f.cfg.Kafka.TopicPrefix, name)]; there {
		if err := f.out.PairTopic(ctx, name); err != nil && !refusedTopic(err) {
			return nil, place, err
		}
	}
	p := f.linkPair(name)
	p.lane.Swept(place.Completed != 0)
	p.labels = e.Labels
	p.followed = &stream.Pair{
		From: f.objects[e.From.Name].Object, FromPath: e.From.Path, ToPath: e.To.Path, Lane: p.lane,
		Log: f.log.With("object", name.String()), Interval: f.cfg.Sync.AssociationsInterval,
	}
	if to := f.objects[e.To.Name]; to != nil && to.streams != nil {
		p.followed.To = to.Object
	}
	stream.NewPair(p.followed, place)
	f.status.Watch(name.String(), p.lane)
	f.status.Expect(name.String(), offsets.Association)
	return p, place, nil
}

// linkPair gives the pair of that name, which is made with what was published
// of it.
func (f *following) linkPair(name cdc.Pair) *pair {
	if p := f.pairs[name]; p != nil {
		return p
	}
	lane := func(object string) *cdc.Lane {
		if o := f.objects[object]; o != nil {
			return o.Lane
		}
		return nil
	}
	p := &pair{lane: cdc.NewLinkLane(cdc.LinkLaneConfig{
		Pair: name, Table: f.loaded.Links[name], From: lane(name.From), To: lane(name.To), Committer: f.out,
	})}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pairs[name] = p
	return p
}

// pairsOf gives every pair of a type of which something was published.
func (f *following) pairsOf(object string) []*pair {
	for name := range f.loaded.Links {
		f.linkPair(name)
	}
	var out []*pair
	for name, p := range f.pairs {
		if name.From == object || name.To == object {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *pair) int { return strings.Compare(a.lane.Pair().String(), b.lane.Pair().String()) })
	return out
}
