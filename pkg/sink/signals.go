package sink

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Signals makes the signals topic ready and opens it at an offset. If the topic
// does not have that offset, Signals opens it at its beginning.
func (s *Sink) Signals(ctx context.Context, from int64) (*Signals, error) {
	found, err := s.setup.signalsTopic(ctx)
	s.warn(found)
	if err != nil {
		return nil, err
	}
	name, adm := found.Name, s.setup.adm
	if found.fresh && from == 0 {
		return readFrom(s.cfg, name, 0, 0)
	}
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

const (
	// fetchWait is how long the brokers hold back an empty answer: the topic is quiet
	// for days.
	fetchWait = 30 * time.Second
	// sharedWait is the same of a client that many share. A topic that one of them
	// wants to read from now on waits until the question about the others is answered.
	sharedWait = 5 * time.Second
)

// readFrom reads a topic's only partition from an offset on. end is the topic's end
// now.
func readFrom(cfg Config, name string, at, end int64) (*Signals, error) {
	if cfg.Beside != nil {
		return cfg.Beside.follow(name, at, end), nil
	}
	b, err := newBeside(cfg.Opts, fetchWait)
	if err != nil {
		return nil, err
	}
	s := b.follow(name, at, end)
	s.own = true
	return s, nil
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
