package fleet_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/cdc/cdctest"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/fleet"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

func init() { debug.SetGCPercent(400) } // small worlds make much garbage

const prefix = "crm"

// world has a folder of portals, brokers, a registry, and instances of a fleet, in one
// synctest bubble.
type world struct {
	*testing.T
	kafka    *testkit.Broker
	registry *testkit.Line
	log      *testkit.Log
	parts    int32
	metrics  string
	decoder  *testkit.Decoder

	mu      sync.Mutex
	files   map[string]string // of the folder
	gone    error             // why it cannot be read
	unread  map[string]error  // why a file of it cannot be read
	begin   func(*instance)   // called before an instance runs, if it is there
	shift   int               // lines of comments before what the files say
	portals map[string]*hubspottest.Portal
	silent  func(name string) bool // whether HubSpot does not answer for a portal; nil: it does
	hosts   map[string]*instance
	started int
}

func inWorld(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			T: t, kafka: testkit.NewBroker(t), registry: testkit.NewLine(testkit.NewRegistry(t).Transport()), log: new(testkit.Log), parts: 64, metrics: fleet.MetricsPortal,
			files: map[string]string{}, portals: map[string]*hubspottest.Portal{}, hosts: map[string]*instance{},
		}
		client, err := sr.NewClient(sr.URLs("http://registry.test"), sr.HTTPClient(&http.Client{Transport: w.registry}))
		if err != nil {
			t.Fatal(err)
		}
		w.decoder = testkit.NewDecoder(t, client)
		defer func() {
			for _, i := range w.running() { // of a test that has failed
				i.stop()
			}
			if t.Failed() {
				t.Logf("log:\n%s", w.log.Tail(60))
			}
			if strings.Contains(w.log.String(), "pat-") {
				t.Error("a token is in the log")
			}
		}()
		f(w)
	})
}

// add makes portals with contacts, and files for them.
func (w *world) add(contacts int, names ...string) {
	for _, name := range names {
		w.mu.Lock()
		id := len(w.portals) + 1
		p := hubspottest.New(hubspottest.Options{Seed: uint64(id), PortalID: int64(id), Types: []string{"contacts"}})
		w.portals[name], w.files[name] = p, "HUBSPOT_ACCESS_TOKEN=pat-"+name
		w.mu.Unlock()
		p.Seed("contacts", contacts)
	}
}

// names makes so many names of portals.
func names(from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf("portal-%03d", i))
	}
	return all
}

func (w *world) write(name, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files[name] = text
}

func (w *world) remove(names ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range names {
		delete(w.files, name)
	}
}

// read reads the folder.
func (w *world) read() (out []fleet.File, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, text := range w.files {
		f := fleet.File{Name: name, Unread: w.unread[name]}
		if f.Unread != nil {
			f.Problems = append(f.Problems, fleet.Problem{Text: f.Unread.Error()})
			out = append(out, f)
			continue
		}
		for i, line := range strings.Split(text, "\n") {
			variable, value, ok := strings.Cut(line, "=")
			if !ok {
				f.Problems = append(f.Problems, fleet.Problem{Line: w.shift + i + 1, Text: "is not of the form VARIABLE=value"})
				continue
			}
			f.Lines = append(f.Lines, fleet.Line{Number: w.shift + i + 1, Variable: variable, Value: value})
		}
		out = append(out, f)
	}
	return out, w.gone
}

// configure makes a portal's configuration of its file.
func (w *world) configure(f *fleet.File) connector.Config {
	c := connector.DefaultConfig()
	c.HubSpot.BaseURL, c.Kafka.Brokers, c.Registry.URL = "https://hubspot.test", w.kafka.ListenAddrs(), "http://registry.test"
	c.Kafka.TopicPrefix, c.HTTP.Addr, c.Kafka.Compression = prefix+"."+f.Name, "", "none"
	c.Sync.LeadingInterval = time.Second
	for _, line := range f.Lines {
		switch line.Variable {
		case "HUBSPOT_ACCESS_TOKEN":
			c.HubSpot.AccessToken = hubspot.Secret(line.Value)
		case "HUBSPOT_ACCESS_TOKEN_FILE":
			if _, err := os.Stat(line.Value); err != nil {
				f.Blame(line.Variable, line.Variable+": "+err.Error())
			}
			c.HubSpot.AccessTokenFile = line.Value
		case "KAFKA_BROKERS":
			c.Kafka.Brokers = []string{line.Value}
		case "SCHEMA_REGISTRY_URL":
			c.Registry.URL = line.Value
		case "SYNC_LEADING_INTERVAL":
			c.Sync.LeadingInterval, _ = time.ParseDuration(line.Value)
		default:
			f.Blame(line.Variable, line.Variable+": there is no such variable")
		}
	}
	return c
}

// RoundTrip answers as HubSpot: for the portal whose token the request carries.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	name := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer pat-")
	p, silent := w.portals[name], w.silent
	w.mu.Unlock()
	if silent != nil && silent(name) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if p == nil {
		body := `{"status":"error","message":"The OAuth token used to make this call is invalid","category":"INVALID_AUTHENTICATION"}`
		return &http.Response{
			StatusCode: http.StatusUnauthorized, Status: "401 Unauthorized", Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
		}, nil
	}
	return p.Transport().RoundTrip(r)
}

// network carries requests from one instance to another.
type network struct{ w *world }

func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.w.mu.Lock()
	to := n.w.hosts[r.URL.Host]
	n.w.mu.Unlock()
	if to == nil {
		return nil, fmt.Errorf("dial tcp %s: connection refused", r.URL.Host)
	}
	answer := httptest.NewRecorder()
	to.Handler().ServeHTTP(answer, r)
	return answer.Result(), nil
}

// instance is one start of the program.
type instance struct {
	*fleet.Fleet
	w       *world
	addr    string
	hidden  atomic.Bool // it cannot tell its address
	cancel  context.CancelFunc
	done    chan error
	brokers *testkit.Cable // of the portals
	group   *testkit.Cable // to the group's coordinator
}

func (w *world) start() *instance {
	w.Helper()
	w.started++
	return w.startAt(fmt.Sprintf("10.0.0.%d:8080", w.started), w.read)
}

// startAt starts an instance at an address, which sees a folder.
func (w *world) startAt(addr string, read func() ([]fleet.File, error)) *instance {
	w.Helper()
	i := &instance{w: w, addr: addr, done: make(chan error, 1), brokers: testkit.NewCable(w.kafka.Network.DialContext), group: testkit.NewCable(w.kafka.Network.DialContext)}
	w.mu.Lock()
	w.hosts[i.addr] = i
	w.mu.Unlock()
	log := w.log.Logger().With("instance", i.addr)
	dialer := kgo.Dialer(i.brokers.DialContext)
	i.Fleet = fleet.New(fleet.Config{
		Read: read, Configure: w.configure, Parts: w.parts, Address: i.address, Metrics: w.metrics, Version: "test", Log: log,
		Topic:  sink.Config{Opts: []kgo.Opt{kgo.SeedBrokers(w.kafka.ListenAddrs()...), kgo.Dialer(i.group.DialContext)}, Prefix: prefix, Logger: log},
		Others: network{w}, Each: connector.Options{HubSpot: w, Registry: w.registry, Kafka: []kgo.Opt{dialer}},
	})
	if w.begin != nil {
		w.begin(i)
	}
	var ctx context.Context
	ctx, i.cancel = context.WithCancel(w.Context())
	go func() { i.done <- i.Run(ctx) }()
	return i
}

func (i *instance) address() string {
	if i.hidden.Load() {
		return ""
	}
	return i.addr
}

func (w *world) running() (all []*instance) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, i := range w.hosts {
		all = append(all, i)
	}
	return all
}

// stop tells an instance to end, as a signal does.
func (i *instance) stop() {
	i.w.Helper()
	i.cancel()
	if err := <-i.done; err != nil {
		i.w.Errorf("%s ended with %v", i.addr, err)
	}
	i.w.mu.Lock()
	delete(i.w.hosts, i.addr)
	i.w.mu.Unlock()
}

// kill looks to the brokers like kill -9: the connections end abruptly.
func (i *instance) kill() {
	i.w.Helper()
	i.cut()
	i.stop()
}

// cut keeps an instance from reaching any broker, until mend.
func (i *instance) cut() {
	i.brokers.Cut()
	i.group.Cut()
}

func (i *instance) mend() {
	i.brokers.Mend()
	i.group.Mend()
}

func (i *instance) get(path string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	i.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	return answer
}

func (i *instance) status() *fleet.Status {
	i.w.Helper()
	var s fleet.Status
	if err := json.Unmarshal(i.get("/status").Body.Bytes(), &s); err != nil {
		i.w.Fatal(err)
	}
	return &s
}

// alone is what an instance says of its own portals.
func (i *instance) alone() *fleet.Status {
	i.w.Helper()
	var s fleet.Status
	if err := json.Unmarshal(i.get("/status?of=instance").Body.Bytes(), &s); err != nil {
		i.w.Fatal(err)
	}
	return &s
}

// stream reports whether every portal of the folder streams.
func (i *instance) stream() bool {
	s := i.status()
	i.w.mu.Lock()
	n := len(i.w.files)
	i.w.mu.Unlock()
	return len(s.Portals) == n && s.Counts()[fleet.StateStreaming] == n
}

// of gives the portals of a status by name.
func of(s *fleet.Status) map[string]fleet.Portal {
	out := map[string]fleet.Portal{}
	for _, p := range s.Portals {
		out[p.Name] = p
	}
	return out
}

// until waits, in virtual time, until cond holds, for at most limit.
func (w *world) until(limit time.Duration, cond func() bool) time.Duration {
	w.Helper()
	return testkit.Until(w.T, 500*time.Millisecond, limit, cond)
}

// check checks everything published for portals against everything that happened in
// them, and returns how many events there were.
func (w *world) check(names ...string) (events int) {
	w.Helper()
	for _, name := range names {
		d, topic := cdctest.Decoder{Avro: w.decoder.Try}, prefix+"."+name+".contacts"
		var seen []cdctest.Event
		for _, r := range testkit.ReadCommitted(w.T, topic, w.kafka.Options()...) {
			e, err := d.Decode("contacts", r.Key, r.Value)
			if err != nil {
				w.Fatal(err)
			}
			e.Partition, e.Offset = r.Partition, r.Offset
			seen = append(seen, e)
		}
		r := cdctest.Check(cdctest.HistoryOf(w.portals[name], "contacts"), seen)
		if !r.Clean() {
			w.Errorf("%s: lost %d, doubled %d, reordered %d, malformed %d of %d events\n%s", name, len(r.Lost), len(r.Doubled), len(r.Reordered), len(r.Malformed), r.Events, r.Findings())
		}
		events += r.Events
	}
	return events
}

// change changes a contact of a portal.
func (w *world) change(name string, n int) {
	p := w.portals[name]
	p.Create("contacts", map[string]string{"firstname": "n" + strconv.Itoa(n)})
}

func (w *world) records(topic string) []*kgo.Record {
	return testkit.ReadCommitted(w.T, topic, w.kafka.Options()...)
}
