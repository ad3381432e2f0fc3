package schema

import "slices"

// Diff is the difference between two sets of an object type, as names of
// properties. Each list is sorted, and a property is in at most one of them.
type Diff struct {
	// Added have their values in a field that was not in force before: they are
	// new, listed again, retyped, or newly selected.
	Added []string
	// Removed were in force, and HubSpot no longer lists them. It cannot name
	// their holders.
	Removed []string
	// Excluded were in force, and HubSpot still has them, but the selection no
	// longer publishes them.
	Excluded []string
	// Treated keep their field, but their values are written in another way:
	// hashed, no longer hashed, or hashed with another key.
	Treated []string
	// Withheld were in force, and the token may no longer read them
	// (Set.withhold). Nothing follows from it. Once shown again, they are Added.
	Withheld []string
}

// Empty reports whether records are read and written as before.
func (d *Diff) Empty() bool {
	return len(d.Added)+len(d.Removed)+len(d.Excluded)+len(d.Treated)+len(d.Withheld) == 0
}

// Ask returns the properties whose holders have to be read again and can be named
// by HubSpot, sorted. Only a sweep over everything finds the holders of Removed
// ones.
func (d *Diff) Ask() []string {
	ask := slices.Concat(d.Added, d.Excluded, d.Treated)
	slices.Sort(ask)
	return ask
}
