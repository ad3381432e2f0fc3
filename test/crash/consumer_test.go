//go:build integration

package crash

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/cdc/cdctest"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/test/services"
)

// consumer sees what every consumer sees that reads only committed records.
type consumer struct {
	client  *kgo.Client
	decoder cdctest.Decoder

	mu   sync.Mutex
	seen map[string][]cdctest.Event // by prefix
	// frontiers are those of each data topic.
	frontiers map[string][]cdctest.Frontier
	err       error
	latest    time.Time // when the last record came
}

// consume reads the data topics of some object types of some prefixes, and their
// frontiers, from their first record, as soon as they exist.
func consume(t *testing.T, s *services.Services, objects []string, prefixes ...string) *consumer {
	t.Helper()
	c := &consumer{seen: map[string][]cdctest.Event{}, frontiers: map[string][]cdctest.Frontier{}, latest: time.Now(), decoder: cdctest.Decoder{Avro: testkit.NewDecoder(t, s.Schemas).Try}}
	ctx, cancel := context.WithCancel(t.Context())
	topics := map[string]topic{}
	var names []string
	for _, prefix := range prefixes {
		for _, object := range objects {
			name := prefix + "." + object
			topics[name] = topic{prefix, object}
			names = append(names, regexp.QuoteMeta(name))
		}
		names = append(names, regexp.QuoteMeta(prefix+frontiersTopic))
	}
	c.client = testkit.Client(t, s.Options(
		kgo.ConsumeRegex(),
		kgo.ConsumeTopics("^("+strings.Join(names, "|")+")$"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.MetadataMinAge(250*time.Millisecond), kgo.MetadataMaxAge(time.Second),
	)...)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read(ctx, topics)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return c
}

type topic struct{ prefix, object string }

// frontiersTopic is the end of the name of the topic of frontiers.
const frontiersTopic = ".frontiers"

func (c *consumer) read(ctx context.Context, topics map[string]topic) {
	for ctx.Err() == nil {
		fetches := c.client.PollFetches(ctx)
		c.mu.Lock()
		fetches.EachError(func(_ string, _ int32, err error) {
			if ctx.Err() == nil && c.err == nil {
				c.err = err
			}
		})
		fetches.EachRecord(func(r *kgo.Record) {
			c.latest = time.Now()
			if strings.HasSuffix(r.Topic, frontiersTopic) {
				topic, f, err := cdctest.DecodeFrontier(r.Key, r.Value)
				if err != nil && c.err == nil {
					c.err = err
				}
				f.At = hubspot.MillisOf(r.Timestamp)
				c.frontiers[topic] = append(c.frontiers[topic], f)
				return
			}
			of := topics[r.Topic]
			e, err := c.decoder.Decode(of.object, r.Key, r.Value)
			if err != nil && c.err == nil {
				c.err = err
			}
			e.Partition, e.Offset = r.Partition, r.Offset
			c.seen[of.prefix] = append(c.seen[of.prefix], e)
		})
		c.mu.Unlock()
	}
}

// events returns what it has seen so far of a prefix.
func (c *consumer) events(t *testing.T, prefix string) []cdctest.Event {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		t.Fatalf("consume: %v", c.err)
	}
	return slices.Clip(c.seen[prefix])
}

// frontiersOf returns what it has seen so far of a prefix' frontiers of an object type.
func (c *consumer) frontiersOf(prefix, object string) []cdctest.Frontier {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clip(c.frontiers[prefix+"."+object])
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
