package testkit

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// patience is how long a reader waits for a transaction that is still open.
const patience = 2 * time.Minute

// again is how often a reader asks for a topic that a broker does not know yet.
const again = 100 * time.Millisecond

// ReadCommitted gives what a read_committed consumer sees of a topic at this
// moment, partition by partition. An open transaction hides everything behind it.
func ReadCommitted(tb testing.TB, topic string, broker ...kgo.Opt) []*kgo.Record {
	tb.Helper()
	return read(tb, topic, broker, (*kadm.Client).ListCommittedOffsets)
}

// ReadSettled also waits: for open transactions, and for the markers of those
// that have ended, so that nothing written by now is missing.
func ReadSettled(tb testing.TB, topic string, broker ...kgo.Opt) []*kgo.Record {
	tb.Helper()
	return read(tb, topic, broker, (*kadm.Client).ListEndOffsets)
}

func read(tb testing.TB, topic string, broker []kgo.Opt, list func(*kadm.Client, context.Context, ...string) (kadm.ListedOffsets, error)) []*kgo.Record {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	// Without control records, the end would be missed where it is a marker. The client
	// keeps for five seconds that a topic is unknown, unless told otherwise.
	cl, err := kgo.NewClient(append(slices.Clone(broker),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.DisableFetchSessions(), kgo.MetadataMinAge(again))...)
	if err != nil {
		tb.Fatal(err)
	}
	defer cl.Close()
	var ends kadm.ListedOffsets
	for range 50 { // a broker may not know yet of a topic that another has just made
		if ends, err = list(kadm.NewClient(cl), ctx, topic); err == nil {
			err = ends.Error()
		}
		if !kerr.IsRetriable(err) {
			break
		}
		time.Sleep(again)
	}
	if err != nil {
		tb.Fatalf("read %s: %v", topic, err)
	}
	from, left := map[int32]kgo.Offset{}, map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			from[o.Partition], left[o.Partition] = kgo.NewOffset().AtStart(), o.Offset
		}
	})
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: from})
	var records []*kgo.Record
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			tb.Fatalf("read %s, with %v left by partition: %v", topic, left, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				records = append(records, r)
			}
			if end, there := left[r.Partition]; there && r.Offset+1 >= end {
				delete(left, r.Partition)
			}
		})
	}
	return records
}

// Latest is what compaction would leave: the last value of each key, without
// the keys that were tombstoned.
func Latest(records []*kgo.Record) map[string]string {
	latest := map[string]string{}
	for _, r := range records {
		latest[string(r.Key)] = string(r.Value)
		if r.Value == nil {
			delete(latest, string(r.Key))
		}
	}
	return latest
}
