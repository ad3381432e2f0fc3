//go:build consumers

// Package consumers runs what users put behind our topics, as docs/consumers
// says: a Flink SQL job, and a Kafka Connect worker that writes into PostgreSQL.
// A simulated portal lives for a while, the connector publishes it through a real
// Kafka and schema registry, and in the end both consumers must hold what the
// portal holds. The test needs Java 17, mvn and PostgreSQL's server:
//
//	go test -tags consumers -v ./test/consumers/
//
// Everything that it starts ends with it.
package consumers

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/test/services"
)

var (
	seed  = flag.Uint64("seed", 0, "seed of the portal's life; 0 takes a new one")
	flink = flag.String("flink", "", "Flink's and its Kafka connector's versions instead of pom.xml's, as 1.20.0,3.4.0-1.20")
)

const (
	startup = 2 * time.Minute
	catchUp = 3 * time.Minute // after the portal's last change
	lasting = 5 * time.Second // how long the equality must last
)

// TestConsumersEqualThePortal: the portal sees creates, updates, archives,
// purges, merges, restores, links that come, go and change, and a property that
// is added while everything runs. In the end a Flink job and a PostgreSQL
// database have what the portal has (docs/contract.md section 5; the
// configurations are those of docs/consumers).
func TestConsumersEqualThePortal(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", *seed)
	postgresBin := findPostgres(t)
	kafka := services.Start(t)
	life := newLife(t, *seed)
	prefix := fmt.Sprintf("consumers-%d", time.Now().UnixMilli())
	database := startPostgres(t, postgresBin)
	connector := startConnector(t, kafka, life.url, prefix)
	contacts, companies := offsets.ObjectTopic(prefix, "contacts"), offsets.ObjectTopic(prefix, "companies")
	for _, topic := range []string{contacts, companies, offsets.PairTopic(prefix, cdc.Pair{From: "contacts", To: "companies"})} {
		waitForTopic(t, kafka, topic)
	}
	job := startFlink(t, kafka, prefix)
	worker := startConnect(t, kafka, prefix, database)

	life.go_(t, "before the property", 250)
	version := latest(t, kafka, contacts+"-value")
	life.addProperty(t)
	services.Eventually(t, startup, "the registry has the next schema", func() error {
		if now := latest(t, kafka, contacts+"-value"); now == version {
			return fmt.Errorf("the latest version is still %d", now)
		}
		return nil
	})
	t.Logf("%s is in the schema: version %d follows %d", addedProperty, latest(t, kafka, contacts+"-value"), version)
	life.go_(t, "after the property", 250)
	life.report(t)

	truth := life.truth(t)
	began := time.Now()
	consumers := []consumer{job, worker}
	for _, c := range consumers {
		services.Eventually(t, catchUp, c.name()+" equals the portal", func() error { return c.differs(t, truth) })
		t.Logf("%s equals the portal %v after its last change", c.name(), time.Since(began).Round(100*time.Millisecond))
	}
	time.Sleep(lasting) //nolint:forbidigo // the equality has to last, in the consumers' real time
	for _, c := range consumers {
		if err := c.differs(t, truth); err != nil {
			t.Errorf("%s did not stay equal to the portal: %v", c.name(), err)
		}
		c.report(t)
	}
	connector.Terminate(t)
}

// consumer follows our topics.
type consumer interface {
	name() string
	// differs reports how the consumer differs from the truth. It fails the test if
	// the consumer has failed.
	differs(t *testing.T, truth *truth) error
	report(t *testing.T)
}
