package check

import (
	"context"
	"fmt"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// checkBrokers contacts every broker, and asks the cluster about its
// transactions.
func (k *checker) checkBrokers(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reachPatience)
	defer cancel()
	probe, err := sink.NewProbe(k.setup.SinkConfig())
	if err != nil {
		k.add(Finding{Area: "kafka", Check: "client", Status: Fail, Found: err.Error()})
		return
	}
	defer probe.Close()
	cluster, err := probe.Cluster(ctx, k.setup.Config.Kafka.Brokers)
	answered := false
	for _, b := range cluster.Brokers {
		f := Finding{Area: "kafka", Check: "broker", Subject: b.Address, Status: OK, Found: k.connection()}
		if b.ID >= 0 {
			f.Found = fmt.Sprintf("broker %d, %s", b.ID, f.Found)
		}
		if b.Err != nil {
			f.trouble(k.setup.DiagnoseKafka(b.Err))
		}
		answered = answered || b.Err == nil
		k.add(f)
	}
	if err != nil {
		if answered || len(cluster.Brokers) == 0 {
			f := Finding{Area: "kafka", Check: "cluster"}
			f.trouble(k.setup.DiagnoseKafka(err))
			k.add(f)
		}
		return
	}
	k.brokersUp = answered
	k.add(Finding{Area: "kafka", Check: "cluster", Subject: cluster.ID, Status: OK, Found: "Kafka " + strings.TrimPrefix(cluster.Version, "v")})
	f := Finding{Area: "kafka", Check: "transaction_version", Status: OK, Found: fmt.Sprint(cluster.TransactionVersion)}
	if !cluster.SafeTransactions() {
		f.Status = Warn
		f.Found += ": a request that was delayed in the network may end a later transaction than its own"
		f.Todo = []string{k.setup.Config.Kafka.Tool("kafka-features") + " upgrade --feature transaction.version=2 (Kafka 4.0 or newer)"}
	}
	k.add(f)
	f = Finding{Area: "kafka", Check: "transaction_timeout", Status: OK}
	switch {
	case cluster.MaxTransaction == 0:
		f.Status, f.Found = Note, "this user may not read transaction.max.timeout.ms, whose default is enough"
	case cluster.TooShortTransaction:
		f.Status = Fail
		f.Found = fmt.Sprintf("transaction.max.timeout.ms is %d; the connector's transactions ask for %d", cluster.MaxTransaction.Milliseconds(), sink.TransactionTimeout.Milliseconds())
		f.Todo = []string{fmt.Sprintf("set transaction.max.timeout.ms of the brokers to %d or more", sink.TransactionTimeout.Milliseconds())}
	default:
		f.Found = fmt.Sprintf("the brokers allow %v; the connector's transactions ask for %v", cluster.MaxTransaction, sink.TransactionTimeout)
	}
	k.add(f)
}

// connection says how the connector talks to the brokers.
func (k *checker) connection() string {
	how := "without TLS"
	if k.setup.Config.Kafka.TLS {
		how = "with TLS"
	}
	cfg := &k.setup.Config.Kafka
	switch m := cfg.Mechanism(); m {
	case "":
		return how + ", without a user"
	case connector.SASLOAuth:
		return how + ", as client " + cfg.OAuthClientID + " by " + m
	case connector.SASLAWS:
		return how + ", by " + m
	default:
		return how + ", as " + cfg.SASLUsername + " by " + m
	}
}
