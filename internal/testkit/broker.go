package testkit

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Broker is a Kafka of one broker, on a network of its own.
type Broker struct {
	*kfake.Cluster
	Network *kfake.VirtualNetwork

	tb testing.TB
}

// NewBroker starts a broker whose topics have three partitions unless they are
// created with another number. It stops when the test ends.
func NewBroker(tb testing.TB, opts ...kfake.Opt) *Broker {
	tb.Helper()
	b := &Broker{Network: new(kfake.VirtualNetwork), tb: tb}
	b.start(opts)
	tb.Cleanup(func() { b.Close() }) // the one that runs by then
	return b
}

// Replace starts an empty broker in place of this one, at another address.
func (b *Broker) Replace(opts ...kfake.Opt) {
	b.tb.Helper()
	b.Close()
	b.start(opts)
}

func (b *Broker) start(opts []kfake.Opt) {
	b.tb.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{
		kfake.NumBrokers(1), kfake.DefaultNumPartitions(3), kfake.ListenFn(b.Network.Listen),
		// The broker compacts every hour and ignores min.compaction.lag.ms. A test
		// that wants compaction calls Compact.
		kfake.BrokerConfigs(map[string]string{"log.cleaner.backoff.ms": "86400000"}),
	}, opts...)...)
	if err != nil {
		b.tb.Fatal(err)
	}
	// A Kafka has no subscriptions for clients' metrics until an operator makes some.
	// kfake wants all metrics of every client, twice a minute.
	cluster.ControlKey(int16(kmsg.GetTelemetrySubscriptions), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		resp := req.ResponseKind().(*kmsg.GetTelemetrySubscriptionsResponse)
		resp.ClientInstanceID = req.(*kmsg.GetTelemetrySubscriptionsRequest).ClientInstanceID
		resp.PushIntervalMillis = 300_000
		return resp, nil, true
	})
	b.removeGhosts(cluster)
	b.Cluster = cluster
}

// Options connect a client to the broker.
func (b *Broker) Options(more ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{kgo.SeedBrokers(b.ListenAddrs()...), kgo.Dialer(b.Network.DialContext)}, more...)
}

// Client makes a client that is closed when the test ends.
func (b *Broker) Client(opts ...kgo.Opt) *kgo.Client {
	b.tb.Helper()
	return Client(b.tb, b.Options(opts...)...)
}

// Admin makes a client for administrative requests.
func (b *Broker) Admin() *kadm.Client {
	b.tb.Helper()
	return kadm.NewClient(b.Client())
}

// Produce writes records outside any transaction, as an operator does with kcat.
// A record goes to the partition that it names, the first by default.
func (b *Broker) Produce(records ...*kgo.Record) {
	b.tb.Helper()
	cl := b.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	if err := cl.ProduceSync(b.tb.Context(), records...).FirstErr(); err != nil {
		b.tb.Fatal(err)
	}
}

// Client makes a client of any Kafka. It is closed when the test ends.
func Client(tb testing.TB, opts ...kgo.Opt) *kgo.Client {
	tb.Helper()
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(cl.Close)
	return cl
}
