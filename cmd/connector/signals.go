package main

import (
	"context"

	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// newSignals goes on with the signals where the last run left them.
func (f *following) newSignals() (*stream.Signals, error) {
	s := &stream.Signals{
		Prefix: f.cfg.Kafka.TopicPrefix, Committer: f.out, Status: f.status, Metrics: f.shared, Log: f.log,
		Open: func(ctx context.Context, offset int64) (stream.Inbox, error) { return f.out.Signals(ctx, offset) },
	}
	if v := f.loaded.Cursors[offsets.Key{Portal: f.account, Stream: offsets.SignalsStream}]; v != nil {
		place, err := offsets.ParseSignals(v)
		if err != nil {
			return nil, err
		}
		s.Place = &place
	}
	return stream.NewSignals(s), nil
}

// streamed are the object types and pairs that streams run for.
func (f *following) streamed() (objects []*stream.Object, pairs []*stream.Pair) {
	for _, o := range f.objects {
		if o.streams != nil {
			objects = append(objects, o.Object)
		}
	}
	for _, p := range f.pairs {
		if p.followed != nil {
			pairs = append(pairs, p.followed)
		}
	}
	return objects, pairs
}
