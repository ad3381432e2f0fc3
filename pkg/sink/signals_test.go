package sink

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

const signalsTopicName = "hubspot.signals"

func (w *world) signal(values ...string) {
	w.Helper()
	for _, value := range values {
		w.Produce(&kgo.Record{Topic: signalsTopicName, Key: []byte("hubspot"), Value: []byte(value)})
	}
}

// take returns the values of the next signals; none if nothing comes within ten
// seconds.
func (w *world) take(s *Signals) []string {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
	defer cancel()
	got, err := s.Next(ctx)
	if err != nil && ctx.Err() == nil {
		w.Fatal(err)
	}
	out := []string{}
	for _, signal := range got {
		out = append(out, string(signal.Value))
	}
	return out
}

func (r *run) signals(from int64) *Signals {
	r.w.Helper()
	s, err := r.Signals(r.w.Context(), from)
	if err != nil {
		r.w.Fatal(err)
	}
	r.w.Cleanup(s.Close)
	return s
}

// The first read returns what came while the connector was down, later ones what
// comes as it comes. None waits for somebody else's open transaction.
func TestSignals_AreReadFromTheirPlaceOn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start()
		empty := r.signals(0)
		if got := w.take(empty); len(got) != 0 {
			t.Errorf("read %q from an empty topic", got)
		}
		w.signal("0", "1", "2")
		if got := w.take(empty); len(got) == 0 || got[0] != "0" {
			t.Errorf("read %q, want 0 and what follows", got)
		}
		other := w.Client(kgo.TransactionalID("someone"), kgo.DefaultProduceTopic(signalsTopicName), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		transaction := func(value string, how kgo.TransactionEndTry) func() {
			if err := other.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			if err := other.ProduceSync(t.Context(), &kgo.Record{Value: []byte(value)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			return func() {
				if err := other.EndTransaction(t.Context(), how); err != nil {
					t.Fatal(err)
				}
			}
		}
		transaction("aborted", kgo.TryAbort)() // offsets 3 and 4
		commit := transaction("5", kgo.TryCommit)

		later := r.signals(1)
		if got := w.take(later); !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("read %q, want 1 and 2", got)
		}
		if got := w.take(later); len(got) != 0 {
			t.Errorf("read %q of an open transaction", got)
		}
		commit()
		if got := w.take(later); !slices.Equal(got, []string{"5"}) {
			t.Errorf("read %q, want 5", got)
		}
		w.signal("7")
		if got := w.take(later); !slices.Equal(got, []string{"7"}) {
			t.Errorf("read %q, want 7", got)
		}
	})
}

// A topic that was deleted and created again, or whose old signals are past their
// retention, is read from its beginning.
func TestSignals_APlaceThatIsNotThere(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start()
		r.signals(0)
		w.signal("0", "1", "2")
		if got := w.take(r.signals(17)); !slices.Equal(got, []string{"0", "1", "2"}) {
			t.Errorf("beyond the end: %q", got)
		}
		var trim kadm.Offsets
		trim.Add(kadm.Offset{Topic: signalsTopicName, Partition: 0, At: 2})
		if _, err := w.Admin().DeleteRecords(t.Context(), trim); err != nil {
			t.Fatal(err)
		}
		if got := w.take(r.signals(1)); !slices.Equal(got, []string{"2"}) {
			t.Errorf("before the start: %q", got)
		}
		if n := w.log.Count("no longer has the offset"); n != 2 {
			t.Errorf("the log says so %d times, want twice", n)
		}
	})
}

// docs/contract.md section 4.
func TestSignals_TheirTopic(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start().signals(0)
		described, err := w.Admin().DescribeTopicConfigs(t.Context(), signalsTopicName)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, c := range described[0].Configs {
			got[c.Key] = c.MaybeValue()
		}
		if got["cleanup.policy"] != "delete" || got["retention.ms"] != "604800000" {
			t.Errorf("cleanup.policy %s, retention.ms %s", got["cleanup.policy"], got["retention.ms"])
		}
	})
	for name, c := range map[string]struct {
		partitions int32
		policy     string
		says       []string
	}{
		"partitions": {3, "delete", []string{offsets.SignalsTopic("hubspot"), "3 partitions", "kafka-topics --delete"}},
		"compacted":  {1, "compact", []string{offsets.SignalsTopic("hubspot"), "cleanup.policy=compact", "kafka-configs --alter"}},
		"both":       {1, "compact,delete", []string{offsets.SignalsTopic("hubspot"), "cleanup.policy=compact,delete", "kafka-configs --alter"}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.create(signalsTopicName, c.partitions, map[string]string{"cleanup.policy": c.policy})
				_, err := w.start().Signals(t.Context(), 0)
				mustRefuse(t, err, c.says...)
			})
		})
	}
}
