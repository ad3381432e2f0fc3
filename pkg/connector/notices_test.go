package connector_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// noticed gives what the topic of the notifications holds, without what differs each
// time.
func (w *world) noticed() []string {
	w.T.Helper()
	var out []string
	for _, n := range w.notices() {
		text := n.Aggregate + " " + n.Type
		for _, key := range slices.Sorted(maps.Keys(n.Data)) {
			if !slices.Contains([]string{"connector_name", "host", "pid", "since", "action", "runbook"}, key) {
				text += fmt.Sprintf(" %s=%s", key, n.Data[key])
			}
		}
		out = append(out, text)
	}
	return out
}

// noticedOf are the notices about one thing.
func (w *world) noticedOf(aggregate string) []string {
	w.T.Helper()
	return slices.DeleteFunc(w.noticed(), func(text string) bool { return !strings.HasPrefix(text, aggregate) })
}

func (w *world) notices() []stream.Notice {
	w.T.Helper()
	var out []stream.Notice
	for _, r := range w.Records("hubspot.notifications") {
		var n stream.Notice
		if err := json.Unmarshal(r.Value, &n); err != nil {
			w.T.Fatal(err)
		}
		if want := fmt.Sprintf(`{"id":%q}`, n.ID); string(r.Key) != want || n.Data["connector_name"] != "hubspot" {
			w.T.Errorf("the record %s %s, want the key %s and the connector's name", r.Key, r.Value, want)
		}
		if at := time.UnixMilli(n.Timestamp); time.Until(at).Abs() > 365*24*time.Hour {
			w.T.Errorf("%s is of %v", r.Value, at)
		}
		out = append(out, n)
	}
	return out
}

func (w *world) wantTold(got []string, want ...string) {
	w.T.Helper()
	if !slices.Equal(got, want) {
		w.T.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const oneType = "HUBSPOT_OBJECTS=contacts"

// TestNotifications_ABackfill: its begin and its end are told once, whatever its
// length, and not again by the next start (docs/contract.md section 8).
func TestNotifications_ABackfill(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 41}, []string{oneType, "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		w.Portal.Seed("contacts", 30)
		p := w.start()
		w.synced(p)
		time.Sleep(10 * time.Second)
		want := []string{
			"Initial Snapshot STARTED data_collections=contacts",
			"Initial Snapshot COMPLETED data_collections=contacts total_rows_scanned=30",
		}
		of := func() []string {
			return slices.DeleteFunc(w.noticedOf(stream.InitialSnapshot), func(text string) bool { return !strings.Contains(text, "=contacts") })
		}
		w.wantTold(of(), want...)
		p.Stop()
		p = w.start()
		time.Sleep(5 * time.Minute)
		w.wantTold(of(), want...)
		w.wantTold(w.noticedOf(stream.NoticeInstance), "Instance OWNER version=test", "Instance OWNER version=test")
		p.Stop()
		if got := w.noticedOf(stream.NoticeProblem); len(got) > 0 {
			t.Errorf("problems were told: %q", got)
		}
	})
}

// TestNotifications_AnAbortedBackfill: a backfill is aborted when its type is not
// followed any more, and not while HubSpot does not answer about it after a restart.
func TestNotifications_AnAbortedBackfill(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 49, Latency: hubspottest.Span{Min: 3 * time.Second, Max: 3 * time.Second}}
	inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies"}, func(w *world) {
		w.Portal.Seed("contacts", 6000)
		p := w.start()
		time.Sleep(25 * time.Second)
		p.Stop()
		want := []string{"Initial Snapshot STARTED data_collections=contacts", "Initial Snapshot STARTED data_collections=contacts:companies"}
		of := func() []string {
			return slices.DeleteFunc(w.noticedOf(stream.InitialSnapshot), func(text string) bool { return !strings.Contains(text, "=contacts") })
		}
		for _, object := range []string{"contacts", ""} { // its properties alone, and those of all types
			w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 503, Endpoint: hubspottest.EndpointProperties, Object: object})
			p = w.start()
			time.Sleep(5 * time.Minute)
			w.wantTold(of(), want...)
			p.Stop()
		}
		w.Portal.ClearFaults()
		w.Set("HUBSPOT_OBJECTS=companies", "HUBSPOT_ASSOCIATIONS=none")
		p = w.start()
		time.Sleep(5 * time.Minute)
		w.wantTold(of(), append(want, "Initial Snapshot ABORTED data_collections=contacts", "Initial Snapshot ABORTED data_collections=contacts:companies")...)
		p.Stop()
	})
}

// TestNotifications_OwnerAndStandby: each instance tells what it is when that
// changes, and the one that takes over goes on where the topic ends.
func TestNotifications_OwnerAndStandby(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 42}, []string{oneType, "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		w.Portal.Seed("contacts", 5)
		first := w.start()
		w.synced(first)
		second := w.startBeside()
		w.SleepUntil(time.Minute, func() bool { return second.ready().Role == "standby" })
		time.Sleep(5 * time.Second)
		want := []string{"Instance OWNER version=test", "Instance STANDBY version=test"}
		w.wantTold(w.noticedOf(stream.NoticeInstance), want...)
		first.Kill()
		w.SleepUntil(time.Minute, func() bool { return second.ready().Role == "owner" })
		time.Sleep(5 * time.Minute)
		w.wantTold(w.noticedOf(stream.NoticeInstance), append(want, want[0])...)
		if got := w.noticedOf(stream.InitialSnapshot); len(got)%2 != 0 || len(slices.Compact(slices.Sorted(slices.Values(got)))) != len(got) {
			t.Errorf("told %q", got)
		}
		second.Stop()
	})
}

// TestNotifications_WithoutTheTopic: where nobody may create it, everything else
// goes on, and the log says so once. When it is there, the notices that waited are
// written.
func TestNotifications_WithoutTheTopic(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 43}, []string{oneType, "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		w.makeTopics()
		adm := w.Kafka.Admin()
		if _, err := adm.DeleteTopics(w.T.Context(), "hubspot.notifications"); err != nil {
			t.Fatal(err)
		}
		rule := &testkit.Policy{NoCreate: true}
		w.Kafka.Enforce(rule)
		w.Portal.Seed("contacts", 5)
		p := w.start()
		w.synced(p)
		time.Sleep(10 * time.Minute)
		if r := p.ready(); !r.Ready || len(r.Problems) > 0 {
			t.Errorf("not ready: %+v", r)
		}
		if n := w.says("notifications cannot be written", "--create --topic hubspot.notifications"); n != 1 {
			t.Errorf("%d lines of the log say that there are no notifications, want one", n)
		}
		rule.Off.Store(true)
		policy := "delete"
		if _, err := adm.CreateTopic(w.T.Context(), 1, 1, map[string]*string{"cleanup.policy": &policy}, "hubspot.notifications"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		w.wantTold(w.noticedOf(stream.NoticeInstance), "Instance OWNER version=test")
		if got := w.noticedOf(stream.InitialSnapshot); !slices.Contains(got, "Initial Snapshot COMPLETED data_collections=contacts total_rows_scanned=5") {
			t.Errorf("told %q", got)
		}
		if n := w.says("notifications are written again"); n != 1 {
			t.Errorf("%d lines of the log say that there are notifications again, want one", n)
		}
		p.Stop()
	})
}

// TestNotifications_AProblem is told when it has lasted for some seconds, with what
// to do, and its end too, also by the process that comes after. One that comes and
// goes is no news.
func TestNotifications_AProblem(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 44}, []string{oneType, "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		w.Portal.Seed("contacts", 5)
		p := w.start()
		w.synced(p)
		time.Sleep(time.Minute)
		w.Portal.SetScopes("crm.objects.companies.read")
		time.Sleep(5 * time.Minute)
		raised := slices.DeleteFunc(w.noticedOf(stream.NoticeProblem), func(text string) bool { return !strings.Contains(text, "stream=leading") })
		if len(raised) != 1 || !strings.HasPrefix(raised[0], "Problem RAISED area=stream object=contacts problem=") {
			t.Errorf("told %q", raised)
		}
		for _, n := range w.notices() {
			if n.Aggregate == stream.NoticeProblem && (!strings.Contains(n.Data["action"], "scope") || n.Data["since"] == "") {
				t.Errorf("a problem without what to do about it: %v", n.Data)
			}
		}
		p.Kill()
		w.Brokers.Mend()
		w.Portal.SetScopes("crm.objects.contacts.read", "crm.schemas.contacts.read", "crm.objects.owners.read")
		p = w.start()
		time.Sleep(5 * time.Minute)
		w.wantClear()
		told := len(w.notices())
		p.Brokers.Cut()
		time.Sleep(time.Second)
		p.Brokers.Mend()
		time.Sleep(5 * time.Minute)
		if now := w.noticed(); len(now) != told {
			t.Errorf("a short interruption was told: %q", now[told:])
		}
		p.Stop()
	})
}

// wantClear fails unless every problem that was told is over.
func (w *world) wantClear() {
	w.T.Helper()
	open := map[string]int{}
	for _, text := range w.noticedOf(stream.NoticeProblem) {
		_, is, _ := strings.Cut(text, "ED area")
		if strings.HasPrefix(text, "Problem RAISED") {
			open[is]++
		} else {
			open[is]--
		}
	}
	if len(open) == 0 {
		w.T.Error("no problem was told")
	}
	for is, n := range open {
		if n != 0 {
			w.T.Errorf("%d times more raised than cleared: %s", n, is)
		}
	}
}

// TestNotifications_TheBrake: what it holds back is told in its own words too, once,
// and so is its release.
func TestNotifications_TheBrake(t *testing.T) {
	t.Parallel()
	env := []string{oneType, "HUBSPOT_ASSOCIATIONS=none", "SYNC_CENSUS_INTERVAL=1m", "SYNC_LEADING_INTERVAL=1m", "SYNC_RECONCILE_INTERVAL=1h"}
	inWorld(t, hubspottest.Options{Seed: 45}, env, func(w *world) {
		ids := w.Portal.Seed("contacts", 150)
		p := w.start()
		w.synced(p)
		time.Sleep(5 * time.Minute)
		for _, id := range ids[:120] {
			w.Portal.Purge("contacts", id)
		}
		time.Sleep(2 * time.Hour)
		p.Stop()
		var got []string
		for _, text := range w.noticedOf(stream.NoticeBrake) {
			got = append(got, strings.Join(strings.Fields(text)[:4], " "))
		}
		w.wantTold(got, "Brake HELD area=stream object=contacts", "Brake RELEASED area=stream object=contacts")
		w.wantClear()
	})
}

// TestNotifications_WhyAProcessEnded: what only an operator can cure is told before
// the process ends, and is over once another one streams.
func TestNotifications_WhyAProcessEnded(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 46}, []string{oneType, "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		w.Ran(5)
		w.Set("KAFKA_KEY_FORMAT=avro")
		if err := <-w.Start().Done; connector.ExitCode(err) != connector.ExitRefused {
			t.Fatalf("the connector ended with %v", err)
		}
		last := w.noticed()[len(w.noticed())-1]
		if !strings.HasPrefix(last, "Problem RAISED area=connector") || !strings.Contains(last, "KAFKA_KEY_FORMAT") {
			t.Errorf("told %q", last)
		}
		w.Set("KAFKA_KEY_FORMAT=string")
		p := w.start()
		time.Sleep(time.Minute)
		p.Stop()
		w.wantClear()
	})
}

// TestNotifications_AreToldAtLeastOnce: whenever a process is killed, the begin and
// the end of each snapshot that was asked for are told, and so are those of the
// backfill.
func TestNotifications_AreToldAtLeastOnce(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 47, Types: []string{"contacts"}, Latency: hubspottest.Span{Min: 50 * time.Millisecond, Max: 400 * time.Millisecond}}
	inWorld(t, opt, []string{oneType, "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		rng := rand.New(rand.NewPCG(47, 47))
		w.Portal.Seed("contacts", 600)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.ready().Role == "owner" })
		kills := shorter(20, 6)
		for i := range kills {
			w.signal(execute(fmt.Sprint("ask-", i), nil, "contacts"))
			time.Sleep(time.Duration(rng.IntN(3_000)) * time.Millisecond)
			p.Kill()
			w.Brokers.Mend()
			p = w.start()
			w.SleepUntil(time.Minute, func() bool { return p.ready().Role == "owner" })
			time.Sleep(time.Duration(rng.IntN(3_000)) * time.Millisecond)
		}
		w.synced(p)
		w.SleepUntil(10*time.Minute, func() bool { return p.Ready().Snapshot == nil })
		time.Sleep(time.Minute)
		p.Stop()
		told := map[string]int{}
		for _, n := range w.notices() {
			told[n.Aggregate+" "+n.ID+" "+n.Type]++
			if n.Aggregate == stream.InitialSnapshot && n.Data["data_collections"] == "contacts" {
				told[n.Aggregate+" "+n.Type]++
			}
		}
		for _, what := range []string{stream.NoticeStarted, stream.NoticeCompleted} {
			if told["Initial Snapshot "+what] == 0 {
				t.Errorf("the backfill has no %s", what)
			}
			for i := range kills {
				if told[fmt.Sprint("Incremental Snapshot ask-", i, " ", what)] == 0 {
					t.Errorf("ask-%d has no %s", i, what)
				}
			}
		}
	})
}
