package hubspottest

import (
	"encoding/json"
	"slices"
	"testing"
)

type definitions struct {
	Results []struct{ Name, Type, FieldType, DataSensitivity string }
}

func defs(t testing.TB, p *Portal, object, query string) map[string]string {
	t.Helper()
	var d definitions
	r := do(t, p, "GET", "/crm/properties/2026-09/"+object+query, "").want(t, 200)
	if err := json.Unmarshal(r.body, &d); err != nil {
		t.Fatal(err)
	}
	types := make(map[string]string)
	for _, def := range d.Results {
		types[def.Name] = def.Type + " " + def.FieldType
	}
	return types
}

func TestSensitiveDefinitionsOnlyOnDemand(t *testing.T) {
	p := calm()
	p.AddProperty("contacts", Property{Name: "ssn", Sensitivity: "highly_sensitive"})
	p.Create("contacts", map[string]string{"ssn": "123"})
	if _, ok := defs(t, p, "contacts", "")["ssn"]; ok {
		t.Error("a sensitive definition came without a request for it")
	}
	if got := defs(t, p, "contacts", "?dataSensitivity=highly_sensitive"); len(got) != 1 || got["ssn"] == "" {
		t.Errorf("got %v, want ssn only", got)
	}
	if got := defs(t, p, "contacts", "?dataSensitivity=sensitive"); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
	do(t, p, "GET", "/crm/properties/2026-09/contacts?dataSensitivity=secret", "").want(t, 400)
	list := func() *string {
		return list(t, p, "?properties=ssn").Results[0].Properties["ssn"]
	}
	if got := list(); got == nil || *got != "123" {
		t.Errorf("got %v, want the value", got)
	}
	// Without the scope there are neither definitions nor values.
	p.SetScopes(contactScope)
	do(t, p, "GET", "/crm/properties/2026-09/contacts?dataSensitivity=highly_sensitive", "").want(t, 403).says(t, "crm.objects.contacts.highly_sensitive.read")
	if got := list(); got != nil {
		t.Errorf("got %q without the scope", *got)
	}
	do(t, p, "POST", searchPath, searchBody(1, "ssn HAS_PROPERTY")).want(t, 400)
}

func TestPropertiesComeChangeAndGo(t *testing.T) {
	p := calm()
	p.AddProperty("contacts", Property{Name: "size", Type: "number"})
	id := p.Create("contacts", map[string]string{"size": "12"})
	before := at(t, p, id).UpdatedAt
	if got := defs(t, p, "contacts", "")["size"]; got != "number number" {
		t.Errorf("got %q", got)
	}
	p.RetypeProperty("contacts", "size", "string", "")
	if got := defs(t, p, "contacts", "")["size"]; got != "string number" && got != "string text" {
		t.Errorf("got %q after the change of type", got)
	}
	if got := *list(t, p, "?properties=size").Results[0].Properties["size"]; got != "12" {
		t.Errorf("got %q, want the text that was there", got)
	}
	p.RemoveProperty("contacts", "size")
	if _, ok := defs(t, p, "contacts", "")["size"]; ok {
		t.Error("the definition is still there")
	}
	if got := defs(t, p, "contacts", "?archived=true"); got["size"] == "" {
		t.Errorf("archived definitions: got %v", got)
	}
	if _, ok := list(t, p, "?properties=size").Results[0].Properties["size"]; ok {
		t.Error("the value is still answered")
	}
	if got := at(t, p, id).UpdatedAt; got != before {
		t.Errorf("updatedAt moved from %d to %d", before, got)
	}
	do(t, p, "POST", searchPath, searchBody(1, "size HAS_PROPERTY")).want(t, 400)
	// Created again, it starts empty.
	p.AddProperty("contacts", Property{Name: "size", Type: "bool"})
	if got := list(t, p, "?properties=size").Results[0].Properties["size"]; got != nil {
		t.Errorf("got %q, want null", *got)
	}
	do(t, p, "GET", "/crm/properties/2026-09/contacts/size", "").want(t, 200).says(t, `"type":"bool"`)
	do(t, p, "GET", "/crm/properties/2026-09/contacts/nope", "").want(t, 404)
}

func TestCalculatedPropertiesMostlyDoNotSaySo(t *testing.T) {
	said, all := 0, 0
	for _, def := range standardProperties(&standards[0]) {
		if def.calculates() {
			all++
			if def.Calculated {
				said++
			}
		}
	}
	if said == 0 || said == all {
		t.Errorf("%d of %d calculated properties say so, want some", said, all)
	}
}

func TestSchemasListCustomObjectsOnly(t *testing.T) {
	p := calm()
	car := p.AddCustomType("car", Property{Name: "plate"})
	boat := p.AddCustomType("boat")
	type schema struct {
		ObjectTypeID, FullyQualifiedName, Name string
		Archived                               bool
		Properties                             []struct{ Name string }
	}
	schemas := func(query string) (names []string) {
		var all struct{ Results []schema }
		r := do(t, p, "GET", "/crm-object-schemas/2026-09/schemas"+query, "").want(t, 200)
		if err := json.Unmarshal(r.body, &all); err != nil {
			t.Fatal(err)
		}
		for _, s := range all.Results {
			names = append(names, s.FullyQualifiedName)
		}
		return names
	}
	one := func(name string) (s schema) {
		r := do(t, p, "GET", "/crm-object-schemas/2026-03/schemas/"+name, "").want(t, 200)
		if err := json.Unmarshal(r.body, &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if got := schemas(""); !slices.Equal(got, []string{"p4242_car", "p4242_boat"}) {
		t.Errorf("got %v", got)
	}
	if got := one(car.ObjectTypeID); got.Name != "car" || got.FullyQualifiedName != car.FullyQualifiedName || len(got.Properties) < 4 {
		t.Errorf("got %+v", got)
	}
	if got := one("contacts"); got.FullyQualifiedName != "CONTACT" || got.ObjectTypeID != "0-1" {
		t.Errorf("got %+v", got)
	}
	if got := one("0-2?includePropertyDefinitions=false"); len(got.Properties) != 0 {
		t.Errorf("got %d properties without a request for them", len(got.Properties))
	}

	// Removed for good: the schema is a 404, and the other calls do not know the
	// type.
	p.Create(car.FullyQualifiedName, nil)
	p.RemoveCustomType(car.FullyQualifiedName)
	do(t, p, "GET", "/crm-object-schemas/2026-09/schemas/"+car.ObjectTypeID, "").want(t, 404)
	do(t, p, "GET", "/crm/objects/2026-09/"+car.ObjectTypeID, "").want(t, 400).says(t, "Unable to infer object type from: "+car.ObjectTypeID)
	if got := p.Records(car.FullyQualifiedName); len(got) != 0 {
		t.Errorf("a removed type has %d records", len(got))
	}
	if got := p.History(car.FullyQualifiedName); len(got) != 2 || got[1].Op != OpTypeRemoved || got[1].State.Live() {
		t.Errorf("got history %v", got)
	}
	// Archived: the schema says so.
	p.ArchiveCustomType(boat.FullyQualifiedName)
	if got := one(boat.ObjectTypeID); !got.Archived {
		t.Errorf("got %+v, want archived", got)
	}
	if got := schemas(""); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
	if got := schemas("?archived=true"); !slices.Equal(got, []string{"p4242_boat"}) {
		t.Errorf("got %v", got)
	}
	// A new type of the same name is another type.
	if again := p.AddCustomType("car"); again.ObjectTypeID == car.ObjectTypeID || again.FullyQualifiedName != car.FullyQualifiedName {
		t.Errorf("got %+v after %+v", again, car)
	}
	do(t, p, "GET", "/crm-object-schemas/2026-09/schemas/"+car.ObjectTypeID, "").want(t, 404)
}
