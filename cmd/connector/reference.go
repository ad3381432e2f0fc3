package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// reference starts the streams of the reference lists. The owners are read from
// now on, pipelines once it is known which types are followed.
func (f *following) reference(ctx context.Context) error {
	list := map[string]stream.List{}
	for _, name := range stream.Lists() {
		l, err := f.list(ctx, name)
		if err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
		list[name] = l
	}
	shared := stream.Reference{
		Client: f.client, Status: f.status, Metrics: f.shared, Log: f.log, Selection: f.selection,
		Interval: max(f.cfg.Sync.ReferenceInterval, time.Second),
	}
	f.pipelines = stream.NewPipelines(&stream.Pipelines{
		Reference: shared, Pipelines: list[stream.PipelinesList], Stages: list[stream.StagesList],
	})
	owners := &stream.Owners{Reference: shared, List: list[stream.OwnersList]}
	prefix := f.cfg.Kafka.TopicPrefix
	f.signals.Lists = append(f.pipelines.Collections(prefix), owners.Collection(prefix))
	f.spawn(owners, f.pipelines)
	return nil
}

// list makes a list's lane. Its topic is made at its first entry, as a pair's is
// at its first link.
func (f *following) list(ctx context.Context, name string) (l stream.List, err error) {
	if v := f.loaded.Cursors[offsets.Key{Portal: f.account, Object: name, Stream: offsets.Reference}]; v != nil {
		if l.Place, err = offsets.ParseList(v); err != nil {
			return l, err
		}
	}
	if _, there := f.loaded.Topics[offsets.ReferenceTopic(f.cfg.Kafka.TopicPrefix, name)]; there {
		if err := f.out.ListTopic(ctx, name); err != nil && !refusedTopic(err) {
			return l, err
		}
	}
	l.Lane = cdc.NewListLane(cdc.ListLaneConfig{
		List: name, Rows: f.loaded.Lists[name], Swept: l.Place.Completed != 0, SkipUnchanged: f.cfg.Event.SkipUnchanged,
		Second: shorter(30*time.Second, f.cfg.Sync.ReferenceInterval), Committer: f.out,
	})
	return l, nil
}

// types are the object types whose records are read, by name.
func (f *following) types() []hubspot.ObjectType {
	objects, _ := f.streamed()
	types := make([]hubspot.ObjectType, len(objects))
	for i, o := range objects {
		types[i] = o.Type
	}
	slices.SortFunc(types, func(a, b hubspot.ObjectType) int { return strings.Compare(a.Name, b.Name) })
	return types
}
