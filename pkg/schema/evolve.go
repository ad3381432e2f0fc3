package schema

import (
	"cmp"
	"slices"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Evolve gives the set that follows prev (nil at first) when HubSpot lists
// props as the properties of an object type. Fields are only added, in the
// order of the properties' names:
//
//   - A property not seen before gets a field.
//   - A retyped one gets a field <name>__<type>, which is in force in place
//     of the one before; retyped back, its first field is in force again.
//   - One that is listed no more keeps its field, out of force; listed again,
//     it has the same field again.
//   - Labels, and types of HubSpot's that are written alike (string and
//     enumeration), change no field.
//
// added names the properties whose values are now to be found in a field that
// was not in force before, retyped ones among them; removed those that were
// in force and are listed no more. Both are sorted, and empty at first, when
// the backfill reads everything anyway.
func Evolve(prev *Set, object string, props []hubspot.Property) (next *Set, added, removed []string) {
	props = distinct(props)
	next = &Set{Object: object}
	if prev != nil {
		next.Fields = slices.Clone(prev.Fields)
	}

	type typed struct {
		property string
		typ      Type
	}
	fields := make(map[typed]int)    // where the values of a property go while it has this type
	known := make(map[string]bool)   // properties that have a field
	was := make(map[string]bool)     // those that had one in force
	taken := make(map[string]bool)   // names of fields
	desired := make(map[string]bool) // names that listed properties have a right to
	for i := range next.Fields {
		f := &next.Fields[i]
		fields[typed{f.Property, f.Type}] = i
		known[f.Property] = true
		was[f.Property] = was[f.Property] || f.InForce
		taken[f.Name] = true
		f.InForce = false
	}
	for _, p := range props {
		desired[Mangle(p.Name)] = true
	}

	var fresh, retyped []hubspot.Property
	for _, p := range props {
		i, ok := fields[typed{p.Name, TypeOf(p.Type)}]
		switch {
		case ok:
			f := &next.Fields[i]
			f.InForce = true
			f.HubSpotType, f.FieldType, f.Label = p.Type, p.FieldType, p.Label
			if !prev.Fields[i].InForce {
				added = append(added, p.Name)
			}
		case known[p.Name]:
			retyped = append(retyped, p)
		default:
			fresh = append(fresh, p)
		}
	}

	add := func(name string, p hubspot.Property) {
		taken[name] = true
		added = append(added, p.Name)
		next.Fields = append(next.Fields, Field{
			Name: name, Property: p.Name, Type: TypeOf(p.Type),
			HubSpotType: p.Type, FieldType: p.FieldType, Label: p.Label,
			InForce: true,
		})
	}
	unavailable := func(name string) bool { return taken[name] || desired[name] }
	for _, p := range fresh {
		name := Mangle(p.Name)
		if taken[name] { // a retyped property came first, and fields are never renamed
			name = untaken(name, unavailable)
		}
		add(name, p)
	}
	for _, p := range retyped {
		add(retypedName(p.Name, p.Type, unavailable), p)
	}

	if prev == nil {
		return next, nil, nil
	}
	listed := make(map[string]bool, len(props))
	for _, p := range props {
		listed[p.Name] = true
	}
	for name, inForce := range was {
		if inForce && !listed[name] {
			removed = append(removed, name)
		}
	}
	slices.Sort(added)
	slices.Sort(removed)
	return next, added, removed
}

// distinct sorts properties by name and keeps the first of each: HubSpot
// lists ordinary and sensitive properties separately, and a property that
// moves between the lists may stand in both.
func distinct(props []hubspot.Property) []hubspot.Property {
	props = slices.Clone(props)
	slices.SortStableFunc(props, func(a, b hubspot.Property) int { return cmp.Compare(a.Name, b.Name) })
	return slices.CompactFunc(props, func(a, b hubspot.Property) bool { return a.Name == b.Name })
}
