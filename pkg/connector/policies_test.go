package connector_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestClustersThatRefuse: a cluster may refuse any one and any two of the
// settings that the connector wants, all but those of MSK Serverless, and to
// create, alter or describe topics that are there. The connector is ready within
// 30 s, publishes everything, and logs each refusal once, in the broker's words.
// The next start does the same and does not try again what the first has settled
// (docs/contract.md sections 4 and 9).
func TestClustersThatRefuse(t *testing.T) {
	t.Parallel()
	wanted := []string{"delete.retention.ms", "max.message.bytes", "min.compaction.lag.ms", "retention.ms", "segment.bytes", "segment.ms"}
	type cluster struct {
		policy testkit.Policy
		made   bool // the topics were there before
	}
	clusters := map[string]*cluster{
		// It allows cleanup.policy, compression.type, max.message.bytes,
		// message.timestamp.difference.max.ms, message.timestamp.type,
		// retention.bytes and retention.ms.
		"as MSK Serverless":       {policy: testkit.Policy{Settings: []string{"delete.retention.ms", "min.compaction.lag.ms", "segment.bytes", "segment.ms"}}},
		"all":                     {policy: testkit.Policy{Settings: wanted}},
		"all, as INVALID_CONFIG":  {policy: testkit.Policy{Settings: wanted, As: kerr.InvalidConfig}},
		"all, as INVALID_REQUEST": {policy: testkit.Policy{Settings: wanted, As: kerr.InvalidRequest}},
		"all, and to alter":       {policy: testkit.Policy{Settings: wanted, NoAlter: true}},
		"to create":               {policy: testkit.Policy{NoCreate: true}, made: true},
		"to alter":                {policy: testkit.Policy{NoAlter: true}, made: true},
		"to describe":             {policy: testkit.Policy{NoDescribe: true}},
		"to do anything":          {policy: testkit.Policy{NoCreate: true, NoAlter: true, NoDescribe: true}, made: true},
	}
	for i, one := range wanted {
		clusters[one] = &cluster{policy: testkit.Policy{Settings: []string{one}}}
		for _, two := range wanted[i+1:] {
			clusters[one+" "+two] = &cluster{policy: testkit.Policy{Settings: []string{one, two}}}
		}
	}
	for name, c := range clusters {
		t.Run(name, func(t *testing.T) {
			if n := len(c.policy.Settings); n == 1 || n == 2 || slices.Contains([]string{"all", "all, as INVALID_CONFIG", "to create", "to alter"}, name) {
				long(t)
			}
			env := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=none"}
			inWorld(t, hubspottest.Options{Seed: 31}, env, func(w *world) {
				if c.made {
					w.makeTopics()
				}
				policy := &c.policy
				w.Kafka.Enforce(policy)
				w.Portal.Seed("contacts", 120)
				w.Portal.Seed("companies", 30)
				var settled int64
				for _, start := range []string{"first", "second"} {
					p := w.start()
					if took := w.SleepUntil(time.Minute, func() bool { return p.ready().Ready }); took > 30*time.Second {
						t.Errorf("%s start: ready after %v", start, took)
					}
					w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts", "companies") })
					id := w.Portal.Create("contacts", map[string]string{"firstname": "Ada"})
					w.ReadUntil(time.Minute, func() bool { return w.FirstName(id) != nil })
					p.Stop()
					for _, key := range wanted {
						want := 0
						if slices.Contains(policy.Settings, key) {
							want = 1
						}
						if policy.NoAlter && want == 1 && start == "first" { // then the answer is about altering
							if n := p.Log.Count(" " + key + "="); n != 1 {
								t.Errorf("%s start: %s logged %d times", start, key, n)
							}
							continue
						}
						if n := p.Log.Count(policy.Message(key)); n > want || n < want && start == "first" { // a default may serve as well
							t.Errorf("%s start: refusal of %s logged %d times, want %d", start, key, n, want)
						}
					}
					if n := p.Log.Count("do not tell this user the settings"); policy.NoDescribe != (n == 1) || n > 1 {
						t.Errorf("%s start: logged %d times that settings cannot be read", start, n)
					}
					if p.Log.Has("keeps them") && !policy.NoAlter && !c.made {
						t.Errorf("%s start: the log says to set what the cluster refuses", start)
					}
					if strings.Contains(p.Log.String(), "the run ended") {
						t.Errorf("%s start: a run failed", start)
					}
					tries := policy.Creates.Load() + policy.Alters.Load()
					if start == "second" && tries != settled {
						t.Errorf("the second start made %d requests to create or alter", tries-settled)
					}
					settled = tries
				}
				w.Check(nil, "contacts", "companies")
			})
		})
	}
}

// TestMissingTopicsThatNobodyMayCreate: the log has the broker's message and the
// command. Once an administrator has created the topics, the same process goes
// on.
func TestMissingTopicsThatNobodyMayCreate(t *testing.T) {
	t.Parallel()
	env := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=none"}
	inWorld(t, hubspottest.Options{Seed: 32}, env, func(w *world) {
		policy := &testkit.Policy{NoCreate: true}
		w.Kafka.Enforce(policy)
		w.Portal.Seed("contacts", 10)
		p := w.start()
		time.Sleep(3 * time.Minute)
		for _, text := range []string{testkit.ForbiddenMessage, "have it created: kafka-topics --bootstrap-server ", " --create --topic hubspot.offsets --partitions 1 --config cleanup.policy=compact"} {
			if n := p.Log.Count(text); n != 1 {
				t.Errorf("%q is in the log %d times, want once", text, n)
			}
		}
		policy.Off.Store(true)
		w.makeTopics()
		policy.Off.Store(false)
		w.SleepUntil(3*time.Minute, func() bool { return p.Backfilled("contacts") })
		p.Stop()
	})
}

// makeTopics creates the topics as an administrator does, by the connector's own
// settings of cleanup.policy.
func (w *world) makeTopics() {
	w.T.Helper()
	cl := w.Kafka.Client()
	defer cl.Close()
	policies := map[string]string{"signals": "delete", "notifications": "delete"}
	for _, name := range []string{"offsets", "state", "signals", "notifications", "frontiers", "contacts", "companies", "owners", "pipelines", "pipeline_stages"} {
		partitions := int32(3)
		if slices.Contains([]string{"offsets", "state", "signals", "notifications", "frontiers"}, name) {
			partitions = 1
		}
		policy, ok := policies[name]
		if !ok {
			policy = "compact"
		}
		if _, err := kadm.NewClient(cl).CreateTopic(w.T.Context(), partitions, 1, map[string]*string{"cleanup.policy": &policy}, "hubspot."+name); err != nil {
			w.T.Fatal(fmt.Errorf("%s: %w", name, err))
		}
	}
}
