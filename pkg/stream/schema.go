package stream

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Found is an object type of the portal that the token may read.
type Found struct {
	Type       hubspot.ObjectType
	Properties []hubspot.Property
	// Withheld are the sensitive properties that the token may not read.
	Withheld []Withheld
}

// UnknownObjectError says that HUBSPOT_OBJECTS names a type that the portal
// does not have: a mistake in the configuration.
type UnknownObjectError struct{ Name string }

func (e *UnknownObjectError) Error() string {
	return fmt.Sprintf("HUBSPOT_OBJECTS names %q, which this portal does not have; use a path name (contacts), a type id (0-1, 2-123) or a fully qualified name (p4242_car)", e.Name)
}

// introspectAtOnce bounds the requests that Introspect has under way.
const introspectAtOnce = 8

// Introspect learns which object types there are, and the properties of each.
// wanted limits them, by path name, type id or fully qualified name; empty
// means all that the token may read. A wanted type that HubSpot refuses is an
// error, an unwanted one is left out and said.
func Introspect(ctx context.Context, client *hubspot.Client, log *slog.Logger, wanted []string, sensitivities []string) ([]Found, error) {
	types, refusal, err := Types(ctx, client)
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		log.Info("the token may not read the schemas of custom objects; they are left out", "err", refusal)
	}
	if len(wanted) > 0 {
		if types, err = Choose(types, wanted); err != nil {
			return nil, err
		}
	}

	found := make([]*Found, len(types))
	refusals := make([]error, len(types))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(introspectAtOnce)
	for i, t := range types {
		g.Go(func() error {
			f, err := Look(ctx, client, t, sensitivities)
			if refused(err) && len(wanted) == 0 {
				refusals[i] = err
				return nil
			}
			if err != nil {
				return fmt.Errorf("introspect %s: %w", t.Name, err)
			}
			found[i] = f
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var out []Found
	var refused []string
	for i, f := range found {
		if f != nil {
			out = append(out, *f)
			continue
		}
		refused = append(refused, types[i].Name)
		log.Debug("object type left out", "object", types[i].Name, "err", refusals[i])
	}
	if len(refused) > 0 {
		log.Info("HubSpot does not let this token read some object types; they are left out", "objects", strings.Join(refused, ","))
	}
	return out, nil
}

// Types lists every object type that the portal may have: the standard ones,
// and the custom ones. refusal is HubSpot's word that the token may not read
// the schemas of custom objects.
func Types(ctx context.Context, client *hubspot.Client) (types []hubspot.ObjectType, refusal, err error) {
	schemas, err := client.Schemas(ctx, hubspot.Call{Priority: hubspot.Schema})
	switch {
	case hubspot.MissingScopes(err):
		refusal = err
	case err != nil:
		return nil, nil, fmt.Errorf("read the schemas of custom objects: %w", err)
	}
	types = hubspot.StandardTypes()
	for _, s := range schemas {
		if !s.Archived {
			types = append(types, s.ObjectType())
		}
	}
	return types, refusal, nil
}

// Choose finds the types that the operator names, by path name, type id or
// fully qualified name. An unknown one is an *UnknownObjectError.
func Choose(types []hubspot.ObjectType, wanted []string) ([]hubspot.ObjectType, error) {
	var out []hubspot.ObjectType
	for _, name := range wanted {
		i := slices.IndexFunc(types, func(t hubspot.ObjectType) bool {
			return t.Name == name || t.TypeID == name || strings.EqualFold(t.Name, name)
		})
		if i < 0 {
			return nil, &UnknownObjectError{name}
		}
		if !slices.Contains(out, types[i]) {
			out = append(out, types[i])
		}
	}
	return out, nil
}

// Look reads a type's properties, and one page of one record: a token can have
// the scope for the definitions and not the one for the records.
func Look(ctx context.Context, client *hubspot.Client, t hubspot.ObjectType, sensitivities []string) (*Found, error) {
	f, err := Properties(ctx, client, t, sensitivities)
	if err != nil {
		return nil, err
	}
	_, err = client.List(ctx, hubspot.Call{Priority: hubspot.Schema}, t.Path, nil, "", false, 1)
	return f, err
}
