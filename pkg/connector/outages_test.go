package connector_test

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// outage is something that the connector depends on and that goes away.
type outage struct {
	name, area string
	cut, mend  func(*world, *process)
	cure       string // in action
}

// outages are the ways in which HubSpot, Kafka and the registry are seen to go
// away.
func outages() []outage {
	var original http.RoundTripper
	var heal, few func()
	fault := func(kind hubspottest.Fault) func(*world, *process) {
		return func(w *world, _ *process) { heal = w.Portal.Inject(kind) }
	}
	healed := func(*world, *process) { heal() }
	return []outage{
		{"HubSpot refuses connections", "hubspot", func(_ *world, p *process) { p.HubSpot.Cut() }, func(_ *world, p *process) { p.HubSpot.Mend() }, "HUBSPOT_BASE_URL"},
		{"HubSpot is down", "hubspot", fault(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 503}), healed, "status page"},
		{"HubSpot does not answer", "hubspot", fault(hubspottest.Fault{Kind: hubspottest.FaultSlow, Latency: time.Hour}), healed, "HUBSPOT_BASE_URL"},
		{"a proxy answers for HubSpot", "hubspot", fault(hubspottest.Fault{Kind: hubspottest.FaultHTML, Status: 200}), healed, "HTTPS_PROXY"},
		{"HubSpot refuses the token", "hubspot", fault(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 401}), healed, "HUBSPOT_ACCESS_TOKEN"},
		{"HubSpot's search is down", "hubspot", fault(hubspottest.Fault{Endpoint: hubspottest.EndpointSearch, Kind: hubspottest.FaultStatus, Status: 503}), healed, "status page"},
		{"the day's calls are spent", "hubspot", func(w *world, _ *process) { w.Portal.UseDaily(700_000) }, func(w *world, _ *process) { w.Portal.UseDaily(-700_000) }, "HUBSPOT_DAILY_RESERVE"},
		{"Kafka refuses connections", "kafka", func(w *world, _ *process) { w.Brokers.Cut() }, func(w *world, _ *process) { w.Brokers.Mend() }, "KAFKA_BROKERS"},
		{"the registry refuses connections", "registry", func(w *world, _ *process) { w.Registry.Cut() }, func(w *world, _ *process) { w.Registry.Mend() }, "SCHEMA_REGISTRY_URL"},
		{"Kafka has too few replicas", "kafka", func(w *world, _ *process) {
			few = refuseToProduce(w)
			w.Portal.Create("contacts", nil)
		}, func(*world, *process) { few() }, "min.insync.replicas"},
		{"something else answers for the registry", "registry", func(w *world, _ *process) { original = answerWith(w, 404) }, func(w *world, _ *process) { w.Registry.Turn(original) }, "path of SCHEMA_REGISTRY_URL"},
		{"the registry fails", "registry", func(w *world, _ *process) { original = answerWith(w, 503) }, func(w *world, _ *process) { w.Registry.Turn(original) }, "registry's log"},
	}
}

// TestOutages_AreNeverMute: while something that the connector depends on is away,
// at the start or later, /readyz names it within half a minute with cause, since
// and cure, the log says it at once, every five minutes and at the end, and the
// age of the streams goes on growing. What is away for a moment is no news.
func TestOutages_AreNeverMute(t *testing.T) {
	t.Parallel()
	for i := range outages() {
		for _, middle := range []bool{false, true} {
			o := outages()[i] // with a fault of its own
			name := o.name + " at the start"
			if middle {
				name = o.name + " later"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				if middle || i%3 != 0 {
					long(t)
				}
				inWorld(t, hubspottest.Options{Seed: 51}, []string{"HUBSPOT_OBJECTS=contacts,companies", "SYNC_LEADING_INTERVAL=1s"}, func(w *world) {
					w.Portal.Seed("contacts", 30)
					p := w.start()
					defer p.Stop()
					if middle {
						w.SleepUntil(time.Minute, p.streams)
						time.Sleep(2 * time.Minute)
					}
					before := figures(t, p)
					o.cut(w, p)
					began := time.Now()
					time.Sleep(30 * time.Second)
					first := p.explains(o)
					age := behind(t, p)
					for range 32 { // sixteen minutes
						time.Sleep(30 * time.Second)
						if now := p.explains(o); now.Since != first.Since {
							t.Fatalf("since was %v and is %v", first.Since, now.Since)
						}
						if now := behind(t, p); middle && o.stops() && now < age+29_000 {
							t.Fatalf("after %v the leading tier is %v ms behind, after %v", time.Since(began), now, age)
						} else {
							age = now
						}
						before = before.grew(t, figures(t, p))
					}
					if since := first.Since.Sub(began); since < 0 || since > 15*time.Second {
						t.Errorf("since %v after the beginning", since)
					}
					if n := p.Log.Count("the problem lasts; the connector keeps trying"); n < 2 || n > 3 {
						t.Errorf("%d repetitions in sixteen minutes, want three or two", n)
					}
					said := 0
					for line := range strings.Lines(p.Log.String()) {
						if _, cure, found := strings.Cut(line, "cure="); found && strings.Contains(cure, o.cure) {
							said++
						}
					}
					if said < 3 || said > 8 {
						t.Errorf("the log has the cure in %d lines of sixteen minutes", said)
					}
					o.mend(w, p)
					// A spent day is asked about again after a quarter of an hour at most.
					w.SleepUntil(16*time.Minute, func() bool { r := p.ready(); return r.Ready && len(r.Problems) == 0 })
					w.SleepUntil(4*time.Minute, func() bool { // the latest attempts have a minute and a half
						return p.Log.Has("the problem is over") || o.area == "hubspot" && p.Log.Has("HubSpot can be read again")
					})
					before.grew(t, figures(t, p))
				})
			})
		}
	}
}

// TestOutages_AHangIsLogged although it is over before any attempt has failed.
func TestOutages_AHangIsLogged(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 54}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=1s"}, func(w *world) {
		w.Portal.Seed("contacts", 5)
		p := w.start()
		defer p.Stop()
		w.SleepUntil(time.Minute, p.streams)
		heal := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultSlow, Latency: time.Minute})
		time.Sleep(10 * time.Second)
		if p.Log.Has("HubSpot does not answer") {
			t.Error("ten seconds without an answer are news")
		}
		time.Sleep(30 * time.Second)
		heal()
		w.SleepUntil(time.Minute, func() bool { return p.Log.Has("the problem is over") })
		if !p.Log.Has("HubSpot does not answer requests for changed records (search): no answer in time") || p.Log.Count("HubSpot does not answer") != 1 || p.Log.Has("cannot be read for now") || !p.Log.Has("lasted=") {
			t.Errorf("the log is\n%s", p.Log)
		}
	})
}

// refuseToProduce makes the brokers answer every produce request as those do that have
// too few replicas, until again is called.
func refuseToProduce(w *world) (again func()) {
	var takes atomic.Bool
	w.Kafka.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		w.Kafka.KeepControl()
		if takes.Load() {
			return nil, nil, false
		}
		req := r.(*kmsg.ProduceRequest)
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range req.Topics {
			refused := kmsg.NewProduceResponseTopic()
			refused.Topic, refused.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				one := kmsg.NewProduceResponseTopicPartition()
				one.Partition, one.ErrorCode = p.Partition, kerr.NotEnoughReplicas.Code
				refused.Partitions = append(refused.Partitions, one)
			}
			resp.Topics = append(resp.Topics, refused)
		}
		return resp, nil, true
	})
	return func() { takes.Store(true) }
}

// TestOutages_OneBrokerOfThree: the others answer, and nothing can be committed without
// the one that coordinates the transactions. The connector is not ready within half a minute, and says why until it has
// committed something.
func TestOutages_OneBrokerOfThree(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 48}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=5s", "KAFKA_PARTITIONS=1"}, func(w *world) {
		w.Kafka.Replace(kfake.NumBrokers(3), kfake.Ports(9092, 9093, 9094))
		w.Config.Kafka.Brokers = w.Kafka.ListenAddrs()
		var away atomic.Value
		away.Store("")
		w.Brokers = testkit.NewCable(func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == away.Load() {
				return nil, &net.OpError{Op: "dial", Net: network, Err: context.DeadlineExceeded}
			}
			return w.Kafka.Network.DialContext(ctx, network, address)
		})
		ids := w.Portal.Seed("contacts", 20)
		p := w.start()
		defer p.Stop()
		w.SleepUntil(time.Minute, p.streams)
		time.Sleep(3 * time.Minute)
		away.Store(w.Kafka.ListenAddrs()[w.Kafka.CoordinatorFor("hubspot.4242")])
		w.Brokers.Break()
		w.Portal.Update("contacts", ids[0], map[string]string{"firstname": "New"})
		began := time.Now()
		for time.Sleep(35 * time.Second); time.Since(began) < 10*time.Minute; time.Sleep(time.Second) {
			if r := p.ready(); r.Ready || !slices.ContainsFunc(r.Problems, func(p stream.Problem) bool {
				return p.Area == "kafka" && p.Action != "" && p.Since.After(began) && p.Since.Before(began.Add(10*time.Second))
			}) {
				w.T.Fatalf("after %v: %+v", time.Since(began), r)
			}
		}
		away.Store("")
		w.SleepUntil(3*time.Minute, func() bool { r := p.ready(); return r.Ready && len(r.Problems) == 0 })
		if w.FirstName(ids[0]) != "New" {
			w.T.Error("ready before the change was committed")
		}
	})
}

// explains gives the problem of /readyz that is about an outage, and checks that
// all of them say what they must.
func (p *process) explains(o outage) (found stream.Problem) {
	p.w.T.Helper()
	r := p.ready()
	for _, problem := range r.Problems {
		if problem.Area == "" || problem.Problem == "" || problem.Action == "" || problem.Runbook == "" || problem.Since.IsZero() || problem.Since.After(time.Now()) ||
			strings.Contains(problem.Action, "see the log") {
			p.w.T.Fatalf("a problem lacks something: %+v", problem)
		}
		if problem.Area == o.area && strings.Contains(problem.Action, o.cure) {
			found = problem
		}
	}
	if found.Area == "" {
		p.w.T.Fatalf("no problem of %s with %q: %+v", o.area, o.cure, r)
	}
	return found
}

// stops reports whether the leading tiers make no progress during an outage. The
// registry is asked for new schemas alone.
func (o outage) stops() bool { return o.area != "registry" }

// answerWith makes something else answer in the registry's place.
func answerWith(w *world, status int) (original http.RoundTripper) {
	return w.Registry.Turn(testkit.InProcess{Handler: http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		http.Error(answer, "nothing here", status)
	})})
}

// series are the metrics of a process, by name and labels.
type series map[string]float64

func figures(t *testing.T, p *process) series {
	t.Helper()
	out := series{}
	for line := range strings.Lines(p.Get("/metrics").Body.String()) {
		name, value, found := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseFloat(value, 64); found && err == nil {
			out[name] = n
		}
	}
	if _, there := out[`hubspot_cdc_commits_total{result="failed"}`]; !there {
		t.Error("the metrics lack failed commits")
	}
	return out
}

// grew checks that no counter has gone or fallen.
func (s series) grew(t *testing.T, now series) series {
	t.Helper()
	for name, n := range s {
		counter, _, _ := strings.Cut(name, "{")
		if later, there := now[name]; strings.HasSuffix(counter, "_total") && (!there || later < n) {
			t.Errorf("%s was %v and is %v (there: %v)", name, n, later, there)
		}
	}
	return now
}

// behind is how far the leading tier of contacts is behind, in milliseconds; 0:
// the series is not there.
func behind(t *testing.T, p *process) float64 {
	t.Helper()
	return figures(t, p)[`hubspot_cdc_milliseconds_behind_source{object="contacts",stream="leading"}`]
}

// TestReadyz_NotReadyHasAReason at any moment between the start and the first
// passes of the streams, and for a standby nothing is wrong.
func TestReadyz_NotReadyHasAReason(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 52, Latency: hubspottest.Span{Min: 300 * time.Millisecond, Max: 900 * time.Millisecond}}, []string{"HUBSPOT_OBJECTS=contacts,companies"}, func(w *world) {
		w.Portal.Seed("contacts", 500)
		seen := map[string]bool{}
		until := func(p *process, limit time.Duration, cond func() bool) {
			w.SleepUntil(limit, func() bool {
				r := p.ready()
				if !r.Ready && len(r.Problems) == 0 {
					t.Fatalf("not ready, and no reason: %+v", r)
				}
				for _, problem := range r.Problems {
					if problem.Since.IsZero() || problem.Since.After(time.Now()) || problem.Action == "" {
						t.Fatalf("%+v", problem)
					}
					seen[problem.Area+": "+problem.Problem] = true
				}
				return cond()
			})
		}
		first := w.start()
		until(first, time.Minute, first.streams)
		first.Kill()
		w.Brokers.Mend()
		second := w.start()
		until(second, time.Minute, second.streams)
		third := w.startBeside()
		until(third, time.Minute, third.standsBy)
		if r := third.ready(); !r.Ready || len(r.Problems) > 0 {
			t.Errorf("standby: %+v", r)
		}
		second.Kill()
		until(third, time.Minute, third.streams)
		third.Stop()
		if !third.Log.Has("connector stopped") {
			t.Error("the end is not in the log")
		}
		for _, step := range []string{"joins the group of instances", "asks HubSpot whose token it has", "reads the portal's schemas", "starts its streams (companies backfill, companies leading"} {
			found := false
			for text := range seen {
				found = found || strings.HasPrefix(text, "loading: not ready yet: the connector "+step)
			}
			if !found {
				t.Errorf("nothing says that the connector %s: %v", step, seen)
			}
		}
	})
}

// TestRegistry_NothingIsMadeBeforeItAnswers: no topic and no group, whoever else
// answers.
func TestRegistry_NothingIsMadeBeforeItAnswers(t *testing.T) {
	long(t)
	t.Parallel()
	for _, o := range outages() {
		if o.area != "registry" {
			continue
		}
		t.Run(o.name, func(t *testing.T) {
			inWorld(t, hubspottest.Options{Seed: 53}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
				o.cut(w, nil)
				p := w.start()
				defer p.Stop()
				time.Sleep(3 * time.Minute)
				if topics := w.Topics(); len(topics) > 0 {
					t.Errorf("topics %v", topics)
				}
				groups, err := w.Kafka.Admin().ListGroups(w.T.Context())
				if err != nil || len(groups) > 0 {
					t.Errorf("groups %v, %v", groups.Groups(), err)
				}
				o.mend(w, p)
				w.SleepUntil(2*time.Minute, p.streams)
				o.cut(w, p)
				w.Portal.AddProperty("contacts", hubspottest.Property{Name: "new_one", Label: "New"})
				time.Sleep(20 * time.Minute) // runs end at the new schema
				if n := p.Log.Count("state loaded"); n != 1 {
					t.Errorf("the state was loaded %d times", n)
				}
				o.mend(w, p)
				w.SleepUntil(6*time.Minute, p.streams) // at the next look at the portal's schemas
				if n := p.Log.Count("state loaded"); n > 2 {
					t.Errorf("the state was loaded %d times", n)
				}
			})
		})
	}
}
