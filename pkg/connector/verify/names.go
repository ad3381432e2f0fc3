package verify

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// Names are the properties in which both sides of a key differ: names alone, values
// never leave the comparison.
type Names struct {
	Names []string `json:"names"`          // the first of them
	More  int      `json:"more,omitempty"` // how many others there are
}

func (n Names) String() string {
	text := strings.Join(n.Names, ", ")
	if n.More > 0 {
		text += fmt.Sprintf(" and %d more", n.More)
	}
	return text
}

// named is how many properties of a key a report names.
const named = 5

// parts are digests of what is compared of a key on a side, by the names of the
// properties, or of the fields that are none.
type parts map[string]uint64

// differing adds the names of what differs between the sides of a key, if anything does.
func differing(names map[string]Names, key string, a, b parts) {
	var all []string
	for name, digest := range a {
		if other, there := b[name]; !there || other != digest {
			all = append(all, name)
		}
	}
	for name := range b {
		if _, there := a[name]; !there {
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	shown := min(named, len(all))
	names[key] = Names{all[:shown], len(all) - shown}
}

// parts takes an event apart. A property may have several fields: of more than one type,
// or its raw text.
func (d *digester) parts(f *schema.Fact) parts {
	p := parts{}
	add := func(name, field string, value []byte) {
		h := xxhash.New()
		_, _ = h.WriteString(field)
		_, _ = h.Write([]byte{0})
		_, _ = h.Write(value)
		p[name] += h.Sum64()
	}
	for i, value := range f.Values {
		switch name := d.names[i]; {
		case value == nil || name == "":
		case i == d.unparsed:
			var texts map[string]json.RawMessage
			if json.Unmarshal([]byte(schema.Text(value)), &texts) != nil {
				add(name, name, value)
			}
			for property, text := range texts {
				if d.raw(property) {
					add(property, name, text)
				}
			}
		case i == d.teams:
			add(name, name, inOrder(value))
		default:
			add(name, d.reader.Fields[i].Name, value)
		}
	}
	if d.updated >= 0 {
		add("updatedAt", "updatedAt", binary.BigEndian.AppendUint64(nil, uint64(schema.Time(f.Values[d.updated]))))
	}
	return p
}

// again reads the topic from its beginning.
func (r *reader) again(ctx context.Context, take func(*kgo.Record) error) error {
	return offsets.ReadToEnd(ctx, r.source(), map[string]func(*kgo.Record) error{r.topic: take})
}

// names tells in which properties some records differ. The fold has digests of whole
// records, so the topic is read once more, for these alone; then HubSpot is asked. A record
// that became equal, or of which the topic has no event of the connector, has no names.
func (r *records) names(ctx context.Context, topic *reader, keys []string) (map[string]Names, error) {
	wanted := map[hubspot.ID]bool{}
	for _, key := range keys {
		id, err := hubspot.ParseID(key)
		if row, _ := r.fold.latest(id); err == nil && row != cdc.UnknownRow(0) {
			wanted[id] = true
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	type event struct {
		parts   parts
		omitted []string
	}
	events := map[hubspot.ID]event{}
	err := topic.again(ctx, func(record *kgo.Record) error {
		id, ok := sink.ParseRecordKey(record.Key)
		if !ok || !wanted[id] || record.Partition != sink.PartitionOf([]byte(id.String()), r.fold.partitions) {
			return nil
		}
		delete(events, id)
		if d, fact, err := r.fold.events.read(ctx, record.Value); err == nil && fact.Live {
			events[id] = event{d.parts(&fact), fact.Omitted}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	readings, _, err := r.read(ctx, slices.Sorted(maps.Keys(events)))
	names := map[string]Names{}
	for id, e := range events {
		if rd, ok := readings[id]; ok && rd.Outcome == cdc.IsLive {
			fact := r.fact(rd.Record, e.omitted)
			differing(names, id.String(), e.parts, r.own.parts(&fact))
		}
	}
	return names, err
}

// names tells that links differ in their labels: they have nothing else.
func (l *links) names(keys []string) map[string]Names {
	names := map[string]Names{}
	for _, text := range keys {
		key, _ := sink.ParseLinkKey([]byte(text))
		for other, label := range l.latest(key.From) {
			if other == key && label != foreignLabel {
				names[text] = Names{Names: []string{"label"}}
			}
		}
	}
	return names
}

// names tells in which fields some entries differ, as it is told of records.
func (l *list) names(ctx context.Context, topic *reader, keys []string) (map[string]Names, error) {
	wanted := map[cdc.EntryKey]bool{}
	for key, row := range l.rows {
		if stray, _ := l.strays.latest(key); !stray && !row.foreign && slices.Contains(keys, key.String()) {
			wanted[key] = true
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	events := map[cdc.EntryKey]parts{}
	err := topic.again(ctx, func(record *kgo.Record) error {
		key, known := l.keys[string(record.Key)]
		if !known || !wanted[key] || record.Partition != sink.PartitionOf([]byte(l.guess(record.Key).String()), l.partitions) {
			return nil
		}
		delete(events, key)
		if d, fact, err := l.events.read(ctx, record.Value); err == nil && fact.Live {
			events[key] = d.parts(&fact)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	readings, err := l.ask(ctx)
	names := map[string]Names{}
	for i := range readings {
		for j := range readings[i].Entries {
			e := &readings[i].Entries[j]
			if event, there := events[e.Key]; there {
				fact := l.fact(e)
				differing(names, e.Key.String(), event, l.own.parts(&fact))
			}
		}
	}
	return names, err
}
