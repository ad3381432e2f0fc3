package connector_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// setPolicy changes a topic's cleanup.policy.
func (w *world) setPolicy(topic, policy string) {
	w.T.Helper()
	answers, err := w.Kafka.Admin().AlterTopicConfigs(w.T.Context(), []kadm.AlterConfig{{Name: "cleanup.policy", Value: &policy}}, topic)
	if err != nil || answers[0].Err != nil {
		w.T.Fatal(err, answers)
	}
}

// TestR20_RecordsDeletedFromTheFront: kafka-delete-records takes away keys for good,
// so everything is published again. Compaction and retention take away what they
// should, so nothing is.
func TestR20_RecordsDeletedFromTheFront(t *testing.T) {
	long(t)
	t.Parallel()
	deleteRecords := func(w *world) {
		ends, err := w.Kafka.Admin().ListEndOffsets(w.T.Context(), contactsTopic)
		if err != nil {
			w.T.Fatal(err)
		}
		to := kadm.Offsets{}
		ends.Each(func(o kadm.ListedOffset) { to.AddOffset(contactsTopic, o.Partition, o.Offset/2, -1) })
		if _, err := w.Kafka.Admin().DeleteRecords(w.T.Context(), to); err != nil {
			w.T.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		befalls func(*world)
		again   bool
	}{
		"kafka-delete-records": {deleteRecords, true},
		"compaction":           {func(w *world) { w.Kafka.Compact() }, false},
		"retention": {func(w *world) {
			w.setPolicy(contactsTopic, "compact,delete")
			deleteRecords(w)
		}, false},
	} {
		for _, running := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, running %v", name, running), func(t *testing.T) {
				t.Parallel()
				inWorld(t, hubspottest.Options{Seed: 25, Types: []string{"contacts", "companies", "deals"}}, published, func(w *world) {
					contacts, _ := w.peopled(30)
					p := w.start()
					time.Sleep(6 * time.Minute)
					for _, id := range contacts[:5] {
						w.Portal.Update("contacts", id, map[string]string{"firstname": "Twice"})
					}
					w.Portal.Archive("contacts", contacts[29])
					time.Sleep(6 * time.Minute)
					if !running {
						p.Stop()
					}
					c.befalls(w)
					before, records := w.keysOf(contactsTopic), len(w.Records(contactsTopic))
					if c.again && len(before) > 28 {
						t.Fatalf("%d keys are left, so the test shows nothing", len(before))
					}
					if !running {
						p = w.start()
					}
					time.Sleep(6 * time.Minute)
					if ready := p.ready(); !ready.Ready || len(ready.Problems) > 0 {
						t.Errorf("readyz %+v", ready)
					}
					p.Stop()
					if !c.again {
						if n := len(w.Records(contactsTopic)); n != records {
							t.Errorf("%d records were published again", n-records)
						}
						return
					}
					for key, n := range w.whole(contactsTopic) {
						if want := before[key] + 1; n != want {
							t.Errorf("%d events of %s, want %d", n, key, want)
						}
					}
				})
			})
		}
	}
}

// TestR20_ATopicCutWhileRunning: the brokers show a topic with a lower end than
// what was written, as after an unclean election. (The embedded broker cannot cut
// a topic: its answer is made smaller for a while.)
func TestR20_ATopicCutWhileRunning(t *testing.T) {
	long(t)
	t.Parallel()
	for _, topic := range kinds {
		t.Run(topic, func(t *testing.T) {
			t.Parallel()
			inWorld(t, hubspottest.Options{Seed: 26, Types: []string{"contacts", "companies", "deals"}}, published, func(w *world) {
				w.peopled(30)
				p := w.start()
				time.Sleep(6 * time.Minute)
				before := w.keysOf(topic)
				var cut atomic.Bool
				cut.Store(true)
				w.Kafka.ControlKey(int16(kmsg.ListOffsets), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
					w.Kafka.KeepControl()
					req := kreq.(*kmsg.ListOffsetsRequest)
					resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
					if !cut.Load() {
						return nil, nil, false
					}
					for _, asked := range req.Topics {
						one := kmsg.NewListOffsetsResponseTopic()
						one.Topic = asked.Topic
						for _, p := range asked.Partitions {
							part := kmsg.NewListOffsetsResponseTopicPartition()
							now := w.Kafka.PartitionInfo(asked.Topic, p.Partition)
							part.Partition, part.Offset, part.LeaderEpoch = p.Partition, now.HighWatermark, 0
							if p.Timestamp == -2 {
								part.Offset = now.LogStartOffset
							} else if asked.Topic == topic {
								part.Offset = 0
							}
							one.Partitions = append(one.Partitions, part)
						}
						resp.Topics = append(resp.Topics, one)
					}
					return resp, nil, true
				})
				w.SleepUntil(6*time.Minute, func() bool { return p.Log.Has("a data topic has lost what was published") })
				cut.Store(false)
				time.Sleep(6 * time.Minute)
				for key, n := range w.whole(topic) {
					if want := before[key] + 1; n != want {
						t.Errorf("%d events of %s, want %d", n, key, want)
					}
				}
				p.Stop()
			})
		})
	}
}

// TestR20_AKillInTheMiddle: however often the connector dies while it publishes a
// topic again, it goes on where it was, and each record is published again once.
func TestR20_AKillInTheMiddle(t *testing.T) {
	long(t)
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 27, Types: []string{"contacts", "companies", "deals"}}, published, func(w *world) {
		w.peopled(450)
		p := w.start()
		time.Sleep(3 * time.Minute)
		p.Stop()
		for _, topic := range kinds {
			loss{"made again, empty", 0, false}.befall(w, topic)
		}
		kills := 0
		for i := range 20 {
			p = w.start()
			w.SleepUntil(time.Minute, func() bool { return p.Log.Has("publishing everything again") || p.Log.Has("msg=streaming") })
			time.Sleep(time.Duration(i) * 25 * time.Millisecond)
			p.Kill()
			p.Brokers.Mend()
			if strings.Contains(fmt.Sprint(w.Cursors()), "republish") {
				kills++
			}
		}
		p = w.start()
		time.Sleep(3 * time.Minute)
		p.Stop()
		for _, topic := range kinds {
			for key, n := range w.whole(topic) {
				if n != 1 {
					t.Errorf("%s: %d events of %s", topic, n, key)
				}
			}
		}
		if kills < 4 {
			t.Errorf("only %d kills", kills)
		}
	})
}

// TestR20_ARecordThatFailsMeanwhile: what HubSpot fails to answer while a topic is
// published again (R18) follows when HubSpot answers, over a restart too.
func TestR20_ARecordThatFailsMeanwhile(t *testing.T) {
	long(t)
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 32, Types: []string{"contacts", "companies", "deals"}}, published, func(w *world) {
		contacts, _ := w.peopled(40)
		p := w.start()
		time.Sleep(3 * time.Minute)
		p.Stop()
		lost := []string{contactsTopic, linksTopic}
		for _, topic := range lost {
			loss{"made again, empty", 0, false}.befall(w, topic)
		}
		heal := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 500, IDs: contacts[7:9]})
		p = w.start()
		time.Sleep(6 * time.Minute)
		if n := len(w.keysOf(contactsTopic)); n != 38 {
			t.Errorf("%d records are published again, want 38", n)
		}
		if len(p.ready().Problems) == 0 {
			t.Error("no problem is shown")
		}
		p.Stop()
		p = w.start()
		time.Sleep(time.Minute)
		heal()
		time.Sleep(20 * time.Minute)
		if ready := p.ready(); !ready.Ready || len(ready.Problems) > 0 {
			t.Errorf("readyz %+v", ready)
		}
		p.Stop()
		for _, topic := range lost {
			for key, n := range w.whole(topic) {
				if n != 1 {
					t.Errorf("%s: %d events of %s", topic, n, key)
				}
			}
		}
	})
}

// TestR20_MirroredTopics: all topics copied to another cluster have other ids, and
// other offsets where the copies are compacted or begin elsewhere.
func TestR20_MirroredTopics(t *testing.T) {
	long(t)
	t.Parallel()
	for _, markers := range []bool{true, false} {
		t.Run(fmt.Sprintf("with the same offsets %v", markers), func(t *testing.T) {
			t.Parallel()
			inWorld(t, hubspottest.Options{Seed: 28, Types: []string{"contacts", "companies", "deals"}}, published, func(w *world) {
				contacts, owners := w.peopled(30)
				p := w.start()
				time.Sleep(6 * time.Minute)
				w.Portal.Archive("contacts", contacts[0])
				time.Sleep(6 * time.Minute)
				p.Stop()
				type copied struct {
					partitions int
					policy     *string
					records    []*kgo.Record
				}
				copies := map[string]copied{}
				for _, topic := range w.Topics() {
					listed, err := w.Kafka.Admin().ListEndOffsets(w.T.Context(), topic)
					if err != nil {
						t.Fatal(err)
					}
					c := copied{partitions: len(listed[topic]), policy: w.Kafka.TopicInfo(topic).Configs["cleanup.policy"]}
					next := map[int32]int64{}
					for _, r := range w.Records(topic) {
						for ; markers && next[r.Partition] < r.Offset; next[r.Partition]++ {
							c.records = append(c.records, &kgo.Record{Topic: topic, Partition: r.Partition, Key: []byte("marker")})
						}
						next[r.Partition]++
						c.records = append(c.records, &kgo.Record{Topic: topic, Partition: r.Partition, Key: r.Key, Value: r.Value})
					}
					if topic == "hubspot.state" || topic == "hubspot.offsets" { // a stranger's key refuses
						c.records = nil
						for _, r := range w.Records(topic) {
							c.records = append(c.records, &kgo.Record{Topic: topic, Key: r.Key, Value: r.Value})
						}
					}
					copies[topic] = c
				}
				w.Kafka.Replace()
				w.Config.Kafka.Brokers = w.Kafka.ListenAddrs()
				for topic, c := range copies {
					if _, err := w.Kafka.Admin().CreateTopic(w.T.Context(), int32(c.partitions), 1, map[string]*string{"cleanup.policy": c.policy}, topic); err != nil {
						t.Fatal(err)
					}
					w.Kafka.Produce(c.records...)
				}
				w.Portal.Archive("contacts", contacts[1])
				w.Portal.ArchiveOwner(owners[1])
				before := map[string]map[string]int{}
				for _, topic := range kinds {
					before[topic] = w.keysOf(topic)
				}
				p = w.start()
				time.Sleep(6 * time.Minute)
				p.Stop()
				for _, topic := range kinds {
					for key, n := range w.whole(topic) {
						if want := before[topic][key] + 1; n != want {
							t.Errorf("%s: %d events of %s, want %d", topic, n, key, want)
						}
					}
				}
			})
		})
	}
}

// TestR20_ThePoliciesOfTheInternalTopics are looked at while the connector runs
// too: what it remembers would be deleted. A cluster that does not tell them is no
// reason to stop.
func TestR20_ThePoliciesOfTheInternalTopics(t *testing.T) {
	long(t)
	t.Parallel()
	for _, topic := range []string{"hubspot.state", "hubspot.offsets"} {
		for _, policy := range []string{"delete", "compact,delete"} {
			for _, told := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s %s, told %v", topic, policy, told), func(t *testing.T) {
					inWorld(t, hubspottest.Options{Seed: 29, Types: []string{"contacts"}}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
						w.Kafka.Enforce(&testkit.Policy{NoDescribe: !told})
						w.Portal.Seed("contacts", 3)
						p := w.start()
						time.Sleep(6 * time.Minute)
						w.setPolicy(topic, policy)
						if !told {
							time.Sleep(6 * time.Minute)
							if ready := p.ready(); !ready.Ready {
								t.Errorf("readyz %+v", ready)
							}
							p.Stop()
							return
						}
						began := time.Now()
						err := <-p.Done
						if took := time.Since(began); connector.ExitCode(err) != connector.ExitRefused || took > 6*time.Minute ||
							!strings.Contains(err.Error(), "--alter --topic "+topic+" --add-config cleanup.policy=compact") {
							t.Errorf("after %v: %v", took, err)
						}
					})
				})
			}
		}
	}
}

// R17: a topic has lost its last record and gets again what it held. What is published
// takes it past the offsets of the frontier from before the loss. By then that frontier
// is taken back, however young it is.
func TestR17_NothingThatIsPublishedAgainReachesAnOldFrontier(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 20, Types: []string{"contacts"}, ListPage: 5, Latency: hubspottest.Span{Min: 900 * time.Millisecond, Max: time.Second}}
	settings := []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "KAFKA_PARTITIONS=1", "SYNC_TRAILING_LAG=1m", "FRONTIER_INTERVAL=1m"}
	inWorld(t, opt, settings, func(w *world) {
		ids := w.Portal.Seed("contacts", 40)
		p := w.start()
		w.ReadUntil(5*time.Minute, func() bool { return w.frontier(contactsTopic).Verified != nil })
		w.Portal.Update("contacts", ids[39], map[string]string{"firstname": "Ada"})
		updated := w.Portal.Now()
		w.ReadUntil(5*time.Minute, func() bool { return after(w.frontier(contactsTopic).Leading, updated) })
		p.Stop()
		kept := len(w.Records(contactsTopic)) - 1
		loss{"cut", kept, true}.befall(w, contactsTopic)
		old := w.frontier(contactsTopic).Offsets["0"]

		p = w.start()
		var end int64
		there := func() bool {
			records := w.Records(contactsTopic)
			end = records[len(records)-1].Offset + 1
			return slices.ContainsFunc(records[kept:], func(r *kgo.Record) bool { return string(r.Key) == idText(ids[39]) })
		}
		passed := false
		for ; !there() && w.Portal.Now().Sub(updated) < time.Hour; time.Sleep(100 * time.Millisecond) {
			if f := w.frontier(contactsTopic); after(f.Leading, updated) && end >= f.Offsets["0"] {
				t.Fatalf("a reader at offset %d lacks a change of %v; its frontier says leading %v from offset %d on", end, updated, f.Leading, f.Offsets["0"])
			}
			passed = passed || end >= old
		}
		if !passed {
			t.Error("the change was there before the topic was past the old frontier: this test shows nothing")
		}
		p.Stop()
	})
}

// TestR17_NothingIsSaidOfATopicThatIsGone: a topic was deleted. From the moment at which
// the connector finds that out, its frontier claims nothing, over a restart too, however
// long it takes until the topic can be written again. Then everything is published again
// and verified.
func TestR17_NothingIsSaidOfATopicThatIsGone(t *testing.T) {
	t.Parallel()
	notCreated := func(w *world) (allow func()) {
		policy := &testkit.Policy{NoCreate: true}
		w.Kafka.Enforce(policy)
		return func() { policy.Off.Store(true) }
	}
	schemaRefused := func(w *world) (allow func()) {
		accepting := w.Registry.Turn(nil)
		w.Registry.Turn(answering{accepting, contactsTopic + "-value", http.StatusConflict, `{"error_code":409,"message":"incompatible"}`})
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "points"})
		return func() { w.Registry.Turn(accepting) }
	}
	for name, c := range map[string]struct {
		topic  string
		hinder func(*world) (allow func())
	}{
		"a type's, that may not be created":      {contactsTopic, notCreated},
		"a type's, whose next schema is refused": {contactsTopic, schemaRefused},
		"a pair's, that may not be created":      {linksTopic, notCreated},
		"a list's, that may not be created":      {"hubspot.owners", notCreated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := append([]string{"SYNC_SCHEMA_INTERVAL=1m", "SYNC_RECONCILE_INTERVAL=2m", "FRONTIER_INTERVAL=1m"}, published...)
			inWorld(t, hubspottest.Options{Seed: 20, Types: []string{"contacts", "companies", "deals"}}, env, func(w *world) {
				w.peopled(12)
				p := w.start()
				w.ReadUntil(10*time.Minute, func() bool { return w.frontier(c.topic).Verified != nil })
				p.Stop()
				loss{keep: -1}.befall(w, c.topic)
				allow, said := c.hinder(w), len(w.frontiers(c.topic))
				for _, lasts := range []time.Duration{2 * time.Second, 10 * time.Minute, 10 * time.Minute} {
					p = w.start()
					time.Sleep(lasts)
					all := w.frontiers(c.topic)
					if len(all) == said {
						w.T.Fatalf("%v after the start nothing is taken back", lasts)
					}
					for _, f := range all[said:] {
						if f.Leading != nil || f.Complete != nil || f.Verified != nil {
							w.T.Fatalf("the topic is gone, and its frontier says %+v", f)
						}
					}
					if lasts > time.Minute && p.said("the run ended; the next one begins") > 0 {
						t.Error("the object does not wait alone")
					}
					p.Stop()
				}
				p = w.start()
				time.Sleep(5 * time.Minute)
				allow()
				allowed := w.Portal.Now()
				w.ReadUntil(20*time.Minute, func() bool { return after(w.frontier(c.topic).Verified, allowed) })
				w.whole(c.topic)
				p.Stop()
			})
		})
	}
}
