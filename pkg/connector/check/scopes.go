package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// looked is what HubSpot said about a type.
type looked struct {
	typ   hubspot.ObjectType
	found *stream.Found
	err   error
}

// checkTypes asks for every type that the portal may have, and reports what a run
// would follow and which scopes the other types need.
func (k *checker) checkTypes(ctx context.Context) []hubspot.ObjectType {
	var all []looked
	var types, wanted []hubspot.ObjectType
	k.limited(ctx, k.turns(2), func(ctx context.Context) {
		custom := hubspot.ObjectType{Custom: true}.Scopes().All()
		var refusal, err error
		types, refusal, err = stream.Types(ctx, k.setup.HubSpot)
		switch {
		case err != nil:
			k.add(Finding{Area: "scopes", Check: "custom_objects", Status: k.silence(err), Found: connector.Plainly(err), Todo: k.again(err)})
			return
		case refusal != nil && len(k.setup.Config.HubSpot.Objects) == 0:
			k.add(Finding{Area: "scopes", Check: "custom_objects", Status: Note, Found: "left out; to include them, click " + strings.Join(custom, " and "), Scopes: custom})
		}
		var unknown []string
		wanted, unknown = stream.Choose(types, k.setup.Config.HubSpot.Objects)
		for _, word := range unknown {
			f := Finding{Area: "scopes", Check: "object_type", Subject: word, Status: Fail}
			switch {
			case k.published(word): // it may be gone, and no mistake
				continue
			case refusal != nil && stream.CustomWord(word):
				f.Found, f.Scopes = "not seen, and custom object types are not readable: "+connector.Plainly(refusal), custom
				f.Todo = append(click(custom), "or leave it out of HUBSPOT_OBJECTS")
			default:
				err := &stream.UnknownObjectError{Name: word}
				f.Code, f.Found, f.Todo = connector.ExitCode(err), err.Error(), []string{"correct HUBSPOT_OBJECTS"}
			}
			k.add(f)
		}
		k.portal.custom = refusal == nil
	})
	k.limited(ctx, k.turns(len(types)*(1+len(k.setup.Config.HubSpot.Sensitivities()))), func(ctx context.Context) {
		all = make([]looked, len(types))
		var wg sync.WaitGroup
		atOnce := make(chan struct{}, 8)
		for i, t := range types {
			wg.Go(func() {
				atOnce <- struct{}{}
				defer func() { <-atOnce }()
				found, err := stream.Look(ctx, k.setup.HubSpot, t, k.setup.Config.HubSpot.Sensitivities())
				all[i] = looked{t, found, err}
			})
		}
		wg.Wait()
	})
	k.sayTypes(all, wanted)
	followed := make([]hubspot.ObjectType, len(k.portal.found))
	for i, f := range k.portal.found {
		followed[i] = f.Type
	}
	return followed
}

// published reports whether an earlier run has published a type of that name.
func (k *checker) published(name string) bool {
	return k.loaded != nil && k.loaded.Sets[name] != nil
}

// sayTypes sorts the answers into types that a run follows, types that lack a
// scope, and types that the account does not have.
func (k *checker) sayTypes(all []looked, wanted []hubspot.ObjectType) {
	named := len(k.setup.Config.HubSpot.Objects) > 0
	given := map[string]bool{} // scopes that the token must have, because a type was read
	for _, l := range all {
		if l.err == nil && l.found != nil {
			given[l.typ.Scopes().Records] = true
		}
	}
	var unnamed, absent, unasked []string
	lacking := map[string][]string{} // types by the scopes that they need
	for _, l := range all {
		f := Finding{Area: "scopes", Check: "object_type", Subject: l.typ.Name, Status: OK}
		follow := !named || slices.Contains(wanted, l.typ)
		switch {
		case l.err == nil && follow:
			k.portal.found = append(k.portal.found, *l.found)
			f.Found = fmt.Sprintf("readable, %d properties", len(l.found.Properties))
			k.add(withheld(f, l.found))
		case l.err == nil:
			unnamed = append(unnamed, l.typ.Name)
		case named && !follow:
		case errors.Is(l.err, context.DeadlineExceeded):
			unasked = append(unasked, l.typ.Name)
		default:
			k.portal.hidden = append(k.portal.hidden, l.typ)
			k.portal.refused += k.inVain(l.err)
			f.Scopes = missing(l, given)
			f.Found = "not readable: " + connector.Plainly(l.err)
			f.Todo = click(f.Scopes)
			switch {
			case named:
				f.Status = Fail
				f.Todo = append(f.Todo, "or leave "+l.typ.Name+" out of HUBSPOT_OBJECTS")
				k.add(f)
			case len(f.Scopes) > 0:
				key := strings.Join(f.Scopes, " ")
				lacking[key] = append(lacking[key], l.typ.Name)
			case hubspot.MissingScopes(l.err) || hubspot.NotFound(l.err) || hubspot.BadRequest(l.err):
				absent = append(absent, l.typ.Name)
			default:
				f.Status, f.Todo = Warn, k.again(l.err)
				k.add(f)
			}
		}
	}
	for _, scopes := range slices.SortedFunc(maps.Keys(lacking), func(a, b string) int {
		return cmp.Compare(rankOf(all, lacking[a][0]), rankOf(all, lacking[b][0]))
	}) {
		k.add(Finding{Area: "scopes", Check: "object_type", Subject: strings.Join(lacking[scopes], ","), Status: Note,
			Found: "left out; to include it, click " + strings.Join(strings.Fields(scopes), " and "), Scopes: strings.Fields(scopes)})
	}
	if len(absent) > 0 {
		k.add(Finding{Area: "scopes", Check: "absent_types", Status: Note, Found: "not in this account, whatever the scopes: " + strings.Join(absent, ", ")})
	}
	if len(unnamed) > 0 {
		k.add(Finding{Area: "scopes", Check: "unnamed_types", Status: Note, Found: "readable, and not named in HUBSPOT_OBJECTS: " + strings.Join(unnamed, ", ")})
	}
	switch {
	case len(unasked) > 0:
		f := Finding{Area: "scopes", Check: "object_types", Subject: strings.Join(unasked, ","), Status: Warn,
			Found: "not asked within the time that a check has, so the plan leaves them out",
			Todo:  k.again(context.DeadlineExceeded)}
		if len(k.portal.found) == 0 {
			f.Status = k.silence(context.DeadlineExceeded)
		}
		k.add(f)
	case len(k.portal.found) == 0 && len(all) > 0 && (len(wanted) > 0 || !named): // else checkTypes has named the words
		k.add(Finding{Area: "scopes", Check: "object_types", Status: Fail, Found: "the token may read no object type",
			Todo: []string{"give it the read scopes of those to follow: the lines above name them"}})
	}
}

// withheld adds which sensitive properties the token may not read. A type for
// which HubSpot has no such scope has no such properties.
func withheld(f Finding, found *stream.Found) Finding {
	var lacking []string
	for _, w := range found.Withheld {
		scope := found.Type.SensitiveScope(w.Sensitivity)
		if scope == "" && hubspot.MissingScopes(w.Err) {
			continue
		}
		lacking = append(lacking, w.Sensitivity)
		if scope != "" {
			f.Scopes = append(f.Scopes, scope)
		}
	}
	if len(lacking) > 0 {
		f.Status = Warn
		f.Found += "; not readable, although HUBSPOT_SENSITIVE asks for them: " + strings.Join(lacking, ", ") + " properties"
		f.Todo = click(f.Scopes)
	}
	return f
}

// inVain is how many calls each read of the schemas spends on a refused type.
func (k *checker) inVain(err error) int {
	if e, ok := errors.AsType[*hubspot.Error](err); ok && strings.HasPrefix(e.Path, "/crm/objects/") {
		return len(k.setup.Config.HubSpot.Sensitivities()) + 1
	}
	return 1
}

func rankOf(all []looked, name string) int {
	return slices.IndexFunc(all, func(l looked) bool { return l.typ.Name == name })
}

// missing are the scopes to give for a type. The token may lack the one for the
// definitions, the one for the records, or both: the refused call shows which. If
// another type proves that the token has the scope, the scope is not the reason.
func missing(l looked, given map[string]bool) []string {
	if !hubspot.MissingScopes(l.err) {
		return nil
	}
	need := l.typ.Scopes()
	e, _ := errors.AsType[*hubspot.Error](l.err)
	told := slices.DeleteFunc(slices.Clone(e.Scopes), func(s string) bool { return !hubspot.Clickable(s) })
	switch {
	case need.Records == "":
		return told
	case given[need.Records]:
		return nil
	case strings.HasPrefix(e.Path, "/crm/objects/"): // the definitions could be read
		return []string{need.Records}
	}
	return need.All()
}

func click(scopes []string) []string {
	if len(scopes) == 0 {
		return nil
	}
	return []string{"click " + strings.Join(scopes, " and ") + " (" + hubspot.ScopesPage + ")"}
}

// checkSelection reports the patterns of the selection that match nothing.
func (k *checker) checkSelection() {
	if unmatched := k.setup.Config.HubSpot.Unmatched(k.portal.found); len(unmatched) > 0 {
		k.add(Finding{Area: "scopes", Check: "selection", Status: Warn, Found: "patterns that match no property: " + strings.Join(unmatched, "; "),
			Todo: []string{"check the spelling; the object part is the name in the topic"}})
	}
}

// checkReferences asks for the owners, and for the pipelines of the types to
// follow.
func (k *checker) checkReferences(ctx context.Context) {
	k.limited(ctx, k.turns(listedPages+len(k.portal.found)), func(ctx context.Context) {
		k.checkOwners(ctx)
		k.checkPipelines(ctx)
	})
}

func (k *checker) checkOwners(ctx context.Context) {
	k.portal.owners = 1
	f := Finding{Area: "scopes", Check: "owners", Status: OK}
	n, after, err := 0, "", error(nil)
	for {
		var page hubspot.OwnersPage
		if page, err = k.setup.HubSpot.Owners(ctx, asking, after, false, 0); err != nil {
			break
		}
		n += len(page.Owners)
		if after = page.After; after == "" || k.portal.owners == listedPages {
			break
		}
		k.portal.owners++
	}
	switch {
	case err == nil:
		f.Found = fmt.Sprintf("readable, %d owners", n)
		if after != "" {
			f.Found += " and more"
		}
	case hubspot.MissingScopes(err):
		f.Status, f.Found = Warn, "not readable, so there will be no topic for them"
		f.Scopes = []string{hubspot.ScopeOwners}
		f.Todo = click(f.Scopes)
	default:
		f.Status, f.Found, f.Todo = Warn, connector.Plainly(err), k.again(err)
	}
	k.add(f)
}

// listedPages is how many pages of a list a check counts.
const listedPages = 5

// checkPipelines asks which types have pipelines. HubSpot answers 404 or 400 for
// types that cannot have any.
func (k *checker) checkPipelines(ctx context.Context) {
	var with, failed []string
	var latest error
	for _, f := range k.portal.found {
		answer, err := k.setup.HubSpot.Pipelines(ctx, asking, f.Type.Path)
		switch {
		case err == nil:
			k.portal.withPipelines++
			if len(answer.Pipelines) > 0 {
				with = append(with, f.Type.Name)
			}
		case hubspot.MissingScopes(err):
			k.portal.withPipelines++
			scopes := f.Type.Scopes().All()
			k.add(Finding{Area: "scopes", Check: "pipelines", Subject: f.Type.Name, Status: Warn,
				Found: "not readable, so its pipelines and stages are left out", Todo: click(scopes), Scopes: scopes})
		case hubspot.NotFound(err), hubspot.BadRequest(err):
		default:
			latest, failed = err, append(failed, f.Type.Name+": "+connector.Plainly(err))
		}
	}
	f := Finding{Area: "scopes", Check: "pipelines", Status: OK, Found: "none"}
	if len(with) > 0 {
		f.Found = "readable, for " + strings.Join(with, ", ")
	}
	if len(failed) > 0 {
		f.Status, f.Found, f.Todo = Warn, strings.Join(failed, "; "), k.again(latest)
	}
	k.add(f)
}

// checkPairs asks which pairs of types a run would follow.
func (k *checker) checkPairs(ctx context.Context, types []hubspot.ObjectType) {
	p := &k.portal
	p.links = map[stream.Ends]bool{}
	k.limited(ctx, 0, func(ctx context.Context) {
		found, hidden, err := stream.Pairs(ctx, k.setup.HubSpot, types, k.setup.Config.HubSpot.Associations, func(word string) bool {
			return k.published(word) || stream.Hidden(word, p.hidden, p.custom)
		}, func(pair cdc.Pair) bool {
			return k.loaded != nil && k.loaded.Links[pair] != nil && k.loaded.Links[pair].Live() > 0
		})
		f := Finding{Area: "scopes", Check: "associations", Status: OK}
		switch {
		case err == nil:
			for _, pair := range found {
				p.ends = append(p.ends, pair.Ends)
			}
			f.Found = fmt.Sprintf("pairs of types to follow: %d", len(found))
			if len(hidden) > 0 {
				var names []string
				for _, h := range hidden {
					names = append(names, h.Name().String())
				}
				f.Status = Warn
				f.Found += "; refused: " + strings.Join(names, ", ")
				f.Todo = []string{"give the token the read scopes of both types of each"}
			}
		case connector.ExitCode(err) == connector.ExitConfig:
			f.Status, f.Code, f.Found, f.Todo = Fail, connector.ExitConfig, err.Error(), []string{"correct HUBSPOT_ASSOCIATIONS"}
		case errors.Is(err, context.DeadlineExceeded):
			for i, from := range types {
				for _, to := range types[i:] {
					p.ends = append(p.ends, stream.Ends{From: from, To: to})
				}
			}
			f.Status = Note
			f.Found = fmt.Sprintf("%d types make up to %d pairs, too many for a check to ask; the plan counts them all", len(types), len(p.ends))
		default:
			f.Status, f.Found, f.Todo = Fail, connector.Plainly(err), k.again(err)
		}
		k.add(f)
	})
	k.limited(ctx, 0, k.sample)
}
