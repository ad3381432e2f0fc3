package verify_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/connector/verify"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// Of what differs under the same version, the names of the properties are told, the first
// five of them, and no value of any.
func TestVerify_NamesThePropertiesThatDifferAndNoValue(t *testing.T) {
	settings := append([]string{
		"HUBSPOT_VOLATILE=contacts.phone", "HUBSPOT_PROPERTIES_HASH=contacts.email", "HUBSPOT_HASH_KEY=0123456789abcdef0123456789abcdef",
	}, twoTypes...)
	world.In(t, hubspottest.Options{Seed: 28}, settings, func(w *world.World) {
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "score", Type: "number"})
		many := map[string]string{"firstname": "secret", "lastname": "secret", "phone": "555"}
		for _, name := range []string{"p1", "p2", "p3", "p4", "p5"} {
			w.Portal.AddProperty("contacts", hubspottest.Property{Name: name, Type: "string"})
			many[name] = "secret"
		}
		odd := w.Portal.Create("contacts", map[string]string{"score": "secret one"})
		emptied := w.Portal.Create("contacts", map[string]string{"p1": "secret", "p2": "stays"})
		there := w.Portal.AddOwner(hubspottest.Owner{Email: "carl@example.com"})
		label, _ := w.Portal.AddLabel("contacts", "companies", "Secret", "Secret back")
		w.Portal.Associate("contacts", odd, "companies", w.Portal.Seed("companies", 1)[0], "USER_DEFINED", label)
		contacts, _ := everything(w)
		w.Portal.UpdateCalculated("contacts", contacts[1], map[string]string{"lastname": "secret"})
		w.Portal.UpdateCalculated("contacts", contacts[2], many)
		w.Portal.UpdateCalculated("contacts", contacts[3], map[string]string{"email": "secret@example.com"})
		w.Portal.UpdateCalculated("contacts", odd, map[string]string{"score": "secret two"})
		w.Portal.UpdateCalculated("contacts", emptied, map[string]string{"p1": ""})
		w.Produce("hubspot.contacts", text(contacts[4]), "secret")
		w.Portal.RenameLabel("contacts", "companies", label, "Another secret")
		for _, r := range w.Records("hubspot.owners") {
			if string(r.Key) == there {
				w.Produce("hubspot.owners", there, strings.ReplaceAll(string(r.Value), "carl@", "secr@"))
			}
		}
		r := compared(w, verify.Options{})
		var table, object strings.Builder
		if err := r.WriteTable(&table, false); err != nil {
			t.Error(err)
		}
		if err := r.WriteJSON(&object); err != nil {
			t.Error(err)
		}
		for what, text := range map[string]string{"the table": table.String(), "the JSON": object.String()} {
			if strings.Contains(strings.ToLower(text), "secr") || strings.Contains(text, "phone") {
				t.Errorf("%s tells a value, or a property that does not count:\n%s", what, text)
			}
		}
		for topic, want := range map[string]map[string]verify.Names{
			"hubspot.contacts": {
				text(contacts[1]): {Names: []string{"lastname"}},
				text(contacts[2]): {Names: []string{"firstname", "lastname", "p1", "p2", "p3"}, More: 2},
				text(contacts[3]): {Names: []string{"email"}},
				text(odd):         {Names: []string{"score"}},
				text(emptied):     {Names: []string{"p1"}},
			},
			"hubspot.owners": {there: {Names: []string{"email"}}},
		} {
			if got := only(t, r, topic).Properties; !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %v, want %v", topic, got, want)
			}
		}
		if found := only(t, r, "hubspot.contacts").Different; len(found) != 6 {
			t.Errorf("six contacts differ, it says %v", found)
		}
		pair := only(t, r, "hubspot.associations.contacts.companies")
		if len(pair.Different) != 1 || pair.Properties[pair.Different[0]].String() != "label" {
			t.Errorf("a label was renamed: %s", jsonOf(t, pair))
		}
		line := "\n  " + text(contacts[2]) + ": firstname, lastname, p1, p2, p3 and 2 more\n"
		if !strings.Contains(table.String(), line) || !strings.Contains(table.String(), "\n  "+text(contacts[4])+"\n") {
			t.Errorf("%q is not in\n%s", line, table.String())
		}
		var back verify.Report
		if err := json.Unmarshal([]byte(object.String()), &back); err != nil || !reflect.DeepEqual(back.Topics[0].Properties, r.Topics[0].Properties) {
			t.Errorf("%v: the JSON says %s", err, object.String())
		}
	})
}
