package schema

import (
	"slices"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Listing is what HubSpot shows, at one time, of an object type's properties.
type Listing struct {
	Properties []hubspot.Property
	// Asked are the sensitivities that HubSpot was asked for, Refused those of
	// them that it did not let the token see.
	Asked, Refused []string
	// Shrunk says that scopes were taken away since the last listing: what is
	// missing is then no evidence (R9).
	Shrunk bool
}

// Next gives the set that follows prev (nil: the first one) when HubSpot shows a
// listing of type t, and what differs. See Evolve for how sets grow.
func Next(prev *Set, t hubspot.ObjectType, l Listing, sel *Selection) (*Set, Diff) {
	props := l.Properties
	if l.Shrunk {
		readable := slices.DeleteFunc(slices.Clone(l.Asked), func(s string) bool { return slices.Contains(l.Refused, s) })
		props = append(slices.Clone(props), prev.Lacking(props, readable)...)
	}
	set, diff := Evolve(prev, t.Name, props, sel)
	set.TypeID = t.TypeID
	set.Withhold(prev, &diff, l.Refused, sel)
	return set, diff
}

// Content names the fields whose change is a change of the record (R10):
// everything in force but the volatile properties and the modified time, which
// is the version.
func (s *Set) Content(volatile Globs) []string {
	names := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		if f.InForce && Counts(s.Object, f.Property, volatile) {
			names[i] = f.Name
		}
	}
	return names
}

// Counts says whether a property is part of a record's content (R10).
func Counts(object, property string, volatile Globs) bool {
	return property != "lastmodifieddate" && property != "hs_lastmodifieddate" && !volatile.Match(object, property)
}
