package schema

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// selecting makes a selection from words such as "-contacts.email" (left out),
// "+contacts.*" (only these), "#contacts.phone" (hashed) and "key=…".
func selecting(t testing.TB, words ...string) *Selection {
	t.Helper()
	sel := &Selection{}
	for _, word := range words {
		if key, ok := strings.CutPrefix(word, "key="); ok {
			sel.Key = hubspot.Secret(key)
			continue
		}
		glob, err := CompileGlob(word[1:])
		if err != nil {
			t.Fatal(err)
		}
		globs := map[byte]*Globs{'-': &sel.Exclude, '+': &sel.Include, '#': &sel.Hash}[word[0]]
		*globs = append(*globs, glob)
	}
	return sel
}

func TestSelectionOfTheFirstSet(t *testing.T) {
	lists := []string{"amount number", "email string", "phone phone_number"}
	for _, tt := range []struct {
		name    string
		selects []string
		fields  []string
	}{
		{"nothing said", nil, []string{"amount=double", "email=string", "phone=string"}},
		{"left out", []string{"-contacts.em*"}, []string{"amount=double", "phone=string"}},
		{"left out of another type", []string{"-deals.*"}, []string{"amount=double", "email=string", "phone=string"}},
		{"only these", []string{"+contacts.email", "+contacts.amount"}, []string{"amount=double", "email=string"}},
		{"only those of another type", []string{"+deals.email"}, nil},
		{"out counts more than in", []string{"+*.*", "-*.email"}, []string{"amount=double", "phone=string"}},
		{"out counts more than hashed", []string{"#*.*", "-*.email", "key=k"}, []string{"amount=string", "phone=string"}},
		{"everything left out", []string{"-*.*"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set, diff := Evolve(nil, "contacts", listed(lists...), selecting(t, tt.selects...))
			if got := told(set); !slices.Equal(got, tt.fields) || !diff.Empty() {
				t.Errorf("fields %q, diff %+q; want %q and no difference", got, diff, tt.fields)
			}
			if _, err := Compile("hubspot.contacts", set); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSelectionThatChanges(t *testing.T) {
	const plain, number = "email string", "score number"
	keyed := selecting(t, "#contacts.*", "key=one")
	checkEvolution(t, []evolved{
		{lists: []string{plain, number}, fields: []string{"email=string", "score=double"}},
		{
			lists: []string{plain, number}, selects: selecting(t, "-contacts.email"),
			fields: []string{"(email=string)", "score=double"}, diff: Diff{Excluded: []string{"email"}},
		},
		// Hashed: the string keeps its field, the number gets another one.
		{
			lists: []string{plain, number}, selects: keyed,
			fields: []string{"email=string", "(score=double)", "score__string=string"}, diff: Diff{Added: []string{"email", "score"}},
		},
		{
			lists: []string{plain, number}, selects: selecting(t, "#contacts.*", "key=two"),
			fields: []string{"email=string", "(score=double)", "score__string=string"}, diff: Diff{Treated: []string{"email", "score"}},
		},
		// HubSpot retypes a hashed property: nothing changes.
		{
			lists: []string{plain, "score enumeration"}, selects: selecting(t, "#contacts.*", "key=two"),
			fields: []string{"email=string", "(score=double)", "score__string=string"},
		},
		// Gone from HubSpot and left out at the same time: HubSpot cannot name its holders.
		{
			lists: []string{number}, selects: selecting(t, "-contacts.*"),
			fields: []string{"(email=string)", "(score=double)", "(score__string=string)"}, diff: Diff{Removed: []string{"email"}, Excluded: []string{"score"}},
		},
		{
			lists:  []string{plain, number},
			fields: []string{"email=string", "score=double", "(score__string=string)"}, diff: Diff{Added: []string{"email", "score"}},
		},
		{
			lists: []string{plain, number}, selects: selecting(t, "#*.email", "key=one"),
			fields: []string{"email=string", "score=double", "(score__string=string)"}, diff: Diff{Treated: []string{"email"}},
		},
	})

	t.Run("hashed from the start", func(t *testing.T) {
		checkEvolution(t, []evolved{
			{lists: []string{number}, selects: keyed, fields: []string{"score=string"}},
			{lists: []string{number}, fields: []string{"(score=string)", "score__number=double"}, diff: Diff{Added: []string{"score"}}},
			{lists: []string{number}, selects: keyed, fields: []string{"score=string", "(score__number=double)"}, diff: Diff{Added: []string{"score"}}},
		})
	})
}

// R7: the property by which merges are found is always read, and published as
// selected.
func TestSelectionReadsMergesInAnyCase(t *testing.T) {
	lists := listed("email string", "hs_merged_object_ids enumeration")
	for _, tt := range []struct {
		selects []string
		merged  bool // beside the slots
	}{{nil, false}, {[]string{"-*.hs_*"}, true}, {[]string{"+*.email"}, true}, {[]string{"#*.hs_*", "key=k"}, false}} {
		sel := selecting(t, tt.selects...)
		set, _ := Evolve(nil, "contacts", lists, sel)
		slots := set.Slots(sel)
		if slots.Merged != tt.merged || slots.Merged == (slots.Slot([]byte(hubspot.MergedProperty)) >= 0) {
			t.Errorf("%q: merged %v beside the slots %q", tt.selects, slots.Merged, slots.Names)
		}
	}
	if set, _ := Evolve(nil, "contacts", listed("email string"), nil); !set.Slots(nil).Merged {
		t.Error("hs_merged_object_ids is not asked for where HubSpot does not list it")
	}
}

// R13: the state remembers what is hashed, and under which key, but not the key.
func TestSetRemembersTheTreatment(t *testing.T) {
	sel := selecting(t, "#*.email", "-*.hs_*", "key=the key of the digests")
	set, _ := Evolve(nil, "contacts", []hubspot.Property{
		{Name: "email", Type: "string"}, {Name: "hs_merged_object_ids", Type: "string"}, {Name: "ssn", Type: "string", DataSensitivity: "sensitive"},
	}, sel)
	set.TypeID = "0-1"
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"v":1,"object":"contacts","typeId":"0-1","merged":true,"fields":[` +
		`{"name":"email","property":"email","type":"string","hubspotType":"string","inForce":true,"hashed":"426a5ec3c8b0a263"},` +
		`{"name":"ssn","property":"ssn","type":"string","hubspotType":"string","sensitivity":"sensitive","inForce":true}]}`
	if string(text) != want {
		t.Errorf("JSON\n got %s\nwant %s", text, want)
	}
	var back Set
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(&back, set) {
		t.Errorf("read back %+v, %v", back, err)
	}
	for name, other := range map[string]*Selection{"another key": selecting(t, "#*.email", "-*.hs_*", "key=another"), "no longer hashed": selecting(t, "-*.hs_*")} {
		next, _ := Evolve(set, "contacts", []hubspot.Property{{Name: "email", Type: "string"}, {Name: "hs_merged_object_ids", Type: "string"}, {Name: "ssn", Type: "string", DataSensitivity: "sensitive"}}, other)
		if next.Same(set) {
			t.Errorf("%s: the sets count as the same", name)
		}
	}
}

func TestSlotsNeedTheKeyThatTheSetIsHashedWith(t *testing.T) {
	sel := selecting(t, "#*.email", "key=one")
	set, _ := Evolve(nil, "contacts", listed("a string", "email string"), sel)
	slots := set.Slots(sel)
	if !slices.Equal(slots.Hashed, []bool{false, true}) || slots.HashKey.Reveal() != "one" {
		t.Errorf("hashed %v", slots.Hashed)
	}
	for _, other := range []*Selection{nil, selecting(t, "#*.email", "key=two")} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("slots were made with the wrong key")
				}
			}()
			set.Slots(other)
		}()
	}
}

// R9: a property that the token may no longer see does not count as removed, and
// is read again once it is shown; unless the operator no longer wants it as it
// was published.
func TestWithheldPropertiesAreNotRemoved(t *testing.T) {
	all := append(listed("a string"), hubspot.Property{Name: "b", Type: "string", DataSensitivity: "sensitive"}, hubspot.Property{Name: "c", Type: "string", DataSensitivity: "highly_sensitive"})
	first, _ := Evolve(nil, "contacts", all, nil)
	look := func(before *Set, props []hubspot.Property, sel *Selection, refused ...string) (*Set, Diff) {
		next, diff := Evolve(before, "contacts", props, sel)
		next.withhold(before, &diff, refused, sel)
		text, err := json.Marshal(next)
		if err != nil {
			t.Fatal(err)
		}
		var back Set
		if err := json.Unmarshal(text, &back); err != nil || !back.Same(next) {
			t.Fatalf("read back %+v, %v; want %+v", back, err, next)
		}
		return &back, diff
	}
	lost, diff := look(first, nil, nil, "sensitive")
	if want := (Diff{Removed: []string{"a", "c"}, Withheld: []string{"b"}}); !reflect.DeepEqual(diff, want) {
		t.Errorf("%+q, want %+q", diff, want)
	}
	if diff.Empty() || len(diff.Ask()) > 0 || lost.Slots(nil).Slot([]byte("b")) >= 0 {
		t.Errorf("empty %v, asks for %q, slots %q", diff.Empty(), diff.Ask(), lost.Slots(nil).Names)
	}
	for _, tt := range []struct {
		name    string
		props   []hubspot.Property
		selects []string
		refused []string
		want    Diff
	}{
		{"still refused", nil, nil, []string{"sensitive"}, Diff{}},
		{"shown again", all, nil, nil, Diff{Added: []string{"a", "b", "c"}}},
		{"shown, and hashed", all[1:2], []string{"#*.b", "key=k"}, nil, Diff{Added: []string{"b"}}},
		{"really gone, or no longer asked for", nil, nil, nil, Diff{Removed: []string{"b"}}},
		{"left out meanwhile", nil, []string{"-*.b"}, []string{"sensitive"}, Diff{Removed: []string{"b"}}},
		{"hashed meanwhile", nil, []string{"#*.b", "key=k"}, []string{"sensitive"}, Diff{Removed: []string{"b"}}},
		{"shown, and left out", all[1:2], []string{"-*.b"}, nil, Diff{Excluded: []string{"b"}}},
	} {
		if _, diff := look(lost, tt.props, selecting(t, tt.selects...), tt.refused...); fmt.Sprintf("%+q", diff) != fmt.Sprintf("%+q", tt.want) {
			t.Errorf("%s: %+q, want %+q", tt.name, diff, tt.want)
		}
	}
}

// Where scopes were lost, nothing that is missing counts; but a property that may
// not be read, or is not wanted, stays out.
func TestLackingPropertiesAreThoseThatMayBeRead(t *testing.T) {
	set, _ := Evolve(nil, "contacts", append(listed("a string", "b number"),
		hubspot.Property{Name: "c", Type: "string", DataSensitivity: "sensitive"}, hubspot.Property{Name: "d", Type: "string", DataSensitivity: "highly_sensitive"}), nil)
	for _, tt := range []struct{ sensitivities, want []string }{
		{[]string{"non_sensitive"}, []string{"b number"}},
		{[]string{"non_sensitive", "sensitive"}, []string{"b number", "c string"}},
	} {
		var got []string
		for _, p := range set.Missing(&Listing{Properties: listed("a string"), Asked: tt.sensitivities}) {
			got = append(got, p.Name+" "+p.Type)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.sensitivities, got, tt.want)
		}
	}
}

// Whatever a portal and its operator do: the difference says of each property
// which field holds its values now and how, compared with before.
func FuzzEvolve(f *testing.F) {
	f.Add([]byte{0x01, 0x52, 0x83, 0xf4, 0x05, 0x26, 0x97})
	f.Add([]byte("a number of letters that stand for what happens to five properties"))
	names := []string{"a", "a__string", "b", "hs_merged_object_ids", "é"}
	hubspotTypes := []string{"string", "number", "bool", "enumeration"}
	f.Fuzz(func(t *testing.T, steps []byte) {
		var prev *Set
		for len(steps) >= len(names) && len(steps) < 100 {
			sel := &Selection{Key: hubspot.Secret(fmt.Sprint("key ", steps[0]&1))}
			var props []hubspot.Property
			for i, name := range names {
				b := steps[i]
				exact := Glob{"contacts", name}
				if b&2 != 0 {
					props = append(props, hubspot.Property{Name: name, Type: hubspotTypes[b>>2&3]})
				}
				if b&0x30 == 0x30 {
					sel.Exclude = append(sel.Exclude, exact)
				}
				if b&0x40 != 0 {
					sel.Hash = append(sel.Hash, exact)
				}
			}
			steps = steps[len(names):]
			next, diff := Evolve(prev, "contacts", props, sel)
			checkSelected(t, prev, next, props, sel, diff)
			if again, diff := Evolve(next, "contacts", props, sel); !reflect.DeepEqual(again, next) || !diff.Empty() {
				t.Fatalf("the same again: %+q, %q", diff, told(again))
			}
			text, err := json.Marshal(next)
			if err != nil {
				t.Fatal(err)
			}
			prev = &Set{}
			if err := json.Unmarshal(text, prev); err != nil || !prev.Same(next) || !slices.Equal(prev.Fields, next.Fields) {
				t.Fatalf("read back %+v, %v; want %+v", prev, err, next)
			}
		}
	})
}

// checkSelected works the difference out property by property.
func checkSelected(t *testing.T, prev, next *Set, props []hubspot.Property, sel *Selection, diff Diff) {
	t.Helper()
	type way struct{ field, hashed string }
	ways := func(s *Set) map[string]way {
		out := map[string]way{}
		if s != nil {
			for _, f := range s.Fields {
				if f.InForce {
					out[f.Property] = way{f.Name, f.Hashed}
				}
			}
		}
		return out
	}
	was, is := ways(prev), ways(next)
	var want Diff
	in := func(list Globs, name string) bool { return list.Match("contacts", name) }
	for _, p := range props {
		before, had := was[p.Name]
		now, has := is[p.Name]
		if has == in(sel.Exclude, p.Name) {
			t.Fatalf("%s: published %v", p.Name, has)
		}
		if has && (now.hashed != "") != in(sel.Hash, p.Name) {
			t.Fatalf("%s: hashed %q", p.Name, now.hashed)
		}
		delete(was, p.Name)
		switch {
		case prev == nil:
		case has && before.field != now.field:
			want.Added = append(want.Added, p.Name)
		case has && before.hashed != now.hashed:
			want.Treated = append(want.Treated, p.Name)
		case had && !has:
			want.Excluded = append(want.Excluded, p.Name)
		}
	}
	for name := range was {
		want.Removed = append(want.Removed, name)
	}
	for _, list := range [][]string{want.Added, want.Treated, want.Excluded, want.Removed} {
		slices.Sort(list)
	}
	if !reflect.DeepEqual(diff, want) {
		t.Fatalf("%+q, want %+q; fields %q", diff, want, told(next))
	}
	slots := next.Slots(sel)
	for i, f := range next.Fields {
		if (slots.Names[i] != "") != f.InForce || slots.Hashed != nil && slots.Hashed[i] != (f.InForce && f.Hashed != "") {
			t.Fatalf("slot %d of %+v: %q, hashed %v", i, f, slots.Names[i], slots.Hashed)
		}
	}
}
