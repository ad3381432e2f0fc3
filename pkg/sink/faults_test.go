package sink

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// holdEndTxn makes the broker hold the next n commits until the channel is
// closed.
func (w *world) holdEndTxn(n int) (release chan struct{}) {
	release = make(chan struct{})
	w.ControlKey(int16(kmsg.EndTxn), func(kmsg.Request) (kmsg.Response, error, bool) {
		if n--; n > 0 {
			w.KeepControl()
		}
		w.SleepControl(func() { <-release })
		return nil, nil, false
	})
	return release
}

// silence makes the broker take every request and answer none.
func (w *world) silence() {
	w.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
		w.KeepControl()
		return nil, nil, true
	})
}

// crashAt makes a client vanish when the broker gets its n-th request of the key:
// its connections are cut, and nobody waits for an answer. The broker has either
// processed the request, or never got it.
func (w *world) crashAt(key kmsg.Key, n int, processed bool, vanish func()) (crashed *atomic.Bool, disarm func()) {
	crashed, disarmed := new(atomic.Bool), new(atomic.Bool)
	w.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
		if disarmed.Load() {
			w.DropControl()
			return nil, nil, false
		}
		if n--; n > 0 {
			return nil, nil, false
		}
		w.DropControl()
		crashed.Store(true)
		go vanish()
		return nil, nil, !processed
	})
	return crashed, func() { disarmed.Store(true) }
}

// Promise 2: a consumer that reads committed records sees all of a
// transaction or nothing, whichever step fails.
func TestTransaction_AllOrNothingWhateverStepFails(t *testing.T) {
	for name, faults := range map[string][]kfake.Fault{
		"produce of events":   {{Keys: []kmsg.Key{kmsg.Produce}, Topic: contacts, Err: kerr.TopicAuthorizationFailed}},
		"produce of state":    {{Keys: []kmsg.Key{kmsg.Produce}, Topic: "hubspot.state", Err: kerr.InvalidRecord}},
		"produce of cursor":   {{Keys: []kmsg.Key{kmsg.Produce}, Topic: "hubspot.offsets", Err: kerr.PolicyViolation}},
		"too large after all": {{Keys: []kmsg.Key{kmsg.Produce}, Topic: contacts, Err: kerr.MessageTooLarge}},
		"producer fenced":     {{Keys: []kmsg.Key{kmsg.Produce}, Topic: contacts, Err: kerr.InvalidProducerEpoch}},
		"end refused":         {{Keys: []kmsg.Key{kmsg.EndTxn}, TopLevel: true, Err: kerr.InvalidTxnState}},
		"end fenced":          {{Keys: []kmsg.Key{kmsg.EndTxn}, TopLevel: true, Err: kerr.ProducerFenced}},
		"end unknown":         {{Keys: []kmsg.Key{kmsg.EndTxn}, TopLevel: true, Err: kerr.UnknownServerError}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				r := w.start()
				r.mustCommit(at(batch(change(cdc.Read, 1, "a")), place(1)))
				w.Fault(faults...)
				if err := r.Commit(t.Context(), at(batch(change(cdc.Read, 2, "b"), change(cdc.Read, 3, "c")), place(2))); err == nil {
					t.Fatal("a failed transaction counts as committed")
				}
				if err := <-r.result; err == nil {
					t.Error("the run continues after a failed transaction")
				}
				if err := r.Commit(t.Context(), batch(change(cdc.Read, 4, "d"))); err == nil {
					t.Error("a commit after a failed one succeeds")
				}
				r.Close()

				// The next run finds no trace of it, and publishes it once.
				r = w.start()
				if r.loaded.Rows["contacts"].Len() != 1 || r.loaded.Seq != 1 {
					t.Errorf("rows %v, seq %d", r.loaded.Rows, r.loaded.Seq)
				}
				if got := w.cursors()[leadingKey]; got != place(1) {
					t.Errorf("cursor %s", got)
				}
				r.mustCommit(at(batch(change(cdc.Read, 2, "b"), change(cdc.Read, 3, "c")), place(2)))
				if got := fmt.Sprint(inOrder(w.events(contacts))); got != "[1 r a 2 r b 3 r c]" {
					t.Errorf("events %s", got)
				}
				if got := w.counter("hubspot_cdc_commits_total", "failed"); got != 1 {
					t.Errorf("%v failed commits counted", got)
				}
			})
		})
	}
}

// docs/kafka.md C2: after a failure the client answers EndTransaction with nil
// although nothing was written. A fenced instance must never claim success.
func TestFenced_NeverClaimsSuccess(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		old := w.start()
		old.mustCommit(batch(change(cdc.Read, 1, "old")))
		young := w.start()
		young.mustCommit(batch(change(cdc.Update, 1, "young")))
		for range 10 {
			if err := old.Commit(t.Context(), batch(change(cdc.Update, 1, "late"))); err == nil {
				t.Error("the fenced instance claims success")
			}
		}
		if err := <-old.result; err == nil {
			t.Error("the fenced run ended without an error")
		}
		young.mustCommit(batch(change(cdc.Update, 1, "younger")))
		if got := fmt.Sprint(inOrder(w.events(contacts))); got != "[1 r old 1 u young 1 u younger]" {
			t.Errorf("events %s", got)
		}
	})
}

func TestFenced_BetweenFlushAndCommit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		old := w.start()
		old.mustCommit(batch(change(cdc.Read, 1, "old")))
		release := w.holdEndTxn(1)
		result := make(chan error, 1)
		go func() { result <- old.Commit(t.Context(), batch(change(cdc.Update, 1, "late"))) }()
		synctest.Wait()
		young := w.start()
		close(release)
		if err := <-result; err == nil {
			t.Error("the fenced instance claims success")
		}
		young.mustCommit(batch(change(cdc.Update, 1, "young")))
		if got := fmt.Sprint(inOrder(w.events(contacts))); got != "[1 r old 1 u young]" {
			t.Errorf("events %s", got)
		}
	})
}

// docs/kafka.md C2: EndTransaction does not flush, and what is not flushed spills
// into the next transaction. Commits to a slow broker stay apart under load: when
// Commit returns, the whole batch is there.
func TestTransaction_NothingSpillsIntoTheNext(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start()
		w.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			w.KeepControl()
			w.SleepControl(func() { time.Sleep(50 * time.Millisecond) })
			return nil, nil, false
		})
		for round := range 4 {
			b := at(&cdc.Batch{Object: "contacts"}, place(round))
			for i := range 300 {
				b.Changes = append(b.Changes, change(cdc.Update, hubspot.ID(i+1), fmt.Sprint(round)))
			}
			r.mustCommit(b)
			if n := len(w.events(contacts)); n != (round+1)*300 {
				t.Fatalf("round %d: %d events are there when Commit returns", round, n)
			}
			if got := w.cursors()[leadingKey]; got != place(round) {
				t.Fatalf("round %d: cursor %s", round, got)
			}
		}
	})
}

// Promise 2 across crashes: a client that vanishes at any step (its connections
// cut, without a word) loses nothing and duplicates nothing.
func TestCrash_AtAnyStepLosesAndDoublesNothing(t *testing.T) {
	for _, key := range []kmsg.Key{kmsg.Produce, kmsg.EndTxn} {
		for _, processed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/processed=%v", key.Name(), processed), func(t *testing.T) {
				inWorld(t, func(t *testing.T, w *world) {
					want := map[string]bool{}
					random := rand.New(rand.NewPCG(1, uint64(key)))
					for round := range 20 {
						r := w.start()
						w.checkState(r.loaded)
						crashed, disarm := w.crashAt(key, 1+random.IntN(8), processed, r.closeClient)
						for i := 0; !crashed.Load() && i < 10; i++ {
							id := hubspot.ID(random.IntN(5) + 1)
							value := fmt.Sprintf("%d.%d", round, i)
							if r.Commit(t.Context(), at(batch(change(cdc.Update, id, value)), place(round))) == nil {
								want[text(id)+" u "+value] = true
							}
						}
						disarm()
						r.cancel()
						if err := <-r.result; err == nil {
							t.Error("the run ended without an error")
						}
						r.Close()
					}
					r := w.start()
					w.checkState(r.loaded)
					got := map[string]int{}
					for _, e := range w.events(contacts) {
						if got[e.String()]++; got[e.String()] > 1 {
							t.Errorf("%s was published twice", e)
						}
					}
					for e := range want {
						if got[e] == 0 {
							t.Errorf("%s was committed and is missing", e)
						}
					}
					if len(want) < 20 || len(want) == 200 {
						t.Errorf("%d commits: the crashes did not happen where they should", len(want))
					}
				})
			})
		}
	}
}

// checkState compares the rows with the events: each row is the last event of
// its key, by seq.
func (w *world) checkState(l *offsets.Loaded) {
	w.Helper()
	last, top := map[string]int64{}, int64(0)
	for _, e := range w.events(contacts) {
		last[e.key] = max(last[e.key], e.seq)
		top = max(top, e.seq)
	}
	if len(last) != l.Rows["contacts"].Len() || top != l.Seq {
		w.Errorf("%d keys up to seq %d in the topic, %d rows up to %d in the state", len(last), top, l.Rows["contacts"].Len(), l.Seq)
	}
	for id, row := range l.Rows["contacts"].All() {
		if last[text(id)] != row.Seq {
			w.Errorf("%s: the last event has seq %d, the row %d", text(id), last[text(id)], row.Seq)
		}
	}
}

// A stream that ends alone, while the run continues, must know what became of its
// batch: one that is committed and not applied would be published twice.
func TestCommit_OutlivesItsCallersContext(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start()
		r.mustCommit(batch(change(cdc.Read, 1, "a")))
		release := w.holdEndTxn(1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			<-ctx.Done()
			close(release)
		}()
		if err := r.Commit(ctx, batch(change(cdc.Read, 2, "b"))); err != nil || ctx.Err() == nil {
			t.Errorf("err = %v, while its context ended with %v", err, ctx.Err())
		}
		r.mustCommit(batch(change(cdc.Read, 3, "c")))
	})
}

// A crashed run's transaction must not hold consumers back until it times out:
// the next run frees them at once.
func TestOpen_FreesWhatTheLastRunLeftOpen(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start()
		r.mustCommit(batch(change(cdc.Read, 1, "a")))
		// A predecessor with the same id vanishes in mid-transaction.
		r.stop()
		cl := w.Client(kgo.TransactionalID(TransactionalID("hubspot", portal)), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "hubspot.state", Key: offsets.RowKey("contacts", 99), Value: offsets.AppendRow(nil, cdc.Row{Seq: 99})}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		cl.Close()
		began := time.Now()
		next := w.start()
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v", took)
		}
		if next.loaded.Rows["contacts"].Len() != 1 || next.loaded.Seq != 1 {
			t.Errorf("rows %v", next.loaded.Rows)
		}
	})
}
