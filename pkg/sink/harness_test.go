package sink

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
)

const (
	portal   = 4242
	contacts = "hubspot.contacts"
)

// world is a broker and a schema registry inside the test's bubble.
type world struct {
	testing.TB
	*testkit.Broker
	registry *testkit.Registry
	metrics  *prometheus.Registry
	log      testkit.Log
}

// inWorld runs a test in a bubble of its own.
func inWorld(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(t, &world{TB: t, Broker: testkit.NewBroker(t), registry: testkit.NewRegistry(t), metrics: prometheus.NewRegistry()})
	})
}

func (w *world) config(change ...func(*Config)) Config {
	cfg := Config{
		Opts: w.Options(), Prefix: "hubspot", Portal: portal, Registry: w.registry.Client(), Version: "1.2.3", Tombstones: true,
		Logger: w.log.Logger(w.Output()), Registerer: w.metrics,
	}
	for _, c := range change {
		c(&cfg)
	}
	return cfg
}

// run is one run of the connector, as far as the sink is concerned.
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

func (w *world) mustOpen(change ...func(*Config)) *run {
	w.Helper()
	r, err := w.open(change...)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// start opens, makes the contacts topic ready and starts the committer.
func (w *world) start(change ...func(*Config)) *run {
	w.Helper()
	r := w.mustOpen(change...)
	if err := r.Topic(w.Context(), "contacts", contactSet); err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.Context())
	r.cancel, r.result = cancel, make(chan error, 1)
	go func() { r.result <- r.Run(ctx) }()
	w.Cleanup(cancel)
	return r
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

// change is one event about a contact whose e-mail address is text.
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

// read returns what a read_committed consumer sees of a topic now.
func (w *world) read(topic string) []*kgo.Record {
	w.Helper()
	return testkit.ReadCommitted(w, topic, w.Options()...)
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

// events decodes a data topic with a library other than the one that wrote it.
func (w *world) events(topic string) []event {
	w.Helper()
	var events []event
	for _, r := range w.read(topic) {
		e := event{key: string(r.Key), partition: r.Partition, tombstone: r.Value == nil}
		if !e.tombstone {
			e.all = w.registry.Decode(r.Value)
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

// tells checks that a topic holds these records, sorted by key: the key, and what
// say picks from the event, without nulls. Each record must be in the partition
// of the part of its key that place returns.
func (w *world) tells(topic string, place func(key string) string, say func(op string, source, image map[string]any) []any, want ...string) {
	w.Helper()
	records := w.read(topic)
	slices.SortStableFunc(records, func(a, b *kgo.Record) int { return bytes.Compare(a.Key, b.Key) })
	var got []string
	for _, r := range records {
		line := string(r.Key)
		if r.Value != nil {
			e := w.registry.Decode(r.Value)
			for _, said := range say(e["op"].(string), e["source"].(map[string]any), cmp.Or(e["after"], e["before"]).(map[string]any)) {
				if said != nil {
					line += fmt.Sprint(" ", said)
				}
			}
		}
		got = append(got, line)
		if want := PartitionOf([]byte(place(string(r.Key))), 3); r.Partition != want {
			w.Errorf("%s is in partition %d, want %d", r.Key, r.Partition, want)
		}
	}
	if !slices.Equal(got, want) {
		w.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// inOrder lists events by sequence number.
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
	w.Helper()
	return testkit.Latest(w.read("hubspot.offsets"))
}

// counter is a metric's value.
func (w *world) counter(name string, labels ...string) float64 {
	w.Helper()
	return testkit.Metric(w, w.metrics, name, labels...)
}

const leadingKey = `{"portal":4242,"object":"contacts","stream":"leading"}`

func text(id hubspot.ID) string { return strconv.FormatUint(uint64(id), 10) }
