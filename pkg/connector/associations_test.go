package connector_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/cdc/cdctest"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// seenOf is everything that a consumer of a topic of links or entries has read.
// It checks each key against the fields that it is made of. text gives what is
// compared of an image.
func (w *world) seenOf(topic, table string, keyFields []string, text func(image map[string]any) string) []cdctest.LinkEvent {
	w.T.Helper()
	var out []cdctest.LinkEvent
	for _, r := range w.Records(topic) {
		e := cdctest.LinkEvent{Key: string(r.Key), Partition: r.Partition, Offset: r.Offset, Tombstone: r.Value == nil, At: r.Timestamp}
		if !e.Tombstone {
			m := w.Decode(r.Value)
			source := m["source"].(map[string]any)
			e.Op, e.Snapshot, e.Seq, e.Stream = m["op"].(string), source["snapshot"].(string), source["seq"].(int64), source["stream"].(string)
			e.Reason, _ = source["reason"].(string)
			side := "after"
			if e.Op == "d" {
				side = "before"
			}
			image := m[side].(map[string]any)
			var key []string
			for _, name := range keyFields {
				key = append(key, fmt.Sprint(image[name]))
			}
			if strings.Join(key, ":") != e.Key || source["table"] != table {
				w.T.Fatalf("key %s, %s %v, source %v", e.Key, side, image, source)
			}
			if e.Op != "d" {
				e.Label = text(image)
			}
		}
		out = append(out, e)
	}
	return out
}

// seenLinks is everything that a consumer of a pair's topic has read.
func (w *world) seenLinks(pair cdc.Pair) []cdctest.LinkEvent {
	w.T.Helper()
	label := func(image map[string]any) string { text, _ := image["label"].(string); return text }
	return w.seenOf(offsets.PairTopic("hubspot", pair), pair.String(), []string{"fromObjectId", "toObjectId", "category", "typeId"}, label)
}

// checkLinks checks everything published for a pair against everything that
// happened.
func (w *world) checkLinks(pair cdc.Pair) *cdctest.LinkReport {
	w.T.Helper()
	report := cdctest.CheckLinks(cdctest.LinkHistoryOf(w.Portal, pair.From, pair.To), w.seenLinks(pair))
	if !report.Clean() {
		w.T.Errorf("%s: lost %d, doubled %d, reordered %d, malformed %d of %d events\n%s", pair, len(report.Lost), len(report.Doubled),
			len(report.Reordered), len(report.Malformed), report.Events, report.Findings())
	}
	return report
}

// sweptLinks reports whether a pair's first sweep has ended.
func (p *process) sweptLinks(pair cdc.Pair) bool {
	status := p.Status()
	return status != nil && status.Backfills()[pair.String()] == "done"
}

var toCompanies = cdc.Pair{From: "contacts", To: "companies"}

// story gives the events of a pair's topic, one per line.
func (w *world) story(pair cdc.Pair) []string {
	w.T.Helper()
	return inOrder(w.seenLinks(pair), func(e cdctest.LinkEvent) []string { return []string{e.Op, e.Key, e.Label, e.Reason} })
}

// inOrder gives events without the tombstones, one per line, by source.seq.
func inOrder(events []cdctest.LinkEvent, say func(cdctest.LinkEvent) []string) []string {
	events = slices.DeleteFunc(events, func(e cdctest.LinkEvent) bool { return e.Tombstone })
	slices.SortFunc(events, func(a, b cdctest.LinkEvent) int { return cmp.Compare(a.Seq, b.Seq) })
	var out []string
	for _, e := range events {
		out = append(out, strings.Join(strings.Fields(strings.Join(say(e), " ")), " "))
	}
	return out
}

// TestR14_ALinksLife: a link is read at the start, made, labelled, relabelled and
// removed, and goes and comes with an archived record. Each event appears once.
func TestR14_ALinksLife(t *testing.T) {
	t.Parallel()
	env := []string{"HUBSPOT_OBJECTS=contacts,companies", "SYNC_ASSOCIATIONS_INTERVAL=30s", "SYNC_ARCHIVE_INTERVAL=10s"}
	inWorld(t, hubspottest.Options{Seed: 1}, env, func(w *world) {
		contacts, companies := w.Portal.Seed("contacts", 10), w.Portal.Seed("companies", 10)
		boss, _ := w.Portal.AddLabel("contacts", "companies", "Boss", "Firm")
		w.Portal.Associate("contacts", contacts[0], "companies", companies[0], "", 0)
		p := w.start()
		for _, change := range []func(){
			func() {},
			func() { w.Portal.Associate("contacts", contacts[1], "companies", companies[0], "USER_DEFINED", boss) },
			func() { w.Portal.RenameLabel("contacts", "companies", boss, "Chief") },
			func() { w.Portal.Archive("companies", companies[0]) },
			func() { w.Portal.Restore("companies", companies[0], true) },
			func() { w.Portal.Dissociate("contacts", contacts[0], "companies", companies[0], "", 0) },
		} {
			change()
			time.Sleep(time.Minute)
		}
		p.Stop()
		a := fmt.Sprintf("%d:%d:HUBSPOT_DEFINED:279", contacts[0], companies[0])
		b := fmt.Sprintf("%d:%d:HUBSPOT_DEFINED:279", contacts[1], companies[0])
		c := fmt.Sprintf("%d:%d:USER_DEFINED:%d", contacts[1], companies[0], boss)
		if got, want := w.story(toCompanies), []string{
			"r " + a,
			"c " + b, "c " + c + " Boss",
			"u " + c + " Chief",
			"d " + a + " archived", "d " + b + " archived", "d " + c + " archived",
			"c " + a + " restored", "c " + b + " restored", "c " + c + " Chief restored",
			"d " + a + " removed",
		}; !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		w.checkLinks(toCompanies)
	})
}

// TestR8_ALastLinkEndsThoughHubSpotListsOneErrorOfMany: a read counts an error for each record
// without links, and lists only the first of them.
func TestR8_ALastLinkEndsThoughHubSpotListsOneErrorOfMany(t *testing.T) {
	t.Parallel()
	env := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies", "SYNC_ASSOCIATIONS_INTERVAL=30s"}
	inWorld(t, hubspottest.Options{Seed: 3, LinkErrors: 1}, env, func(w *world) {
		contacts, company := w.Portal.Seed("contacts", 50), w.Portal.Seed("companies", 1)[0]
		const linked, unlinked = 5, 3
		for _, id := range contacts[len(contacts)-linked:] {
			w.Portal.Associate("contacts", id, "companies", company, "", 0)
		}
		p := w.start()
		w.SleepUntil(5*time.Minute, func() bool { return p.live(toCompanies.String()) == linked })
		for _, id := range contacts[len(contacts)-unlinked:] {
			w.Portal.Dissociate("contacts", id, "companies", company, "", 0)
		}
		time.Sleep(3 * time.Minute)
		if n := p.live(toCompanies.String()); n != linked-unlinked {
			t.Errorf("%d links are live, want %d", n, linked-unlinked)
		}
		p.Stop()
		w.checkLinks(toCompanies)
	})
}

// TestR14_HowSoon: a link of a record that changed as well is published within
// seconds, one that was made after a record's change a minute later, any other
// within one sweep.
func TestR14_HowSoon(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 2, Index: hubspottest.Index{Min: time.Second, Max: 3 * time.Second}}
	inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts,companies", "SYNC_LEADING_INTERVAL=2s"}, func(w *world) {
		contacts, companies := w.Portal.Seed("contacts", 3_000), w.Portal.Seed("companies", 50)
		w.Portal.Associate("contacts", contacts[9], "companies", companies[9], "", 0)
		p := w.start()
		w.SleepUntil(10*time.Minute, func() bool { return p.sweptLinks(toCompanies) })
		within := func(limit time.Duration, what string, links int) {
			t.Helper()
			took := w.SleepUntil(limit, func() bool {
				status := p.Status()
				return status.Live()[toCompanies.String()] == links
			})
			t.Logf("%s: after %v", what, took)
		}
		time.Sleep(time.Minute)
		w.Portal.Update("contacts", contacts[0], map[string]string{"firstname": "New"})
		w.Portal.Associate("contacts", contacts[0], "companies", companies[0], "", 0)
		within(12*time.Second, "a link of a record that changed", 2)

		w.Portal.Update("contacts", contacts[1], map[string]string{"firstname": "New"})
		time.Sleep(20 * time.Second)
		w.Portal.Associate("contacts", contacts[1], "companies", companies[0], "", 0)
		within(time.Minute, "a link made after the record's change", 3)

		links := 3
		if !testing.Short() { // it takes an hour
			w.Portal.Associate("contacts", contacts[2], "companies", companies[0], "", 0)
			links++
			within(65*time.Minute, "a link of a record that did not change", links)
		}
		w.Portal.Archive("companies", companies[9])
		within(6*time.Minute, "the links of an archived company", links-1)
		p.Stop()
		if got, want := w.story(toCompanies)[links], fmt.Sprintf("d %d:%d:HUBSPOT_DEFINED:279 archived", contacts[9], companies[9]); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		w.checkLinks(toCompanies)
	})
}

// TestR1_ASweepsOldAnswerIsNoDelete: a link is made and published while the
// answer of an earlier sweep is still on its way.
func TestR1_ASweepsOldAnswerIsNoDelete(t *testing.T) {
	t.Parallel()
	var w *world
	var contact, company uint64
	var armed, raced atomic.Bool
	opt := hubspottest.Options{Seed: 4, Index: hubspottest.Index{Min: 100 * time.Millisecond, Max: 200 * time.Millisecond}}
	opt.OnAnswer = func(r hubspottest.Request) {
		if r.Endpoint != hubspottest.EndpointLinks || !armed.CompareAndSwap(true, false) {
			return
		}
		raced.Store(true) // this answer does not have the link yet
		w.Portal.Associate("contacts", contact, "companies", company, "", 0)
		w.Portal.Update("contacts", contact, map[string]string{"firstname": "New"})
		time.Sleep(8 * time.Second)
	}
	env := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies", "SYNC_LEADING_INTERVAL=1s", "SYNC_ASSOCIATIONS_INTERVAL=1m"}
	inWorld(t, opt, env, func(in *world) {
		w = in
		contacts, companies := w.Portal.Seed("contacts", 5), w.Portal.Seed("companies", 5)
		w.Portal.Associate("contacts", contacts[1], "companies", companies[1], "", 0)
		p := w.start()
		time.Sleep(30 * time.Second)
		contact, company = contacts[0], companies[0]
		armed.Store(true)
		time.Sleep(20 * time.Minute)
		p.Stop()
		if !raced.Load() {
			t.Fatal("no sweep was under way, so the test shows nothing")
		}
		want := []string{
			fmt.Sprintf("r %d:%d:HUBSPOT_DEFINED:279", contacts[1], companies[1]),
			fmt.Sprintf("c %d:%d:HUBSPOT_DEFINED:279", contact, company),
		}
		if got := w.story(toCompanies); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestPairs_AreLearntOrNamed: by default the connector follows every pair that
// HubSpot knows, in the direction of docs/contract.md section 5; otherwise the
// pairs that the operator names, in the direction given. A pair without links has
// no topic.
func TestPairs_AreLearntOrNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  []string
		want []string
	}{
		"by default":  {nil, []string{"companies:companies", "companies:p4242_car", "contacts:companies", "contacts:contacts", "contacts:p4242_car", "p4242_car:p4242_car"}},
		"none":        {[]string{"HUBSPOT_ASSOCIATIONS=none"}, nil},
		"named":       {[]string{"HUBSPOT_ASSOCIATIONS=companies:contacts,0-1:p4242_car"}, []string{"companies:contacts", "contacts:p4242_car"}},
		"only from":   {[]string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=contacts:companies,contacts:p4242_car"}, []string{"contacts:companies", "contacts:p4242_car"}},
		"no products": {[]string{"HUBSPOT_OBJECTS=contacts,products"}, []string{"contacts:contacts"}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, hubspottest.Options{Seed: 5, Types: []string{"contacts", "companies", "products"}}, c.env, func(w *world) {
				if car := w.Portal.AddCustomType("car").FullyQualifiedName; car != "p4242_car" {
					t.Fatalf("the custom type is called %s", car)
				}
				for _, object := range []string{"contacts", "companies", "p4242_car"} {
					ids := w.Portal.Seed(object, 3)
					if object != "contacts" {
						w.Portal.Associate("contacts", w.Portal.IDs("contacts")[0], object, ids[0], "", 0)
					}
				}
				p := w.start()
				time.Sleep(time.Minute)
				status := p.Status()
				var got []string
				for object, backfill := range status.Backfills() {
					if strings.Contains(object, ":") {
						got = append(got, object)
						if backfill != "done" {
							t.Errorf("%s: first sweep %s", object, backfill)
						}
					}
				}
				if !status.Running() {
					t.Error("the connector is not ready")
				}
				p.Stop()
				slices.Sort(got)
				if !slices.Equal(got, slices.DeleteFunc(c.want, func(pair string) bool { return strings.Contains(pair, "products") })) {
					t.Errorf("pairs %q, want %q", got, c.want)
				}
				for _, pair := range got {
					from, to, _ := strings.Cut(pair, ":")
					topic := "topic=" + offsets.PairTopic("hubspot", cdc.Pair{From: from, To: to}) + "\n"
					created := strings.Contains(w.Log.String(), topic)
					if links := len(w.Portal.Links(from, to)); created != (links > 0) {
						t.Errorf("%s: %d links, topic created: %v", pair, links, created)
					}
				}
			})
		})
	}
}

// TestPairs_AMistakeIsSaid: a mistake in HUBSPOT_ASSOCIATIONS ends the process
// with exit code 2 and names it.
func TestPairs_AMistakeIsSaid(t *testing.T) {
	t.Parallel()
	for pairs, says := range map[string]string{
		"contacts:cars":             `no object type "cars"`,
		"tickets:contacts":          `"tickets" is not followed`,
		"contacts":                  "write from:to",
		"contacts:":                 "write from:to",
		"none,contacts:companies":   "write from:to",
		"contacts:companies:deals":  "write from:to",
		"contacts:companies, ,0-1:": "write from:to",
	} {
		inWorld(t, hubspottest.Options{}, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=" + pairs}, func(w *world) {
			err := w.Config.Validate()
			if err == nil {
				err = <-w.start().Done
			}
			if connector.ExitCode(err) != connector.ExitConfig || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "HUBSPOT_ASSOCIATIONS") {
				t.Errorf("%s: exit %d, %v", pairs, connector.ExitCode(err), err)
			}
		})
	}
}

// TestR14_ASweepCostsACallForAThousandRecords, where a list with associations
// costs one for a hundred. A pair without links is swept once a day.
func TestR14_ASweepCostsACallForAThousandRecords(t *testing.T) {
	long(t)
	t.Parallel()
	const records = 100_000
	opt := hubspottest.Options{Seed: 6, NoHistory: true, Limits: hubspottest.Limits{Daily: 10_000_000}}
	env := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies,contacts:contacts", "SYNC_LEADING_INTERVAL=1m"}
	inWorld(t, opt, env, func(w *world) {
		contacts, companies := w.Portal.Seed("contacts", records), w.Portal.Seed("companies", 10)
		for i := range 1_000 {
			w.Portal.Associate("contacts", contacts[i*97], "companies", companies[i%10], "", 0)
		}
		p := w.start()
		other := cdc.Pair{From: "contacts", To: "contacts"}
		w.SleepUntil(3*time.Hour, func() bool { return p.sweptLinks(toCompanies) && p.sweptLinks(other) })
		w.Portal.ResetStats()
		time.Sleep(150 * time.Minute) // one pair is swept twice, an hour apart, the other never
		calls := w.Portal.Stats().Calls[hubspottest.EndpointLinks]
		p.Stop()
		t.Logf("%d records: %d calls a sweep; by list %d", records, calls/2, records/100)
		if calls != 2*records/1_000 {
			t.Errorf("%d calls in two sweeps, want %d", calls, 2*records/1_000)
		}
		if links := len(w.links(toCompanies)); links != 1_000 {
			t.Errorf("%d links, want 1,000", links)
		}
	})
}

// links are the keys of a pair that were published and not deleted.
func (w *world) links(pair cdc.Pair) map[string]bool {
	w.T.Helper()
	out := map[string]bool{}
	for _, e := range w.seenLinks(pair) {
		if out[e.Key] = !e.Tombstone && e.Op != "d"; !out[e.Key] {
			delete(out, e.Key)
		}
	}
	return out
}
