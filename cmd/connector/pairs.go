package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/sink"
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

// pairs learns which associations there are to follow, and makes the lane and
// the streams of each. The object types stream already: what they publish
// meanwhile is told to the pairs afterwards.
func (c *connector) pairs(ctx context.Context, log *slog.Logger, objects []*stream.Object, portal int64, out *sink.Sink, loaded *offsets.Loaded) ([]runner, error) {
	ends, err := c.ends(ctx, log, objects)
	if err != nil {
		return nil, err
	}
	limit := rate.NewLimiter(rate.Inf, changedBurst)
	wait := func(ctx context.Context) error {
		limit.SetLimit(rate.Limit(max(c.governor.Rates().Day*changedShare, changedLeast)))
		return limit.Wait(ctx)
	}
	var all []*stream.Pair
	var streams []runner
	for _, e := range ends {
		p, place, err := c.pair(ctx, log, e, objects, portal, out, loaded)
		if err != nil {
			return nil, fmt.Errorf("start associations %s:%s: %w", e.From.Name, e.To.Name, err)
		}
		all = append(all, p)
		streams = append(streams, &stream.AssociationSweep{Pair: p, Place: place}, &stream.ChangedAssociations{Pair: p, Wait: wait})
	}
	return streams, stream.Watch(ctx, objects, all)
}

// learntPairs are the pairs that HubSpot told of. There may be hundreds to ask
// for, one call each: runs that follow each other do not ask again.
type learntPairs struct {
	types []hubspot.ObjectType
	ends  []stream.Ends
	at    time.Time
}

const pairsLastFor = time.Hour

// ends tells which pairs to follow.
func (c *connector) ends(ctx context.Context, log *slog.Logger, objects []*stream.Object) ([]stream.Ends, error) {
	types := make([]hubspot.ObjectType, len(objects))
	for i, o := range objects {
		types[i] = o.Type
	}
	if slices.Equal(c.learnt.types, types) && time.Since(c.learnt.at) < pairsLastFor {
		return c.learnt.ends, nil
	}
	ends, err := stream.Pairs(ctx, c.client, log, types, c.cfg.HubSpot.Associations)
	var wrong *stream.PairError
	if errors.As(err, &wrong) {
		return nil, &configError{[]string{err.Error()}}
	}
	if err == nil {
		c.learnt = learntPairs{types, ends, time.Now()}
	}
	return ends, err
}

func (c *connector) pair(ctx context.Context, log *slog.Logger, e stream.Ends, objects []*stream.Object, portal int64, out *sink.Sink, loaded *offsets.Loaded) (*stream.Pair, offsets.Associations, error) {
	of := func(t hubspot.ObjectType) *stream.Object {
		if i := slices.IndexFunc(objects, func(o *stream.Object) bool { return o.Type.Name == t.Name }); i >= 0 {
			return objects[i]
		}
		return nil
	}
	pair := cdc.Pair{From: e.From.Name, To: e.To.Name}
	var place offsets.Associations
	if v := loaded.Cursors[offsets.Key{Portal: portal, Object: pair.String(), Stream: offsets.Association}]; v != nil {
		var err error
		if place, err = offsets.ParseAssociations(v); err != nil {
			return nil, place, err
		}
	}
	if _, there := loaded.Topics[sink.PairTopicName(c.cfg.Kafka.TopicPrefix, pair)]; there {
		if err := out.PairTopic(ctx, pair); err != nil {
			return nil, place, err
		}
	}
	p := &stream.Pair{
		From: of(e.From), To: of(e.To), FromPath: e.From.Path, ToPath: e.To.Path,
		Log: log.With("object", pair.String()), Interval: c.cfg.Sync.AssociationsInterval,
	}
	cfg := cdc.LinkLaneConfig{
		Pair: pair, Table: loaded.Links[pair], From: p.From.Lane, Swept: place.Completed != 0, Committer: out,
	}
	if p.To != nil {
		cfg.To = p.To.Lane
	}
	p.Lane = cdc.NewLinkLane(cfg)
	p.From.Status.Watch(pair.String(), p.Lane)
	p.From.Status.Expect(pair.String(), offsets.Association)
	return stream.NewPair(p, place), place, nil
}
