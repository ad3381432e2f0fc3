package stream

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Ends are the two types of a pair, in the direction in which its links are
// published.
type Ends struct{ From, To hubspot.ObjectType }

// PairError says that HUBSPOT_ASSOCIATIONS names a pair that cannot be
// followed: a mistake in the configuration.
type PairError struct{ Pair, Why string }

func (e *PairError) Error() string {
	return fmt.Sprintf("HUBSPOT_ASSOCIATIONS names %q: %s", e.Pair, e.Why)
}

// NoPairs is the value of HUBSPOT_ASSOCIATIONS for none.
const NoPairs = "none"

// CheckPairs says what is wrong with the spelling of HUBSPOT_ASSOCIATIONS.
func CheckPairs(wanted []string) error {
	if slices.Equal(wanted, []string{NoPairs}) {
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

// Pairs tells which pairs of types are to be followed: those that the operator
// names, in the direction given, or else every pair of synced types for which
// HubSpot knows a type of association. There is no list of them to ask for.
func Pairs(ctx context.Context, client *hubspot.Client, log *slog.Logger, synced []hubspot.ObjectType, wanted []string) ([]Ends, error) {
	switch {
	case slices.Equal(wanted, []string{NoPairs}):
		return nil, nil
	case len(wanted) > 0:
		return namedPairs(ctx, client, synced, wanted)
	}
	return knownPairs(ctx, client, log, directed(synced))
}

// directed puts types into the order that decides the direction of a pair: the
// standard types in theirs, then custom ones by name (DESIGN section 5).
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

func knownPairs(ctx context.Context, client *hubspot.Client, log *slog.Logger, types []hubspot.ObjectType) ([]Ends, error) {
	var all []Ends
	for i, from := range types {
		for _, to := range types[i:] {
			all = append(all, Ends{from, to})
		}
	}
	known := make([]bool, len(all))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(introspectAtOnce)
	for i, e := range all {
		g.Go(func() error {
			labels, err := client.AssociationLabels(gctx, hubspot.Call{Priority: hubspot.Schema}, e.From.Path, e.To.Path)
			switch {
			case hubspot.NoSuchPair(err):
			case refused(err):
				log.Info("HubSpot does not tell of the associations of two types; they are left out", "object", e.From.Name+":"+e.To.Name, "err", err)
			case err != nil:
				return fmt.Errorf("read the association labels of %s:%s: %w", e.From.Name, e.To.Name, err)
			}
			known[i] = err == nil && len(labels) > 0
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var out []Ends
	for i, e := range all {
		if known[i] {
			out = append(out, e)
		}
	}
	return out, nil
}

// namedPairs resolves what the operator wrote. The from type must be synced,
// because its records are the ones asked about; the to type must exist.
func namedPairs(ctx context.Context, client *hubspot.Client, synced []hubspot.ObjectType, wanted []string) ([]Ends, error) {
	find := func(types []hubspot.ObjectType, name string) (hubspot.ObjectType, bool) {
		found, err := Choose(types, []string{name})
		if err != nil {
			return hubspot.ObjectType{}, false
		}
		return found[0], true
	}
	var all []hubspot.ObjectType // every type of the portal, once it is needed
	var out []Ends
	for _, text := range wanted {
		fromName, toName, _ := strings.Cut(text, ":") // CheckPairs has seen the colon
		from, ok := find(synced, fromName)
		if !ok {
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
			if to, ok = find(all, toName); !ok {
				return nil, &PairError{text, fmt.Sprintf("this portal has no object type %q", toName)}
			}
		}
		if e := (Ends{from, to}); !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out, nil
}
