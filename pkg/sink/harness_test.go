package sink

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
)

const (
	portal   = 4242
	contacts = "hubspot.contacts"
)

// world is a broker and a schema registry inside the test's bubble.
type world struct {
	testing.TB
	cluster  *kfake.Cluster
	opts     []kgo.Opt
	registry *srfake.Registry
	metrics  *prometheus.Registry
	log      lockedBuffer
	schemas  map[string]*avro.Schema
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t testing.TB) *world {
	t.Helper()
	net := new(kfake.VirtualNetwork)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(net.Listen), kfake.DefaultNumPartitions(3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return &world{
		TB: t, schemas: map[string]*avro.Schema{}, cluster: cluster, registry: srfake.NewRegistry(), metrics: prometheus.NewRegistry(),
		opts: []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.Dialer(net.DialContext)},
	}
}

// inProcess answers requests by calling the handler: no sockets, which would
// stop the bubble's clock.
type inProcess struct{ http.Handler }

func (h inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

func (w *world) config(change ...func(*Config)) Config {
	w.Helper()
	registry, err := sr.NewClient(sr.URLs("http://registry"), sr.HTTPClient(&http.Client{Transport: inProcess{w.registry.Handler()}}))
	if err != nil {
		w.Fatal(err)
	}
	cfg := Config{
		Opts: w.opts, Prefix: "hubspot", Portal: portal, Registry: registry, Version: "1.2.3", Tombstones: true,
		Logger: slog.New(slog.NewTextHandler(io.MultiWriter(&w.log, w.Output()), nil)), Registerer: w.metrics,
	}
	for _, c := range change {
		c(&cfg)
	}
	return cfg
}

// run is one run of the connector, as far as the sink goes.
type run struct {
	*Sink
	w      *world
	loaded *offsets.Loaded
	cancel context.CancelFunc
	result chan error
}

// open fences and loads.
func (w *world) open(change ...func(*Config)) (*run, error) {
	w.Helper()
	s, err := Open(w.Context(), w.config(change...))
	if err != nil {
		return nil, err
	}
	w.Cleanup(s.Close)
	r := &run{Sink: s, w: w}
	if r.loaded, err = s.Load(w.Context()); err != nil {
		return nil, err
	}
	return r, nil
}

// start opens, makes the contacts topic ready and starts the committer.
func (w *world) start(change ...func(*Config)) *run {
	w.Helper()
	r, err := w.open(change...)
	if err == nil {
		err = r.Topic(w.Context(), "contacts", contactSet)
	}
	if err != nil {
		w.Fatal(err)
	}
	r.begin()
	return r
}

func (r *run) begin() {
	ctx, cancel := context.WithCancel(r.w.Context())
	r.cancel, r.result = cancel, make(chan error, 1)
	go func() { r.result <- r.Run(ctx) }()
	r.w.Cleanup(cancel)
}

// stop ends the run as a signal does.
func (r *run) stop() {
	r.w.Helper()
	r.cancel()
	if err := <-r.result; !errors.Is(err, context.Canceled) {
		r.w.Errorf("the run ended with %v", err)
	}
	r.Close()
}

func (r *run) mustCommit(b *cdc.Batch) {
	r.w.Helper()
	if err := r.Commit(r.w.Context(), b); err != nil {
		r.w.Fatal(err)
	}
}

func properties(names ...string) []hubspot.Property {
	var list []hubspot.Property
	for _, name := range names {
		list = append(list, hubspot.Property{Name: name, Label: name, Type: "string", FieldType: "text"})
	}
	return list
}

var contactSet, _ = schema.Evolve(nil, "contacts", properties("email", "notes", "phone"), nil)

// change is one event about a contact, whose e-mail address is the text.
func change(op cdc.Op, id hubspot.ID, text string) cdc.Change {
	c := cdc.Change{
		ID: id, Row: cdc.Row{Version: 1000, Hash: uint64(len(text)), Live: op != cdc.Delete},
		Event: &cdc.Event{Op: op, SourceMs: 1000, Stream: "leading"},
	}
	if op == cdc.Delete {
		c.Row.Reason, c.Event.Reason = cdc.Archived, cdc.Archived
		return c
	}
	c.Event.Record = record(id, map[string]string{"email": text})
	return c
}

func record(id hubspot.ID, values map[string]string) *hubspot.Record {
	rec := &hubspot.Record{ID: id, Created: 500, Updated: 1000, Values: make([][]byte, len(contactSet.Fields))}
	for i, f := range contactSet.Fields {
		if v, ok := values[f.Property]; ok {
			rec.Values[i] = []byte(v)
		}
	}
	return rec
}

func batch(changes ...cdc.Change) *cdc.Batch {
	return &cdc.Batch{Object: "contacts", Changes: changes}
}

// at adds the leading tier's cursor.
func at(b *cdc.Batch, value string) *cdc.Batch {
	b.Cursors = append(b.Cursors, cdc.Cursor{Object: "contacts", Stream: "leading", Value: []byte(value)})
	return b
}

func place(second int) string {
	return fmt.Sprintf(`{"at":"1999-11-24T13:00:%02d.000Z","v":1}`, second)
}

// read gives what a read_committed consumer sees of a topic by now.
func (w *world) read(topic string) []*kgo.Record {
	w.Helper()
	cl, err := kgo.NewClient(append(slices.Clone(w.opts),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.DisableFetchSessions())...)
	if err != nil {
		w.Fatal(err)
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListCommittedOffsets(w.Context(), topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		w.Fatal(err)
	}
	from := map[int32]kgo.Offset{}
	left := 0
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			from[o.Partition] = kgo.NewOffset().AtStart()
			left++
		}
	})
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: from})
	var records []*kgo.Record
	for left > 0 {
		fetches := cl.PollFetches(w.Context())
		if err := fetches.Err(); err != nil {
			w.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				records = append(records, r)
			}
			if end, _ := ends.Lookup(topic, r.Partition); r.Offset+1 == end.Offset {
				left--
			}
		})
	}
	return records
}

// event is what a test looks at in an envelope.
type event struct {
	key, op, email string
	partition      int32
	seq            int64
	tombstone      bool
	all            map[string]any
}

func (e event) String() string {
	if e.tombstone {
		return e.key + " tombstone"
	}
	return strings.TrimSpace(e.key + " " + e.op + " " + e.email)
}

// events decodes a data topic with another library than the one that wrote it.
func (w *world) events(topic string) []event {
	w.Helper()
	var events []event
	for _, r := range w.read(topic) {
		e := event{key: string(r.Key), partition: r.Partition, tombstone: r.Value == nil}
		if !e.tombstone {
			e.all = w.decode(r.Value)
			e.op = e.all["op"].(string)
			e.seq = e.all["source"].(map[string]any)["seq"].(int64)
			if after, ok := e.all["after"].(map[string]any); ok {
				e.email, _ = after["properties"].(map[string]any)["email"].(string)
			}
		}
		events = append(events, e)
	}
	return events
}

func (w *world) decode(value []byte) map[string]any {
	w.Helper()
	if len(value) < 5 || value[0] != 0 {
		w.Fatalf("not in the registry's wire format: % x", value)
	}
	cl := w.config().Registry
	written, err := cl.SchemaByID(w.Context(), int(binary.BigEndian.Uint32(value[1:5])))
	if err != nil {
		w.Fatal(err)
	}
	s := w.schemas[written.Schema]
	if s == nil {
		if s, err = avro.Parse(written.Schema); err != nil {
			w.Fatal(err)
		}
		w.schemas[written.Schema] = s
	}
	var all map[string]any
	rest, err := s.Decode(value[5:], &all)
	if err != nil || len(rest) > 0 {
		w.Fatalf("decode: %v, %d bytes are left", err, len(rest))
	}
	return all
}

// inOrder are the events as the committer gave them out.
func inOrder(events []event) []string {
	slices.SortStableFunc(events, func(a, b event) int { return int(a.seq - b.seq) })
	var list []string
	for _, e := range events {
		list = append(list, e.String())
	}
	return list
}

// cursors is the latest value per key of the cursor topic.
func (w *world) cursors() map[string]string {
	latest := map[string]string{}
	for _, r := range w.read("hubspot.offsets") {
		delete(latest, string(r.Key))
		if r.Value != nil {
			latest[string(r.Key)] = string(r.Value)
		}
	}
	return latest
}

// counter is a metric's value.
func (w *world) counter(name string, labels ...string) float64 {
	w.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		w.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	metric:
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if !slices.Contains(labels, l.GetValue()) {
					continue metric
				}
			}
			if m.Histogram != nil {
				return float64(m.Histogram.GetSampleCount())
			}
			return m.Counter.GetValue()
		}
	}
	return 0
}

const leadingKey = `{"portal":4242,"object":"contacts","stream":"leading"}`

func text(id hubspot.ID) string { return strconv.FormatUint(uint64(id), 10) }
