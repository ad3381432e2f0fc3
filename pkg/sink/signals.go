package sink

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Signals reads the signals topic from an offset on. It belongs to no group: its
// place is a cursor like any other.
type Signals struct {
	cl        *kgo.Client
	topic     string
	next, end int64 // the next offset, and the topic's end when it was opened
	caughtUp  bool
}

// Signals makes the signals topic ready and opens it at an offset. If the topic
// does not have that offset, Signals opens it at its beginning.
func (s *Sink) Signals(ctx context.Context, from int64) (*Signals, error) {
	found, err := s.setup.signalsTopic(ctx)
	s.warn(found)
	if err != nil {
		return nil, err
	}
	name, adm := found.Name, s.setup.adm
	start, err := offsetOf(ctx, name, adm.ListStartOffsets)
	if err != nil {
		return nil, err
	}
	// Not the high watermark: nothing beyond the last stable offset can be read
	// yet, and nobody here waits for somebody else's open transaction.
	end, err := offsetOf(ctx, name, adm.ListCommittedOffsets)
	if err != nil {
		return nil, err
	}
	at := from
	if from < start || from > end {
		at = start
	}
	if at != from && from != 0 {
		s.log.Warn("the signals topic no longer has the offset at which the connector stopped reading; it starts at the beginning of the topic",
			"topic", name, "offset", from, "start", start, "end", end)
	}
	return readFrom(s.cfg, name, at, end)
}

// readFrom reads a topic's only partition from an offset on. end is the topic's end
// now.
func readFrom(cfg Config, name string, at, end int64) (*Signals, error) {
	cl, err := kgo.NewClient(append(append([]kgo.Opt{}, cfg.Opts...),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{name: {0: kgo.NewOffset().At(at)}}),
		kgo.FetchMaxWait(30*time.Second), // the topic is quiet for days
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		uncompressed(),
		kgo.KeepControlRecords(), // else Next would not see an end that is a marker
	)...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	return &Signals{cl: cl, topic: name, next: at, end: end}, nil
}

// offsetOf returns an offset of the topic's only partition.
func offsetOf(ctx context.Context, name string, list func(context.Context, ...string) (kadm.ListedOffsets, error)) (int64, error) {
	all, err := list(ctx, name)
	if err == nil {
		err = all.Error()
	}
	found, ok := all.Lookup(name, 0)
	if err == nil && !ok {
		err = fmt.Errorf("no partition 0 in the answer")
	}
	if err != nil {
		return 0, fmt.Errorf("list offsets of %s: %w", name, err)
	}
	return found.Offset, nil
}

// Next waits for signals and returns them in order. The first call returns once
// it has read everything that was there when the topic was opened, even if that
// is nothing. A caller that resumes its work after it knows every signal that
// came meanwhile.
func (r *Signals) Next(ctx context.Context) ([]offsets.Signal, error) {
	var out []offsets.Signal
	for r.next < r.end || r.caughtUp && len(out) == 0 {
		fetches := r.cl.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for _, e := range fetches.Errors() {
			return nil, fmt.Errorf("read %s: %w", r.topic, e.Err)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			rec := it.Next()
			r.next = rec.Offset + 1
			if !rec.Attrs.IsControl() {
				out = append(out, offsets.Signal{Offset: rec.Offset, Key: rec.Key, Value: rec.Value})
			}
		}
	}
	r.caughtUp = true
	return out, nil
}

// Close closes the connections.
func (r *Signals) Close() { r.cl.Close() }

// SendSignal writes a signal for the connector with a prefix, and returns its
// offset. It creates no topic: a prefix may be mistyped.
func SendSignal(ctx context.Context, kafka []kgo.Opt, prefix string, value []byte) (offset int64, err error) {
	cl, err := kgo.NewClient(append(append([]kgo.Opt{}, kafka...), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		return 0, fmt.Errorf("kafka client: %w", err)
	}
	defer cl.Close()
	name := offsets.SignalsTopic(prefix)
	sent := cl.ProduceSync(ctx, &kgo.Record{Topic: name, Key: []byte(prefix), Value: value})
	r, err := sent.First()
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", name, err)
	}
	return r.Offset, nil
}
