package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// bench measures one figure of one build.
type bench struct {
	settings
	binary string
	figure string
	dir    string
	stderr io.Writer
	report *report // for what is skipped
}

func (b *bench) tell(format string, args ...any) {
	if b.verbose {
		fmt.Fprintf(b.stderr, "%s %s: %s\n", time.Now().Format(time.TimeOnly), b.figure, fmt.Sprintf(format, args...))
	}
}

// HubSpot's limits for a private app of a Professional account, and the round trips
// that are usual (docs/hubspot.md section 7).
var (
	realLimits  = hubspottest.Limits{SearchPerSecond: 5, TenSecondly: 190, Daily: 650_000}
	realLatency = hubspottest.Span{Min: 150 * time.Millisecond, Max: 300 * time.Millisecond}
)

const (
	pageSize   = 100 // records of a list page
	properties = 45  // of a record
)

// lab is what a figure is measured in: a portal, brokers and a registry that
// nothing else uses.
type lab struct {
	*bench
	portal           *hubspottest.Portal
	hubspot          string
	brokers          string
	registry, prefix string
	seen             *watcher
	stops            []func()

	mu    sync.Mutex
	hooks []func(hubspottest.Request)
}

// newLab starts a portal with the given types. The caller fills it, then calls
// open.
func (b *bench) newLab(types ...string) *lab {
	l := &lab{bench: b, prefix: fmt.Sprintf("bench-%s-%d", b.figure, time.Now().UnixNano())}
	l.portal = hubspottest.New(hubspottest.Options{
		Seed: 1, Types: types, NoHistory: true, Limits: realLimits, Latency: realLatency, OnRequest: l.onRequest,
	})
	return l
}

// widen gives a type as many properties as a record should have.
func (l *lab) widen(object string) {
	kinds := []string{"string", "enumeration", "number", "datetime", "bool", "date"}
	for i := l.portal.Properties(object); i < properties; i++ {
		p := hubspottest.Property{Name: fmt.Sprintf("bench_%02d", i), Type: kinds[i%len(kinds)]}
		if p.Type == "enumeration" {
			p.Options = []string{"first", "second", "third"}
		}
		l.portal.AddProperty(object, p)
	}
}

// open makes the portal reachable and starts the brokers, the registry and the
// consumer.
func (l *lab) open(keys bool) error {
	var stop func()
	var err error
	if l.hubspot, stop, err = l.portal.Serve("127.0.0.1:0"); err != nil {
		return err
	}
	l.stops = append(l.stops, stop)
	if err := l.connect(); err != nil {
		return err
	}
	l.seen, err = watch(strings.Split(l.brokers, ","), l.prefix, keys)
	return err
}

// connect starts the brokers and the registry, or uses real ones.
func (l *lab) connect() error {
	l.brokers, l.registry = l.settings.brokers, l.settings.registry
	if l.brokers == "" {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DefaultNumPartitions(3),
			kfake.BrokerConfigs(map[string]string{"log.cleaner.backoff.ms": "86400000"})) // compaction would disturb the measurement
		if err != nil {
			return err
		}
		// As a Kafka where no operator has made subscriptions for clients' metrics; kfake
		// wants all of them from every client.
		cluster.ControlKey(kmsg.GetTelemetrySubscriptions.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			resp := req.ResponseKind().(*kmsg.GetTelemetrySubscriptionsResponse)
			resp.ClientInstanceID = req.(*kmsg.GetTelemetrySubscriptionsRequest).ClientInstanceID
			resp.PushIntervalMillis = 300_000
			return resp, nil, true
		})
		registry := srfake.New()
		l.stops = append(l.stops, cluster.Close, registry.Close)
		l.brokers, l.registry = strings.Join(cluster.ListenAddrs(), ","), registry.URL()
	} else {
		l.stops = append(l.stops, l.forget)
	}
	return nil
}

// close stops everything that open started.
func (l *lab) close() {
	if l.seen != nil {
		l.seen.close()
	}
	for i := len(l.stops) - 1; i >= 0; i-- {
		l.stops[i]()
	}
}

// forget deletes the topics of a real Kafka.
func (l *lab) forget() {
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(l.brokers, ",")...))
	if err != nil {
		l.tell("topics %s.* are left: %v", l.prefix, err)
		return
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	admin := kadm.NewClient(cl)
	topics, err := admin.ListTopics(ctx)
	var names []string
	for _, name := range topics.Names() {
		if strings.HasPrefix(name, l.prefix+".") {
			names = append(names, name)
		}
	}
	if err == nil {
		_, err = admin.DeleteTopics(ctx, names...)
	}
	if err != nil {
		l.tell("topics %s.* are left: %v", l.prefix, err)
	}
}

// topic is the name of an object's topic.
func (l *lab) topic(object string) string { return l.prefix + "." + object }

// onRequest calls the hooks.
func (l *lab) onRequest(r hubspottest.Request) {
	l.mu.Lock()
	hooks := l.hooks
	l.mu.Unlock()
	for _, f := range hooks {
		f(r)
	}
}

func (l *lab) hook(f func(hubspottest.Request)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hooks = append(l.hooks[:len(l.hooks):len(l.hooks)], f)
}

// moment is when something happened first.
type moment struct {
	once sync.Once
	ch   chan struct{}
	at   time.Time
}

// first returns the moment of the first request that matches.
func (l *lab) first(match func(hubspottest.Request) bool) *moment {
	m := &moment{ch: make(chan struct{})}
	l.hook(func(r hubspottest.Request) {
		if match(r) {
			m.once.Do(func() { m.at = time.Now(); close(m.ch) })
		}
	})
	return m
}

// list reports whether a request is for a page of a type's live records.
func list(object string) func(hubspottest.Request) bool {
	return func(r hubspottest.Request) bool {
		return r.Endpoint == hubspottest.EndpointList && r.Object == object && r.Query.Get("archived") != "true"
	}
}

// throttled is the number of 429 answers.
func (l *lab) throttled() (n int) {
	for policy, count := range l.portal.Stats().Throttled {
		l.tell("%d 429 answers %s", count, policy)
		n += count
	}
	return n
}

// environ is the connector's environment.
func (l *lab) environ(more ...string) []string {
	return append([]string{
		"HUBSPOT_ACCESS_TOKEN=pat-bench", "HUBSPOT_BASE_URL=" + l.hubspot,
		"HUBSPOT_RATE_SHARE=" + strconv.FormatFloat(l.share, 'g', -1, 64),
		"KAFKA_BROKERS=" + l.brokers, "KAFKA_TOPIC_PREFIX=" + l.prefix, "SCHEMA_REGISTRY_URL=" + l.registry,
		"HTTP_ADDR=127.0.0.1:0", "LOG_FORMAT=text",
	}, more...)
}
