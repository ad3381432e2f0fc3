// Package world is a whole deployment for tests: a simulated portal, Kafka, a
// schema registry and the connector as it ships, in one synctest bubble, on a
// clock that jumps. Hours of work take milliseconds.
//
// It builds on package testkit. The tests of pkg/connector, of its check and of
// the commands share it.
package world

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/cdc/cdctest"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// Canary is the token of every test. Nothing that the connector lets out may
// contain it.
const Canary = "pat-na1-canary-5f0c2a9e"

// A world is small and makes much garbage. Collecting it a quarter as often saves a
// tenth of the CPU time.
func init() { debug.SetGCPercent(400) }

// World is the deployment.
type World struct {
	T        *testing.T
	Portal   *hubspottest.Portal
	Kafka    *testkit.Broker
	Brokers  *testkit.Cable    // between the connector and the brokers
	Registry *testkit.Line     // between the connector and the registry
	Tokens   http.RoundTripper // what gives tokens and credentials to the connector
	Log      *testkit.Log
	Config   connector.Config
	Split    int    // connector.Options.SplitLeast
	Loaded   func() // connector.Options.Loaded
	Passes   bool   // the log has each pass: a day has a hundred thousand

	decoder *testkit.Decoder
}

// In runs f in a world. settings have the form NAME=value, as in an environment;
// see [World.Set].
func In(t *testing.T, opt hubspottest.Options, settings []string, f func(w *World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &World{
			T: t, Portal: hubspottest.New(opt), Kafka: testkit.NewBroker(t),
			Registry: testkit.NewLine(testkit.NewRegistry(t).Transport()), Log: new(testkit.Log),
			Config: connector.DefaultConfig(),
		}
		w.Brokers = testkit.NewCable(w.Kafka.Network.DialContext)
		w.decoder = testkit.NewDecoder(t, w.RegistryClient())
		w.Config.HubSpot.AccessToken, w.Config.HubSpot.BaseURL = Canary, "https://hubspot.test"
		w.Config.Kafka.Brokers, w.Config.Registry.URL = w.Kafka.ListenAddrs(), "http://registry.test"
		w.Config.HTTP.Addr = ""
		// Under the race detector, each lz4 buffer of four megabytes takes longer
		// than everything else.
		w.Config.Kafka.Compression = "none"
		w.Set(settings...)
		defer func() {
			if strings.Contains(w.Log.String(), Canary) {
				t.Error("the token is in the log")
			}
			if t.Failed() {
				t.Logf("log of the connector:\n%s", w.Log.Tail(60))
			}
		}()
		f(w)
	})
}

// Set changes the configuration of the processes that start from now on.
func (w *World) Set(settings ...string) {
	w.T.Helper()
	if err := set(&w.Config, settings...); err != nil {
		w.T.Fatal(err)
	}
}

// RegistryClient is a client of the registry, over the connector's line.
func (w *World) RegistryClient() *sr.Client {
	w.T.Helper()
	client, err := sr.NewClient(sr.URLs("http://registry.test"), sr.HTTPClient(&http.Client{Transport: w.Registry}))
	if err != nil {
		w.T.Fatal(err)
	}
	return client
}

// Process is one start of the connector.
type Process struct {
	*connector.Connector
	Cancel  context.CancelFunc
	Done    chan error     // what Run returned
	Brokers *testkit.Cable // between it and the brokers
	HubSpot *testkit.Line  // between it and the portal
	Log     *testkit.Log   // its own; the world's has these lines too

	t *testing.T
}

// Start begins a connector with the world's configuration.
func (w *World) Start() *Process { return w.StartOn(w.Brokers) }

// StartBeside begins another one, with its own connection to the brokers.
func (w *World) StartBeside() *Process {
	return w.StartOn(testkit.NewCable(w.Kafka.Network.DialContext))
}

// Options connect a connector to the world.
func (w *World) Options(hubspot http.RoundTripper, brokers *testkit.Cable) connector.Options {
	return connector.Options{
		Version: "test", HubSpot: hubspot, Registry: w.Registry, Tokens: w.Tokens, SplitLeast: w.Split, Loaded: w.Loaded,
		Kafka: []kgo.Opt{kgo.Dialer(brokers.DialContext)},
	}
}

// StartOn begins a connector that reaches the brokers over the given cable.
func (w *World) StartOn(brokers *testkit.Cable) *Process {
	w.T.Helper()
	p := &Process{
		Done: make(chan error, 1), Brokers: brokers,
		HubSpot: testkit.NewLine(w.Portal.Transport()), Log: &testkit.Log{Level: slog.LevelDebug}, t: w.T,
	}
	if !w.Passes {
		p.Log.Without = "pass"
	}
	o := w.Options(p.HubSpot, brokers)
	o.Logger = p.Log.Logger(w.Log)
	var err error
	if p.Connector, err = connector.New(w.Config, o); err != nil {
		w.T.Fatal(err)
	}
	var ctx context.Context
	ctx, p.Cancel = context.WithCancel(w.T.Context())
	go func() { p.Done <- p.Run(ctx) }()
	return p
}

// Kill looks to the brokers like kill -9: the connections end abruptly.
func (p *Process) Kill() {
	p.t.Helper()
	p.Brokers.Cut()
	p.Stop()
}

// Stop tells the connector to end, as a signal does, and waits until it has.
func (p *Process) Stop() {
	p.t.Helper()
	p.Cancel()
	if err := <-p.Done; err != nil {
		p.t.Errorf("the connector ended with %v", err)
	}
}

// Get asks the connector over HTTP.
func (p *Process) Get(path string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	p.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	return answer
}

// Ready asks /readyz.
func (p *Process) Ready() connector.Readiness {
	p.t.Helper()
	answer := p.Get("/readyz")
	var r connector.Readiness
	if err := json.Unmarshal(answer.Body.Bytes(), &r); err != nil {
		p.t.Fatal(err)
	}
	if r.Ready != (answer.Code == http.StatusOK) {
		p.t.Errorf("readyz answers %d with ready=%v", answer.Code, r.Ready)
	}
	return r
}

// Backfilled reports whether the backfills of these types have ended.
func (p *Process) Backfilled(types ...string) bool {
	ready := p.Ready()
	for _, object := range types {
		if ready.Backfill[object] != "done" {
			return false
		}
	}
	return true
}

// Ran lets a connector publish some contacts, then ends it.
func (w *World) Ran(contacts int) []uint64 {
	w.T.Helper()
	ids := w.Portal.Seed("contacts", contacts)
	p := w.Start()
	w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
	time.Sleep(time.Minute)
	p.Stop()
	return ids
}

// Leaks fails the test if the token appears in an HTTP answer.
func (p *Process) Leaks() {
	p.t.Helper()
	for _, path := range []string{"/", "/status", "/readyz", "/healthz", "/metrics"} {
		if strings.Contains(p.Get(path).Body.String(), Canary) {
			p.t.Errorf("the token is in %s", path)
		}
	}
}

// Records reads a topic to its end as a read_committed consumer. A topic that
// does not exist has none.
func (w *World) Records(topic string) []*kgo.Record {
	w.T.Helper()
	if w.Kafka.TopicInfo(topic) == nil {
		return nil
	}
	return testkit.ReadCommitted(w.T, topic, w.Kafka.Options()...)
}

// Topics gives the names of all topics, in order.
func (w *World) Topics() []string {
	w.T.Helper()
	topics, err := w.Kafka.Admin().ListTopics(w.T.Context())
	if err != nil {
		w.T.Fatal(err)
	}
	return topics.Names()
}

// Cursors reads the cursor topic as an operator does.
func (w *World) Cursors() map[string]string {
	w.T.Helper()
	return testkit.Latest(w.Records("hubspot.offsets"))
}

// LeadingKey is the key of the leading tier's cursor of contacts.
const LeadingKey = `{"portal":4242,"object":"contacts","stream":"leading"}`

// Produce writes one record by hand, as kcat does. An empty value is a tombstone.
func (w *World) Produce(topic, key, value string) {
	w.T.Helper()
	r := &kgo.Record{Topic: topic, Key: []byte(key)}
	if value != "" {
		r.Value = []byte(value)
	}
	w.Kafka.Produce(r)
}

// Seen is everything that a consumer of the objects' topics has read.
func (w *World) Seen(objects ...string) []cdctest.Event {
	w.T.Helper()
	d := cdctest.Decoder{Avro: w.decoder.Try}
	var out []cdctest.Event
	for _, object := range objects {
		for _, r := range w.Records("hubspot." + object) {
			e, err := d.Decode(object, r.Key, r.Value)
			if err != nil {
				w.T.Fatal(err)
			}
			e.Partition, e.Offset = r.Partition, r.Offset
			out = append(out, e)
		}
	}
	return out
}

// Check checks everything published for the objects against everything that
// happened to them. late reports which properties came, changed or went
// meanwhile; nil: none.
func (w *World) Check(late func(property string) bool, objects ...string) *cdctest.Report {
	w.T.Helper()
	if late == nil {
		late = func(string) bool { return false }
	}
	report := cdctest.CheckEvolving(cdctest.HistoryOf(w.Portal, objects...), w.Seen(objects...), late)
	if !report.Clean() {
		w.T.Errorf("lost %d, doubled %d, reordered %d, malformed %d of %d events\n%s", len(report.Lost), len(report.Doubled),
			len(report.Reordered), len(report.Malformed), report.Events, report.Findings())
	}
	return report
}

// FirstName is the first name that was published last for a contact.
func (w *World) FirstName(id uint64) any {
	w.T.Helper()
	var name any
	for _, e := range w.Events("contacts") {
		if e.Key == IDText(id) {
			name = e.Property("firstname")
		}
	}
	return name
}

// Decode reads a key or a value in the registry's wire format.
func (w *World) Decode(body []byte) map[string]any {
	w.T.Helper()
	return w.decoder.Decode(body)
}

// Event is a decoded data record.
type Event struct {
	Key    string
	Op     string
	After  map[string]any
	Before map[string]any
	Source map[string]any
}

// Property is a value of after.properties.
func (e Event) Property(name string) any {
	properties, _ := e.After["properties"].(map[string]any)
	return properties[name]
}

// Seq is source.seq.
func (e Event) Seq() int64 { return e.Source["seq"].(int64) }

// Events decodes an object's topic in the order of source.seq, without the
// tombstones.
func (w *World) Events(object string) []Event {
	w.T.Helper()
	var out []Event
	for _, r := range w.Records("hubspot." + object) {
		if r.Value == nil {
			continue
		}
		m := w.Decode(r.Value)
		e := Event{Key: string(r.Key), Op: m["op"].(string)}
		e.After, _ = m["after"].(map[string]any)
		e.Before, _ = m["before"].(map[string]any)
		e.Source, _ = m["source"].(map[string]any)
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b Event) int { return cmp.Compare(a.Seq(), b.Seq()) })
	return out
}

// SleepUntil waits, in virtual time, until cond holds, for at most limit.
func (w *World) SleepUntil(limit time.Duration, cond func() bool) time.Duration {
	w.T.Helper()
	return testkit.Until(w.T, 100*time.Millisecond, limit, cond)
}

// ReadUntil is SleepUntil for conditions that read topics, which are dearer to
// check.
func (w *World) ReadUntil(limit time.Duration, cond func() bool) time.Duration {
	w.T.Helper()
	return testkit.Until(w.T, 5*time.Second, limit, cond)
}

// Long skips a test with -short. Under the race detector a hundred thousand
// records take minutes, and a day of virtual time takes tens of seconds, while
// the shorter tests race in the same places.
func Long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("too long for -short")
	}
}

// IDText is a record's id as it appears in keys.
func IDText(id uint64) string { return strconv.FormatUint(id, 10) }
