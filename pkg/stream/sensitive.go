package stream

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// nonSensitive is HubSpot's dataSensitivity for ordinary properties.
const nonSensitive = "non_sensitive"

// Withheld is a kind of sensitive properties that the connector asked for and
// HubSpot did not show. Nobody knows then which of them exist, so a missing one is
// no evidence of its removal (R9).
type Withheld struct {
	Sensitivity string
	Err         error
}

// properties reads the definitions of a type's properties, one sensitivity after
// the other, in the order given. It leaves out and names the sensitive kinds that
// the token may not read. It also leaves out every property of a sensitivity that
// it did not ask for, wherever HubSpot lists it.
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

// Sensitivities lists the kinds of properties that HubSpot withholds.
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

// Withheld lists the sensitivities that HubSpot did not show, and keeps log and
// status up to date about those that the token may not read. A type for which
// HubSpot has no such scope has no such properties, so a refusal means nothing.
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
