package offsets

import (
	"bytes"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A topic that takes longer than a transaction may stay open is read to its end, as long as
// the reading goes on.
func TestReadToEnd_ALongTopicIsNoHangingTransaction(t *testing.T) {
	inKafka(t, func(t *testing.T, k *kafka) {
		const n = 40
		for range n {
			k.write(state([]byte("any"), bytes.Repeat([]byte("long"), fetchBytes/4)))
		}
		began, read := time.Now(), 0
		err := ReadToEnd(t.Context(), Source{Opts: k.Options(), Prefix: "hubspot", Portal: portal, Logger: k.log.Logger()}, map[string]func(*kgo.Record) error{
			StateTopic("hubspot"): func(*kgo.Record) error {
				read++
				time.Sleep(time.Minute)
				return nil
			},
		})
		if err != nil || read != n {
			t.Errorf("after %v and %d of %d records: %v", time.Since(began), read, n, err)
		}
	})
}
