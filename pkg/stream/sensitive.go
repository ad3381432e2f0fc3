package stream

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// nonSensitive is HubSpot's dataSensitivity of ordinary properties.
const nonSensitive = "non_sensitive"

// Withheld is a kind of sensitive properties that was asked for and that
// HubSpot did not show: which of them there are is then not known, and that one
// is missing is no evidence that it was removed (R9).
type Withheld struct {
	Sensitivity string
	Err         error
}

// properties reads the definitions of a type's properties, of one sensitivity
// after the other, the ordinary ones first. What the token may not read of the
// sensitive ones is left out and named. A property with another sensitivity
// than those asked for is left out in any case, wherever HubSpot lists it.
func properties(ctx context.Context, client *hubspot.Client, t hubspot.ObjectType, sensitivities []string) (*Found, error) {
	f := &Found{Type: t}
	for _, sensitivity := range sensitivities {
		props, err := client.Properties(ctx, hubspot.Call{Priority: hubspot.Schema}, t.Path, sensitivity)
		switch {
		case sensitivity != nonSensitive && refused(err):
			f.Withheld = append(f.Withheld, Withheld{sensitivity, err})
			continue
		case err != nil:
			return nil, err
		}
		for _, p := range props {
			if p.DataSensitivity == "" {
				p.DataSensitivity = sensitivity
			}
			if slices.Contains(sensitivities, p.DataSensitivity) {
				f.Properties = append(f.Properties, p)
			}
		}
	}
	return f, nil
}

// Sensitivities lists what is withheld.
func (f *Found) Sensitivities() []string {
	var out []string
	for _, w := range f.Withheld {
		out = append(out, w.Sensitivity)
	}
	return out
}

// withheldError says which sensitive properties the token may not read.
type withheldError struct {
	sensitivities []string
	scopes        []string
	err           error // HubSpot's answer
}

func (e *withheldError) Error() string {
	return fmt.Sprintf("the token may not read this type's %s properties; they are left out: %v", strings.Join(e.sensitivities, " and "), e.err)
}

func (e *withheldError) Unwrap() error { return e.err }

func (e *withheldError) action() string {
	scopes := "the scopes for them"
	if len(e.scopes) > 0 {
		scopes = "the scopes " + strings.Join(e.scopes, ", ")
	}
	return "give the token " + scopes + ", or set HUBSPOT_SENSITIVE to what it may read"
}

// Withheld lists the sensitivities that HubSpot did not show, and keeps the log
// and the status up to date about those that the token may not read. Types for which HubSpot has no such
// scope have no such properties, and a refusal says nothing.
func (o *Object) Withheld(f *Found) []string {
	problem := &withheldError{}
	for _, w := range f.Withheld {
		scope := f.Type.SensitiveScope(w.Sensitivity)
		if scope == "" && hubspot.MissingScopes(w.Err) {
			continue
		}
		problem.sensitivities = append(problem.sensitivities, w.Sensitivity)
		if scope != "" {
			problem.scopes = append(problem.scopes, scope)
		}
		if problem.err == nil {
			problem.err = w.Err
		}
	}
	now := strings.Join(problem.sensitivities, ",")
	before, _ := o.withheld.Swap(now).(string)
	switch {
	case now == before:
	case now == "":
		o.Log.Info("the token may read the sensitive properties again")
		o.Status.Clear(o.Type.Name, sensitivePart)
	default:
		o.Log.Warn("sensitive properties are left out", "err", problem, "action", problem.action())
		o.Status.Problem(o.Type.Name, sensitivePart, problem)
	}
	return f.Sensitivities()
}
