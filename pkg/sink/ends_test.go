package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// written gives the true ends of our records in the contacts topic, and the records
// about them in the state.
func (w *world) written() (ends []int64, told []*kgo.Record) {
	w.Helper()
	ends = make([]int64, 3)
	for _, r := range w.read(contacts) {
		if string(r.Value) != "foreign" {
			ends[r.Partition] = r.Offset + 1
		}
	}
	for _, r := range w.read("hubspot.state") {
		if string(r.Key) == string(offsets.EndsKey(contacts)) {
			told = append(told, r)
		}
	}
	return ends, told
}

// TestR20_TheEndsAreExact after every transaction, over restarts, and beside others
// who write into the topic. Nobody else there costs one record and no second round
// trip.
func TestR20_TheEndsAreExact(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		records, id := 0, hubspot.ID(0)
		commit := func(r *run, most int) {
			t.Helper()
			more := 0
			for n := range 5 {
				var b []cdc.Change
				for range n + 1 {
					id++
					b = append(b, change(cdc.Read, id, "a"))
				}
				r.mustCommit(batch(b...))
				ends, told := w.written()
				if got, err := offsets.Load(t.Context(), offsets.Source{Opts: w.Options(), Prefix: "hubspot", Portal: portal, Logger: slog.New(slog.DiscardHandler)}); err != nil || !slices.Equal(got.Ends[contacts].After, ends) || got.Ends[contacts].Cut {
					t.Fatalf("the state has the ends %v, %v; they are %v", got.Ends[contacts], err, ends)
				}
				more += len(told) - records - 1
				records = len(told)
			}
			if more < min(most, 1) || more > most {
				t.Errorf("%d records about the ends more than transactions, want at most %d", more, most)
			}
		}
		r := w.start()
		_, told := w.written()
		records = len(told) + 1 // the first transaction adds what the topic is
		commit(r, 0)
		for p := range int32(3) {
			w.Produce(&kgo.Record{Topic: contacts, Partition: p, Key: []byte("x"), Value: []byte("foreign")})
		}
		commit(r, 3) // the others' records were not expected in any partition
		r.stop()
		for p := range int32(3) {
			w.Produce(&kgo.Record{Topic: contacts, Partition: p, Key: []byte("x"), Value: []byte("foreign")})
		}
		commit(w.start(), 0)
	})
}

// TestR20_ATransactionFindsATopicCut: its records get lower offsets than those
// before. It is committed, with a note for the next run, whatever the topic's end is
// then.
func TestR20_ATransactionFindsATopicCut(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start()
		r.mustCommit(batch(change(cdc.Read, 1, "a")))
		r.ends.found(contacts, []int64{100, 100, 100}, offsets.Ends{After: []int64{99, 99, 99}})
		r.mustCommit(batch(change(cdc.Read, 2, "b")))
		var cut *cutError
		if err := <-r.result; !errors.As(err, &cut) || cut.topic != contacts {
			t.Errorf("the run ended with %v", err)
		}
		r.Close()
		for range 2 { // the second time it is settled
			r = w.start()
			_, due := r.loaded.Cursors[offsets.Key{Portal: portal, Object: "contacts", Stream: offsets.RepublishStream}]
			if ends := r.loaded.Ends[contacts]; !due || ends.Cut || r.loaded.Rows["contacts"].Len() < 2 {
				t.Errorf("publish again: %v, ends %v, rows %v", due, ends, r.loaded.Rows)
			}
			r.mustCommit(batch(change(cdc.Read, 3, "c")))
			r.stop()
		}
	})
}

// BenchmarkCommit_Ends compares transactions with and without what R20 adds to them.
func BenchmarkCommit_Ends(b *testing.B) {
	for _, size := range []int{1, 100, 10_000} {
		for _, with := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d records, ends %v", size, with), func(b *testing.B) {
				w := &world{TB: b, Broker: testkit.NewBroker(b), registry: testkit.NewRegistry(b), metrics: prometheus.NewRegistry()}
				s, err := Open(b.Context(), w.config(func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil)) }))
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				if _, err := s.Load(b.Context()); err != nil {
					b.Fatal(err)
				}
				if err := s.Topic(b.Context(), "contacts", contactSet); err != nil {
					b.Fatal(err)
				}
				if !with { // of an internal topic the state has no ends
					s.cursorTopic = contacts
				}
				value := make([]byte, 500)
				var spent time.Duration
				for b.Loop() {
					records := make([]*kgo.Record, size)
					for i := range records {
						records[i] = &kgo.Record{Topic: contacts, Key: fmt.Append(nil, i), Value: value}
					}
					began := time.Now()
					if err := s.transact(context.Background(), records); err != nil {
						b.Fatal(err)
					}
					spent += time.Since(began)
				}
				b.ReportMetric(float64(spent.Microseconds())/float64(b.N), "µs/commit")
			})
		}
	}
}
