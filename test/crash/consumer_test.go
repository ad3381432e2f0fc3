//go:build integration

package crash

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/cdc/cdctest"
	"github.com/hubspot-cdc/connector/test/services"
)

// consumer sees what every consumer sees that reads only committed records.
type consumer struct {
	client  *kgo.Client
	decoder cdctest.Decoder
	prefix  string

	mu     sync.Mutex
	seen   []cdctest.Event
	err    error
	latest time.Time // when the last record came
}

// consume reads the data topics of some object types from their first record, as
// soon as they exist.
func consume(t *testing.T, s *services.Services, prefix string, objects []string) *consumer {
	t.Helper()
	c := &consumer{prefix: prefix, latest: time.Now(), decoder: cdctest.Decoder{Avro: testkit.NewDecoder(t, s.Schemas).Try}}
	ctx, cancel := context.WithCancel(t.Context())
	names := make([]string, len(objects))
	for i, object := range objects {
		names[i] = regexp.QuoteMeta(object)
	}
	c.client = testkit.Client(t, s.Options(
		kgo.ConsumeRegex(),
		kgo.ConsumeTopics("^"+regexp.QuoteMeta(prefix)+`\.(`+strings.Join(names, "|")+")$"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.MetadataMinAge(250*time.Millisecond), kgo.MetadataMaxAge(time.Second),
	)...)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return c
}

func (c *consumer) read(ctx context.Context) {
	for ctx.Err() == nil {
		fetches := c.client.PollFetches(ctx)
		c.mu.Lock()
		fetches.EachError(func(_ string, _ int32, err error) {
			if ctx.Err() == nil && c.err == nil {
				c.err = err
			}
		})
		fetches.EachRecord(func(r *kgo.Record) {
			e, err := c.decoder.Decode(strings.TrimPrefix(r.Topic, c.prefix+"."), r.Key, r.Value)
			if err != nil && c.err == nil {
				c.err = err
			}
			e.Partition, e.Offset = r.Partition, r.Offset
			c.seen = append(c.seen, e)
			c.latest = time.Now()
		})
		c.mu.Unlock()
	}
}

// events returns what it has seen so far.
func (c *consumer) events(t *testing.T) []cdctest.Event {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		t.Fatalf("consume: %v", c.err)
	}
	return c.seen[:len(c.seen):len(c.seen)]
}

// drain waits until nothing has come for a while. Nobody writes any more.
func (c *consumer) drain(t *testing.T) {
	t.Helper()
	const still = 2 * time.Second
	for began := time.Now(); ; pause(t.Context(), 100*time.Millisecond) {
		c.mu.Lock()
		since := time.Since(c.latest)
		c.mu.Unlock()
		if since > still && time.Since(began) > still {
			return
		}
	}
}
