//go:build integration

// Package crash kills the real connector again and again on a real Kafka and
// schema registry, while a simulated portal lives on. It checks what a
// read_committed consumer saw against what the portal had (docs/contract.md
// section 1, promises 1 to 4), and every frontier against what both had then (R17). It
// needs Java 17 and mvn:
//
//	go test -tags integration ./test/crash/ -run TestFiftyKills -v -timeout 20m -kills 50
//
// It does the same to the instances of a fleet that share many portals out (make
// fleet-kills).
//
// The portal's life, the moments of the kills and their order come from -seed;
// the timing of the processes, of course, does not.
package crash

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc/cdctest"
	"github.com/hubspot-cdc/connector/test/services"
)

var (
	kills = flag.Int("kills", 50, "how many times to kill -9 the connector")
	seed  = flag.Uint64("seed", 0, "seed of life and kills; 0 takes a new one")
)

// A kill comes at a random moment of this span, counted from when the process
// became the owner and streams: before that it does nothing that a kill could
// spoil.
const (
	earliestKill = 200 * time.Millisecond
	latestKill   = 5 * time.Second
)

const (
	starting = 3 * time.Minute  // until it streams; the first one creates the topics
	catchUp  = 90 * time.Second // for what is still missing when the portal has become quiet
	afterall = 5 * time.Second  // and for anything that should not come
)

func TestFiftyKills(t *testing.T) {
	began := time.Now()
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("-seed %d", *seed)
	rng := rand.New(rand.NewPCG(*seed, 0))

	here := services.Start(t)
	life := newLife(*seed)
	life.start(t)
	prefix := fmt.Sprintf("crash-%d", began.UnixMilli())
	consumer := consume(t, here, life.objects, prefix)
	connector := build(t, here, life, prefix)
	connector.Environ = append(connector.Environ, "SYNC_RECONCILE_INTERVAL=10s", "FRONTIER_INTERVAL=200ms") // many frontiers, with verified too

	inside := 0
	for i := range *kills {
		p := connector.Start(t)
		p.Says(t, starting, streaming)
		moment := earliestKill + time.Duration(rng.Int64N(int64(latestKill-earliestKill)))
		if i%2 == 0 {
			p.Sleep(t, moment)
		} else {
			// A transaction is open for milliseconds only, so every second kill waits
			// for the next one, within a limit.
			before := min(moment, latestKill-time.Second)
			p.Sleep(t, before)
			connector.stopInTransaction(t, p, latestKill-before)
		}
		connector.kill(t, p)
		if connector.transactionOpen(t, p) {
			inside++
		}
	}

	p := connector.Start(t)
	changes, rate := life.stop()
	history := cdctest.HistoryOf(life.portal, life.objects...)
	deadline := time.Now().Add(catchUp)
	for len(cdctest.Lost(history, consumer.events(t, prefix))) > 0 && time.Now().Before(deadline) {
		p.Sleep(t, time.Second)
	}
	quiet := time.Since(deadline.Add(-catchUp))
	p.Sleep(t, afterall)
	p.Terminate(t)
	consumer.drain(t)

	r := cdctest.Check(history, consumer.events(t, prefix))
	t.Logf("records %d, changes %d (%.0f a second), all published %v after the last",
		len(history), changes, rate, quiet.Round(100*time.Millisecond))
	t.Logf("kills %d, kills inside a transaction %d, events %d, lost %d, doubled %d, reordered %d, malformed %d, in %v",
		*kills, inside, r.Events, len(r.Lost), len(r.Doubled), len(r.Reordered), len(r.Malformed),
		time.Since(began).Round(time.Second))
	if !r.Clean() {
		t.Errorf("promises were broken (-seed %d):\n%s", *seed, r.Findings())
	}
	life.checkFrontiers(t, consumer, prefix)
	if inside < *kills/5 {
		t.Errorf("only %d of %d kills were inside a transaction, want at least a fifth", inside, *kills)
	}
	if rate < 20 {
		t.Errorf("%.1f changes a second, want at least 20", rate)
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
