package schema

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// listed makes properties from "name type" pairs.
func listed(pairs ...string) []hubspot.Property {
	var props []hubspot.Property
	for _, pair := range pairs {
		i := strings.LastIndex(pair, " ")
		name, typ := pair[:i], pair[i+1:]
		props = append(props, hubspot.Property{Name: name, Type: typ, Label: "The " + name, FieldType: "text"})
	}
	return props
}

// told lists a set's fields as "Avro name=type" in order, with those out of force
// in parentheses.
func told(s *Set) []string {
	var fields []string
	for _, f := range s.Fields {
		text := f.Name + "=" + f.Type.String()
		if !f.InForce {
			text = "(" + text + ")"
		}
		fields = append(fields, text)
	}
	return fields
}

// evolved is one step: what HubSpot lists and the operator selects, and the set
// and difference that follow.
type evolved struct {
	lists   []string
	fields  []string
	selects *Selection
	diff    Diff
}

func checkEvolution(t *testing.T, steps []evolved) *Set {
	t.Helper()
	var set *Set
	for i, step := range steps {
		before := set
		var copied Set
		if before != nil {
			copied = *before
			copied.Fields = slices.Clone(before.Fields)
		}
		next, diff := Evolve(set, "contacts", listed(step.lists...), step.selects)
		if got := told(next); !slices.Equal(got, step.fields) {
			t.Errorf("step %d: fields\n got %q\nwant %q", i, got, step.fields)
		}
		if !reflect.DeepEqual(diff, step.diff) {
			t.Errorf("step %d: diff %+q, want %+q", i, diff, step.diff)
		}
		if before != nil && !reflect.DeepEqual(copied, *before) {
			t.Errorf("step %d: Evolve changed the set that it was given", i)
		}
		set = next
	}
	return set
}

func TestFirstSetIsSortedByName(t *testing.T) {
	checkEvolution(t, []evolved{{
		lists:  []string{"zip string", "amount number", "Email string", "closed bool", "born date", "createdate datetime", "stage enumeration", "odd some_new_type"},
		fields: []string{"Email=string", "amount=double", "born=date", "closed=boolean", "createdate=timestamp", "odd=string", "stage=string", "zip=string"},
	}})
}

func TestAddedPropertyComesLast(t *testing.T) {
	checkEvolution(t, []evolved{
		{lists: []string{"b string", "d string"}, fields: []string{"b=string", "d=string"}},
		{
			lists:  []string{"c number", "b string", "a bool", "d string"},
			fields: []string{"b=string", "d=string", "a=boolean", "c=double"},
			diff:   Diff{Added: []string{"a", "c"}},
		},
	})
}

func TestRemovedPropertyKeepsItsFieldAndFindsItAgain(t *testing.T) {
	set := checkEvolution(t, []evolved{
		{lists: []string{"a string", "b number"}, fields: []string{"a=string", "b=double"}},
		{lists: []string{"b number"}, fields: []string{"(a=string)", "b=double"}, diff: Diff{Removed: []string{"a"}}},
		{lists: []string{"b number"}, fields: []string{"(a=string)", "b=double"}},
	})
	if got, want := set.Slots(nil).Names, []string{"", "b"}; !slices.Equal(got, want) {
		t.Errorf("slots %q, want %q", got, want)
	}
	if got := set.Slots(nil).Slot([]byte("a")); got != -1 {
		t.Errorf("the removed property still has slot %d", got)
	}
	set, diff := Evolve(set, "contacts", listed("a string", "b number"), nil)
	if got, want := told(set), []string{"a=string", "b=double"}; !slices.Equal(got, want) {
		t.Errorf("listed again: %q, want %q", got, want)
	}
	if want := (Diff{Added: []string{"a"}}); !reflect.DeepEqual(diff, want) {
		t.Errorf("listed again: %+q, want %+q", diff, want)
	}
}

func TestRetypedPropertyHasAFieldOfItsTypeAndTheFirstOneAgain(t *testing.T) {
	checkEvolution(t, []evolved{
		{lists: []string{"amount number"}, fields: []string{"amount=double"}},
		{lists: []string{"amount string"}, fields: []string{"(amount=double)", "amount__string=string"}, diff: Diff{Added: []string{"amount"}}},
		// Written alike, so the same field, whatever its name says.
		{lists: []string{"amount enumeration"}, fields: []string{"(amount=double)", "amount__string=string"}},
		{lists: []string{"amount number"}, fields: []string{"amount=double", "(amount__string=string)"}, diff: Diff{Added: []string{"amount"}}},
		{lists: nil, fields: []string{"(amount=double)", "(amount__string=string)"}, diff: Diff{Removed: []string{"amount"}}},
		{
			lists:  []string{"amount datetime"},
			fields: []string{"(amount=double)", "(amount__string=string)", "amount__datetime=timestamp"},
			diff:   Diff{Added: []string{"amount"}},
		},
		{
			lists:  []string{"amount phone_number"},
			fields: []string{"(amount=double)", "amount__string=string", "(amount__datetime=timestamp)"},
			diff:   Diff{Added: []string{"amount"}},
		},
	})
}

func TestRetypedNameGivesWayToARealProperty(t *testing.T) {
	t.Run("which was there", func(t *testing.T) {
		checkEvolution(t, []evolved{
			{lists: []string{"a number", "a__string bool"}, fields: []string{"a=double", "a__string=boolean"}},
			{
				lists:  []string{"a string", "a__string bool"},
				fields: []string{"(a=double)", "a__string=boolean", "a__string_=string"},
				diff:   Diff{Added: []string{"a"}},
			},
		})
	})
	t.Run("which comes at the same time", func(t *testing.T) {
		checkEvolution(t, []evolved{
			{lists: []string{"a number"}, fields: []string{"a=double"}},
			{
				lists:  []string{"a string", "a__string bool", "a__string_ bool"},
				fields: []string{"(a=double)", "a__string=boolean", "a__string_=boolean", "a__string__=string"},
				diff:   Diff{Added: []string{"a", "a__string", "a__string_"}},
			},
		})
	})
	t.Run("which is gone", func(t *testing.T) {
		checkEvolution(t, []evolved{
			{lists: []string{"a number", "a__string bool"}, fields: []string{"a=double", "a__string=boolean"}},
			{lists: []string{"a number"}, fields: []string{"a=double", "(a__string=boolean)"}, diff: Diff{Removed: []string{"a__string"}}},
			{lists: []string{"a string"}, fields: []string{"(a=double)", "(a__string=boolean)", "a__string_=string"}, diff: Diff{Added: []string{"a"}}},
		})
	})
	// Fields are never renamed: here the real property comes too late.
	t.Run("which comes later", func(t *testing.T) {
		checkEvolution(t, []evolved{
			{lists: []string{"a number"}, fields: []string{"a=double"}},
			{lists: []string{"a string"}, fields: []string{"(a=double)", "a__string=string"}, diff: Diff{Added: []string{"a"}}},
			{
				lists:  []string{"a string", "a__string bool", "a__string_ date"},
				fields: []string{"(a=double)", "a__string=string", "a__string__=boolean", "a__string_=date"},
				diff:   Diff{Added: []string{"a__string", "a__string_"}},
			},
		})
	})
}

func TestPropertiesThatDifferOnlyInCaseOrInMangledCharacters(t *testing.T) {
	checkEvolution(t, []evolved{{
		lists:  []string{"Email string", "email number", "a-b string", "a.b number", "a_u002db bool"},
		fields: []string{"Email=string", "a_u002db=string", "a_u002eb=double", "a_u005fu002db=boolean", "email=double"},
	}})
}

func TestPropertyListedTwiceIsOneField(t *testing.T) {
	checkEvolution(t, []evolved{{
		lists:  []string{"a string", "b string", "a number"},
		fields: []string{"a=string", "b=string"},
	}})
}

func TestLabelsAloneChangeNothingOfStructure(t *testing.T) {
	first, _ := Evolve(nil, "deals", []hubspot.Property{{Name: "stage", Type: "string", Label: "Stage", FieldType: "text"}}, nil)
	next, diff := Evolve(first, "deals", []hubspot.Property{{Name: "stage", Type: "enumeration", Label: "The <stage>", FieldType: "select"}}, nil)
	if !diff.Empty() || !next.Same(first) {
		t.Errorf("diff %+q, same %v; want no change", diff, next.Same(first))
	}
	if got, want := next.Fields[0], (Field{Name: "stage", Property: "stage", Type: String, HubSpotType: "enumeration", FieldType: "select", Label: "The <stage>", InForce: true}); got != want {
		t.Errorf("field %+v, want %+v", got, want)
	}
	same, err := SameFields(EnvelopeSchema(Namespace("hubspot.deals"), first), EnvelopeSchema(Namespace("hubspot.deals"), next))
	if err != nil || !same {
		t.Errorf("SameFields = %v, %v; want true", same, err)
	}
}

func TestSetJSON(t *testing.T) {
	set, _ := Evolve(nil, "p82918_car", listed("amount number", "1st date", "b bool"), nil)
	set, _ = Evolve(set, "p82918_car", listed("amount string", "b bool"), nil)
	data, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	// Users have this format in their state topic.
	const want = `{"v":1,"object":"p82918_car","merged":true,"fields":[` +
		`{"name":"_u0031st","property":"1st","type":"date","hubspotType":"date","fieldType":"text","label":"The 1st","inForce":false},` +
		`{"name":"amount","property":"amount","type":"double","hubspotType":"number","fieldType":"text","label":"The amount","inForce":false},` +
		`{"name":"b","property":"b","type":"boolean","hubspotType":"bool","fieldType":"text","label":"The b","inForce":true},` +
		`{"name":"amount__string","property":"amount","type":"string","hubspotType":"string","fieldType":"text","label":"The amount","inForce":true}]}`
	if string(data) != want {
		t.Errorf("JSON\n got %s\nwant %s", data, want)
	}
	var back Set
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&back, set) {
		t.Errorf("read back\n got %+v\nwant %+v", back, *set)
	}
}

func TestSetJSONIsRefused(t *testing.T) {
	for _, tt := range []struct{ json, says string }{
		{`{"v":2,"object":"contacts","fields":[]}`, "version 2"},
		{`{"object":"contacts"}`, "version 0"},
		{`{"v":1,"object":"contacts","fields":[{"name":"a","property":"a","type":"text"}]}`, `"text" is not a field type`},
		{`{"v":1,"object":"contacts","fields":[{"name":"1","property":"1","type":"string"}]}`, "not an Avro name"},
		{`{"v":1,"object":"contacts","fields":[{"name":"","property":"1","type":"string"}]}`, "not an Avro name"},
		{`{"v":1,"object":"contacts","fields":[{"name":"a","property":"a","type":"string"},{"name":"a","property":"b","type":"string"}]}`, "twice"},
		{`{"v":1,"object":"contacts","fields":[{"name":"a","property":"a","type":"string","inForce":true},{"name":"b","property":"a","type":"double","inForce":true}]}`, "two fields in force"},
		{`[]`, "property set"},
	} {
		var set Set
		if err := json.Unmarshal([]byte(tt.json), &set); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v, want one that says %q", tt.json, err, tt.says)
		}
	}
}

// Whatever a portal does to its properties: Evolve only adds fields, no two share
// a name, each listed property has exactly one in force, of its type, and every
// version of the schema compiles.
func TestEvolutionsAreAppendOnly(t *testing.T) {
	names := []string{"a", "A", "a__string", "a__string_", "a__number", "a-b", "a_u002db", "1", "🙂", "a__string__bool"}
	hubspotTypes := []string{"string", "number", "bool", "date", "datetime", "enumeration", "new type"}
	const seed = 1
	random := rand.New(rand.NewPCG(seed, seed))
	for range 60 {
		var set *Set
		for range 8 {
			var props []hubspot.Property
			for _, name := range names {
				if random.IntN(3) > 0 {
					props = append(props, hubspot.Property{Name: name, Type: hubspotTypes[random.IntN(len(hubspotTypes))]})
				}
			}
			random.Shuffle(len(props), func(i, j int) { props[i], props[j] = props[j], props[i] })
			next, diff := Evolve(set, "contacts", props, nil)

			if set != nil {
				for i, f := range set.Fields {
					g := next.Fields[i]
					if f.Name != g.Name || f.Property != g.Property || f.Type != g.Type {
						t.Fatalf("field %d was %+v and is %+v", i, f, g)
					}
				}
			}
			inForce := make(map[string]Type)
			avroNames := make(map[string]bool)
			for _, f := range next.Fields {
				if avroNames[f.Name] {
					t.Fatalf("two fields %q in %q", f.Name, told(next))
				}
				avroNames[f.Name] = true
				if _, twice := inForce[f.Property]; f.InForce && twice {
					t.Fatalf("two fields in force for %q in %q", f.Property, told(next))
				} else if f.InForce {
					inForce[f.Property] = f.Type
				}
			}
			for _, p := range props {
				if typ, ok := inForce[p.Name]; !ok || typ != TypeOf(p.Type) {
					t.Fatalf("property %q of type %s: in force %v, %v", p.Name, p.Type, typ, ok)
				}
			}
			if len(inForce) != len(props) {
				t.Fatalf("%d properties, %d in force", len(props), len(inForce))
			}
			if set != nil {
				checkDifference(t, set, next, diff)
			}
			if again, diff := Evolve(next, "contacts", props, nil); !reflect.DeepEqual(again, next) || !diff.Empty() {
				t.Fatalf("the same properties again: %+q, %q", diff, told(again))
			}
			if _, err := Compile("hubspot.contacts", next); err != nil {
				t.Fatal(err)
			}
			set = next
		}
	}
}

// checkDifference works the difference out from the fields.
func checkDifference(t *testing.T, prev, next *Set, diff Diff) {
	t.Helper()
	wasAt, isAt := map[string]string{}, map[string]string{}
	for _, f := range prev.Fields {
		if f.InForce {
			wasAt[f.Property] = f.Name
		}
	}
	for _, f := range next.Fields {
		if f.InForce {
			isAt[f.Property] = f.Name
		}
	}
	var wantAdded, wantRemoved []string
	for property, name := range isAt {
		if wasAt[property] != name {
			wantAdded = append(wantAdded, property)
		}
	}
	for property := range wasAt {
		if isAt[property] == "" {
			wantRemoved = append(wantRemoved, property)
		}
	}
	slices.Sort(wantAdded)
	slices.Sort(wantRemoved)
	if want := (Diff{Added: wantAdded, Removed: wantRemoved}); !reflect.DeepEqual(diff, want) {
		t.Fatalf("from %q to %q: %+q, want %+q", told(prev), told(next), diff, want)
	}
}
