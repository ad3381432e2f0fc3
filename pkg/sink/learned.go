package sink

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// learned are the topics whose partitions the client has stored. A client that meets a
// topic sends the first records before that. A transaction that ends in between passes
// over them (docs/kafka.md C2): without another partition nothing is committed, and the
// client reports success; else the next transaction fails with
// OUT_OF_ORDER_SEQUENCE_NUMBER. Only transact uses it.
type learned map[string]bool

// learnedPoll is the time between two looks. The client needs microseconds.
const learnedPoll = time.Millisecond

// wait returns once the client has stored the partitions of every topic of records, or
// when ctx ends. leader is the client's PartitionLeader: -1 until it has stored the
// partition. The error that comes with it is about something else.
func (l learned) wait(ctx context.Context, records []*kgo.Record, leader func(topic string, partition int32) (node, epoch int32, err error)) error {
	for _, r := range records {
		for !l[r.Topic] {
			if node, _, _ := leader(r.Topic, r.Partition); node != -1 {
				l[r.Topic] = true
				continue
			}
			if err := wait(ctx, learnedPoll); err != nil {
				return err
			}
		}
	}
	return nil
}
