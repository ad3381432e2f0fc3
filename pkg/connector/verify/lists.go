package verify

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// list compares a reference list with its topic. These lists are short, and HubSpot
// is always asked for the whole.
type list struct {
	*verifier
	name   string
	topic  string
	types  []hubspot.ObjectType
	events *digesters

	rows map[cdc.EntryKey]entry  // what is live in the topic
	keys map[string]cdc.EntryKey // by the key as it stands there
	torn map[cdc.EntryKey]bool   // see recordFold
	strays[cdc.EntryKey]
	departures[cdc.EntryKey]

	encoder *schema.ReferenceEncoder
	own     *digester
	room    []byte
}

// entry is a live entry of the topic.
type entry struct {
	state   state
	foreign bool // its content is not of the connector's making
}

func (v *verifier) list(name string, types []hubspot.ObjectType) (*list, error) {
	l := &list{
		verifier: v, name: name, topic: offsets.ReferenceTopic(v.prefix, name), types: types,
		rows: map[cdc.EntryKey]entry{}, keys: map[string]cdc.EntryKey{}, torn: map[cdc.EntryKey]bool{},
	}
	var err error
	if l.encoder, err = schema.CompileReference(l.topic, name); err != nil {
		return nil, err
	}
	l.events = v.digesters(func(f schema.ReadField) bool {
		return f.Name != "updatedAt" && !slices.Contains(l.encoder.Key(), f.Name)
	}, nil)
	l.own, err = newDigester(l.encoder.Schema, l.events.counts, nil)
	return l, err
}

func (l *list) compare(ctx context.Context) (*Topic, error) {
	topic := l.reader(l.topic, l)
	defer topic.close()
	if err := topic.toEnd(ctx); err != nil {
		return nil, err
	}
	seen, err := l.read(ctx)
	if err != nil {
		return nil, err
	}
	keys := map[cdc.EntryKey]bool{}
	for key := range seen.entries {
		keys[key] = true
	}
	for key := range l.rows {
		keys[key] = true
	}
	for key := range l.strays.of {
		keys[key] = true
	}
	t := &tally{topic: l.topic, object: l.name, list: true}
	var suspects []cdc.EntryKey
	equal := 0
	for key := range keys {
		switch v := l.view(key, seen); {
		case v.silent: // HubSpot does not show this part of the list
			t.kafka += v.kafka
			if l.leftOut(key, seen) {
				t.leftOut++
			} else {
				t.hidden++
			}
		case len(v.found) > 0:
			suspects = append(suspects, key)
		default:
			equal += v.equal
		}
	}
	slices.Sort(suspects)
	err = settle(ctx, suspects, l.patience(ctx, l.topic), topic.toEnd, func(ctx context.Context, keys []cdc.EntryKey) ([]view, error) {
		seen, err := l.read(ctx)
		views := make([]view, len(keys))
		for i, key := range keys {
			views[i] = l.view(key, seen)
		}
		return views, err
	}, t.take)
	report := t.report(equal)
	if err == nil {
		report.Properties, err = l.names(ctx, topic, report.Different)
	}
	return report, err
}

// leftOut reports whether an entry that HubSpot does not show is of an object type that
// is not compared: the settings leave it out, or the portal does not have it.
func (l *list) leftOut(key cdc.EntryKey, seen listed) bool {
	object := key.Parts()[0]
	return !seen.short && l.away(object) == nil && !slices.ContainsFunc(l.types, func(t hubspot.ObjectType) bool { return t.Name == object })
}

// add folds a record of the topic.
func (l *list) add(ctx context.Context, r *kgo.Record) error {
	raw, guess := string(r.Key), l.guess(r.Key)
	if !l.note(guess, guess.String(), r) {
		return nil
	}
	key, known := l.keys[raw]
	_, live := l.rows[key]
	delete(l.rows, key)
	delete(l.torn, key)
	if r.Value == nil {
		if known && live {
			l.torn[key] = true
			l.leave(key)
		}
		return nil
	}
	d, event, err := l.events.read(ctx, r.Value)
	switch {
	case errors.Is(err, schema.ErrForeign):
		if !known {
			key = guess
		}
		l.keys[raw], l.rows[key], l.torn[key] = key, entry{foreign: true}, true
	case err != nil:
		return fmt.Errorf("read %s partition %d offset %d: %w", r.Topic, r.Partition, r.Offset, err)
	case !event.Live:
		if live {
			l.leave(key)
		}
	default: // a part of a key may hold what stands between the parts: the event knows
		parts := make([]string, len(l.encoder.Key()))
		for i, name := range l.encoder.Key() {
			parts[i] = schema.Text(event.Values[d.reader.Field(name)])
		}
		key = cdc.NewEntryKey(parts...)
		l.keys[raw], l.rows[key] = key, entry{state: d.state(&event)}
	}
	return nil
}

// guess is the key of a record, as far as it can be told without the event.
func (l *list) guess(raw []byte) cdc.EntryKey {
	if key, ok := sink.ParseEntryKey(raw, len(l.encoder.Key())); ok {
		return key
	}
	return cdc.NewEntryKey(string(raw))
}

func (l *list) recall(r *kgo.Record) {
	key := l.guess(r.Key)
	l.note(key, key.String(), r)
}

// listed is what HubSpot shows of a list.
type listed struct {
	entries map[cdc.EntryKey]state
	whole   map[string]bool // the first parts of keys of which it shows everything; "" for all
	short   bool            // what it lacks is no evidence
}

// read is what HubSpot shows of the list now.
func (l *list) read(ctx context.Context) (listed, error) {
	readings, err := l.ask(ctx)
	out := listed{entries: map[cdc.EntryKey]state{}, whole: map[string]bool{}}
	for i := range readings {
		r := &readings[i]
		out.whole[r.Under] = true
		out.short = out.short || r.Short || r.Unsure
		for j := range r.Entries {
			out.entries[r.Entries[j].Key] = l.state(&r.Entries[j])
		}
	}
	return out, err
}

// ask asks for the list as a snapshot does: it asks for what the topic has and the
// list lacks by itself.
func (l *list) ask(ctx context.Context) ([]cdc.ReferenceReading, error) {
	published := map[cdc.EntryKey]cdc.Row{}
	for key := range l.rows {
		published[key] = cdc.UnknownRow(0)
	}
	lane := func(name string) stream.ReferenceList {
		c := cdc.ReferenceLaneConfig{Reference: name}
		if name == l.name {
			c.Rows = published
		}
		return stream.ReferenceList{Lane: cdc.NewReferenceLane(c)}
	}
	shared := stream.Reference{Client: l.client, Log: l.setup.Log, Selection: l.setup.Selection}
	owners := stream.Owners{Reference: shared, List: lane(stream.ReferenceOwners)}
	pipelines := stream.NewPipelines(&stream.Pipelines{
		Reference: shared, Pipelines: lane(stream.ReferencePipelines), Stages: lane(stream.ReferenceStages),
	})
	pipelines.Follow(l.types, 0)
	all := append(pipelines.Collections(l.prefix), owners.Collection(l.prefix))
	at := slices.IndexFunc(all, func(c stream.ReferenceCollection) bool { return c.Lane.Reference() == l.name })
	return all[at].Read(ctx, false)
}

// state is what is compared of an entry, if an event were written of it.
func (l *list) state(e *cdc.Entry) state {
	fact := l.fact(e)
	return l.own.state(&fact)
}

// fact is what such an event would say. The next call overwrites it.
func (l *list) fact(e *cdc.Entry) schema.Fact {
	l.room = l.encoder.Append(l.room[:0], &schema.ReferenceEvent{Op: 'r', Key: e.Key.Parts(), Values: e.Values})
	fact, err := l.own.reader.Read(l.room)
	if err != nil {
		panic(fmt.Sprintf("verify: an event that the encoder wrote cannot be read: %v", err))
	}
	return fact
}

// view compares an entry on both sides.
func (l *list) view(key cdc.EntryKey, seen listed) (v view) {
	row, live := l.rows[key]
	stray, written := l.strays.latest(key)
	if stray {
		row, live = entry{foreign: true}, written
	}
	if live {
		v.kafka = 1
	}
	s, there := seen.entries[key]
	if there {
		v.hubspot = 1
	}
	parts := key.Parts()
	found := func(c class) { v.found = []difference{{c, key.String()}} }
	switch {
	case !there && v.kafka == 0:
	case !there && (seen.short || !seen.whole[""] && !seen.whole[parts[0]]):
		return view{silent: true, kafka: v.kafka}
	case !there:
		found(extra)
	case v.kafka == 0:
		found(missing)
	case row.foreign, s.version <= row.state.version && s != row.state:
		found(different)
	case s.version > row.state.version && !(s.hash == row.state.hash && l.setup.Config.Event.SkipUnchanged):
		found(stale)
	default:
		v.equal = 1
	}
	if stray || l.torn[key] {
		v.enough = standFor
	}
	var b []byte
	for _, n := range []uint64{uint64(v.hubspot), uint64(v.kafka), uint64(s.version), s.hash, uint64(row.state.version), row.state.hash, l.left[key]} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	v.seen = xxhash.Sum64(b)
	return v
}
