package schema

import (
	"slices"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Listing is what HubSpot shows of an object type's properties at one time.
type Listing struct {
	Properties []hubspot.Property
	// Asked are the sensitivities for which the connector asked HubSpot, Refused
	// those of them that the token may not see.
	Asked, Refused []string
	// Doubted are properties that the listing lacks and that count as listed
	// nevertheless: nothing shows yet that they were removed (R19).
	Doubted []string
}

// Next returns the set that follows prev (nil: none yet) when HubSpot shows a
// listing of type t, and what differs. See Evolve for how sets grow.
func Next(prev *Set, t hubspot.ObjectType, l Listing, sel *Selection) (*Set, Diff) {
	props := slices.Clone(l.Properties)
	for _, p := range prev.Missing(&l) {
		if slices.Contains(l.Doubted, p.Name) {
			props = append(props, p)
		}
	}
	set, diff := Evolve(prev, t.Name, props, sel)
	set.TypeID = t.TypeID
	set.withhold(prev, &diff, l.Refused, sel)
	return set, diff
}

// Missing returns the properties in force that a listing should have and lacks, as
// HubSpot listed them last: the ordinary ones, and those of a sensitivity that was
// asked for and not refused. A nil set misses none.
func (s *Set) Missing(l *Listing) []hubspot.Property {
	if s == nil {
		return nil
	}
	listed := make(map[string]bool, len(l.Properties))
	for _, p := range l.Properties {
		listed[p.Name] = true
	}
	var out []hubspot.Property
	for _, f := range s.Fields {
		readable := f.Sensitivity == "" || slices.Contains(l.Asked, f.Sensitivity) && !slices.Contains(l.Refused, f.Sensitivity)
		if f.InForce && !listed[f.Property] && readable {
			out = append(out, f.property())
		}
	}
	return out
}

// AsBefore is the listing under which nothing changes but what the selection does.
// A sensitivity that was refused before is refused in it too.
func (s *Set) AsBefore(l Listing) Listing {
	l.Properties, l.Doubted, l.Refused = nil, nil, slices.Clone(l.Refused)
	for _, f := range s.Fields {
		switch {
		case f.InForce:
			l.Properties = append(l.Properties, f.property())
		case f.Withheld:
			l.Refused = append(l.Refused, f.Sensitivity)
		}
	}
	return l
}

func (f *Field) property() hubspot.Property {
	return hubspot.Property{
		Name: f.Property, Type: f.HubSpotType, FieldType: f.FieldType, Label: f.Label, DataSensitivity: f.Sensitivity,
	}
}

// withhold takes out of diff.Removed the properties whose sensitivity HubSpot
// refused to show: a property whose scope was lost does not count as removed
// (R9). Those that were in force until now go to diff.Withheld. Those that the
// selection has since left out, or hashes otherwise, stay Removed: what was
// published of them must not stay.
func (s *Set) withhold(before *Set, diff *Diff, refused []string, sel *Selection) {
	if before == nil || len(refused) == 0 {
		return
	}
	for i, f := range before.Fields {
		at, removed := slices.BinarySearch(diff.Removed, f.Property)
		if !removed || !f.InForce && !f.Withheld || !slices.Contains(refused, f.Sensitivity) {
			continue
		}
		if taken, hashed := sel.takes(s.Object, f.Property); !taken || hashed != f.Hashed {
			continue
		}
		diff.Removed = slices.Delete(diff.Removed, at, at+1)
		s.Fields[i].Withheld = true
		if f.InForce {
			diff.Withheld = append(diff.Withheld, f.Property)
		}
	}
	slices.Sort(diff.Withheld)
}
