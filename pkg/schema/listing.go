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
	// Shrunk says that the token has lost scopes since the last listing. Then a
	// missing property is no evidence (R9).
	Shrunk bool
}

// Next returns the set that follows prev (nil: none yet) when HubSpot shows a
// listing of type t, and what differs. See Evolve for how sets grow.
func Next(prev *Set, t hubspot.ObjectType, l Listing, sel *Selection) (*Set, Diff) {
	props := l.Properties
	if l.Shrunk {
		readable := slices.DeleteFunc(slices.Clone(l.Asked), func(s string) bool { return slices.Contains(l.Refused, s) })
		props = append(slices.Clone(props), prev.lacking(props, readable)...)
	}
	set, diff := Evolve(prev, t.Name, props, sel)
	set.TypeID = t.TypeID
	set.withhold(prev, &diff, l.Refused, sel)
	return set, diff
}

// lacking returns the properties in force that are missing from props, as HubSpot
// listed them last, if they are ordinary or of one of the sensitivities. A nil
// set lacks none.
func (s *Set) lacking(props []hubspot.Property, sensitivities []string) []hubspot.Property {
	if s == nil {
		return nil
	}
	listed := make(map[string]bool, len(props))
	for _, p := range props {
		listed[p.Name] = true
	}
	var out []hubspot.Property
	for _, f := range s.Fields {
		readable := f.Sensitivity == "" || slices.Contains(sensitivities, f.Sensitivity)
		if f.InForce && !listed[f.Property] && readable {
			out = append(out, hubspot.Property{
				Name: f.Property, Type: f.HubSpotType, FieldType: f.FieldType, Label: f.Label, DataSensitivity: f.Sensitivity,
			})
		}
	}
	return out
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
