package schema

import "slices"

// Diff is what differs between two sets of an object type: properties, by
// name. Every list is sorted, and a property stands in one list only.
type Diff struct {
	// Added have their values now in a field that was not in force before:
	// new ones, listed again, retyped, or taken in by the selection.
	Added []string
	// Removed were in force and are listed by HubSpot no more: it cannot be
	// asked for their holders.
	Removed []string
	// Excluded were in force, and HubSpot still has them: the selection has
	// them published no more.
	Excluded []string
	// Treated keep their field and have their values written in another way:
	// hashed, no longer hashed, or hashed with another key.
	Treated []string
	// Withheld were in force, and the token may not read them any more
	// (Set.withhold). Nothing follows from it: shown again, they are Added.
	Withheld []string
}

// Empty says that records are read and written as before.
func (d *Diff) Empty() bool {
	return len(d.Added)+len(d.Removed)+len(d.Excluded)+len(d.Treated)+len(d.Withheld) == 0
}

// Ask gives the properties whose holders are to be read again, and whose
// holders HubSpot can name. Those of the removed ones are only found by a
// sweep over everything.
func (d *Diff) Ask() []string {
	ask := slices.Concat(d.Added, d.Excluded, d.Treated)
	slices.Sort(ask)
	return ask
}
