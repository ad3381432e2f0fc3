package cdc

import (
	"slices"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Gaps finds what the pages of a list show to be missing (R11): a page after one id
// that ends at another is complete for the ids between them. Nothing is marked, so
// a restart in the middle of a sweep loses nothing. A list that was once out of
// order shows no more gaps.
type Gaps struct{ Unordered bool }

// Covered is the range that a page is complete for; ok is false if there is none.
// in is what is asked about: the ids above the last one of the pages before. more
// says that others follow.
func (g *Gaps) Covered(in Range, ids []hubspot.ID, more bool) (covered Range, ok bool) {
	if !slices.IsSorted(ids) || len(ids) > 0 && ids[0] <= in.After {
		g.Unordered = true
	}
	switch {
	case g.Unordered, more && len(ids) == 0: // an empty page in the middle covers nothing
		return in, false
	case more && (in.UpTo == 0 || ids[len(ids)-1] < in.UpTo):
		in.UpTo = ids[len(ids)-1]
	}
	return in, true
}
