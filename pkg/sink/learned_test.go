package sink

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestTransaction_EndsOnceTheClientHasStoredTheTopicsPartitions: else the client leaves
// them out, and says nothing (docs/kafka.md C2).
func TestTransaction_EndsOnceTheClientHasStoredTheTopicsPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		stored := map[string]time.Duration{"old": 0, "new": 5 * time.Millisecond, "slow": time.Hour}
		asked := 0
		leader := func(topic string, _ int32) (node, epoch int32, err error) {
			asked++
			if time.Since(began) < stored[topic] {
				return -1, -1, errors.New("the topic could not be loaded at first")
			}
			return 2, 7, nil
		}
		l := learned{}
		records := []*kgo.Record{{Topic: "old"}, {Topic: "new", Partition: 3}, {Topic: "new"}, {Topic: "old"}}
		if err := l.wait(t.Context(), records, leader); err != nil || time.Since(began) < stored["new"] {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		asked = 0
		if err := l.wait(t.Context(), records, leader); err != nil || asked > 0 {
			t.Errorf("%v, and the client was asked %d times about topics that it knows", err, asked)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := l.wait(ctx, []*kgo.Record{{Topic: "slow"}}, leader); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("given up with %v", err)
		}
	})
}
