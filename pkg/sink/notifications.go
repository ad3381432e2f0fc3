package sink

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Notifications writes and reads the topic of the notifications. Its client is not that
// of the transactions: what it does can neither delay nor fail one.
type Notifications struct {
	cfg  Config
	name string
	cl   *kgo.Client
	done func() // closes cl, unless it is shared
}

// OpenNotifications opens the topic of the notifications, and creates it if it is
// missing and create says so. A *MissingTopicError says that this user may not
// create it.
func OpenNotifications(ctx context.Context, cfg Config, create bool) (*Notifications, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	n := &Notifications{cfg: cfg, name: offsets.NotificationsTopic(cfg.Prefix)}
	if cfg.Beside != nil {
		n.cl, n.done = cfg.Beside.cl, func() { cfg.Beside.forget(n.name) }
	} else {
		if n.cl, err = kgo.NewClient(append(append([]kgo.Opt{}, cfg.Opts...), notificationOpts()...)...); err != nil {
			return nil, fmt.Errorf("kafka client: %w", err)
		}
		n.done = n.cl.Close
	}
	prepare := newSetup(cfg, n.cl, nil, cfg.Logger)
	if create {
		var found *TopicFinding
		if found, err = prepare.notificationsTopic(ctx); err == nil {
			warn(cfg, cfg.Logger, found)
		}
	} else {
		_, err = prepare.await(ctx, n.name, false)
	}
	if err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// notificationLinger lets notifications wait for others. A start makes a dozen, and in a
// fleet hundreds of portals share a client.
const notificationLinger = 250 * time.Millisecond

// notificationOpts are for a client that writes notifications. One may come twice, with
// one id, so a producer id would only cost a request. While the client waits for one,
// and the context of a record has ended by its deadline, it asks again and again without
// a pause.
func notificationOpts() []kgo.Opt {
	return []kgo.Opt{uncompressed(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableIdempotentWrite(), kgo.ProducerLinger(notificationLinger)}
}

// uncompressed is for a client that is made while others are: NewClient writes into
// the list of codecs, and those of the configuration are one list for all clients.
func uncompressed() kgo.Opt { return kgo.ProducerBatchCompression(kgo.NoCompression()) }

// Record is a record of the topic of the notifications.
type Record struct{ Key, Value []byte }

// Write writes records in their order. After an error the caller closes n, and
// writes them all again.
func (n *Notifications) Write(ctx context.Context, records ...Record) error {
	acks := make(chan error, len(records))
	for _, r := range records {
		n.cl.Produce(ctx, &kgo.Record{Topic: n.name, Key: r.Key, Value: r.Value}, func(_ *kgo.Record, err error) { acks <- err })
	}
	for range records {
		select {
		case err := <-acks:
			if err != nil {
				return fmt.Errorf("write %s: %w", n.name, err)
			}
		case <-ctx.Done(): // the client does not give up a record that is on its way
			return fmt.Errorf("write %s: %w", n.name, context.Cause(ctx))
		}
	}
	return nil
}

// Latest reads up to most records from the topic's end.
func (n *Notifications) Latest(ctx context.Context, most int64) ([]Record, error) {
	adm := kadm.NewClient(n.cl)
	start, err := offsetOf(ctx, n.name, adm.ListStartOffsets)
	if err != nil {
		return nil, err
	}
	end, err := offsetOf(ctx, n.name, adm.ListCommittedOffsets)
	if err != nil || start == end {
		return nil, err
	}
	r, err := readFrom(n.cfg, n.name, max(start, end-most), end)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	read, err := r.Next(ctx)
	out := make([]Record, len(read))
	for i := range read {
		out[i] = Record{read[i].Key, read[i].Value}
	}
	return out, err
}

// Close closes the connections, unless others share them.
func (n *Notifications) Close() { n.done() }
