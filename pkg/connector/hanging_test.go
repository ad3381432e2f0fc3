package connector_test

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// TestHanging_ATransactionThatHoldsTheStateIsAProblem: a start that waits for somebody's
// open transaction says within a minute where it is and whose, with the cure, says the same
// for as long as it waits, and is ready as soon as it has ended.
func TestHanging_ATransactionThatHoldsTheStateIsAProblem(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 31}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		w.Kafka.Replace(kfake.BrokerConfigs(map[string]string{"transaction.max.timeout.ms": "14400000", "log.cleaner.backoff.ms": "86400000"}))
		w.Config.Kafka.Brokers = w.Kafka.ListenAddrs()
		w.Portal.Seed("contacts", 5)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
		p.Stop()
		other := w.Kafka.Client(kgo.TransactionalID("somebody"), kgo.TransactionTimeout(3*time.Hour))
		defer other.Close()
		if err := other.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := other.ProduceSync(w.T.Context(), &kgo.Record{Topic: "hubspot.state", Key: []byte("r"), Value: []byte("r")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		p = w.start()
		defer p.Stop()
		var held []stream.Problem
		w.SleepUntil(time.Minute, func() bool {
			held = p.ready().Problems
			return len(held) == 1 && held[0].Area == "kafka"
		})
		for _, want := range []string{"hubspot.state partition 0", "producer id ", "has a transaction open since offset "} {
			if !strings.Contains(held[0].Problem, want) {
				t.Errorf("the problem lacks %q: %s", want, held[0].Problem)
			}
		}
		if !strings.HasSuffix(held[0].Runbook, "#a-transaction-hangs-in-kafka") {
			t.Errorf("the problem leads to %s", held[0].Runbook)
		}
		for began := time.Now(); time.Since(began) < 50*time.Minute; time.Sleep(10 * time.Second) { // a read gives up after 15
			later := p.ready().Problems
			if len(later) != 1 || !later[0].Since.Equal(held[0].Since) || later[0].Action != held[0].Action || later[0].Runbook != held[0].Runbook || later[0].Area != "kafka" {
				t.Fatalf("%v later: %+v, want %+v", time.Since(began), later, held[0])
			}
		}
		if err := other.EndTransaction(w.T.Context(), kgo.TryAbort); err != nil {
			t.Fatal(err)
		}
		w.SleepUntil(time.Minute, func() bool { is := p.ready(); return is.Ready && len(is.Problems) == 0 })
	})
}
