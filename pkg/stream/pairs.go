package stream

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Ends are the two types of a pair, in the direction in which its links are
// published.
type Ends struct{ From, To hubspot.ObjectType }

// Name returns the pair as topics, cursors and logs name it.
func (e Ends) Name() cdc.Pair { return cdc.Pair{From: e.From.Name, To: e.To.Name} }

// PairError says that HUBSPOT_ASSOCIATIONS names a pair that the connector cannot
// follow: a mistake in the configuration.
type PairError struct{ Pair, Why string }

func (e *PairError) Error() string {
	return fmt.Sprintf("HUBSPOT_ASSOCIATIONS names %q: %s", e.Pair, e.Why)
}

// noPairs is the value of HUBSPOT_ASSOCIATIONS for no pairs.
const noPairs = "none"

// CheckPairs returns a *PairError for the first entry of HUBSPOT_ASSOCIATIONS that
// is not written as a pair, else nil.
func CheckPairs(wanted []string) error {
	if slices.Equal(wanted, []string{noPairs}) {
		return nil
	}
	for _, text := range wanted {
		from, to, ok := strings.Cut(text, ":")
		if !ok || from == "" || to == "" || strings.Contains(to, ":") {
			return &PairError{text, "write from:to, such as contacts:companies, or none alone"}
		}
	}
	return nil
}

// FoundPair is a pair to follow, with the labels that HubSpot has for it.
type FoundPair struct {
	Ends
	Labels []hubspot.AssociationLabel
}

// HiddenPair is a pair about which HubSpot tells this token nothing.
type HiddenPair struct {
	Ends
	Unanswered bool  // HubSpot did not answer at all: ask again
	Err        error // HubSpot's answer
}

// Pairs finds the pairs of types to follow: those that the operator names, in the
// direction given, or else every pair of synced types for which HubSpot knows a
// type of association. HubSpot cannot list them, so Pairs asks about each.
//
// hidden are the pairs about which HubSpot tells this token nothing. Of these,
// found has only those that the operator names and that HubSpot refused. Pairs
// leaves out a named pair one of whose types is away: the token may not read it
// now, or it was removed. A pair that was published is found although HubSpot lists
// no type of association for it: an empty list is no evidence (R19). A named pair
// that cannot be followed is a *PairError.
func Pairs(ctx context.Context, client *hubspot.Client, synced []hubspot.ObjectType, wanted []string, away func(name string) bool, published func(cdc.Pair) bool) (found []FoundPair, hidden []HiddenPair, err error) {
	var all []Ends
	named := len(wanted) > 0
	switch {
	case slices.Equal(wanted, []string{noPairs}):
		return nil, nil, nil
	case named:
		if all, err = namedPairs(ctx, client, synced, wanted, away); err != nil {
			return nil, nil, err
		}
	default:
		types := directed(synced)
		for i, from := range types {
			for _, to := range types[i:] {
				all = append(all, Ends{from, to})
			}
		}
	}
	labels := make([][]hubspot.AssociationLabel, len(all))
	hides := make([]*HiddenPair, len(all))
	listed := make([]bool, len(all))
	err = askEach(ctx, len(all), func(ctx context.Context, i int) (err error) {
		e := all[i]
		labels[i], err = client.AssociationLabels(ctx, hubspot.Call{Priority: hubspot.Schema}, e.From.Path, e.To.Path)
		switch {
		case hubspot.NoSuchPair(err):
			return nil
		case err != nil && unanswered(ctx):
			hides[i] = &HiddenPair{e, true, errNoAnswer}
			return nil
		case refused(err):
			hides[i] = &HiddenPair{e, false, err}
			return nil
		case err != nil:
			return fmt.Errorf("read the association labels of %s:%s: %w", e.From.Name, e.To.Name, err)
		}
		listed[i] = true
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	for i, e := range all {
		r := hides[i]
		if r != nil {
			hidden = append(hidden, *r)
		}
		if (r == nil || !r.Unanswered) && (named || len(labels[i]) > 0 || listed[i] && published(e.Name())) {
			found = append(found, FoundPair{e, labels[i]})
		}
	}
	return found, hidden, nil
}

// directed sorts types into the order that decides the direction of a pair: the
// standard types in HubSpot's order, then custom ones by name (docs/contract.md
// section 5).
func directed(types []hubspot.ObjectType) []hubspot.ObjectType {
	standard := hubspot.StandardTypes()
	rank := func(t hubspot.ObjectType) int {
		if i := slices.IndexFunc(standard, func(s hubspot.ObjectType) bool { return s.Name == t.Name }); i >= 0 {
			return i
		}
		return len(standard)
	}
	types = slices.Clone(types)
	slices.SortFunc(types, func(a, b hubspot.ObjectType) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.Name, b.Name))
	})
	return types
}

// namedPairs resolves what the operator wrote. The from type must be synced,
// because association reads ask about its records. The to type must exist.
func namedPairs(ctx context.Context, client *hubspot.Client, synced []hubspot.ObjectType, wanted []string, away func(string) bool) ([]Ends, error) {
	find := func(types []hubspot.ObjectType, name string) (hubspot.ObjectType, bool) {
		i := slices.IndexFunc(types, func(t hubspot.ObjectType) bool { return Names(t, name) })
		if i < 0 {
			return hubspot.ObjectType{}, false
		}
		return types[i], true
	}
	var all []hubspot.ObjectType // every type of the portal, read when needed
	var out []Ends
	for _, text := range wanted {
		fromName, toName, _ := strings.Cut(text, ":") // CheckPairs has seen the colon
		from, ok := find(synced, fromName)
		if !ok && away(fromName) {
			continue
		}
		if !ok {
			if _, shown, err := customType(ctx, client, fromName); err != nil || shown {
				if err != nil {
					return nil, err
				}
				continue // it is followed once HubSpot lists it again
			}
			return nil, &PairError{text, fmt.Sprintf("%q is not followed; name it in HUBSPOT_OBJECTS too", fromName)}
		}
		to, ok := find(synced, toName)
		if !ok && all == nil {
			var err error
			if all, _, err = Types(ctx, client); err != nil {
				return nil, err
			}
		}
		if !ok {
			if to, ok = find(all, toName); !ok && away(toName) {
				continue
			} else if !ok {
				var err error
				if to, ok, err = customType(ctx, client, toName); err != nil {
					return nil, err
				}
			}
			if !ok {
				return nil, &PairError{text, fmt.Sprintf("this portal has no object type %q", toName)}
			}
		}
		if e := (Ends{from, to}); !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out, nil
}
