package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// canary is the token of every test: nothing that the connector lets out may
// hold it.
const canary = "pat-na1-canary-5f0c2a9e"

// world is a whole deployment inside a synctest bubble: the simulated portal,
// Kafka, the schema registry and the connector as it is shipped, on a clock
// that jumps.
type world struct {
	t        *testing.T
	portal   *hubspottest.Portal
	kafka    *kfake.Cluster
	network  *kfake.VirtualNetwork
	brokers  *cable // between the connector and the brokers
	registry *line  // between the connector and the registry
	log      *lockedBuffer
	env      []string
}

// inWorld runs f in a world. extra are environment variables beside the
// addresses.
func inWorld(t *testing.T, opt hubspottest.Options, extra []string, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t: t, portal: hubspottest.New(opt), network: &kfake.VirtualNetwork{},
			registry: &line{to: inProcess{srfake.NewRegistry().Handler()}}, log: &lockedBuffer{},
		}
		w.brokers = &cable{dial: w.network.DialContext}
		var err error
		w.kafka, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.DefaultNumPartitions(3), kfake.ListenFn(w.network.Listen),
			// Consumers read the topics within the days that ours stay uncompacted.
			kfake.BrokerConfigs(map[string]string{"log.cleaner.backoff.ms": "86400000"}))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { w.kafka.Close() }() // a test may have another one by then
		w.env = append([]string{
			"HUBSPOT_ACCESS_TOKEN=" + canary, "HUBSPOT_BASE_URL=https://hubspot.test",
			"KAFKA_BROKERS=" + w.kafka.ListenAddrs()[0], "SCHEMA_REGISTRY_URL=http://registry.test",
			"LOG_FORMAT=text", "LOG_LEVEL=debug",
		}, extra...)
		defer func() {
			if strings.Contains(w.log.String(), canary) {
				t.Error("the token stands in the log")
			}
			if t.Failed() {
				t.Logf("log of the connector:\n%s", tailOf(w.log.String(), 60))
			}
		}()
		f(w)
	})
}

func tailOf(text string, lines int) string {
	all := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return strings.Contains(line, "level=DEBUG") })
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// inProcess answers requests with a handler, without a network.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	p.handler.ServeHTTP(answer, r)
	return answer.Result(), nil
}

// line carries requests while it is not cut, and counts them.
type line struct {
	cut      atomic.Bool
	requests atomic.Int64

	mu sync.Mutex
	to http.RoundTripper
}

// turn has the line lead elsewhere, and gives where it led.
func (l *line) turn(to http.RoundTripper) (before http.RoundTripper) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, l.to = l.to, to
	return before
}

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	l.requests.Add(1)
	if l.cut.Load() {
		return nil, errors.New("connection refused")
	}
	l.mu.Lock()
	to := l.to
	l.mu.Unlock()
	return to.RoundTrip(r)
}

// cable carries connections. Cut, it breaks them and lets no new one through.
type cable struct {
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	dials atomic.Int64

	mu    sync.Mutex
	isCut bool
	conns []net.Conn
}

func (c *cable) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c.dials.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isCut {
		return nil, errors.New("connection refused")
	}
	conn, err := c.dial(ctx, network, address)
	if err == nil {
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = true
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = false
}

// lockedBuffer is a bytes.Buffer for many writers.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// process is one start of the connector.
type process struct {
	*connector
	w       *world
	cancel  context.CancelFunc
	done    chan error
	brokers *cable        // between it and the brokers
	hubspot *line         // between it and the portal
	log     *lockedBuffer // its own, which is part of the world's too
}

// start begins a connector with the world's environment.
func (w *world) start() *process { return w.startOn(w.brokers) }

// startBeside begins one that has its own way to the brokers.
func (w *world) startBeside() *process { return w.startOn(&cable{dial: w.network.DialContext}) }

func (w *world) startOn(brokers *cable) *process {
	w.t.Helper()
	p := &process{
		w: w, done: make(chan error, 1), brokers: brokers,
		hubspot: &line{to: w.portal.Transport()}, log: &lockedBuffer{},
	}
	cfg, files, err := loadConfig(w.env)
	if err != nil {
		w.t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.MultiWriter(w.log, p.log), &slog.HandlerOptions{Level: slog.LevelDebug}))
	p.connector, err = newConnector(cfg, files, log, network{
		hubspot: p.hubspot, registry: w.registry,
		kafka: []kgo.Opt{
			kgo.Dialer(brokers.DialContext),
			// Under the race detector each lz4 buffer of four megabytes takes longer than all else.
			kgo.ProducerBatchCompression(kgo.NoCompression()),
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(w.t.Context())
	go func() { p.done <- p.takePart(ctx) }()
	return p
}

// kill is what kill -9 is to the brokers: its connections end without a word.
func (p *process) kill() {
	p.w.t.Helper()
	p.brokers.cut()
	p.stop()
}

// stop tells the connector to end, as a signal does, and waits for it.
func (p *process) stop() {
	p.w.t.Helper()
	p.cancel()
	if err := <-p.done; err != nil {
		p.w.t.Errorf("the connector ended with %v", err)
	}
}

// leaks fails the test if the token stands in what HTTP shows.
func (p *process) leaks() {
	p.w.t.Helper()
	for name, handler := range map[string]http.HandlerFunc{"/readyz": p.health.readyz, "/healthz": p.health.healthz, "/metrics": p.health.metricsz} {
		answer := httptest.NewRecorder()
		handler(answer, httptest.NewRequest(http.MethodGet, name, nil))
		if strings.Contains(answer.Body.String(), canary) {
			p.w.t.Errorf("the token stands in %s", name)
		}
	}
}

// client is a Kafka client of a consumer.
func (w *world) client(opts ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(w.kafka.ListenAddrs()...), kgo.Dialer(w.network.DialContext))...)
	if err != nil {
		w.t.Fatal(err)
	}
	return cl
}

// records reads a topic to its end as a read_committed consumer.
func (w *world) records(topic string) []*kgo.Record {
	w.t.Helper()
	ctx := w.t.Context()
	adm := w.client()
	defer adm.Close()
	ends, err := kadm.NewClient(adm).ListEndOffsets(ctx, topic)
	if err != nil {
		w.t.Fatal(err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Err == nil && o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	cl := w.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	defer cl.Close()
	var out []*kgo.Record
	for len(left) > 0 {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				out = append(out, r)
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
		if ctx.Err() != nil {
			w.t.Fatal(ctx.Err())
		}
	}
	return out
}

// event is a decoded data record.
type event struct {
	key    string
	op     string
	after  map[string]any
	before map[string]any
	source map[string]any
}

func (e event) property(name string) any {
	properties, _ := e.after["properties"].(map[string]any)
	return properties[name]
}

// events decodes an object's topic, in the order of source.seq; tombstones are
// left out.
func (w *world) events(object string) []event {
	w.t.Helper()
	registry, err := sr.NewClient(sr.URLs("http://registry.test"), sr.HTTPClient(&http.Client{Transport: w.registry}))
	if err != nil {
		w.t.Fatal(err)
	}
	decoder := newTail(nil, false)
	var out []event
	for _, r := range w.records("hubspot." + object) {
		if r.Value == nil {
			continue
		}
		m, err := decoder.decode(w.t.Context(), registry, r.Value)
		if err != nil {
			w.t.Fatalf("%s[%d]@%d: %v", r.Topic, r.Partition, r.Offset, err)
		}
		e := event{key: string(r.Key), op: m["op"].(string)}
		e.after, _ = m["after"].(map[string]any)
		e.before, _ = m["before"].(map[string]any)
		e.source, _ = m["source"].(map[string]any)
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b event) int { return cmp.Compare(a.seq(), b.seq()) })
	return out
}

func (e event) seq() int64 { return e.source["seq"].(int64) }

// sleepUntil waits, in virtual time, until cond holds; at most limit.
func (w *world) sleepUntil(limit time.Duration, cond func() bool) time.Duration {
	w.t.Helper()
	return w.poll(100*time.Millisecond, limit, cond)
}

// readUntil is sleepUntil for what has to be read from topics, which costs
// more to ask.
func (w *world) readUntil(limit time.Duration, cond func() bool) time.Duration {
	w.t.Helper()
	return w.poll(5*time.Second, limit, cond)
}

func (w *world) poll(every, limit time.Duration, cond func() bool) time.Duration {
	w.t.Helper()
	began := time.Now()
	for !cond() {
		if time.Since(began) > limit {
			w.t.Fatalf("not within %v", limit)
		}
		time.Sleep(every)
	}
	return time.Since(began)
}

// long leaves a test out with -short: under the race detector a hundred
// thousand records take minutes and a day of virtual time tens of seconds, and
// the others race in the same places.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("too long for -short")
	}
}

func idText(id uint64) string { return strconv.FormatUint(id, 10) }
