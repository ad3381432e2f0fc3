package schema

import (
	"cmp"
	"slices"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Evolve returns the set that follows prev (nil at first) when HubSpot lists
// props as the properties of an object type and sel chooses among them. It only
// adds fields, in the order of the properties' names:
//
//   - A new property gets a field, unless the selection leaves it out.
//   - A retyped property gets a field <name>__<type>, which is in force instead
//     of the earlier one. If it is retyped back, its first field is in force
//     again. A hash is a string, so hashing a number retypes it.
//   - A property that is no longer listed or selected keeps its field, out of
//     force. Once it is listed and selected again, it has the same field again.
//   - Labels change no field, and neither do HubSpot types that are written alike
//     (string and enumeration).
//
// The difference is empty at first, when the backfill reads everything anyway.
func Evolve(prev *Set, object string, props []hubspot.Property, sel *Selection) (next *Set, diff Diff) {
	props = distinct(props)
	next = &Set{Object: object}
	if prev != nil {
		next.TypeID = prev.TypeID
		next.Fields = slices.Clone(prev.Fields)
	}

	type typed struct {
		property string
		typ      Type
	}
	fields := make(map[typed]int)    // the slot for a property's values while it has this type
	known := make(map[string]bool)   // properties that have a field
	was := make(map[string]bool)     // those that had a field in force, or withheld
	taken := make(map[string]bool)   // names of fields
	desired := make(map[string]bool) // names that belong to listed properties
	for i := range next.Fields {
		f := &next.Fields[i]
		fields[typed{f.Property, f.Type}] = i
		known[f.Property] = true
		was[f.Property] = was[f.Property] || f.InForce || f.Withheld
		taken[f.Name] = true
		f.InForce, f.Withheld = false, false
	}

	var fresh, retyped []Field // under the names that belong to them
	listed := make(map[string]bool, len(props))
	for _, p := range props {
		listed[p.Name] = true
		name := Mangle(p.Name)
		desired[name] = true
		published, hashed := sel.takes(object, p.Name)
		if !published {
			if was[p.Name] {
				diff.Excluded = append(diff.Excluded, p.Name)
			}
			continue
		}
		want := Field{
			Name: name, Property: p.Name, Type: TypeOf(p.Type), Hashed: hashed,
			HubSpotType: p.Type, FieldType: p.FieldType, Label: p.Label,
			InForce: true,
		}
		if p.DataSensitivity != "non_sensitive" {
			want.Sensitivity = p.DataSensitivity
		}
		if want.Hashed != "" {
			want.Type = String
		}
		i, ok := fields[typed{p.Name, want.Type}]
		switch {
		case ok:
			before := prev.Fields[i]
			want.Name = before.Name
			next.Fields[i] = want
			switch {
			case !before.InForce:
				diff.Added = append(diff.Added, p.Name)
			case before.Hashed != want.Hashed:
				diff.Treated = append(diff.Treated, p.Name)
			}
		case known[p.Name]:
			retyped = append(retyped, want)
		default:
			fresh = append(fresh, want)
		}
	}

	add := func(name string, f Field) {
		taken[name] = true
		f.Name = name
		diff.Added = append(diff.Added, f.Property)
		next.Fields = append(next.Fields, f)
	}
	unavailable := func(name string) bool { return taken[name] || desired[name] }
	for _, f := range fresh {
		name := f.Name
		if taken[name] { // a retyped property took it, and fields are never renamed
			name = untaken(name, unavailable)
		}
		add(name, f)
	}
	for _, f := range retyped {
		word := f.HubSpotType
		if f.Hashed != "" {
			word = String.String()
		}
		add(retypedName(f.Property, word, unavailable), f)
	}

	// It costs nothing to ask for a property that a type does not have (R7).
	next.Merged = !slices.ContainsFunc(next.Fields, func(f Field) bool { return f.InForce && f.Property == hubspot.MergedProperty })
	if prev == nil {
		return next, Diff{}
	}
	for name, inForce := range was {
		if inForce && !listed[name] {
			diff.Removed = append(diff.Removed, name)
		}
	}
	slices.Sort(diff.Added)
	slices.Sort(diff.Removed)
	return next, diff
}

// distinct sorts properties by name and keeps the first of each name: HubSpot
// lists ordinary and sensitive properties separately, and one that moves between
// the lists may be in both.
func distinct(props []hubspot.Property) []hubspot.Property {
	props = slices.Clone(props)
	slices.SortStableFunc(props, func(a, b hubspot.Property) int { return cmp.Compare(a.Name, b.Name) })
	return slices.CompactFunc(props, func(a, b hubspot.Property) bool { return a.Name == b.Name })
}
