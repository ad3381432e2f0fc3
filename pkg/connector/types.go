package connector

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// types are the object types that a run follows, and those that were published
// before and are not there now.
type types struct {
	run      *run
	ask      stream.Introspection
	removals stream.Removals
	byName   map[string]*objectType

	seen    stream.Seen     // what HubSpot showed last
	refused map[string]bool // types that HubSpot refused then
	begun   bool            // the run has followed what it saw first
	changed bool            // what HubSpot showed last differs from what it showed before

	// As last logged: types that the token may not read, and types that HubSpot
	// does not answer about.
	leftOut, unanswered string
}

func newTypes(r *run) (*types, error) {
	t := &types{
		run: r, byName: map[string]*objectType{},
		removals: stream.Removals{Client: r.setup.HubSpot, Wait: r.timings.Removed},
	}
	t.ask = introspection(r.setup, r.log)
	t.ask.Known, t.ask.Streaming = t.known, t.streaming
	// The run knows what an earlier one published even if HubSpot no longer shows
	// it: it may have to be deleted.
	for name, text := range r.loaded.Sets {
		set := &schema.Set{}
		if err := json.Unmarshal(text, set); err != nil {
			return nil, fmt.Errorf("state of %s: %w", name, err)
		}
		if typ, ok := typeOf(name, set); ok {
			t.byName[name] = newObjectType(r, typ, set, nil)
		}
	}
	return t, nil
}

// introspection asks about the types that the operator wants.
func introspection(s *Setup, log *slog.Logger) stream.Introspection {
	return stream.Introspection{
		Client: s.HubSpot, Log: log, Wanted: s.Config.HubSpot.Objects, Sensitivities: s.Config.HubSpot.Sensitivities(),
	}
}

// typeOf is the object type whose records are published under a name.
func typeOf(name string, set *schema.Set) (hubspot.ObjectType, bool) {
	standard := hubspot.StandardTypes()
	if i := slices.IndexFunc(standard, func(t hubspot.ObjectType) bool { return t.Name == name }); i >= 0 {
		return standard[i], true
	}
	return hubspot.ObjectSchema{ObjectTypeID: set.TypeID, FullyQualifiedName: name}.ObjectType(), set.TypeID != ""
}

// known reports whether an operator's word means an object type that was
// published.
func (t *types) known(word string) bool {
	for _, o := range t.byName {
		if stream.Names(o.records.Type, word) {
			return true
		}
	}
	return false
}

// away reports whether a word may mean a type that is not there now: HubSpot
// hides it, or it was published and is gone.
func (t *types) away(word string) bool { return t.known(word) || t.seen.Hides(word) }

func (t *types) streaming(typ hubspot.ObjectType) bool {
	o := t.byName[typ.Name]
	return o != nil && o.streams != nil && o.records.Type == typ
}

// streamed lists the object types that streams run for, by name.
func (t *types) streamed() []*stream.Object {
	var out []*stream.Object
	for _, name := range slices.Sorted(maps.Keys(t.byName)) {
		if o := t.byName[name]; o.streams != nil {
			out = append(out, o.records)
		}
	}
	return out
}

// shown is the time for which the streamed types are all that the run should follow; 0
// if one of them cannot be followed now, or was not looked at yet.
func (t *types) shown() hubspot.Millis {
	if len(t.seen.Later) > 0 {
		return 0
	}
	listed := map[string]bool{}
	for _, found := range t.seen.Found {
		listed[found.Type.Name] = true
	}
	for _, name := range t.seen.Unanswered {
		if o := t.byName[name]; o == nil || o.streams == nil {
			return 0
		}
	}
	for name, o := range t.byName {
		if o.streams == nil && t.wanted(o.records.Type) && (listed[name] || t.refused[name] || o.records.Lane.Live() > 0) {
			return 0
		}
	}
	return t.seen.At
}

// awaited reports whether HubSpot has given no answer about a type that an earlier run
// published, and that does not stream yet.
func (t *types) awaited() bool {
	return slices.ContainsFunc(t.seen.Unanswered, func(name string) bool {
		o := t.byName[name]
		return o != nil && o.streams == nil
	})
}

// lacking reports whether a type that the run should follow and that was published does
// not stream yet.
func (t *types) lacking() bool {
	for _, o := range t.byName {
		if o.streams == nil && o.records.Lane.Live() > 0 && t.wanted(o.records.Type) {
			return true
		}
	}
	return false
}

// wanted reports whether HUBSPOT_OBJECTS asks for a type.
func (t *types) wanted(typ hubspot.ObjectType) bool {
	words := t.ask.Wanted
	return len(words) == 0 || slices.ContainsFunc(words, func(word string) bool { return stream.Names(typ, word) })
}

// note remembers what HubSpot showed. shrunk reports that the token has lost a
// scope since the last time, which explains whatever is missing (R9).
func (t *types) note(seen stream.Seen) (shrunk bool) {
	for _, o := range t.byName {
		o.again = 0
	}
	refused := map[string]bool{}
	t.changed = false
	for name := range seen.Refused {
		o := t.byName[name]
		refused[name] = true
		shrunk = shrunk || o != nil && o.set != nil && !t.refused[name]
	}
	for name := range t.refused {
		if !refused[name] && t.byName[name] == nil { // an operator's word, perhaps, for a type of another name
			t.run.status.Forget(name)
		}
	}
	t.refused, t.seen = refused, seen
	return shrunk
}

// take follows a type, or adopts its changes if it is already followed.
func (t *types) take(ctx context.Context, found stream.Found, shrunk bool) (started bool, err error) {
	o := t.byName[found.Type.Name]
	switch {
	case o == nil:
		o = newObjectType(t.run, found.Type, nil, nil)
	case o.removed || o.records.Type != found.Type: // o is of a type that was removed
		o = newObjectType(t.run, found.Type, o.set, o.records.Lane)
	}
	t.byName[found.Type.Name] = o
	t.removals.Back(found.Type)
	started, err = o.take(ctx, found, shrunk, !t.begun)
	t.changed = t.changed || o.changed
	return started, err
}

// forget drops a type that was removed. If it comes back, even under the same
// id, its streams begin with nothing of before.
func (t *types) forget(o *objectType) *objectType {
	name := o.records.Type.Name
	t.run.status.Forget(name)
	t.run.pace.Remove(name)
	t.run.rounds.Remove(name)
	t.byName[name] = newObjectType(t.run, o.records.Type, o.set, o.records.Lane)
	return t.byName[name]
}

// sayRefused reports the types that the token may not read. Those that were asked
// for, or published before, are a problem.
func (t *types) sayRefused(seen stream.Seen) {
	var left []string
	for _, name := range slices.Sorted(maps.Keys(seen.Refused)) {
		o := t.byName[name]
		switch {
		case o != nil && o.streams != nil: // its streams report it themselves
		case o != nil || len(t.ask.Wanted) > 0:
			t.run.notFollowed(name, seen.Refused[name])
		case !slices.Contains(seen.Unanswered, name):
			left = append(left, name)
		}
	}
	if text := strings.Join(left, ","); text != t.leftOut && len(seen.Later) == 0 {
		t.leftOut = text
		t.run.log.Info("HubSpot does not let this token read some object types; they are left out", "objects", text)
	}
	if text := strings.Join(seen.Unanswered, ","); text != t.unanswered {
		t.unanswered = text
		t.run.log.Warn("HubSpot answers about the other object types, but not about these; asking again", "objects", text)
	}
}

// notFollowed reports what keeps an object type from being followed.
func (r *run) notFollowed(name string, err error) {
	r.status.Expect(name, stream.SchemaStream)
	if r.status.Problem(name, stream.SchemaStream, err) {
		r.log.Warn("an object type is not followed; trying again", "object", name, "err", err)
	}
}
