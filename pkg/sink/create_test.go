package sink

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// wanted are all settings but the needed one, in order.
var wanted = []string{"delete.retention.ms", "max.message.bytes", "min.compaction.lag.ms", "retention.ms", "segment.bytes", "segment.ms"}

// settings describes a topic.
func (w *world) settings(topic string) map[string]string {
	w.Helper()
	described, err := w.Admin().DescribeTopicConfigs(w.Context(), topic)
	if err != nil {
		w.Fatal(err)
	}
	got := map[string]string{}
	for _, c := range described[0].Configs {
		got[c.Key] = c.MaybeValue()
	}
	return got
}

// refusals lists any one, any two and all of the wanted settings.
func refusals() [][]string {
	all := [][]string{wanted}
	for i, one := range wanted {
		all = append(all, []string{one})
		for _, two := range wanted[i+1:] {
			all = append(all, []string{one, two})
		}
	}
	return all
}

// TestCreate_WithoutWhatTheClusterRefuses: whichever wanted settings a cluster
// refuses, the topics have all the others, events are published, and each
// refusal is logged once with the broker's words and what follows. The next run
// changes nothing and does not repeat them (docs/contract.md section 4).
func TestCreate_WithoutWhatTheClusterRefuses(t *testing.T) {
	answers := []*kerr.Error{kerr.PolicyViolation, kerr.InvalidConfig, kerr.InvalidRequest}
	for i, refused := range refusals() {
		as := answers[i%len(answers)]
		t.Run(fmt.Sprint(as.Message, refused), func(t *testing.T) {
			if len(refused) == 2 && testing.Short() {
				t.Skip("too long for -short")
			}
			inWorld(t, func(t *testing.T, w *world) {
				policy := &testkit.Policy{Settings: refused, As: as}
				w.Enforce(policy)
				var warned Warned
				again := func(c *Config) { c.Warned = &warned }
				r := w.start(again)
				r.mustCommit(batch(change(cdc.Read, 1, "a")))
				r.stop()
				if got := inOrder(w.events(contacts)); !slices.Equal(got, []string{"1 r a"}) {
					t.Errorf("events %v", got)
				}
				for topic, want := range map[string]map[string]string{
					"hubspot.state": {"cleanup.policy": "compact", "delete.retention.ms": "604800000", "max.message.bytes": "8388608", "retention.ms": "-1", "segment.bytes": "67108864", "segment.ms": "600000"},
					contacts:        {"cleanup.policy": "compact", "delete.retention.ms": "604800000", "max.message.bytes": "8388608", "min.compaction.lag.ms": "604800000", "retention.ms": "-1"},
				} {
					got := w.settings(topic)
					for key, value := range want {
						if has := got[key] == value; has == slices.Contains(refused, key) {
							t.Errorf("%s: %s = %q", topic, key, got[key])
						}
					}
				}
				said := func(processes int) { // each says it once, if the default serves less
					t.Helper()
					for _, key := range wanted {
						want := 0
						if slices.Contains(refused, key) {
							want = 1
						}
						if n := w.log.Count(policy.Message(key)); n < want || n > want*processes {
							t.Errorf("%s: logged %d times by %d processes, want %d each", key, n, processes, want)
						}
						if want == 1 && !w.log.Has(without[key]) {
							t.Errorf("%s: the log does not say what follows", key)
						}
					}
				}
				said(1)
				creates, alters := policy.Creates.Load(), policy.Alters.Load()
				w.start(again).stop()
				said(1)
				w.start().stop() // another process
				said(2)
				if w.log.Has("keeps them") {
					t.Error("the log says to set what the cluster refuses")
				}
				if c, a := policy.Creates.Load()-creates, policy.Alters.Load()-alters; c != 0 || a != 0 {
					t.Errorf("later runs made %d requests to create and %d to alter", c, a)
				}
			})
		})
	}
}

// TestCreate_TheClustersLimitCounts: where max.message.bytes stays at the
// cluster's default, a larger event leaves out its largest values.
func TestCreate_TheClustersLimitCounts(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Enforce(&testkit.Policy{Settings: []string{"max.message.bytes"}})
		r := w.start()
		r.mustCommit(batch(change(cdc.Read, 1, strings.Repeat("a", 2<<20)), change(cdc.Read, 2, "b")))
		if got := inOrder(w.events(contacts)); !slices.Equal(got, []string{"1 r", "2 r b"}) {
			t.Errorf("events %v", got)
		}
	})
}

// TestCreate_WithoutAlter: a cluster that takes no alteration, or does not know
// the request, leaves the topic with the needed setting alone.
func TestCreate_WithoutAlter(t *testing.T) {
	old := kversion.Stable()
	old.SetMaxKeyVersion(int16(kmsg.IncrementalAlterConfigs), -1)
	for name, opts := range map[string][]kfake.Opt{"forbidden": nil, "unknown": {kfake.MaxVersions(old)}} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.Replace(opts...)
				w.Enforce(&testkit.Policy{Settings: []string{"segment.ms", "min.compaction.lag.ms"}, NoAlter: true})
				r := w.start()
				r.mustCommit(batch(change(cdc.Read, 1, "a")))
				if n := w.log.Count(refusedSetting); n != 6 {
					t.Errorf("%d warnings, want one for each setting", n)
				}
				if name == "forbidden" && !w.log.Has(testkit.ForbiddenMessage) {
					t.Error("the log lacks the broker's message")
				}
				if got := w.settings("hubspot.state")["cleanup.policy"]; got != "compact" {
					t.Errorf("cleanup.policy=%s", got)
				}
			})
		})
	}
}

// TestCreate_RefusesWithoutTheNeededSetting: a cluster that creates topics, but
// not with cleanup.policy, is an operator's to decide about.
func TestCreate_RefusesWithoutTheNeededSetting(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		policy := &testkit.Policy{Settings: []string{"cleanup.policy"}}
		w.Enforce(policy)
		_, err := w.open()
		mustRefuse(t, err, "cleanup.policy=compact", "hubspot.offsets", policy.Message("cleanup.policy"), "kafka-topics ")
	})
}

// TestCreate_Forbidden: a missing topic that may not be created is an error with
// the broker's message and the command. Once somebody has run it, the connector
// uses the topic.
func TestCreate_Forbidden(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Enforce(&testkit.Policy{NoCreate: true})
		_, err := w.open(func(c *Config) {
			c.Replication, c.Tools = 1, "--bootstrap-server kafka:9092 --command-config client.properties"
		})
		missing, ok := errors.AsType[*MissingTopicError](err)
		if !ok || !errors.Is(err, kerr.TopicAuthorizationFailed) || !strings.Contains(err.Error(), testkit.ForbiddenMessage) {
			t.Fatalf("err = %v", err)
		}
		want := "kafka-topics --bootstrap-server kafka:9092 --command-config client.properties --create --topic hubspot.offsets --partitions 1 --replication-factor 1" +
			" --config cleanup.policy=compact --config delete.retention.ms=604800000 --config max.message.bytes=8388608" +
			" --config retention.ms=-1 --config segment.bytes=67108864 --config segment.ms=600000"
		if missing.Command != want {
			t.Errorf("command\n%s, want\n%s", missing.Command, want)
		}
	})
	inWorld(t, func(t *testing.T, w *world) {
		for topic, n := range map[string]int32{"hubspot.offsets": 1, "hubspot.state": 1, contacts: 3} {
			w.create(topic, n, map[string]string{"cleanup.policy": "compact"})
		}
		policy := &testkit.Policy{NoCreate: true, NoAlter: true}
		w.Enforce(policy)
		r := w.start()
		r.mustCommit(batch(change(cdc.Read, 1, "a")))
		if n := policy.Creates.Load() + policy.Alters.Load(); n != 0 {
			t.Errorf("%d requests to create or alter", n)
		}
	})
}

// TestCreate_WaitsForBrokersThatLagBehindTheController: a cluster under load has
// created a topic long before its brokers know it. To end the run would make the load
// heavier; only after ten minutes it ends, and says what happened.
func TestCreate_WaitsForBrokersThatLagBehindTheController(t *testing.T) {
	for _, lag := range []time.Duration{3 * time.Minute, time.Hour} {
		inWorld(t, func(t *testing.T, w *world) {
			r := w.mustOpen()
			known := time.Now().Add(lag)
			w.ControlKey(int16(kmsg.Metadata), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
				w.KeepControl()
				req := kreq.(*kmsg.MetadataRequest)
				if len(req.Topics) != 1 || deref(req.Topics[0].Topic) != contacts || time.Now().After(known) {
					return nil, nil, false
				}
				resp := req.ResponseKind().(*kmsg.MetadataResponse)
				one := kmsg.NewMetadataResponseTopic()
				one.Topic, one.ErrorCode = kmsg.StringPtr(contacts), kerr.UnknownTopicOrPartition.Code
				resp.Topics = append(resp.Topics, one)
				return resp, nil, true
			})
			began := time.Now()
			err := r.Topic(t.Context(), "contacts", contactSet)
			unseen, late := errors.AsType[*UnseenTopicError](err)
			switch took := time.Since(began); {
			case late != (lag > lagPatience), !late && (err != nil || took < lag || took > lag+time.Minute):
				t.Errorf("the brokers lag %v: %v after %v", lag, err, took)
			case late && (unseen.Topic != contacts || unseen.Waited < lagPatience || unseen.Waited > lagPatience+time.Minute):
				t.Errorf("the brokers lag %v: %v", lag, err)
			}
		})
	}
}

// TestDescribe_ASessionThatEndsIsNoRefusal: an answer about the session, which
// Apache Kafka gives where it ends while a request is on its way, ends the run.
// The next one reads the settings.
func TestDescribe_ASessionThatEndsIsNoRefusal(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		policy := &testkit.Policy{NoDescribe: true, As: kerr.IllegalSaslState}
		w.Enforce(policy)
		s, err := Open(t.Context(), w.config())
		if !errors.Is(err, kerr.IllegalSaslState) {
			t.Errorf("err = %v", err)
		}
		if s != nil {
			s.Close()
		}
		policy.Off.Store(true)
		w.start().stop()
		if w.log.Has(unreadSettings) {
			t.Error("the log says that the brokers do not tell this user the settings")
		}
	})
}

// TestDescribe_Refused: without DescribeConfigs the connector starts, says once
// what it cannot check, and keeps events below Kafka's default limit.
func TestDescribe_Refused(t *testing.T) {
	old := kversion.Stable()
	old.SetMaxKeyVersion(int16(kmsg.DescribeConfigs), -1)
	for name, opts := range map[string][]kfake.Opt{"forbidden": nil, "unknown": {kfake.MaxVersions(old)}} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.Replace(opts...)
				w.create("hubspot.offsets", 1, map[string]string{"cleanup.policy": "delete"}) // nobody can know
				w.create(contacts, 3, map[string]string{"cleanup.policy": "compact"})
				w.Enforce(&testkit.Policy{NoDescribe: true})
				var warned Warned
				for id := range hubspot.ID(2) {
					r := w.start(func(c *Config) { c.Warned = &warned })
					r.mustCommit(batch(change(cdc.Read, id, strings.Repeat("a", 2<<20))))
					r.stop()
				}
				if got := inOrder(w.events(contacts)); !slices.Equal(got, []string{"0 r", "1 r"}) {
					t.Errorf("events %v", got)
				}
				if n := w.log.Count(unreadSettings); n != 1 {
					t.Errorf("logged %d times", n)
				}
				if name == "forbidden" && !w.log.Has(testkit.ForbiddenMessage) {
					t.Error("the log lacks the broker's message")
				}
			})
		})
	}
}
