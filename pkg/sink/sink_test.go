package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// docs/contract.md section 4: events, state and cursor of a page commit in one
// transaction, and the next run reads them back as they were.
func TestCommit_EventsStateAndCursorTogether(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start()
		if !r.loaded.Fresh {
			t.Error("not a first start")
		}
		b := at(batch(change(cdc.Read, 1, "a"), change(cdc.Create, 2, "b"), change(cdc.Delete, 3, "")), place(1))
		b.Set = []byte(`{"v":1}`)
		b.Changes = append(b.Changes, cdc.Change{ID: 4, Row: cdc.Row{Version: 9, Seq: 0, Live: true, Settled: true}})
		r.mustCommit(b)
		if got, want := fmt.Sprint(inOrder(w.events(contacts))), "[3 tombstone 1 r a 2 c b 3 d]"; got != want {
			t.Errorf("events %s, want %s", got, want)
		}
		for i, want := range []int64{1, 2, 3, 0} {
			if got := b.Changes[i].Row.Seq; got != want {
				t.Errorf("row %d has seq %d, want %d", i, got, want)
			}
		}
		r.stop()

		again := w.mustOpen()
		l := again.loaded
		if l.Fresh || l.Seq != 3 || string(l.Cursors[offsets.Key{Portal: portal, Object: "contacts", Stream: "leading"}]) != place(1) {
			t.Errorf("fresh %v, seq %d, cursors %v", l.Fresh, l.Seq, l.Cursors)
		}
		for _, c := range b.Changes {
			if got, _ := l.Rows["contacts"].Get(c.ID); got != c.Row {
				t.Errorf("row %d is %+v, want %+v", c.ID, got, c.Row)
			}
		}
		if len(l.Birth) < 16 || l.Topics[contacts] != (offsets.TopicMeta{Partitions: 3, KeyFormat: "string", V: 1}) || string(l.Sets["contacts"]) != `{"v":1}` {
			t.Errorf("birth %q, topics %v, sets %v", l.Birth, l.Topics, l.Sets)
		}
	})
}

// docs/contract.md section 5.
func TestCommit_EnvelopeSaysWhereItCameFrom(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start(func(c *Config) { c.BeforeKey = true })
		r.mustCommit(batch(change(cdc.Read, 1, "a")))
		time.Sleep(time.Second)
		c := change(cdc.Create, 1, "b")
		c.Event.Reason = cdc.Restored
		r.mustCommit(batch(change(cdc.Update, 1, "a2"), change(cdc.Delete, 1, ""), c))
		var got []string
		for _, e := range w.events(contacts) {
			if e.tombstone {
				got = append(got, "tombstone")
				continue
			}
			s := e.all["source"].(map[string]any)
			got = append(got, fmt.Sprint(s["version"], s["connector"], s["name"], s["db"], s["table"], s["stream"], s["snapshot"], s["reason"], s["seq"], s["omitted"], e.all["before"] != nil))
		}
		want := []string{
			"1.2.3 hubspot hubspot 4242 contacts leading true <nil> 1 <nil> false",
			"1.2.3 hubspot hubspot 4242 contacts leading false <nil> 2 <nil> true",
			"1.2.3 hubspot hubspot 4242 contacts leading false archived 3 <nil> true",
			"tombstone",
			"1.2.3 hubspot hubspot 4242 contacts leading false restored 4 <nil> false",
		}
		for i := range got {
			got[i] = strings.Join(strings.Fields(got[i]), " ")
		}
		if len(got) != len(want) {
			t.Fatalf("%d events: %q", len(got), got)
		}
		for i := range want {
			if strings.ReplaceAll(got[i], " ", "") != strings.ReplaceAll(want[i], " ", "") {
				t.Errorf("event %d: %s, want %s", i, got[i], want[i])
			}
		}
	})
}

func TestCommit_NoTombstonesWhereTheyAreNotWanted(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start(func(c *Config) { c.Tombstones = false })
		r.mustCommit(batch(change(cdc.Delete, 3, "")))
		if got := fmt.Sprint(inOrder(w.events(contacts))); got != "[3 d]" {
			t.Errorf("events %s", got)
		}
	})
}

// docs/contract.md section 5: seq rises strictly in commit order, one counter per
// portal, across runs too.
func TestSeq_StrictlyRisingInCommitOrderAndAcrossRuns(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var last int64
		for range 3 {
			r := w.start()
			var commits sync.WaitGroup
			for lane := range 8 {
				commits.Go(func() {
					before := int64(0)
					for i := range 10 {
						b := batch(change(cdc.Update, hubspot.ID(lane+1), fmt.Sprint(i)), change(cdc.Update, hubspot.ID(lane+1), fmt.Sprint(i)))
						r.mustCommit(b)
						for _, c := range b.Changes {
							if c.Row.Seq <= before {
								t.Errorf("seq %d follows %d", c.Row.Seq, before)
							}
							before = c.Row.Seq
						}
					}
				})
			}
			commits.Wait()
			r.stop()
		}
		perPartition := map[int32]int64{}
		seen := map[int64]bool{}
		for _, e := range w.events(contacts) {
			if e.seq <= perPartition[e.partition] || seen[e.seq] {
				t.Fatalf("seq %d in partition %d after %d", e.seq, e.partition, perPartition[e.partition])
			}
			perPartition[e.partition], seen[e.seq] = e.seq, true
			last = max(last, e.seq)
		}
		if len(seen) != 3*8*10*2 || last != int64(len(seen)) {
			t.Errorf("%d events, the last seq is %d", len(seen), last)
		}
	})
}

// docs/contract.md section 4: the committer starts at once when idle; batches
// that become ready during a commit form the next transaction.
func TestCommit_WhatIsReadyDuringACommitIsTheNextTransaction(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start()
		r.mustCommit(batch(change(cdc.Read, 1, "")))
		time.Sleep(time.Second) // the committer rests after a transaction
		release := w.holdEndTxn(1)
		var commits sync.WaitGroup
		commits.Go(func() { r.mustCommit(batch(change(cdc.Read, 2, ""))) })
		synctest.Wait() // the first one is on its way
		for i := range 20 {
			commits.Go(func() { r.mustCommit(batch(change(cdc.Read, hubspot.ID(10+i), ""))) })
		}
		synctest.Wait()
		before := w.counter("hubspot_cdc_commits_total", "ok")
		close(release)
		commits.Wait()
		if got := w.counter("hubspot_cdc_commits_total", "ok") - before; got != 2 {
			t.Errorf("%v transactions for the one under way and the 20 that became ready", got)
		}
		if n := len(w.events(contacts)); n != 22 {
			t.Errorf("%d events", n)
		}
	})
}

// docs/contract.md section 4: idle passes commit their cursors at most every ten
// seconds, all of them in one transaction.
func TestCommit_IdleCursorsGoTogetherAtMostEveryTenSeconds(t *testing.T) {
	idleCursors(t, 1, 10*time.Second)
}

// Where a process has many portals, they wait longer.
func TestCommit_IdleCursorsOfManyPortalsWaitHalfAMinute(t *testing.T) {
	idleCursors(t, 300, 30*time.Second)
}

// Those of a process of many portals go together, so that it wakes once for all of them.
func TestCommit_IdleCursorsOfManyPortalsGoAtTheSameMoments(t *testing.T) {
	began := time.Date(2026, time.November, 3, 8, 0, 0, 0, time.UTC)
	at := map[time.Time]int{}
	for i := range 300 {
		at[idleDue(began.Add(time.Duration(i)*100*time.Millisecond), 300)]++
	}
	if len(at) > 9 { // within half a minute
		t.Errorf("300 portals commit at %d moments", len(at))
	}
	for due := range at {
		if wait := due.Sub(began); wait < 30*time.Second || wait > 64*time.Second {
			t.Errorf("one commits after %v", wait)
		}
	}
}

func idleCursors(t *testing.T, portals int, wait time.Duration) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start(func(cfg *Config) { cfg.Portals = func() int { return portals } })
		r.mustCommit(batch(change(cdc.Read, 1, "a")))
		transactions := w.counter("hubspot_cdc_commits_total", "ok")
		began := time.Now()
		for second := range 60 {
			for _, stream := range []string{"leading", "trailing-5m", "trailing-1h"} {
				b := &cdc.Batch{Object: "contacts", Cursors: []cdc.Cursor{{Object: "contacts", Stream: stream, Value: []byte(place(second))}}}
				r.mustCommit(b)
			}
			time.Sleep(time.Second)
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("noting cursors every second took %v in a minute: Commit waits", took)
		}
		most := float64(time.Minute / wait)
		if got := w.counter("hubspot_cdc_commits_total", "ok") - transactions; got < most-1 || got > most {
			t.Errorf("%v transactions in a minute", got)
		}
		time.Sleep(wait + idleBeat)
		cursors := w.cursors()
		for _, stream := range []string{"leading", "trailing-5m", "trailing-1h"} {
			key := offsets.Key{Portal: portal, Object: "contacts", Stream: stream}.String()
			if cursors[key] != place(59) {
				t.Errorf("%s is %s", key, cursors[key])
			}
		}
	})
}

func TestCommit_IdleCursorGoesWithTheNextTransactionAndNeverGoesBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start()
		r.mustCommit(at(&cdc.Batch{Object: "contacts"}, place(1)))
		r.mustCommit(&cdc.Batch{Object: "contacts", Cursors: []cdc.Cursor{{Object: "contacts", Stream: "archive", Value: []byte(`{"after":"1"}`)}}})
		r.mustCommit(at(batch(change(cdc.Read, 1, "a")), place(2)))
		want := map[string]string{leadingKey: place(2), `{"portal":4242,"object":"contacts","stream":"archive"}`: `{"after":"1"}`}
		for range 2 {
			cursors := w.cursors()
			for key, value := range want {
				if cursors[key] != value {
					t.Errorf("%s is %s, want %s", key, cursors[key], value)
				}
			}
			time.Sleep(20 * time.Second)
		}
		r.mustCommit(&cdc.Batch{Object: "contacts", Sync: true, Cursors: []cdc.Cursor{{Object: "contacts", Stream: "leading"}}})
		if value, there := w.cursors()[leadingKey]; there {
			t.Errorf("a forgotten cursor is still %s", value)
		}
	})
}

// A changed property set does not wait as an idle pass does: what follows is read
// with it.
func TestCommit_PropertySetAloneIsCommittedAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start()
		r.mustCommit(&cdc.Batch{Object: "contacts", Set: []byte(`{"v":1}`)})
		again := w.mustOpen()
		if got := string(again.loaded.Sets["contacts"]); got != `{"v":1}` {
			t.Errorf("set %q", got)
		}
	})
}

func TestRun_WhatIsNotedIsFlushedWhenTheRunEnds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start()
		r.mustCommit(at(&cdc.Batch{Object: "contacts"}, place(7)))
		r.stop()
		if got := w.cursors()[leadingKey]; got != place(7) {
			t.Errorf("cursor %q", got)
		}
		if err := r.Commit(t.Context(), batch(change(cdc.Read, 1, "a"))); err == nil {
			t.Error("a commit after the end succeeds")
		}
		if err := r.Commit(t.Context(), at(&cdc.Batch{}, place(8))); err == nil {
			t.Error("a cursor is noted after the end")
		}
	})
}

// docs/contract.md section 7: a signal ends a run within ten seconds, even with
// the broker away.
func TestRun_EndsWithinTenSecondsWithTheBrokerAway(t *testing.T) {
	for name, away := range map[string]func(w *world){
		"silent":  func(w *world) { w.silence() },
		"refuses": func(w *world) { w.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				r := w.start()
				r.mustCommit(batch(change(cdc.Read, 1, "a")))
				away(w)
				ctx, cancel := context.WithCancel(t.Context())
				result := make(chan error, 1)
				go func() { result <- r.Commit(ctx, batch(change(cdc.Read, 2, "b"))) }()
				time.Sleep(5 * time.Second)
				began := time.Now()
				cancel()
				r.cancel()
				if err := <-result; err == nil {
					t.Error("committed, with the broker away")
				}
				if err := <-r.result; err == nil {
					t.Error("the run did not fail")
				}
				r.Close()
				if took := time.Since(began); took > 9*time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// The run gives up a transaction that the brokers aborted long ago, so that the
// next one can begin. /healthz learns of a committer that hangs.
func TestRun_GivesUpATransactionThatTakesTooLong(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start()
		r.mustCommit(batch(change(cdc.Read, 1, "a")))
		w.silence()
		began := time.Now()
		err := r.Commit(t.Context(), batch(change(cdc.Read, 2, "b")))
		failed, ok := errors.AsType[*CommitError](err)
		if _, stalled := errors.AsType[*StalledError](err); !ok || !stalled || failed.Since.Before(began) || failed.Since.After(began.Add(longestRest)) {
			t.Errorf("with a silent broker: %v", err)
		}
		if took := time.Since(began); took < time.Minute || took > 2*time.Minute {
			t.Errorf("took %v", took)
		}
		if r.Hanging() {
			t.Error("a committer that has ended is reported as hanging")
		}
		r.busySince.Store(time.Now().UnixMilli())
		time.Sleep(3 * time.Minute)
		if !r.Hanging() {
			t.Error("a transaction of three minutes is not reported as hanging")
		}
	})
}

func TestPing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start()
		if err := r.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		w.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := r.Ping(ctx); err == nil {
			t.Error("reached a broker that is away")
		}
	})
}

// docs/contract.md section 4: the first transaction rewrites odd spellings,
// tombstones them, and drops expired rows.
func TestFirstTransaction_PutsTheTopicsRight(t *testing.T) {
	const odd = `{"stream": "leading", "object": "contacts", "portal": 4242}`
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start()
		r.mustCommit(at(batch(change(cdc.Delete, 5, ""), change(cdc.Read, 1, "a")), place(1)))
		deleted := &kgo.Record{Topic: "hubspot.state", Key: offsets.RowKey("contacts", 5), Timestamp: time.Now().Add(-offsets.KeepDeleted - time.Hour),
			Value: offsets.AppendRow(nil, cdc.Row{Version: 1000, Seq: 1, Reason: cdc.Archived})}
		r.stop()
		moved := &kgo.Record{Topic: "hubspot.offsets", Key: []byte(odd), Value: []byte(place(5))}
		w.Produce(deleted, moved)

		r = w.start()
		time.Sleep(20 * time.Second) // nothing happens: the repairs go alone
		cursors := w.cursors()
		if _, there := cursors[odd]; there || cursors[leadingKey] != place(5) {
			t.Errorf("cursors %v", cursors)
		}
		r.stop()
		r = w.start()
		if len(r.loaded.Odd) != 0 || len(r.loaded.Expired) != 0 {
			t.Errorf("the third run has repairs too: odd %v, expired %v", r.loaded.Odd, r.loaded.Expired)
		}
		if _, there := r.loaded.Rows["contacts"].Get(5); there {
			t.Error("the deleted row is still there")
		}
		if r.loaded.Seq != 2 {
			t.Errorf("seq %d", r.loaded.Seq)
		}
	})
}

func TestPartition_IsJavasMurmur2OfTheID(t *testing.T) {
	java := kgo.StickyKeyPartitioner(nil).ForTopic("t")
	for id := range hubspot.ID(1000) {
		key := []byte(text(id * 7919))
		want := java.Partition(&kgo.Record{Key: key}, 12)
		if got := PartitionOf(key, 12); int(got) != want {
			t.Fatalf("%s: partition %d, want %d", key, got, want)
		}
	}
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start()
		var b cdc.Batch
		b.Object = "contacts"
		for id := range hubspot.ID(50) {
			b.Changes = append(b.Changes, change(cdc.Read, id+1, ""))
		}
		r.mustCommit(&b)
		used := map[int32]bool{}
		for _, e := range w.events(contacts) {
			used[e.partition] = true
			if want := PartitionOf([]byte(e.key), 3); e.partition != want {
				t.Errorf("%s is in partition %d, want %d", e.key, e.partition, want)
			}
		}
		if len(used) != 3 {
			t.Errorf("partitions %v", used)
		}
	})
}

func TestMetrics_CountWhatIsCommitted(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for range 2 { // the second run continues the counts
			r := w.start()
			r.mustCommit(batch(change(cdc.Read, 1, "a"), change(cdc.Read, 2, "nul \x00"), change(cdc.Delete, 3, "")))
			r.stop()
		}
		for _, c := range []struct {
			name   string
			labels []string
			want   float64
		}{
			{"hubspot_cdc_events_total", []string{"contacts", "r"}, 4},
			{"hubspot_cdc_events_total", []string{"contacts", "d"}, 2},
			{"hubspot_cdc_commits_total", []string{"ok"}, 2},
			{"hubspot_cdc_commits_total", []string{"failed"}, 0},
			{"hubspot_cdc_commit_seconds", nil, 2},
			{"hubspot_cdc_unparsed_values_total", []string{"contacts"}, 2},
			{"hubspot_cdc_omitted_values_total", []string{"contacts"}, 0},
		} {
			if got := w.counter(c.name, c.labels...); got != c.want {
				t.Errorf("%s%v = %v, want %v", c.name, c.labels, got, c.want)
			}
		}
	})
}

// docs/contract.md section 5: an event that is larger than the topic allows
// leaves out its largest values and names them in source.omitted. A metric counts
// them.
func TestTooLarge_LargestValuesAreLeftOutAndNamed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const limit = 64 << 10
		r := w.start(func(c *Config) { c.MaxMessageBytes = limit })
		sized := func(email, notes, phone int) *hubspot.Record {
			return record(1, map[string]string{"email": strings.Repeat("e", email), "notes": strings.Repeat("n", notes), "phone": strings.Repeat("p", phone)})
		}
		for name, c := range map[string]struct {
			record *hubspot.Record
			want   []string
		}{
			"fits":      {sized(10, limit-2000, 10), nil},
			"one":       {sized(10, 2*limit, 10), []string{"notes"}},
			"unparsed":  {record(1, map[string]string{"notes": strings.Repeat("n", limit*2/3) + "\x00", "email": "e"}), []string{"notes"}},
			"largest":   {sized(limit/2, limit*3/4, limit/3), []string{"notes"}},
			"two":       {sized(limit*2, limit*3, 10), []string{"notes", "email"}},
			"all":       {sized(limit*2, limit*3, limit*4), []string{"phone", "notes", "email"}},
			"just fits": {sized(0, limit-batchOverhead-200, 0), nil},
		} {
			ch := change(cdc.Update, 1, "")
			ch.Event.Record = c.record
			before := w.counter("hubspot_cdc_omitted_values_total", "contacts")
			r.mustCommit(batch(ch))
			events := w.events(contacts)
			last := events[len(events)-1]
			var got []string
			if list, ok := last.all["source"].(map[string]any)["omitted"].([]any); ok {
				for _, v := range list {
					got = append(got, v.(string))
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: omitted %q, want %q", name, got, c.want)
			}
			values := last.all["after"].(map[string]any)["properties"].(map[string]any)
			for _, property := range got {
				if values[property] != nil {
					t.Errorf("%s: %s is written and yet omitted", name, property)
				}
			}
			if counted := w.counter("hubspot_cdc_omitted_values_total", "contacts") - before; int(counted) != len(c.want) {
				t.Errorf("%s: %v counted", name, counted)
			}
		}
	})
}

// TestTransactionalID_IsFrozen: a new version of the program fences the old one
// by it.
func TestTransactionalID_IsFrozen(t *testing.T) {
	if got := TransactionalID("hubspot", 4242); got != "hubspot.4242" {
		t.Errorf("transactional id %q", got)
	}
}
