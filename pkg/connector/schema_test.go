package connector_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/connector/check"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// versions is the number of versions of the schema of an object's topic.
func (w *world) versions(object string) int {
	w.T.Helper()
	versions, err := w.RegistryClient().SubjectVersions(w.T.Context(), "hubspot."+object+"-value")
	if err != nil {
		w.T.Fatal(err)
	}
	return len(versions)
}

// told gives the events of an object after the first n, one per line: op, key,
// stream, reason and the values of the fields.
func (w *world) told(object string, n int, fields ...string) []string {
	w.T.Helper()
	var out []string
	for _, e := range w.Events(object)[n:] {
		line := []any{e.Op, e.Key, e.Source["stream"]}
		if reason := e.Source["reason"]; reason != nil {
			line = append(line, reason)
		}
		for _, f := range fields {
			if e.After != nil {
				line = append(line, fmt.Sprint(f, "=", e.Property(f)))
			}
		}
		out = append(out, strings.TrimSpace(fmt.Sprintln(line...)))
	}
	return out
}

func (w *world) want(got []string, want ...string) {
	w.T.Helper()
	if !slices.Equal(got, want) {
		w.T.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// quiet turns off the finders that would read everything anyway, so that only a
// schema makes the connector read records again.
var quiet = []string{"HUBSPOT_ASSOCIATIONS=none", "SYNC_SCHEMA_INTERVAL=1m", "SYNC_TRAILING_LAG=5m"}

// TestR13_APropertyIsAddedInARun: the topic gets a new version of its schema
// without a restart, and only the records with a value are published again.
func TestR13_APropertyIsAddedInARun(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 1}, append(quiet, "HUBSPOT_OBJECTS=contacts"), func(w *world) {
		ids := w.Portal.Seed("contacts", 300)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(300, []string{"contacts"}) })
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "points", Type: "number"})
		w.Portal.UpdateCalculated("contacts", ids[7], map[string]string{"points": "12.5"})
		w.Portal.UpdateCalculated("contacts", ids[9], map[string]string{"points": "9"})
		w.Portal.ResetStats()
		w.SleepUntil(2*time.Minute, func() bool { return w.versions("contacts") == 2 })
		time.Sleep(2 * time.Minute)
		reads := w.Portal.Stats().Calls[hubspottest.EndpointBatchRead]
		w.Portal.Update("contacts", ids[8], map[string]string{"points": "8"})
		time.Sleep(10 * time.Minute)
		p.Stop()
		var told []string // without the stream: another one may find a holder that the index shows late
		for _, e := range w.Events("contacts")[300:] {
			told = append(told, fmt.Sprint(e.Op, " ", e.Key, " ", e.Property("points")))
		}
		slices.Sort(told)
		want := []string{fmt.Sprint("u ", ids[7], " 12.5"), fmt.Sprint("u ", ids[8], " 8"), fmt.Sprint("u ", ids[9], " 9")}
		slices.Sort(want)
		w.want(told, want...)
		if reads > 3 {
			t.Errorf("%d batch reads for two holders", reads)
		}
		w.check("contacts")
	})
}

// TestR13_APropertyIsRemovedInARun: its field stays and is null. Every record
// that had a value is published again, the others are not.
func TestR13_APropertyIsRemovedInARun(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 2}, append(quiet, "HUBSPOT_OBJECTS=contacts"), func(w *world) {
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "points", Type: "number"})
		ids := w.Portal.Seed("contacts", 300)
		for i, id := range ids {
			points := ""
			if i%100 == 50 {
				points = fmt.Sprint(i)
			}
			w.Portal.UpdateCalculated("contacts", id, map[string]string{"points": points})
		}
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(300, []string{"contacts"}) })
		time.Sleep(time.Minute)
		w.Portal.RemoveProperty("contacts", "points")
		time.Sleep(5 * time.Minute)
		p.Stop()
		w.want(w.told("contacts", 300, "points"), fmt.Sprintf("u %d reconcile points=<nil>", ids[50]),
			fmt.Sprintf("u %d reconcile points=<nil>", ids[150]), fmt.Sprintf("u %d reconcile points=<nil>", ids[250]))
		if n := w.versions("contacts"); n != 1 {
			t.Errorf("%d versions of the schema for a field that stays", n)
		}
		w.check("contacts")
	})
}

// TestR13_ARemovedPropertysHoldersAreReadAfterACrash: the sweep that the removal
// needs is committed with the property set.
func TestR13_ARemovedPropertysHoldersAreReadAfterACrash(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 3}, append(quiet, "HUBSPOT_OBJECTS=contacts"), func(w *world) {
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "points", Type: "number"})
		ids := w.Portal.Seed("contacts", 900)
		for _, id := range ids {
			w.Portal.UpdateCalculated("contacts", id, map[string]string{"points": "5"})
		}
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(900, []string{"contacts"}) })
		time.Sleep(time.Minute)
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultSlow, Latency: 5 * time.Second, Endpoint: hubspottest.EndpointList})
		w.Portal.RemoveProperty("contacts", "points")
		w.SleepUntil(5*time.Minute, func() bool { return strings.Contains(w.Log.String(), "removed=points") })
		w.ReadUntil(time.Minute, func() bool { return len(w.Events("contacts")) > 900 }) // a page or two of nine
		w.Brokers.Cut()
		p.Stop()
		w.Brokers.Mend()
		between := len(w.Events("contacts"))
		p = w.start()
		time.Sleep(10 * time.Minute)
		p.Stop()
		if between <= 900 || between >= 1800 {
			t.Errorf("%d events at the crash, which was not in the middle of the sweep", between)
		}
		if n := len(w.Events("contacts")); n != 1800 {
			t.Errorf("%d events, want two of each record", n)
		}
		w.check("contacts")
	})
}

// TestR13_APropertyIsRetypedInARun: its values appear in a new field and the old
// one is null. Retyped back, they return to the first field.
func TestR13_APropertyIsRetypedInARun(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 4}, append(quiet, "HUBSPOT_OBJECTS=contacts"), func(w *world) {
		w.Portal.Seed("contacts", 20)
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "size", Type: "string"})
		id := w.Portal.Create("contacts", map[string]string{"size": "12"})
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(21, []string{"contacts"}) })
		w.Portal.RetypeProperty("contacts", "size", "number", "")
		time.Sleep(7 * time.Minute)
		w.Portal.RetypeProperty("contacts", "size", "string", "")
		time.Sleep(7 * time.Minute)
		p.Stop()
		w.want(w.told("contacts", 21, "size", "size__number"),
			fmt.Sprintf("u %d refill size=<nil> size__number=12", id), fmt.Sprintf("u %d refill size=12 size__number=<nil>", id))
		if n := w.versions("contacts"); n != 2 {
			t.Errorf("%d versions of the schema, want 2", n)
		}
	})
}

// TestSchema_ALabelAloneIsNoNewVersion (docs/contract.md section 5).
func TestSchema_ALabelAloneIsNoNewVersion(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 5}, append(quiet, "HUBSPOT_OBJECTS=contacts"), func(w *world) {
		def := hubspottest.Property{Name: "size", Label: "Size", Type: "string"}
		w.Portal.AddProperty("contacts", def)
		w.Portal.Seed("contacts", 20)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(20, []string{"contacts"}) })
		def.Label = "Shoe size"
		w.Portal.AddProperty("contacts", def)
		time.Sleep(5 * time.Minute)
		p.Stop()
		p = w.start()
		time.Sleep(5 * time.Minute)
		p.Stop()
		if n, events := w.versions("contacts"), w.told("contacts", 20); n != 1 || len(events) > 0 {
			t.Errorf("%d versions of the schema, events %v", n, events)
		}
	})
}

// TestR9_ACustomTypesLife: a type is defined while the connector runs, and its
// records and links are published. It is removed, and they are deleted with that
// reason, once, after two answers. It is defined again under its old name, and
// the new records appear in the same topic.
func TestR9_ACustomTypesLife(t *testing.T) {
	t.Parallel()
	env := []string{"SYNC_SCHEMA_INTERVAL=1m", "SYNC_ASSOCIATIONS_INTERVAL=2m"}
	inWorld(t, hubspottest.Options{Seed: 6, Types: []string{"contacts"}}, env, func(w *world) {
		person := w.Portal.Seed("contacts", 3)[0]
		time.Sleep(time.Minute)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(3, []string{"contacts"}) })
		car := w.Portal.AddCustomType("car", hubspottest.Property{Name: "doors", Type: "number"}).FullyQualifiedName
		mine := w.Portal.Create(car, map[string]string{"doors": "3"})
		w.Portal.Associate("contacts", person, car, mine, "", 0)
		toCars := cdc.Pair{From: "contacts", To: car}
		w.SleepUntil(10*time.Minute, func() bool { return p.live(car) == 1 && p.live(toCars.String()) == 1 })
		other := w.Portal.Create(car, nil)
		w.SleepUntil(time.Minute, func() bool { return p.live(car) == 2 })

		w.Portal.RemoveCustomType(car)
		gone := w.SleepUntil(10*time.Minute, func() bool { return p.live(car) == 0 })
		if gone < time.Minute || gone > 3*time.Minute {
			t.Errorf("the removal was published after %v, before a second answer", gone)
		}
		w.SleepUntil(time.Minute, func() bool { return p.ready().Ready })
		p.Stop() // a restart does not take it for a new removal
		p = w.start()
		time.Sleep(5 * time.Minute)
		if problems := p.ready().Problems; len(problems) > 0 {
			t.Errorf("problems %v", problems)
		}
		again := w.Portal.AddCustomType("car", hubspottest.Property{Name: "doors", Type: "string"}).FullyQualifiedName
		yours := w.Portal.Create(again, map[string]string{"doors": "many"})
		w.Portal.Associate("contacts", person, again, yours, "", 0)
		w.SleepUntil(10*time.Minute, func() bool { return p.live(again) == 1 && p.live(toCars.String()) == 1 })
		p.Stop()

		told := w.told(car, 0, "doors", "doors__string")
		slices.Sort(told[2:4]) // two deletes of one page
		deletes := []string{fmt.Sprintf("d %d schema object_type_removed", mine), fmt.Sprintf("d %d schema object_type_removed", other)}
		slices.Sort(deletes)
		w.want(told, fmt.Sprintf("r %d backfill doors=3 doors__string=<nil>", mine), fmt.Sprintf("c %d leading doors=<nil> doors__string=<nil>", other),
			deletes[0], deletes[1], fmt.Sprintf("r %d backfill doors=<nil> doors__string=many", yours))
		w.check(car, "contacts")
		w.checkLinks(toCars)
		if story := w.story(toCars); len(story) != 3 || !strings.HasSuffix(story[1], "object_type_removed") {
			t.Errorf("links: %v", story)
		}
	})
}

// TestR9_ATypeReplacedWhileStopped: another id under the same name is another
// type, and the records of the old one are gone.
func TestR9_ATypeReplacedWhileStopped(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 7, Types: []string{"contacts"}}, []string{"SYNC_SCHEMA_INTERVAL=1m"}, func(w *world) {
		car := w.Portal.AddCustomType("car").FullyQualifiedName
		w.Portal.Seed(car, 700)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(700, []string{car}) })
		p.Stop()
		w.Portal.RemoveCustomType(car)
		w.Portal.AddCustomType("car")
		w.Portal.Seed(car, 20)
		p = w.start()
		w.SleepUntil(5*time.Minute, func() bool { return p.live(car) == 20 })
		p.Stop()
		w.check(car)
	})
}

// TestR9_ATypeRemovedWhileStopped: the next run deletes it after two answers,
// although HUBSPOT_OBJECTS names a type that the portal no longer has.
func TestR9_ATypeRemovedWhileStopped(t *testing.T) {
	t.Parallel()
	env := []string{"SYNC_SCHEMA_INTERVAL=1m", "HUBSPOT_OBJECTS=contacts,p4242_car"}
	inWorld(t, hubspottest.Options{Seed: 8, Types: []string{"contacts"}}, env, func(w *world) {
		car := w.Portal.AddCustomType("car").FullyQualifiedName
		w.Portal.Seed(car, 20)
		person := w.Portal.Seed("contacts", 1)[0]
		w.Portal.Associate("contacts", person, car, w.Portal.IDs(car)[0], "", 0)
		toCars := cdc.Pair{From: "contacts", To: car}
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(20, []string{car}) && p.live(toCars.String()) == 1 })
		p.Stop()
		w.Portal.ArchiveCustomType(car)
		p = w.start()
		time.Sleep(5 * time.Minute)
		p.Stop()
		w.check(car)
		w.checkLinks(toCars)
	})
}

// TestR9_ScopesLostAndGivenBack: what cannot be read is no evidence. Nothing is
// deleted, readiness says what is missing, and what changed meanwhile is
// published when the scopes are back.
func TestR9_ScopesLostAndGivenBack(t *testing.T) {
	t.Parallel()
	env := []string{"SYNC_SCHEMA_INTERVAL=1m", "SYNC_ASSOCIATIONS_INTERVAL=5m", "SYNC_TRAILING_LAG=1m"}
	inWorld(t, hubspottest.Options{Seed: 9, Types: []string{"contacts", "companies"}}, env, func(w *world) {
		car := w.Portal.AddCustomType("car").FullyQualifiedName
		for _, object := range []string{"contacts", "companies", car} {
			w.Portal.Seed(object, 20)
		}
		people := w.Portal.IDs("contacts")
		w.Portal.Associate("contacts", people[0], "companies", w.Portal.IDs("companies")[0], "", 0)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool {
			return p.backfilled(20, []string{"contacts", "companies", car}) && p.live(toCompanies.String()) == 1
		})
		w.Portal.SetScopes("crm.objects.companies.read", "crm.schemas.companies.read")
		time.Sleep(10 * time.Minute)
		var objects []string
		for _, problem := range p.ready().Problems {
			objects = append(objects, problem.Object)
		}
		if !slices.Contains(objects, "contacts") || !slices.Contains(objects, car) || slices.Contains(objects, "companies") {
			t.Errorf("problems with %v", objects)
		}
		w.Portal.Update("contacts", people[3], map[string]string{"firstname": "Late"})
		w.Portal.Archive("contacts", people[4])
		w.Portal.Update("companies", w.Portal.IDs("companies")[3], map[string]string{"name": "Soon"})
		p.Stop() // with a restart in the middle
		p = w.start()
		time.Sleep(10 * time.Minute)
		if events := w.told("companies", 20); len(events) != 1 {
			t.Errorf("the other types do not continue: %v", events)
		}
		for _, object := range []string{"contacts", car} {
			if events := w.told(object, 20); len(events) != 0 {
				t.Errorf("events of %s without its scope: %v", object, events)
			}
		}
		w.Portal.SetScopes("crm.objects.companies.read", "crm.schemas.companies.read", "crm.objects.contacts.read", "crm.schemas.contacts.read",
			"crm.objects.custom.read", "crm.schemas.custom.read", "crm.objects.owners.read")
		time.Sleep(15 * time.Minute)
		if r := p.ready(); !r.Ready || len(r.Problems) > 0 {
			t.Errorf("not ready again: %+v", r)
		}
		p.Stop()
		w.check("contacts", "companies", car)
		w.checkLinks(toCompanies)
	})
}

// TestR9_ScopesThatWereNeverGiven: an object type that the operator names and the
// token has never seen is a problem that names its scopes, not a mistake in the
// configuration. Everything else runs. Once the scopes are given, the type and
// its pairs run too.
func TestR9_ScopesThatWereNeverGiven(t *testing.T) {
	t.Parallel()
	companies := []string{"crm.objects.companies.read", "crm.schemas.companies.read", "crm.objects.owners.read"}
	for name, words := range map[string][2]string{
		"by names":    {"contacts", "p4242_car"},
		"by type ids": {"0-1", "2-1029"},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "by names" {
				long(t)
			}
			contacts, car := words[0], words[1]
			env := []string{
				"SYNC_SCHEMA_INTERVAL=1m", "HUBSPOT_OBJECTS=companies," + contacts + "," + car,
				"HUBSPOT_ASSOCIATIONS=" + contacts + ":companies,companies:" + car + "," + car + ":" + contacts,
			}
			opt := hubspottest.Options{Seed: 10, Types: []string{"contacts", "companies"}, Scopes: companies}
			inWorld(t, opt, env, func(w *world) {
				carType := w.Portal.AddCustomType("car")
				if car[0] == '2' && carType.ObjectTypeID != car {
					t.Fatalf("the type's id is %s", carType.ObjectTypeID)
				}
				objects := []string{"contacts", "companies", carType.FullyQualifiedName}
				for _, object := range objects {
					w.Portal.Seed(object, 5)
				}
				pairs := []cdc.Pair{toCompanies, {From: "companies", To: objects[2]}, {From: objects[2], To: "contacts"}}
				for _, pair := range pairs {
					w.Portal.Associate(pair.From, w.Portal.IDs(pair.From)[0], pair.To, w.Portal.IDs(pair.To)[0], "", 0)
				}
				p := w.start()
				time.Sleep(10 * time.Minute)
				r := p.ready()
				scopes := ""
				for _, problem := range r.Problems {
					scopes += problem.Problem
				}
				if r.Ready || !strings.Contains(scopes, "crm.objects.contacts.read") || !strings.Contains(scopes, "custom-object-read") {
					t.Errorf("without the scopes: %+v", r)
				}
				w.finds("object_type", car, check.Fail, "click crm.objects.custom.read and crm.schemas.custom.read")
				w.finds("associations", "", check.OK, "")
				if n := len(w.told("companies", 0)); n != 5 {
					t.Errorf("%d companies", n)
				}

				w.Portal.SetScopes(append(companies, "crm.objects.contacts.read", "crm.schemas.contacts.read", "crm.objects.custom.read", "crm.schemas.custom.read")...)
				time.Sleep(15 * time.Minute)
				if r := p.ready(); !r.Ready || len(r.Problems) > 0 {
					t.Errorf("with the scopes: %+v", r)
				}
				p.Stop()
				w.check(objects...)
				for _, pair := range pairs {
					w.checkLinks(pair)
				}
			})
		})
	}
}

// TestObjects_ASlipIsSaid: a word that cannot name any type ends the process with
// exit code 2, whatever the token may see.
func TestObjects_ASlipIsSaid(t *testing.T) {
	t.Parallel()
	for name, scopes := range map[string][]string{
		"a token that sees everything": nil,
		"without custom types":         {"crm.objects.contacts.read", "crm.schemas.contacts.read"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, hubspottest.Options{Scopes: scopes}, []string{"HUBSPOT_OBJECTS=contacts,cars"}, func(w *world) {
				err := <-w.start().Done
				if connector.ExitCode(err) != connector.ExitConfig || !strings.Contains(err.Error(), `HUBSPOT_OBJECTS names "cars"`) {
					t.Errorf("exit %d, %v", connector.ExitCode(err), err)
				}
			})
		})
	}
}

// TestSchema_ALabelOfAssociationsIsAddedAndRenamed: the links of a new label are
// published, and a new name when labels are next read, without waiting for the
// next sweep.
func TestSchema_ALabelOfAssociationsIsAddedAndRenamed(t *testing.T) {
	t.Parallel()
	env := []string{"SYNC_SCHEMA_INTERVAL=1m", "HUBSPOT_OBJECTS=contacts,companies"}
	inWorld(t, hubspottest.Options{Seed: 10}, env, func(w *world) {
		person, firm := w.Portal.Seed("contacts", 1)[0], w.Portal.Seed("companies", 1)[0]
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.sweptLinks(toCompanies) })
		id, _ := w.Portal.AddLabel("contacts", "companies", "Boss", "Firm")
		w.Portal.Associate("contacts", person, "companies", firm, "USER_DEFINED", id)
		w.SleepUntil(3*time.Minute, func() bool { return p.live(toCompanies.String()) > 0 })
		time.Sleep(2 * time.Minute)
		w.Portal.RenameLabel("contacts", "companies", id, "Chief")
		renamed := w.ReadUntil(3*time.Minute, func() bool {
			return slices.ContainsFunc(w.story(toCompanies), func(line string) bool { return strings.Contains(line, "Chief") })
		})
		t.Logf("a renamed label was published after %v", renamed)
		p.Stop()
		w.checkLinks(toCompanies)
	})
}

// TestSchema_TheRegistryRefusesOneTopic: that topic stops, at its start or when a
// property is added, and everything else continues. Readiness says so. Once the
// registry accepts the schema, everything that was missed is published.
func TestSchema_TheRegistryRefusesOneTopic(t *testing.T) {
	t.Parallel()
	env := []string{"SYNC_SCHEMA_INTERVAL=1m", "SYNC_ASSOCIATIONS_INTERVAL=2m", "HUBSPOT_OBJECTS=contacts,companies"}
	inWorld(t, hubspottest.Options{Seed: 11}, env, func(w *world) {
		people, firms := w.Portal.Seed("contacts", 20), w.Portal.Seed("companies", 20)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(20, []string{"contacts", "companies"}) })
		accepting := w.Registry.Turn(nil)
		w.Registry.Turn(refusing(accepting, "hubspot.contacts-value"))
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "points", Type: "number"})
		time.Sleep(2 * time.Minute)
		w.Portal.Update("contacts", people[0], map[string]string{"points": "1"})
		w.Portal.Update("companies", firms[0], map[string]string{"name": "New"})
		w.Portal.Associate("contacts", people[1], "companies", firms[1], "", 0)
		time.Sleep(5 * time.Minute)
		for range 2 {
			if n := len(w.told("contacts", 20)); n != 0 {
				t.Errorf("%d events of the refused topic", n)
			}
			if n := len(w.told("companies", 20)); n != 1 {
				t.Errorf("%d events of the other topic, want 1", n)
			}
			if n := p.live(toCompanies.String()); n == 0 {
				t.Error("the links do not continue")
			}
			problems := p.ready().Problems
			if len(problems) == 0 || !slices.ContainsFunc(problems, func(pr stream.Problem) bool {
				return pr.Object == "contacts" && pr.Stream == "schema" && strings.Contains(pr.Problem, "hubspot.contacts-value")
			}) {
				t.Errorf("problems %+v", problems)
			}
			p.Stop()
			p = w.start()
			time.Sleep(5 * time.Minute)
		}
		w.Registry.Turn(accepting)
		time.Sleep(20 * time.Minute)
		if r := p.ready(); !r.Ready || len(r.Problems) > 0 {
			t.Errorf("not ready again: %+v", r)
		}
		p.Stop()
		w.check("contacts", "companies")
		w.checkLinks(toCompanies)
	})
}

// refusing is a registry that refuses each schema of a subject as incompatible.
func refusing(to http.RoundTripper, subject string) answering {
	return answering{to, subject, http.StatusConflict, `{"error_code":409,"message":"Schema being registered is incompatible"}`}
}

// finds expects a check, which runs beside the connector, to say what to do about
// a subject ("": any).
func (w *world) finds(what, subject string, status check.Status, todo string) {
	w.T.Helper()
	setup, err := connector.Prepare(w.Config, w.Options(w.Portal.Transport(), w.Brokers))
	if err != nil {
		w.T.Fatal(err)
	}
	report := check.Run(w.T.Context(), setup, check.Journal{})
	for _, f := range report.Findings {
		if f.Check == what && f.Status == status && (subject == "" || f.Subject == subject) && strings.Contains(strings.Join(f.Todo, "\n"), todo) {
			return
		}
	}
	w.T.Errorf("no %s of %s about %q with %q in %+v", status, what, subject, todo, report.Findings)
}

// TestSchema_FieldsAlikeButForCase are warned of once, however often the schema is
// read and the connector recovers.
func TestSchema_FieldsAlikeButForCase(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 41}, []string{"SYNC_SCHEMA_INTERVAL=10s"}, func(w *world) {
		car := w.Portal.AddCustomType("car", hubspottest.Property{Name: "maker"}, hubspottest.Property{Name: "Maker"}, hubspottest.Property{Name: "model"}).FullyQualifiedName
		w.Portal.Create(car, map[string]string{"maker": "a", "Maker": "b"})
		p := w.start()
		time.Sleep(time.Minute)
		w.Brokers.Cut()
		time.Sleep(2 * time.Minute)
		w.Brokers.Mend()
		time.Sleep(2 * time.Minute)
		p.Stop()
		var lines []string
		for line := range strings.Lines(p.Log.String()) {
			if strings.Contains(line, "differ in case alone") {
				lines = append(lines, line)
			}
		}
		if len(lines) != 1 || !strings.Contains(lines[0], "Maker,maker") || !strings.Contains(lines[0], car) {
			t.Errorf("the log has %q", lines)
		}
		w.check(car)
	})
}
