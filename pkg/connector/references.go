package connector

import (
	"context"
	"fmt"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// references are the reference lists: owners, pipelines and their stages.
type references struct {
	run       *run
	prefix    string
	owners    *stream.Owners
	pipelines *stream.Pipelines
}

// startReferences starts their streams. They read the owners at once, and
// pipelines once the run knows which types it follows.
func startReferences(ctx context.Context, r *run) (*references, error) {
	lists := map[string]stream.ReferenceList{}
	for _, name := range stream.References() {
		l, err := r.reference(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", name, err)
		}
		lists[name] = l
	}
	shared := stream.Reference{
		Client: r.setup.HubSpot, Status: r.status, Metrics: r.counts, Log: r.log, Selection: r.setup.Selection, Frontiers: r.out,
	}
	rs := &references{
		run:    r,
		prefix: r.setup.Config.Kafka.TopicPrefix,
		owners: &stream.Owners{Reference: shared, List: lists[stream.ReferenceOwners]},
		pipelines: stream.NewPipelines(&stream.Pipelines{
			Reference: shared, Pipelines: lists[stream.ReferencePipelines], Stages: lists[stream.ReferenceStages],
		}),
	}
	sync := &r.setup.Config.Sync
	rs.owners.Pace = r.pace.Patient(stream.ReferenceOwners, offsets.ReferenceStream, func() stream.Demand {
		return sync.ReferenceDemand(stream.OwnerCalls(rs.owners.List.Lane.Live()))
	})
	rs.pipelines.Pace = r.pace.Patient(stream.ReferencePipelines, offsets.ReferenceStream, func() stream.Demand {
		return sync.ReferenceDemand(rs.pipelines.Calls())
	})
	r.tasks.spawn(rs.owners, rs.pipelines)
	return rs, nil
}

// reference makes the lane of a reference list. The topic is made at the list's
// first entry, as a pair's is at its first link.
func (r *run) reference(ctx context.Context, name string) (l stream.ReferenceList, err error) {
	if v := r.cursor(name, offsets.ReferenceStream); v != nil {
		if l.Place, err = offsets.ParseReference(v); err != nil {
			return l, err
		}
		if r.clock().Back(&l.Place.Started, &l.Place.Completed) {
			r.sayAhead(name, offsets.ReferenceStream)
		}
	}
	if _, there := r.loaded.Topics[offsets.ReferenceTopic(r.setup.Config.Kafka.TopicPrefix, name)]; there {
		if err := r.out.ReferenceTopic(ctx, name); err != nil && !refusedTopic(err) {
			return l, err
		}
	}
	r.out.Follow(name)
	r.out.FollowFrontier(name)
	l.Lane = cdc.NewReferenceLane(cdc.ReferenceLaneConfig{
		Reference: name, Rows: r.loaded.References[name], Swept: l.Place.Completed != 0,
		SkipUnchanged: r.setup.Config.Event.SkipUnchanged, Patience: r.timings.Reference, Committer: r.out,
	})
	return l, nil
}

// collections are the reference lists as signals name them.
func (rs *references) collections() []stream.ReferenceCollection {
	return append(rs.pipelines.Collections(rs.prefix), rs.owners.Collection(rs.prefix))
}

// follow makes the stream read the pipelines of these types; see Pipelines.Follow.
func (rs *references) follow(objects []*stream.Object, shown hubspot.Millis) {
	types := make([]hubspot.ObjectType, len(objects))
	for i, o := range objects {
		types[i] = o.Type
	}
	rs.pipelines.Follow(types, shown)
}

// republish publishes lists again whose topics have lost what was published. The
// run knows by now which types it follows.
func (rs *references) republish() {
	for _, c := range rs.collections() {
		if at := rs.run.republish(c.Lane.Reference()); at != nil {
			rs.run.tasks.spawn(stream.NewReferenceRepublish(c, &rs.owners.Reference, *at))
		}
	}
}

// end publishes a delete for each pipeline and stage of a type, because the type
// was removed.
func (rs *references) end(ctx context.Context, object string, date hubspot.Millis) error {
	return rs.pipelines.End(ctx, object, date)
}
