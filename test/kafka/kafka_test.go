//go:build integration

// Package kafka tests what only a real Kafka and a real schema registry can show:
// fencing and its error codes, markers that become visible late, compaction, a
// real compatibility check, and the tools that operators use (docs/kafka.md E
// lists where the fakes differ).
package kafka

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/test/services"
)

const portal = 4242

// place is a test's own corner of the services: a topic prefix that no other test
// has.
type place struct {
	*testing.T
	*services.Services
	prefix string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	return &place{T: t, Services: services.Start(t), prefix: "it-" + strings.ToLower(rand.Text()[:10])}
}

func (p *place) topic(object string) string { return offsets.ObjectTopic(p.prefix, object) }

// open fences, loads and makes the contacts topic ready. The committer runs until
// the test ends.
func (p *place) open() (*sink.Sink, *offsets.Loaded) {
	p.Helper()
	s, l := p.load()
	if err := s.Topic(p.Context(), "contacts", set("email")); err != nil {
		p.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Run(ctx) // a test that fences it expects an error, and sees it from Commit
	}()
	p.Cleanup(func() {
		cancel()
		<-ended
	})
	return s, l
}

func (p *place) load() (*sink.Sink, *offsets.Loaded) {
	p.Helper()
	s := p.fence()
	l, err := s.Load(p.Context())
	if err != nil {
		p.Fatal(err)
	}
	return s, l
}

func (p *place) fence() *sink.Sink {
	p.Helper()
	s, err := sink.Open(p.Context(), sink.Config{
		Opts: p.Options(), Prefix: p.prefix, Portal: portal, Registry: p.Schemas,
		Version: "test", Tombstones: true, Logger: slog.New(slog.NewTextHandler(p.Output(), nil)),
	})
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(s.Close)
	return s
}

func set(names ...string) *schema.Set {
	var list []hubspot.Property
	for _, name := range names {
		list = append(list, hubspot.Property{Name: name, Type: "string", FieldType: "text"})
	}
	s, _ := schema.Evolve(nil, "contacts", list, nil)
	return s
}

// page is a batch of one event per id, with the leading tier's cursor.
func page(op cdc.Op, second int, ids ...hubspot.ID) *cdc.Batch {
	b := &cdc.Batch{Object: "contacts", Cursors: []cdc.Cursor{{Object: "contacts", Stream: "leading", Value: []byte(at(second))}}}
	for _, id := range ids {
		c := cdc.Change{ID: id, Row: cdc.Row{Version: hubspot.Millis(second), Live: op != cdc.Delete},
			Event: &cdc.Event{Op: op, Stream: "leading", SourceMs: 1000}}
		if op == cdc.Delete {
			c.Row.Reason, c.Event.Reason = cdc.Purged, cdc.Purged
		} else {
			c.Event.Record = &hubspot.Record{ID: id, Updated: 1000, Values: [][]byte{[]byte(fmt.Sprintf("%d@%d", id, second))}}
		}
		b.Changes = append(b.Changes, c)
	}
	return b
}

func at(second int) string { return fmt.Sprintf(`{"at":"2026-01-24T13:00:%02d.000Z","v":1}`, second) }

var leading = offsets.Key{Portal: portal, Object: "contacts", Stream: "leading"}

// committed gives what a read_committed consumer sees of everything written so
// far.
func (p *place) committed(topic string) []*kgo.Record {
	p.Helper()
	return testkit.ReadSettled(p, topic, p.Options()...)
}

// keys gives the sorted keys of a topic's records, with tombstones marked.
func (p *place) keys(topic string) string {
	p.Helper()
	var keys []string
	for _, r := range p.committed(topic) {
		key := string(r.Key)
		if r.Value == nil {
			key += "!"
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return strings.Join(keys, " ")
}

func TestTransaction_IsReadBackAsItWasCommitted(t *testing.T) {
	p := newPlace(t)
	s, l := p.open()
	if !l.Fresh {
		t.Fatal("the start does not count as a first one")
	}
	for i, b := range []*cdc.Batch{page(cdc.Read, 1, 1, 2, 3), page(cdc.Update, 2, 2), page(cdc.Delete, 3, 3)} {
		if err := s.Commit(t.Context(), b); err != nil {
			t.Fatalf("batch %d: %v", i, err)
		}
	}
	if got := p.keys(p.topic("contacts")); got != "1 2 2 3 3 3!" {
		t.Errorf("keys %q", got)
	}
	_, l = p.load()
	if l.Fresh || l.Seq != 5 || string(l.Cursors[leading]) != at(3) || l.Rows["contacts"].Len() != 3 {
		t.Errorf("loaded %+v", l)
	}
	if row, _ := l.Rows["contacts"].Get(3); row.Live || row.Reason != cdc.Purged || row.Seq != 5 {
		t.Errorf("row %+v", row)
	}
}

// TestFenced_InstanceNeverClaimsSuccess (docs/kafka.md C2), with the error codes
// of a real broker.
func TestFenced_InstanceNeverClaimsSuccess(t *testing.T) {
	p := newPlace(t)
	old, _ := p.open()
	if err := old.Commit(t.Context(), page(cdc.Read, 1, 1)); err != nil {
		t.Fatal(err)
	}
	young, l := p.open()
	if l.Seq != 1 {
		t.Errorf("seq %d", l.Seq)
	}
	for range 3 {
		if err := old.Commit(t.Context(), page(cdc.Update, 2, 1)); err == nil {
			t.Error("the fenced instance claims success")
		}
	}
	if err := young.Commit(t.Context(), page(cdc.Read, 3, 2)); err != nil {
		t.Fatal(err)
	}
	if got := p.keys(p.topic("contacts")); got != "1 2" {
		t.Errorf("keys %q", got)
	}
}

// victimEnv turns the test binary into a producer that is killed in the middle of
// a transaction.
const victimEnv = "KAFKA_TEST_VICTIM"

func TestMain(m *testing.M) {
	if where := os.Getenv(victimEnv); where != "" {
		victim(where)
	}
	os.Exit(m.Run())
}

func victim(where string) {
	brokers, prefix, _ := strings.Cut(where, " ")
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers), kgo.TransactionalID(sink.TransactionalID(prefix, portal)))
	if err == nil {
		err = cl.BeginTransaction()
	}
	for id := range hubspot.ID(1000) {
		if err == nil {
			err = cl.ProduceSync(context.Background(), &kgo.Record{Topic: offsets.StateTopic(prefix),
				Key: offsets.RowKey("contacts", id), Value: offsets.AppendRow(nil, cdc.Row{Seq: 1000, Live: true})}).FirstErr()
		}
	}
	if err == nil {
		err = cl.ProduceSync(context.Background(), &kgo.Record{Topic: offsets.CursorTopic(prefix), Key: leading.Bytes(), Value: []byte(at(59))}).FirstErr()
	}
	fmt.Println("written", err)
	select {}
}

// TestKill9InMidTransaction_NothingOfItIsLoaded: after kill -9 in the middle of a
// transaction the next start fences, aborts the open transaction, and reads back
// what was committed, at once and not only after the timeout.
func TestKill9InMidTransaction_NothingOfItIsLoaded(t *testing.T) {
	p := newPlace(t)
	s, _ := p.open()
	if err := s.Commit(t.Context(), page(cdc.Read, 1, 1, 2)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+p.Brokers+" "+p.prefix)
	running := services.Run(t, "the victim", cmd)
	running.Says(t, time.Minute, "written <nil>")
	running.Kill(t)

	began := time.Now()
	s, l := p.open()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	if l.Rows["contacts"].Len() != 2 || l.Seq != 2 || string(l.Cursors[leading]) != at(1) {
		t.Errorf("%d rows, seq %d, cursor %s", l.Rows["contacts"].Len(), l.Seq, l.Cursors[leading])
	}
	if err := s.Commit(t.Context(), page(cdc.Read, 2, 3)); err != nil {
		t.Error(err)
	}
}

// TestLoad_OfACompactedLog (docs/kafka.md C3): after compaction the log has gaps
// and ends with markers.
func TestLoad_OfACompactedLog(t *testing.T) {
	p := newPlace(t)
	s, _ := p.open()
	quick, small := "0.001", "1000"
	for i := range 60 {
		if i == 1 {
			_, err := p.Admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{
				{Name: "min.cleanable.dirty.ratio", Value: &quick}, {Name: "segment.ms", Value: &small},
			}, offsets.StateTopic(p.prefix), offsets.CursorTopic(p.prefix))
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Commit(t.Context(), page(cdc.Update, i, hubspot.ID(i%3+1))); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); ; {
		n := len(p.committed(offsets.StateTopic(p.prefix)))
		if n < 30 {
			t.Logf("%d records are left", n)
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not compacted: %d records", n)
		}
		// The next record closes a segment whose time has passed.
		time.Sleep(time.Second) //nolint:forbidigo // the broker's time is real
		if err := s.Commit(t.Context(), page(cdc.Update, 59, 1)); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	_, l := p.load()
	if l.Rows["contacts"].Len() != 3 || string(l.Cursors[leading]) != at(59) {
		t.Errorf("loaded %+v", l)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

func (p *place) run(stdin, name string, args ...string) string {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	return services.Output(p, cmd)
}

// TestTools_SeeAndMoveCursors (docs/contract.md section 4): operators read and
// move cursors with the usual tools.
func TestTools_SeeAndMoveCursors(t *testing.T) {
	p := newPlace(t)
	s, _ := p.open()
	if err := s.Commit(t.Context(), page(cdc.Read, 1, 1)); err != nil {
		t.Fatal(err)
	}
	want := leading.String() + "\t" + at(1)
	p.committed(offsets.CursorTopic(p.prefix)) // its markers are visible now
	t.Run("kafka-console-consumer", func(t *testing.T) {
		if p.Bin == "" {
			t.Skip("kafka.sh did not start the broker, so the test does not know its tools")
		}
		got := p.run("", filepath.Join(p.Bin, "kafka-console-consumer"), "--bootstrap-server", p.Brokers, "--topic", offsets.CursorTopic(p.prefix),
			"--from-beginning", "--isolation-level", "read_committed", "--formatter-property", "print.key=true",
			"--max-messages", "2", "--timeout-ms", "20000")
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	})
	t.Run("kcat", func(t *testing.T) {
		kcat, err := exec.LookPath("kcat")
		if err != nil {
			t.Skip(err)
		}
		if got := p.run("", kcat, "-b", p.Brokers, "-t", offsets.CursorTopic(p.prefix), "-C", "-o", "beginning", "-e", "-q", "-f", "%k\t%s\n"); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
		odd := `{ "stream": "leading", "object": "contacts", "portal": 4242 }`
		byHand := `{"at": "2026-01-24T12:00:00Z"}`
		p.run(odd+"|"+byHand+"\n", kcat, "-b", p.Brokers, "-t", offsets.CursorTopic(p.prefix), "-P", "-K", "|")
		_, l := p.load()
		if got := string(l.Cursors[leading]); got != byHand || len(l.Odd) != 1 {
			t.Errorf("cursor %q, odd %v", got, l.Odd)
		}
		p.run(leading.String()+"|\n"+odd+"|\n", kcat, "-b", p.Brokers, "-t", offsets.CursorTopic(p.prefix), "-P", "-K", "|", "-Z")
		_, l = p.load()
		if got, there := l.Cursors[leading]; there {
			t.Errorf("the forgotten cursor is %q", got)
		}
		p.run(leading.String()+"|yesterday\n", kcat, "-b", p.Brokers, "-t", offsets.CursorTopic(p.prefix), "-P", "-K", "|")
		_, err = offsets.Load(t.Context(), offsets.Source{Opts: p.Options(), Prefix: p.prefix, Portal: portal})
		var refusal *offsets.Refusal
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), leading.String()) {
			t.Errorf("err = %v, want a refusal that names the key", err)
		}
	})
}

// TestRegistry_IsAskedBeforeAnythingIsProduced (docs/contract.md section 5), with
// a real compatibility check.
func TestRegistry_IsAskedBeforeAnythingIsProduced(t *testing.T) {
	p := newPlace(t)
	s, _ := p.open()
	if err := s.Commit(t.Context(), page(cdc.Read, 1, 1)); err != nil {
		t.Fatal(err)
	}
	versions := func() int {
		t.Helper()
		list, err := p.Schemas.SubjectVersions(t.Context(), p.topic("contacts")+"-value")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	// A new property is accepted, and a label registers nothing.
	grown, diff := schema.Evolve(set("email"), "contacts", []hubspot.Property{
		{Name: "email", Label: "E-mail", Type: "string"}, {Name: "city", Label: "City", Type: "string"}}, nil)
	if len(diff.Added) != 1 {
		t.Fatalf("added %v", diff.Added)
	}
	for range 2 {
		if err := s.Topic(t.Context(), "contacts", grown); err != nil {
			t.Fatal(err)
		}
		if n := versions(); n != 2 {
			t.Errorf("%d versions", n)
		}
	}
	text, err := json.Marshal(grown)
	if err != nil {
		t.Fatal(err)
	}
	b := page(cdc.Update, 2, 1)
	b.Set = text
	b.Changes[0].Event.Record.Values = [][]byte{[]byte("a"), []byte("Berlin")}
	if err := s.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}

	// A foreign schema under our subject.
	other := sr.Schema{Schema: `{"type":"record","name":"Envelope","namespace":"other","fields":[{"name":"n","type":"int"}]}`}
	if _, err := p.Schemas.RegisterSchema(t.Context(), p.topic("deals")+"-value", other, -1, -1); err != nil {
		t.Fatal(err)
	}
	err = s.Topic(t.Context(), "deals", set("email"))
	var refusal *cdc.RefusedError
	if !errors.As(err, &refusal) || !strings.Contains(err.Error(), p.topic("deals")+"-value") {
		t.Errorf("err = %v, want a refusal that names the subject", err)
	}
	if n := len(p.committed(p.topic("deals"))); n != 0 {
		t.Errorf("%d records", n)
	}
}
