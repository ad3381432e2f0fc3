package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Introspection learns the object types of a portal: at the start of a run, and
// again while it lasts.
type Introspection struct {
	Client *hubspot.Client
	Log    *slog.Logger
	// Wanted limits the types, by path name, type id or fully qualified name;
	// empty means all that the token may read.
	Wanted []string
	// Sensitivities are the kinds of properties to ask for, the ordinary one
	// first.
	Sensitivities []string
	// Known reports whether a type was published before. Then Wanted may name
	// it even if HubSpot no longer has it.
	Known func(name string) bool
	// Streaming reports whether the connector already reads a type's records,
	// so that Look need not try to.
	Streaming func(hubspot.ObjectType) bool
	// Later, unless nil, reports whether a type may wait for the next look. Look calls it
	// right before it would ask HubSpot.
	Later func(hubspot.ObjectType) bool
}

// Seen is what HubSpot showed of the portal at one moment.
type Seen struct {
	// At is when HubSpot was asked.
	At hubspot.Millis
	// Found are the types that the token may read.
	Found []Found
	// Refused are those it may not, by name, with HubSpot's answer. Where
	// HubSpot did not list the custom types, it also has the words of Wanted
	// that may mean one.
	Refused map[string]error
	// Custom reports whether HubSpot listed the custom object types. If it did,
	// a type in neither Found nor Refused is not in that list.
	Custom bool
	// Unanswered names those of Refused about which HubSpot gave no answer at
	// all: look again soon.
	Unanswered []string
	// Later names the types about which HubSpot was not asked (Introspection.Later).
	Later []string

	refused []hubspot.ObjectType
}

// Calls returns how many calls it takes to see this and what was left for later, with so
// many sensitivities.
func (s *Seen) Calls(sensitivities int) int {
	return 1 + len(s.refused) + len(s.Later) + len(s.Found)*sensitivities
}

// Hides reports whether a word may mean an object type that HubSpot hides from
// this token.
func (s *Seen) Hides(word string) bool { return Hidden(word, s.refused, s.Custom) }

// Hidden is Seen.Hides for callers that asked HubSpot type by type.
func Hidden(word string, refused []hubspot.ObjectType, custom bool) bool {
	return !custom && CustomWord(word) || slices.ContainsFunc(refused, func(t hubspot.ObjectType) bool { return Names(t, word) })
}

var customWord = regexp.MustCompile(`^(?i:2-[0-9]+|p[0-9]+_.+)$`)

// CustomWord reports whether a word has the form of a custom type's id or fully
// qualified name.
func CustomWord(word string) bool { return customWord.MatchString(word) }

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

// Look asks which object types there are, and reads the properties of each. A word
// of Wanted that names none is an *UnknownObjectError, unless it may mean a type
// that was published before or that HubSpot hides.
func (in *Introspection) Look(ctx context.Context) (Seen, error) {
	seen := Seen{At: in.Client.Now(), Refused: map[string]error{}}
	types, refusal, err := Types(ctx, in.Client)
	if err != nil {
		return seen, err
	}
	seen.Custom = refusal == nil
	if len(in.Wanted) > 0 {
		var unknown []string
		types, unknown = Choose(types, in.Wanted)
		for _, word := range unknown {
			switch {
			case in.Known(word): // removed or hidden: the connector reports it under its own name
			case refusal != nil && CustomWord(word):
				seen.Refused[word] = refusal
			default:
				t, shown, err := customType(ctx, in.Client, word)
				if err != nil {
					return seen, err
				}
				if !shown {
					return seen, &UnknownObjectError{word}
				}
				types = append(types, t)
			}
		}
	}
	found := make([]*Found, len(types))
	refusals := make([]error, len(types))
	later := make([]bool, len(types))
	err = askEach(ctx, len(types), func(ctx context.Context, i int) error {
		if later[i] = in.Later != nil && in.Later(types[i]); later[i] {
			return nil
		}
		ask := Look
		if in.Streaming(types[i]) {
			ask = properties
		}
		f, err := ask(ctx, in.Client, types[i], in.Sensitivities)
		switch {
		case err != nil && unanswered(ctx):
			refusals[i] = errNoAnswer
			return nil
		case refused(err):
			refusals[i] = err
			return nil
		case err != nil:
			return fmt.Errorf("introspect %s: %w", types[i].Name, err)
		}
		found[i] = f
		return nil
	})
	if err != nil {
		return seen, err
	}
	for i, f := range found {
		switch {
		case later[i]:
			seen.Later = append(seen.Later, types[i].Name)
		case f != nil:
			seen.Found = append(seen.Found, *f)
		default:
			seen.Refused[types[i].Name] = refusals[i]
			seen.refused = append(seen.refused, types[i])
			if errors.Is(refusals[i], errNoAnswer) {
				seen.Unanswered = append(seen.Unanswered, types[i].Name)
			}
		}
	}
	return seen, nil
}

// Types lists every object type that the portal may have, standard and custom.
// refusal is HubSpot's answer if the token may not read the schemas of custom
// objects.
func Types(ctx context.Context, client *hubspot.Client) (types []hubspot.ObjectType, refusal, err error) {
	schemas, refusal, err := customTypes(ctx, client)
	if err != nil {
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

// customTypes reads the schemas of custom objects. The refusal is errNoAnswer if
// HubSpot does not answer, but does answer what is asked besides (R18).
func customTypes(ctx context.Context, client *hubspot.Client) (schemas []hubspot.ObjectSchema, refusal, err error) {
	told := make(chan struct{})
	err = askEach(ctx, 2, func(ctx context.Context, i int) (err error) {
		if i == 0 {
			defer close(told)
			schemas, err = client.Schemas(ctx, hubspot.Call{Priority: hubspot.Schema})
			if err != nil && unanswered(ctx) {
				err = errNoAnswer
			}
			if errors.Is(err, errNoAnswer) || refused(err) {
				refusal, err = err, nil
			}
			return err
		}
		select {
		case <-told:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookPatience):
		}
		_, err = client.Account(ctx, hubspot.Call{Priority: hubspot.Schema})
		if unanswered(ctx) || refused(err) {
			return nil
		}
		return err
	})
	return schemas, refusal, err
}

// customType asks HubSpot for a custom type that an operator names and that its list
// of schemas lacks: the list may be short (R19).
func customType(ctx context.Context, client *hubspot.Client, word string) (t hubspot.ObjectType, shown bool, err error) {
	if !CustomWord(word) {
		return t, false, nil
	}
	says, err := AskAlone(ctx, func(ctx context.Context) (bool, error) {
		s, err := client.Schema(ctx, hubspot.Call{Priority: hubspot.Schema}, word)
		if err == nil {
			t = s.ObjectType()
		}
		return !s.Archived, err
	})
	if err != nil {
		return t, false, fmt.Errorf("read the schema of %s: %w", word, err)
	}
	return t, says == IsShown, nil
}

// Names reports whether an operator's word for a type means t. The word is a path
// name or a fully qualified name, in upper or lower case, or a type id.
func Names(t hubspot.ObjectType, word string) bool {
	return word != "" && (t.TypeID == word || strings.EqualFold(t.Name, word))
}

// Choose returns the types that the operator names, each once, and the words that
// name none.
func Choose(types []hubspot.ObjectType, wanted []string) (chosen []hubspot.ObjectType, unknown []string) {
	for _, word := range wanted {
		i := slices.IndexFunc(types, func(t hubspot.ObjectType) bool { return Names(t, word) })
		if i < 0 {
			unknown = append(unknown, word)
		} else if !slices.Contains(chosen, types[i]) {
			chosen = append(chosen, types[i])
		}
	}
	return chosen, unknown
}

// Look reads a type's properties, and a list page of one record: a token can have
// the scope for the definitions without the one for the records.
func Look(ctx context.Context, client *hubspot.Client, t hubspot.ObjectType, sensitivities []string) (*Found, error) {
	f, err := properties(ctx, client, t, sensitivities)
	if err != nil {
		return nil, err
	}
	call := hubspot.Call{Priority: hubspot.Schema, Tries: cdc.PartTries}
	short, patience := hubspot.WithPatience(ctx, lookPatience, errNoAnswer)
	defer patience.Stop()
	_, err = client.List(short, call, t.Path, nil, "", false, 1)
	late := ctx.Err() == nil && short.Err() != nil
	if !late && !hubspot.Divisible(err) {
		return f, err
	}
	// It may be that one record that HubSpot does not answer about (R18).
	_, other := client.Search(ctx, call, hubspot.SearchQuery{Object: t.Path, ModifiedProperty: t.ModifiedProperty, Limit: 1})
	if other == nil || late {
		return f, other
	}
	return f, err
}

// lookPatience is how long Look waits for the list page: less than askPatience.
const lookPatience = 15 * time.Second
