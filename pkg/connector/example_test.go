package connector_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// A program that runs a connector beside its own work: here against a simulated
// portal, an embedded Kafka and an embedded schema registry.
func Example() {
	portal := hubspottest.New(hubspottest.Options{Types: []string{"contacts"}})
	portal.Seed("contacts", 3)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cluster.Close()
	registry := srfake.New()
	defer registry.Close()

	cfg := connector.DefaultConfig()
	cfg.HubSpot.AccessToken = "pat-na1-..."
	cfg.HubSpot.Objects = []string{"contacts"}
	cfg.Kafka.Brokers = cluster.ListenAddrs()
	cfg.Registry.URL = registry.URL()
	cfg.HTTP.Addr = "" // this program would serve c.Handler itself

	c, err := connector.New(cfg, connector.Options{
		Logger:  slog.New(slog.DiscardHandler),
		HubSpot: portal.Transport(), // leave it out to ask HubSpot
	})
	if err != nil {
		fmt.Println(err) // every problem of the configuration
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()

	consumer, err := kgo.NewClient(kgo.SeedBrokers(cfg.Kafka.Brokers...), kgo.ConsumeTopics("hubspot.contacts"),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.MetadataMinAge(100*time.Millisecond), kgo.UnknownTopicRetries(-1))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer consumer.Close()
	seen := map[string]bool{}
	for len(seen) < 3 && ctx.Err() == nil {
		for _, r := range consumer.PollFetches(ctx).Records() {
			seen[string(r.Key)] = true
		}
	}
	fmt.Println("contacts published:", len(seen))

	stop()
	fmt.Println("ended with:", <-ended)
	// Output:
	// contacts published: 3
	// ended with: <nil>
}
