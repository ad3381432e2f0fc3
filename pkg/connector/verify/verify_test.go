package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/connector/verify"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// compared runs a comparison beside whatever runs in the world.
func compared(w *world.World, o verify.Options) *verify.Report {
	w.T.Helper()
	r, err := verify.Run(w.T.Context(), prepared(w), o)
	if err != nil {
		w.T.Fatal(err)
	}
	return r
}

// prepared is the world's configuration, with connections of its own.
func prepared(w *world.World) *connector.Setup {
	w.T.Helper()
	options := w.Options(w.Portal.Transport(), testkit.NewCable(w.Kafka.Network.DialContext))
	options.Logger = slog.New(slog.DiscardHandler)
	setup, err := connector.Prepare(w.Config, options)
	if err != nil {
		w.T.Fatal(err)
	}
	return setup
}

// only is the one topic of a report.
func only(t *testing.T, r *verify.Report, topic string) *verify.Topic {
	t.Helper()
	for i := range r.Topics {
		if r.Topics[i].Topic == topic {
			return &r.Topics[i]
		}
	}
	t.Fatalf("the report has no topic %s: %+v", topic, r)
	return nil
}

// check compares what was found of a topic.
func check(t *testing.T, got *verify.Topic, want verify.Topic) {
	t.Helper()
	for _, list := range []*[]string{&want.Missing, &want.Extra, &want.Stale, &want.Different} {
		if *list == nil {
			*list = []string{}
		}
	}
	text := func(v *verify.Topic) string {
		r := verify.Report{Equal: v.Same(), Topics: []verify.Topic{*v}}
		r.Topics[0].At = time.Time{}
		return jsonOf(t, r.Topics)
	}
	if g, w := text(got), text(&want); g != w {
		t.Errorf("found %s, want %s", g, w)
	}
}

func text(id uint64) string { return strconv.FormatUint(id, 10) }

// differsIn is a report's names of records that differ in one property.
func differsIn(property string, ids ...uint64) map[string]verify.Names {
	names := map[string]verify.Names{}
	for _, id := range ids {
		names[text(id)] = verify.Names{Names: []string{property}}
	}
	return names
}

var contactsOnly = []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none"}

func TestVerify_AQuietPortalIsEqual(t *testing.T) {
	world.In(t, hubspottest.Options{Seed: 1}, contactsOnly, func(w *world.World) {
		w.Ran(250)
		r := compared(w, verify.Options{Objects: []string{"contacts"}})
		if !r.Equal {
			t.Error("a quiet portal is not equal")
		}
		check(t, only(t, r, "hubspot.contacts"), verify.Topic{Topic: "hubspot.contacts", HubSpot: 250, Kafka: 250, Equal: 250})
	})
}

func TestVerify_NamesWhatChangedWhileNobodyRan(t *testing.T) {
	world.In(t, hubspottest.Options{Seed: 2}, contactsOnly, func(w *world.World) {
		ids := w.Ran(250)
		time.Sleep(time.Minute)
		for _, id := range ids[:5] {
			w.Portal.Update("contacts", id, map[string]string{"firstname": "Changed"})
		}
		w.Portal.Archive("contacts", ids[10])
		w.Portal.Archive("contacts", ids[11])
		w.Portal.Purge("contacts", ids[12])
		fresh := w.Portal.Create("contacts", map[string]string{"firstname": "New"})
		w.Portal.UpdateCalculated("contacts", ids[20], map[string]string{"lastname": "Calculated"})
		r := compared(w, verify.Options{Objects: []string{"contacts"}})
		if r.Equal {
			t.Error("equal")
		}
		check(t, only(t, r, "hubspot.contacts"), verify.Topic{
			Topic: "hubspot.contacts", HubSpot: 248, Kafka: 250, Equal: 241,
			Missing: []string{text(fresh)}, Extra: []string{text(ids[10]), text(ids[11]), text(ids[12])},
			Stale:     []string{text(ids[0]), text(ids[1]), text(ids[2]), text(ids[3]), text(ids[4])},
			Different: []string{text(ids[20])}, Properties: differsIn("lastname", ids[20]),
		})
	})
}

// everything is a world with two types, their pair, owners and pipelines, which a
// connector has published, and which nobody follows now.
func everything(w *world.World) (contacts, companies []uint64) {
	w.T.Helper()
	companies = w.Portal.Seed("companies", 20)
	contacts = w.Portal.Seed("contacts", 60)
	for i, id := range contacts[:40] {
		w.Portal.Associate("contacts", id, "companies", companies[i%20], "", 0)
	}
	w.Portal.AddOwner(hubspottest.Owner{Email: "ann@example.com"})
	p := w.Start()
	w.SleepUntil(time.Hour, func() bool { return p.Backfilled("contacts", "companies", "contacts:companies", "owners") })
	time.Sleep(5 * time.Minute)
	p.Stop()
	time.Sleep(time.Minute)
	return contacts, companies
}

var twoTypes = []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=contacts:companies"}

func TestVerify_EveryTopicOfAQuietPortalIsEqual(t *testing.T) {
	world.In(t, hubspottest.Options{Seed: 3}, twoTypes, func(w *world.World) {
		everything(w)
		r := compared(w, verify.Options{})
		if !r.Equal {
			t.Errorf("a quiet portal is not equal: %s", jsonOf(t, r))
		}
		for topic, n := range map[string]int{
			"hubspot.contacts": 60, "hubspot.companies": 20, "hubspot.associations.contacts.companies": 40, "hubspot.owners": len(w.Portal.Owners()),
		} {
			check(t, only(t, r, topic), verify.Topic{Topic: topic, HubSpot: n, Kafka: n, Equal: n})
		}
	})
}

func TestVerify_NamesLinksAndOwnersThatDiffer(t *testing.T) {
	world.In(t, hubspottest.Options{Seed: 4}, twoTypes, func(w *world.World) {
		contacts, companies := everything(w)
		links := w.Portal.Links("contacts", "companies")
		gone := links[3]
		w.Portal.Dissociate("contacts", gone.From, "companies", gone.To, gone.Category, gone.TypeID)
		w.Portal.Associate("contacts", contacts[50], "companies", companies[5], "", 0)
		owner := w.Portal.AddOwner(hubspottest.Owner{Email: "bob@example.com"})
		r := compared(w, verify.Options{Objects: []string{"contacts:companies", "owners"}})
		if r.Equal || len(r.Topics) != 2 {
			t.Errorf("got %s", jsonOf(t, r))
		}
		end := ":" + gone.Category + ":" + strconv.Itoa(gone.TypeID)
		check(t, only(t, r, "hubspot.associations.contacts.companies"), verify.Topic{
			Topic: "hubspot.associations.contacts.companies", HubSpot: 40, Kafka: 40, Equal: 39,
			Missing: []string{text(contacts[50]) + ":" + text(companies[5]) + end},
			Extra:   []string{text(gone.From) + ":" + text(gone.To) + end},
		})
		n := len(w.Portal.Owners())
		check(t, only(t, r, "hubspot.owners"), verify.Topic{Topic: "hubspot.owners", HubSpot: n, Kafka: n - 1, Equal: n - 1, Missing: []string{owner}})
	})
}

// HubSpot answers no page of a list: the other topics are compared all the same, and the
// next run, with the same notes, compares them again.
func TestVerify_OneTopicThatCannotBeReadStopsNoOther(t *testing.T) {
	world.In(t, hubspottest.Options{Seed: 11}, twoTypes, func(w *world.World) {
		everything(w)
		path := filepath.Join(t.TempDir(), "notes")
		notes, err := verify.OpenNotes(path)
		if err != nil {
			t.Fatal(err)
		}
		broken, ends := false, map[string]string{}
		r := compared(w, verify.Options{Notes: notes, Progress: func(p verify.Progress) {
			if p.End != "" {
				ends[p.Topic] += p.End
			}
			if !broken {
				broken = true
				w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 500, Endpoint: hubspottest.EndpointList, Object: "companies"})
			}
		}})
		if r.Equal || !r.Failed() || len(r.Left) != 1 || r.Left[0].Topic != "hubspot.companies" || r.Left[0].Err == nil {
			t.Errorf("left out: %+v, equal: %v", r.Left, r.Equal)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("the notes of a run that has ended are still there: %v", err)
		}
		for topic, want := range map[string]string{
			"hubspot.contacts": "equal, 60 records", "hubspot.companies": "not compared", "hubspot.associations.contacts.companies": "equal, 40 associations",
			"hubspot.owners": fmt.Sprintf("equal, %d entries", len(w.Portal.Owners())),
		} {
			if ends[topic] != want {
				t.Errorf("%s ends with %q, want %q once", topic, ends[topic], want)
			}
		}
		for _, topic := range []string{"hubspot.contacts", "hubspot.associations.contacts.companies", "hubspot.owners"} {
			if found := only(t, r, topic); !found.Same() || found.Equal == 0 {
				t.Errorf("found %s", jsonOf(t, found))
			}
		}
	})
}

// The list of the records breaks off: a pair is not compared with the first of them alone.
func TestVerify_NoPairIsEqualForLackOfRecords(t *testing.T) {
	world.In(t, hubspottest.Options{Seed: 14}, twoTypes, func(w *world.World) {
		w.Portal.Seed("contacts", 200)
		contacts, companies := everything(w)
		w.Portal.Associate("contacts", contacts[59], "companies", companies[5], "", 0)
		broken := false
		r := compared(w, verify.Options{Progress: func(p verify.Progress) {
			if !broken {
				broken = true
				w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 500, Endpoint: hubspottest.EndpointList, Object: "contacts", IDs: contacts[59:]})
			}
		}})
		if len(r.Left) != 2 || r.Left[0].Topic != "hubspot.contacts" || r.Left[1].Topic != "hubspot.associations.contacts.companies" {
			t.Errorf("left out: %+v; found %s", r.Left, jsonOf(t, r))
		}
	})
}

// HubSpot does not find the loser of a merge when it is asked for its links, and answers
// the survivor when it is asked for the loser.
func TestVerify_NamesTheLinksOfAMergedRecord(t *testing.T) {
	world.In(t, hubspottest.Options{Seed: 15, LinksNotFound: true}, twoTypes, func(w *world.World) {
		contacts, _ := everything(w)
		w.Portal.Merge("contacts", contacts[0], contacts[1])
		pair := only(t, compared(w, verify.Options{Objects: []string{"contacts:companies"}}), "hubspot.associations.contacts.companies")
		if len(pair.Missing) != 2 || len(pair.Extra) != 2 || pair.Kafka != 40 {
			t.Errorf("got %s, want the survivor's links missing and the losers' extra", jsonOf(t, pair))
		}
	})
}

// What HubSpot says nothing about does not differ.
func TestVerify_SaysWhereHubSpotDoesNotTellWhetherRecordsHaveLinks(t *testing.T) {
	world.In(t, hubspottest.Options{Seed: 23, LinkErrors: 1}, twoTypes, func(w *world.World) {
		w.Portal.Seed("contacts", 400)
		everything(w)
		r := compared(w, verify.Options{Objects: []string{"contacts:companies"}})
		check(t, only(t, r, "hubspot.associations.contacts.companies"), verify.Topic{Topic: "hubspot.associations.contacts.companies", HubSpot: 40, Kafka: 40, Equal: 40})
		if notes := r.Notes(); r.Equal || !r.Failed() || strings.Contains(notes, "differed") || !strings.Contains(notes, "records neither which associations they have nor that they have none") {
			t.Errorf("equal: %v, failed: %v, it says %q", r.Equal, r.Failed(), notes)
		}
	})
}

// Of nearly all records without links HubSpot counts an error and does not list it. A link
// that it does not have any more is found all the same: the topic has that one, so the record
// is asked for alone.
func TestVerify_NamesALinkThatIsGoneThoughHubSpotListsOneErrorOfMany(t *testing.T) {
	world.In(t, hubspottest.Options{Seed: 22, LinkErrors: 1}, twoTypes, func(w *world.World) {
		w.Portal.Seed("contacts", 400)
		everything(w)
		gone := w.Portal.Links("contacts", "companies")[39]
		w.Portal.Dissociate("contacts", gone.From, "companies", gone.To, gone.Category, gone.TypeID)
		r := compared(w, verify.Options{Objects: []string{"contacts:companies"}})
		check(t, only(t, r, "hubspot.associations.contacts.companies"), verify.Topic{
			Topic: "hubspot.associations.contacts.companies", HubSpot: 39, Kafka: 40, Equal: 39,
			Extra: []string{fmt.Sprintf("%d:%d:%s:%d", gone.From, gone.To, gone.Category, gone.TypeID)},
		})
	})
}

func TestVerify_WhatIsMissingOrStaleCountsHoweverOftenItChanges(t *testing.T) {
	world.In(t, hubspottest.Options{Seed: 16}, contactsOnly, func(w *world.World) {
		ids := w.Ran(50)
		fresh := w.Portal.Create("contacts", map[string]string{"firstname": "New"})
		ctx, cancel := context.WithCancel(w.T.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for tick := time.Tick(time.Second); ctx.Err() == nil; <-tick {
				w.Portal.Touch("contacts", fresh)
				w.Portal.Touch("contacts", ids[0])
			}
		}()
		time.Sleep(time.Minute)
		check(t, only(t, compared(w, verify.Options{}), "hubspot.contacts"), verify.Topic{
			Topic: "hubspot.contacts", HubSpot: 51, Kafka: 50, Equal: 49, Missing: []string{text(fresh)}, Stale: []string{text(ids[0])},
		})
		cancel()
		<-done
	})
}

// A type that HubSpot does not list any more, and the pairs that end with it.
func TestVerify_NamesTheTopicsThatItDoesNotCompare(t *testing.T) {
	world.In(t, hubspottest.Options{Seed: 18, Types: []string{"contacts"}}, nil, func(w *world.World) {
		car := w.Portal.AddCustomType("car").FullyQualifiedName
		w.Portal.Associate("contacts", w.Portal.Seed("contacts", 1)[0], car, w.Portal.Seed(car, 1)[0], "", 0)
		p := w.Start()
		w.SleepUntil(time.Hour, func() bool { return p.Backfilled("contacts", car, "contacts:"+car) })
		p.Stop()
		w.Portal.RemoveCustomType(car)
		r := compared(w, verify.Options{})
		for _, topic := range []string{"hubspot." + car, "hubspot.associations.contacts." + car} {
			if !strings.Contains(r.Notes(), topic+": not compared") {
				t.Errorf("%s is not in %q", topic, r.Notes())
			}
		}
	})
}

func TestVerify_SaysWhatOfAListHubSpotDoesNotShow(t *testing.T) {
	settings := append(append([]string{}, twoTypes...), "HUBSPOT_OBJECTS=contacts,companies,deals")
	world.In(t, hubspottest.Options{Seed: 17}, settings, func(w *world.World) {
		everything(w)
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 403, Endpoint: hubspottest.EndpointPipelines, Object: "deals"})
		r := compared(w, verify.Options{Objects: []string{"pipelines"}})
		check(t, only(t, r, "hubspot.pipelines"), verify.Topic{Topic: "hubspot.pipelines", Kafka: 1})
		if r.Equal || !r.Failed() || !strings.Contains(r.Notes(), "hubspot.pipelines: 1 key of a part") {
			t.Errorf("equal: %v, failed: %v, it says %q", r.Equal, r.Failed(), r.Notes())
		}
		w.Config.HubSpot.Objects = []string{"contacts", "companies"}
		r = compared(w, verify.Options{Objects: []string{"pipelines"}})
		if !r.Equal || r.Failed() || !strings.Contains(r.Notes(), "hubspot.pipelines: 1 key of types that HUBSPOT_OBJECTS leaves out") {
			t.Errorf("deals are left out; equal: %v, failed: %v, it says %q", r.Equal, r.Failed(), r.Notes())
		}
	})
}

// What was published and HubSpot does not show this token is not called equal; what the
// settings leave out does not count.
func TestVerify_WhatHubSpotHidesIsNotEqual(t *testing.T) {
	const pair = "hubspot.associations.contacts.companies"
	world.In(t, hubspottest.Options{Seed: 24, Types: []string{"contacts", "companies"}}, nil, func(w *world.World) {
		car := w.Portal.AddCustomType("car").FullyQualifiedName
		w.Portal.Seed(car, 1)
		everything(w)
		const companies, owners, cars = "crm.objects.companies.read crm.schemas.companies.read", "crm.objects.owners.read", "crm.objects.custom.read crm.schemas.custom.read"
		const contacts = "crm.objects.contacts.read crm.schemas.contacts.read"
		for _, c := range []struct {
			name, scopes   string
			objects, pairs []string
			failed         []string // of the topics that are left out
			neutral        []string
		}{
			{"contacts are hidden", companies + " " + owners + " " + cars, nil, nil, []string{"hubspot.contacts", pair}, nil},
			{"owners are hidden", contacts + " " + companies + " " + cars, nil, nil, []string{"hubspot.owners"}, nil},
			{"custom types are hidden", contacts + " " + companies + " " + owners, nil, nil, []string{"hubspot." + car}, nil},
			{"everything is hidden", "oauth", nil, nil, []string{"hubspot.companies", "hubspot.contacts", "hubspot.owners", "hubspot." + car, pair}, nil},
			{"contacts are left out", companies + " " + owners, []string{"companies"}, nil, nil, []string{"hubspot.contacts", "hubspot." + car, pair}},
			{"the pair is left out", companies + " " + owners + " " + cars, nil, []string{"none"}, []string{"hubspot.contacts"}, []string{pair}},
		} {
			w.Portal.SetScopes(strings.Fields(c.scopes)...)
			w.Config.HubSpot.Objects, w.Config.HubSpot.Associations = c.objects, c.pairs
			r := compared(w, verify.Options{})
			left := map[bool][]string{}
			for _, l := range r.Left {
				left[l.Err != nil] = append(left[l.Err != nil], l.Topic)
			}
			slices.Sort(left[true])
			slices.Sort(left[false])
			if fail := len(c.failed) > 0; r.Equal == fail || r.Failed() != fail {
				t.Errorf("%s: equal %v, failed %v", c.name, r.Equal, r.Failed())
			}
			for failed, want := range map[bool][]string{true: c.failed, false: c.neutral} {
				slices.Sort(want)
				if !slices.Equal(left[failed], want) {
					t.Errorf("%s: left out %q, want %q; failed: %v", c.name, left[failed], want, failed)
				}
				for _, topic := range want {
					if part := fmt.Sprintf(`"failed":%v}`, failed); !strings.Contains(jsonOf(t, r), `{"topic":"`+topic+`","reason":"`) || !strings.Contains(jsonOf(t, r), part) {
						t.Errorf("%s: %s with %s is not in %s", c.name, topic, part, jsonOf(t, r))
					}
				}
			}
		}
	})
}

// What differed, and what HubSpot does not answer about any more, is not called equal:
// such a record may be stuck in the connector too.
func TestVerify_WhatHubSpotDoesNotAnswerAboutIsNotEqual(t *testing.T) {
	world.In(t, hubspottest.Options{Seed: 19}, contactsOnly, func(w *world.World) {
		w.Portal.Seed("contacts", 60)
		p := w.Start()
		w.SleepUntil(time.Hour, func() bool { return p.Backfilled("contacts") })
		p.Stop()
		id := w.Portal.Seed("contacts", 1)
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 500, Endpoint: hubspottest.EndpointBatchRead, Object: "contacts", IDs: id})
		r := compared(w, verify.Options{Objects: []string{"contacts"}})
		if r.Equal || !r.Failed() || !strings.Contains(r.Notes(), "hubspot.contacts: 1 key differed, and HubSpot does not answer") {
			t.Errorf("equal: %v, failed: %v, it says %q; found %s", r.Equal, r.Failed(), r.Notes(), jsonOf(t, r))
		}
	})
}

// What HubSpot answers with archived: true, in its list too, is missing there (R8).
func TestVerify_WhatAListShowsAsArchivedIsMissing(t *testing.T) {
	world.In(t, hubspottest.Options{Seed: 23}, contactsOnly, func(w *world.World) {
		ids := w.Ran(60)
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultOdd, Object: "contacts", IDs: ids[:1], Member: "archived", Value: "true"})
		r := compared(w, verify.Options{Objects: []string{"contacts"}})
		check(t, only(t, r, "hubspot.contacts"), verify.Topic{Topic: "hubspot.contacts", HubSpot: 59, Kafka: 60, Equal: 59, Extra: []string{text(ids[0])}})
	})
}

// A type about which HubSpot does not answer is named, with the pairs that cannot be
// compared without it, and the whole is not equal.
func TestVerify_WhatHubSpotDoesNotListIsNotEqual(t *testing.T) {
	const pair = "hubspot.associations.contacts.companies"
	for _, c := range []struct {
		settings, objects []string
		pair              string // what becomes of the pair: "" it is not asked for
	}{
		{twoTypes, nil, "compared"},
		{twoTypes, []string{"companies"}, ""},
		{[]string{"HUBSPOT_OBJECTS=contacts,companies"}, nil, "not compared"},
	} {
		world.In(t, hubspottest.Options{Seed: 20}, c.settings, func(w *world.World) {
			everything(w)
			w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 503, Endpoint: hubspottest.EndpointProperties, Object: "companies"})
			r := compared(w, verify.Options{Objects: c.objects})
			if r.Equal || !r.Failed() || !strings.Contains(r.Notes(), "hubspot.companies: not compared: HubSpot does not answer") {
				t.Errorf("equal: %v, failed: %v, it says %q", r.Equal, r.Failed(), r.Notes())
			}
			if c.pair == "compared" && (!only(t, r, "hubspot.contacts").Same() || !only(t, r, pair).Same()) {
				t.Errorf("found %s", jsonOf(t, r))
			}
			if named := strings.Contains(r.Notes(), pair+": not compared: HubSpot does not answer"); named != (c.pair == "not compared") {
				t.Errorf("%s: it says %q", c.pair, r.Notes())
			}
		})
	}
}

// HubSpot at its most difficult: ids that decrease, short pages, slow answers.
func TestVerify_AQuietPortalIsEqualHoweverItAnswers(t *testing.T) {
	harsh := hubspottest.Harsh(13)
	harsh.Types = []string{"contacts", "companies"}
	world.In(t, harsh, twoTypes, func(w *world.World) {
		contacts, _ := everything(w)
		time.Sleep(time.Hour)
		if r := compared(w, verify.Options{}); !r.Equal {
			t.Errorf("a quiet portal is not equal: %s", jsonOf(t, r))
		}
		w.Portal.Archive("contacts", contacts[7])
		r := compared(w, verify.Options{Objects: []string{"contacts"}})
		check(t, only(t, r, "hubspot.contacts"), verify.Topic{
			Topic: "hubspot.contacts", HubSpot: 59, Kafka: 60, Equal: 59, Extra: []string{text(contacts[7])},
		})
	})
}

func TestVerify_SaysThatABackfillIsNotDone(t *testing.T) {
	world.In(t, hubspottest.Options{Seed: 12}, contactsOnly, func(w *world.World) {
		w.Portal.Seed("contacts", 5000)
		w.Portal.SetPace(hubspottest.Limits{}, hubspottest.Span{Min: 2 * time.Second, Max: 2 * time.Second})
		p := w.Start()
		time.Sleep(20 * time.Second)
		p.Stop()
		r := compared(w, verify.Options{Objects: []string{"contacts"}})
		if found := only(t, r, "hubspot.contacts"); r.Equal || found.Equal == 0 || len(found.Missing) != 10 {
			t.Errorf("in the middle of the backfill: %s", jsonOf(t, found))
		}
		if !strings.Contains(r.Notes(), "has not yet read everything") {
			t.Errorf("it says %q", r.Notes())
		}
	})
}

// repaired compares beside a running connector, asks it for what differs, and compares
// again until nothing does.
func repaired(w *world.World, want func(*verify.Report)) {
	w.T.Helper()
	p := w.Start()
	w.SleepUntil(time.Hour, func() bool { return p.Backfilled("contacts") })
	r := compared(w, verify.Options{Objects: []string{"contacts", "contacts:companies"}})
	want(r)
	if sent, _, err := r.Fix(w.T.Context(), prepared(w)); err != nil || sent == 0 {
		w.T.Fatalf("sent %d signals: %v", sent, err)
	}
	time.Sleep(5 * time.Minute)
	if r := compared(w, verify.Options{}); !r.Equal {
		w.T.Errorf("after the repair: %s", jsonOf(w.T, r))
	}
	p.Stop()
}

func TestVerify_FindsAndMendsWhatAForeignProducerWrote(t *testing.T) {
	world.In(t, hubspottest.Options{Seed: 5}, twoTypes, func(w *world.World) {
		contacts, _ := everything(w)
		w.Produce("hubspot.contacts", text(contacts[1]), "")
		w.Produce("hubspot.contacts", text(contacts[2]), "not an event")
		link := w.Portal.Links("contacts", "companies")[7]
		key := text(link.From) + ":" + text(link.To) + ":" + link.Category + ":" + strconv.Itoa(link.TypeID)
		w.Produce("hubspot.associations.contacts.companies", key, "")
		repaired(w, func(r *verify.Report) {
			check(t, only(t, r, "hubspot.contacts"), verify.Topic{
				Topic: "hubspot.contacts", HubSpot: 60, Kafka: 59, Equal: 58,
				Missing: []string{text(contacts[1])}, Different: []string{text(contacts[2])},
			})
			check(t, only(t, r, "hubspot.associations.contacts.companies"), verify.Topic{
				Topic: "hubspot.associations.contacts.companies", HubSpot: 40, Kafka: 39, Equal: 39, Missing: []string{key},
			})
		})
	})
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A HubSpot that never answers ends the comparison, with what to look at; an interruption
// before that is one.
func TestVerify_GivesUpOnAHubSpotThatDoesNotAnswer(t *testing.T) {
	world.In(t, hubspottest.Options{Seed: 25}, contactsOnly, func(w *world.World) {
		w.Ran(1)
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 503})
		began := time.Now()
		r, err := verify.Run(w.T.Context(), prepared(w), verify.Options{})
		if r.Equal || err == nil || !strings.Contains(err.Error(), "503") || !strings.Contains(err.Error(), "\n") || time.Since(began) > 2*time.Minute {
			t.Errorf("after %s: equal %v, %v", time.Since(began), r.Equal, err)
		}
		ctx, cancel := context.WithTimeout(w.T.Context(), time.Second)
		defer cancel()
		if _, err := verify.Run(ctx, prepared(w), verify.Options{}); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "503") {
			t.Errorf("interrupted: %v", err)
		}
	})
}
