//go:build integration

package crash

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc/cdctest"
	"github.com/hubspot-cdc/connector/test/services"
)

// takeOver is the longest that a standby may take after kill -9 of the owner.
const takeOver = 10 * time.Second

// TestTakeOver: one of two processes runs. When it is killed, the other takes
// over within ten seconds, and the killed one, started again, stands by. When the
// owner is told to end, the standby takes over at once. What they publish
// together is complete and without duplicates.
func TestTakeOver(t *testing.T) {
	here := services.Start(t)
	life := newLife(1)
	life.start(t)
	prefix := fmt.Sprintf("takeover-%d", time.Now().UnixMilli())
	consumer := consume(t, here, life.objects, prefix)
	connector := build(t, here, life, prefix)

	owner := connector.Start(t)
	owner.Says(t, starting, streaming)
	t.Logf("very first start: streaming after %v", time.Since(owner.Began).Round(10*time.Millisecond))
	other := connector.Start(t)
	other.Says(t, time.Minute, standingBy)
	for range 3 {
		owner.Sleep(t, 2*time.Second)
		if other.Has(t, streaming) {
			t.Fatal("both stream")
		}
		killed := time.Now()
		connector.kill(t, owner)
		other.Says(t, takeOver, streaming)
		t.Logf("after kill -9 of the owner: taken over in %v", time.Since(killed).Round(10*time.Millisecond))
		owner, other = other, connector.Start(t)
		other.Says(t, time.Minute, standingBy)
	}
	ended := time.Now()
	owner.Terminate(t)
	t.Logf("SIGTERM: ended in %v", time.Since(ended).Round(10*time.Millisecond))
	other.Says(t, takeOver, streaming)
	t.Logf("after SIGTERM of the owner: taken over in %v", time.Since(ended).Round(10*time.Millisecond))

	// A single process, killed and started again on the same machine.
	owner = other
	for range 3 {
		owner.Sleep(t, time.Second)
		connector.kill(t, owner)
		owner = connector.Start(t)
		owner.Says(t, takeOver, streaming)
		t.Logf("killed and started again: streaming after %v", time.Since(owner.Began).Round(10*time.Millisecond))
	}

	life.stop()
	history := cdctest.HistoryOf(life.portal, life.objects...)
	waitFor(t, owner, func() bool { return len(cdctest.Lost(history, consumer.events(t, prefix))) == 0 })
	owner.Sleep(t, afterall)
	owner.Terminate(t)
	consumer.drain(t)
	if r := cdctest.Check(history, consumer.events(t, prefix)); !r.Clean() {
		t.Errorf("promises were broken:\n%s", r.Findings())
	}
}

// TestKilledWhileItJoins: a process is killed up to six times within seconds, at any
// step of its start. The next one still streams within ten seconds: on one machine a
// new process removes the dead ones from the group, also those that only waited to
// be members.
func TestKilledWhileItJoins(t *testing.T) {
	here := services.Start(t)
	life := newLife(2)
	life.start(t)
	connector := build(t, here, life, fmt.Sprintf("joins-%d", time.Now().UnixMilli()))
	rng := rand.New(rand.NewPCG(2, 0))
	p := connector.Start(t)
	p.Says(t, starting, streaming)
	for range 5 {
		connector.kill(t, p)
		kills := 1 + rng.IntN(6)
		for range kills {
			p = connector.Start(t)
			p.Sleep(t, time.Duration(rng.IntN(1000))*time.Millisecond)
			connector.kill(t, p)
		}
		p = connector.Start(t)
		p.Says(t, takeOver, streaming)
		t.Logf("killed %d times: streaming after %v", 1+kills, time.Since(p.Began).Round(10*time.Millisecond))
	}
	p.Terminate(t)
}
