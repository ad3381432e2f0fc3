package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// work is the comparison of one topic.
type work struct {
	topic   string
	compare func(context.Context) (*Topic, error)
}

// once compares, unless that is noted as done.
func (w *work) once(ctx context.Context, notes *Notes) (*Topic, error) {
	if notes == nil {
		return w.compare(ctx)
	}
	if t := notes.done[w.topic]; t != nil {
		return t, nil
	}
	t, err := w.compare(ctx)
	if err == nil {
		err = notes.add(t)
	}
	return t, err
}

// choice is what an operator wants compared; empty means everything.
type choice struct {
	words []string
	meant map[string]bool // those that mean something
}

func (c *choice) has(means func(word string) bool) (chosen bool) {
	for _, word := range c.words {
		if means(word) {
			c.meant[word], chosen = true, true
		}
	}
	return chosen || len(c.words) == 0
}

// works lists the topics to compare: those of each object type and of the pairs that
// begin with it, then the reference lists.
func (v *verifier) works(ctx context.Context, objects []string) ([]work, error) {
	chosen := choice{objects, map[string]bool{}}
	look := stream.Introspection{
		Client: v.client, Log: v.setup.Log, Wanted: v.setup.Config.HubSpot.Objects, Sensitivities: v.setup.Config.HubSpot.Sensitivities(),
		Known:     func(word string) bool { return v.sets[word] != nil },
		Streaming: func(hubspot.ObjectType) bool { return false },
	}
	seen, err := look.Look(ctx)
	if err != nil {
		return nil, err
	}
	v.seen = seen
	types := make([]hubspot.ObjectType, len(seen.Found))
	shown := map[string]bool{}
	for i := range seen.Found {
		types[i] = seen.Found[i].Type
		shown[types[i].Name] = true
	}
	for _, name := range seen.Unanswered {
		topic := offsets.ObjectTopic(v.prefix, name)
		if chosen.has(func(word string) bool { return word == name || word == topic }) {
			v.hidden = append(v.hidden, Left{topic, errNoAnswer})
		}
		shown[name] = true // it is named
	}
	known := slices.AppendSeq(slices.Collect(maps.Keys(v.sets)), maps.Keys(seen.Refused)) // the state may be lost
	slices.Sort(known)
	for _, name := range slices.Compact(known) {
		if topic := offsets.ObjectTopic(v.prefix, name); !shown[name] && len(objects) == 0 && v.there.Has(topic) {
			v.hidden = append(v.hidden, Left{topic, v.away(name)})
		}
	}
	silent := map[string]error{} // topics of pairs about which HubSpot tells nothing
	pairs, err := v.pairs(ctx, &chosen, types, silent)
	if err != nil {
		return nil, err
	}
	var works []work
	for i := range seen.Found {
		f := &seen.Found[i]
		own := slices.DeleteFunc(slices.Clone(pairs), func(p stream.Ends) bool { return p.From != f.Type })
		wanted := chosen.has(func(word string) bool {
			return stream.Names(f.Type, word) || word == offsets.ObjectTopic(v.prefix, f.Type.Name)
		})
		works = append(works, v.worksOf(f, wanted, own)...)
	}
	for _, name := range stream.References() {
		if chosen.has(func(word string) bool { return word == name || word == offsets.ReferenceTopic(v.prefix, name) }) {
			works = append(works, work{offsets.ReferenceTopic(v.prefix, name), func(ctx context.Context) (*Topic, error) {
				l, err := v.list(name, types)
				if err != nil {
					return nil, err
				}
				return l.compare(ctx)
			}})
		}
	}
	for _, topic := range v.there.Names() {
		if len(objects) == 0 && strings.HasPrefix(topic, v.prefix+".associations.") && !slices.ContainsFunc(works, func(w work) bool { return w.topic == topic }) {
			from, to, _ := strings.Cut(strings.TrimPrefix(topic, v.prefix+".associations."), ".")
			why := silent[topic]
			if why == nil && v.chooses(from, to, shown) {
				why = cmp.Or(v.away(from), v.away(to))
			}
			v.hidden = append(v.hidden, Left{topic, why})
		}
	}
	for _, word := range objects {
		if !chosen.meant[word] {
			return nil, &connector.ConfigError{Problems: []string{fmt.Sprintf(
				"--object %s: no object type, pair (contacts:companies) or reference list of that name is followed", word)}}
		}
	}
	return works, nil
}

// These say why a topic that was published cannot be compared.
var (
	errNoAnswer = errors.New("HubSpot does not answer about it; compare again later")
	errHidden   = errors.New("HubSpot does not show this token what it holds; connector check names the scopes")
)

// away says why HubSpot does not show an object type that the settings choose: nil if it
// does, if they leave it out, and if the portal does not have it.
func (v *verifier) away(name string) error {
	wanted := v.setup.Config.HubSpot.Objects
	switch {
	case slices.Contains(v.seen.Unanswered, name):
		return errNoAnswer
	case v.seen.Refused[name] != nil, v.seen.Hides(name) && (len(wanted) == 0 || slices.ContainsFunc(wanted, func(word string) bool { return mayMean(word, name) })):
		return errHidden
	}
	return nil
}

// chooses reports whether the settings choose a pair, of whose types HubSpot shows some.
func (v *verifier) chooses(from, to string, shown map[string]bool) bool {
	if wanted := v.setup.Config.HubSpot.Associations; len(wanted) > 0 {
		return slices.ContainsFunc(wanted, func(word string) bool {
			a, b, _ := strings.Cut(word, ":")
			return mayMean(a, from) && mayMean(b, to)
		})
	}
	return (shown[from] || v.away(from) != nil) && (shown[to] || v.away(to) != nil)
}

// mayMean reports whether an operator's word may mean the type with a name. Nobody knows
// the id of a custom type that HubSpot does not show.
func mayMean(word, name string) bool {
	t := hubspot.ObjectType{Name: name}
	if i := slices.IndexFunc(hubspot.StandardTypes(), func(s hubspot.ObjectType) bool { return s.Name == name }); i >= 0 {
		t = hubspot.StandardTypes()[i]
	}
	return stream.Names(t, word) || stream.CustomWord(name) && strings.HasPrefix(word, "2-")
}

// pairs finds the pairs to compare. It adds to silent the topics of those about which
// HubSpot tells nothing.
func (v *verifier) pairs(ctx context.Context, chosen *choice, types []hubspot.ObjectType, silent map[string]error) ([]stream.Ends, error) {
	topics := v.prefix + ".associations."
	if len(chosen.words) > 0 && !slices.ContainsFunc(chosen.words, func(word string) bool {
		return strings.Contains(word, ":") || strings.HasPrefix(word, topics)
	}) {
		return nil, nil // none is named: HubSpot need not be asked
	}
	away := func(word string) bool { return v.sets[word] != nil || v.seen.Hides(word) }
	published := func(p cdc.Pair) bool { return v.there.Has(offsets.PairTopic(v.prefix, p)) }
	found, hidden, err := stream.Pairs(ctx, v.client, types, v.setup.Config.HubSpot.Associations, away, published)
	var out []stream.Ends
	for _, p := range found {
		if chosen.has(func(word string) bool { return v.means(word, p.Ends) }) {
			out = append(out, p.Ends)
		}
	}
	for _, p := range hidden {
		if slices.Contains(out, p.Ends) { // its comparison says so
			continue
		}
		topic, why := offsets.PairTopic(v.prefix, p.Name()), errHidden
		if p.Unanswered {
			why = errNoAnswer
		}
		silent[topic] = why
		if meant := chosen.has(func(word string) bool { return v.means(word, p.Ends) }); meant && (len(chosen.words) > 0 || p.Unanswered && !v.there.Has(topic)) { // the others are named with their topics
			v.hidden = append(v.hidden, Left{topic, why})
		}
	}
	return out, err
}

// means reports whether a word names a pair: its topic, or its types.
func (v *verifier) means(word string, p stream.Ends) bool {
	from, to, _ := strings.Cut(word, ":")
	return word == offsets.PairTopic(v.prefix, p.Name()) || stream.Names(p.From, from) && stream.Names(p.To, to)
}

// worksOf are the comparisons of an object type and of its pairs. The list of the
// records names the ids that the pairs' comparisons ask about.
func (v *verifier) worksOf(f *stream.Found, wanted bool, pairs []stream.Ends) (works []work) {
	var ids *idSet // nil: not listed yet
	if wanted {
		works = append(works, work{offsets.ObjectTopic(v.prefix, f.Type.Name), func(ctx context.Context) (*Topic, error) {
			set, err := v.set(f)
			if err != nil {
				return nil, err
			}
			r, err := v.records(f.Type, set)
			if err != nil {
				return nil, err
			}
			if len(pairs) > 0 {
				r.ids = &idSet{}
			}
			t, err := r.compare(ctx)
			if err == nil { // else some may be missing
				ids = r.ids
			}
			return t, err
		}})
	}
	for i, p := range pairs {
		topic := offsets.PairTopic(v.prefix, p.Name())
		works = append(works, work{topic, func(ctx context.Context) (t *Topic, err error) {
			if ids == nil {
				if ids, err = v.listIDs(ctx, f.Type); err != nil {
					return nil, err
				}
			}
			ids.sort()
			l, err := v.links(p)
			if err != nil {
				return nil, err
			}
			if t, err = l.compare(ctx, ids); i == len(pairs)-1 {
				ids = nil
			}
			return t, err
		}})
	}
	return works
}

// listIDs lists the ids of a type.
func (v *verifier) listIDs(ctx context.Context, t hubspot.ObjectType) (*idSet, error) {
	ids := &idSet{}
	for after, more := "", true; more; {
		page, err := v.client.List(ctx, call, t.Path, nil, after, false, 0)
		if err != nil {
			return nil, fmt.Errorf("list %s after %q: %w", t.Name, after, err)
		}
		for i := range page.Records {
			ids.add(page.Records[i].ID)
		}
		for _, id := range page.Unread {
			ids.add(id)
		}
		after, more = page.After, page.After != ""
		v.progress(Progress{Topic: offsets.ObjectTopic(v.prefix, t.Name), Done: ids.n})
	}
	return ids, nil
}
