package sink

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestRun_RestsBetweenTransactionsAndNotBeforeTheFirst: brokers that are busy get fewer,
// larger transactions; whoever finds the committer idle does not wait.
func TestRun_RestsBetweenTransactionsAndNotBeforeTheFirst(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const took = 200 * time.Millisecond
		w.ControlKey(kmsg.EndTxn.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
			w.KeepControl()
			w.SleepControl(func() { time.Sleep(took) })
			return nil, nil, false
		})
		r := w.start()
		time.Sleep(time.Minute)
		began := time.Now()
		r.mustCommit(batch(change(cdc.Create, 1, "idle")))
		if alone := time.Since(began); alone > took+took/10 {
			t.Errorf("a batch that finds the committer idle waits %v", alone)
		}
		time.Sleep(time.Minute)
		before := w.counter("hubspot_cdc_commits_total", "ok")
		var all sync.WaitGroup
		const batches = 20
		for i := range batches {
			all.Go(func() {
				time.Sleep(time.Duration(i) * took / 2)
				r.mustCommit(batch(change(cdc.Create, hubspot.ID(100+i), "busy")))
			})
		}
		all.Wait()
		synctest.Wait()
		if n := w.counter("hubspot_cdc_commits_total", "ok") - before; n > batches/4+1 {
			t.Errorf("%d batches, one each %v, took %.0f transactions of %v", batches, took/2, n, took)
		}
		r.stop()
	})
}
