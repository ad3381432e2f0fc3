package sink

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
)

// holding is what a data topic holds as a consumer has it: its live keys. Their
// content is not of interest. Whoever needs a holding has no state, or a state
// that is about another topic (R20).
type holding struct {
	topic   string
	object  string
	pair    cdc.Pair // of a pair's topic
	list    []string // of a reference list's topic: the fields of its keys
	heads   *heads
	ids     map[hubspot.ID]struct{}
	links   map[cdc.LinkKey]struct{}
	entries map[string]cdc.EntryKey // by the record's key

	seq       int64       // the highest source.seq
	ours      int         // records of the connector
	foreign   int         // records that it cannot understand
	lost      map[int]int // of those, by the id of a schema that the registry does not have
	keyFormat string
	keySchema int
}

var customName = regexp.MustCompile(`^p[0-9]+_`)

// isType reports whether a name is that of an object type.
func isType(name string) bool {
	return customName.MatchString(name) ||
		slices.ContainsFunc(hubspot.StandardTypes(), func(t hubspot.ObjectType) bool { return t.Name == name })
}

// isData reports whether the connector may have written events to a topic, going by
// its name.
func isData(prefix, topic string) bool {
	rest, ours := strings.CutPrefix(topic, prefix)
	object, named := strings.CutPrefix(rest, ".")
	if !ours || !named { // as of most topics of a cluster with many portals
		return false
	}
	if ends, pair := strings.CutPrefix(object, pairPrefix); pair {
		from, to, _ := strings.Cut(ends, ".")
		return isType(from) && isType(to)
	}
	_, list := schema.ReferenceKey(object)
	return list || isType(object)
}

const pairPrefix = "associations."

// holding makes the holding of a data topic, still empty.
func (s *Sink) holding(topic string) *holding { return newHolding(s.cfg.Prefix, s.cfg.Portal, topic) }

func newHolding(prefix string, portal int64, topic string) *holding {
	h := &holding{topic: topic, object: strings.TrimPrefix(topic, prefix+"."), heads: newHeads(topic, portal), lost: map[int]int{}}
	if ends, pair := strings.CutPrefix(h.object, pairPrefix); pair {
		h.pair.From, h.pair.To, _ = strings.Cut(ends, ".")
		h.object, h.links = h.pair.String(), map[cdc.LinkKey]struct{}{}
	} else if key, list := schema.ReferenceKey(h.object); list {
		h.list, h.entries = key, map[string]cdc.EntryKey{}
		h.heads.whole = true
	} else {
		h.ids = map[hubspot.ID]struct{}{}
	}
	return h
}

// readable refuses a topic most of whose records have schemas that the registry does
// not have. They may be the connector's, and nobody can tell which keys are live. New
// schemas would be given the ids of lost ones, and consumers would take old events
// for what they are not.
func (h *holding) readable(topics string) error {
	lost := 0
	for _, n := range h.lost {
		lost += n
	}
	if lost <= h.ours {
		return nil
	}
	ids := slices.Sorted(maps.Keys(h.lost))
	return &offsets.Refusal{
		What: fmt.Sprintf("topic %s holds %d records whose schemas the registry does not have (ids %v), so that nobody can read them", h.topic, lost, ids),
		Cure: fmt.Sprintf("bring the registry's content back; or delete that topic too (%s --delete --topic %s) and let its consumers begin with an empty table; or use another KAFKA_TOPIC_PREFIX", topics, h.topic),
	}
}

// live is the number of live keys.
func (h *holding) live() int { return len(h.ids) + len(h.links) + len(h.entries) }

// read reads topics to their ends.
func (s *Sink) read(ctx context.Context, holdings []*holding) error {
	topics := map[string]func(*kgo.Record) error{}
	for _, h := range holdings {
		topics[h.topic] = func(r *kgo.Record) error { return h.add(ctx, s.cfg.Registry, r) }
	}
	if len(topics) == 0 {
		return nil
	}
	return offsets.ReadToEnd(ctx, s.reading(s.log), topics)
}

// add takes a record. One that is not the connector's, or cannot be understood, is
// counted and passed over.
func (h *holding) add(ctx context.Context, registry *sr.Client, r *kgo.Record) error {
	live := false
	var event head
	if r.Value != nil {
		var err error
		if event, err = h.heads.read(ctx, registry, r.Value); err != nil {
			if id, ok := errors.AsType[noSchema](err); ok {
				h.lost[int(id)]++
			}
			if errors.Is(err, errForeign) {
				h.foreign++
				return nil
			}
			return fmt.Errorf("read %s partition %d offset %d: %w", r.Topic, r.Partition, r.Offset, err)
		}
		live = event.Op != "d"
	}
	if !h.put(r, &event, live) {
		h.foreign++
		return nil
	}
	if r.Value == nil {
		return nil // a tombstone says nothing of the format of keys
	}
	h.ours++
	h.seq = max(h.seq, event.Source.Seq)
	h.keyFormat, h.keySchema = KeyString, 0
	if framed(r.Key) {
		h.keyFormat, h.keySchema = KeyAvro, int(binary.BigEndian.Uint32(r.Key[1:]))
	}
	return nil
}

// put notes whether a key is live. It returns false for a key that it cannot
// understand.
func (h *holding) put(r *kgo.Record, event *head, live bool) bool {
	switch {
	case h.ids != nil:
		id, ok := ParseRecordKey(r.Key)
		if !ok {
			return false
		}
		set(h.ids, id, live)
	case h.links != nil:
		key, ok := ParseLinkKey(r.Key)
		if !ok {
			return false
		}
		set(h.links, key, live)
	case !live:
		delete(h.entries, string(r.Key))
	default: // a part of a key may hold what stands between the parts: the event knows
		parts := make([]string, len(h.list))
		for i, field := range h.list {
			text, ok := event.after[field].(string)
			if !ok {
				return false
			}
			parts[i] = text
		}
		h.entries[string(r.Key)] = cdc.NewEntryKey(parts...)
	}
	return true
}

func set[K comparable](keys map[K]struct{}, key K, live bool) {
	if live {
		keys[key] = struct{}{}
	} else {
		delete(keys, key)
	}
}

// ParseRecordKey reads the id in the key of a record's event, in both formats.
func ParseRecordKey(key []byte) (hubspot.ID, bool) {
	texts, _, ok := keyTexts(key, 1, "")
	if !ok {
		return 0, false
	}
	id, err := hubspot.ParseID(texts[0])
	return id, err == nil
}

// ParseEntryKey reads the key of an entry of a reference list, of so many parts, in
// both formats. A part of a string key may hold what stands between the parts: the
// event knows better.
func ParseEntryKey(key []byte, parts int) (cdc.EntryKey, bool) {
	texts, _, ok := keyTexts(key, parts, ":")
	return cdc.NewEntryKey(texts...), ok
}

// ParseLinkKey reverses linkKey, in both formats.
func ParseLinkKey(key []byte) (k cdc.LinkKey, ok bool) {
	texts, rest, ok := keyTexts(key, 3, ":")
	if !ok {
		return k, false
	}
	var err, err2 error
	k.Category = texts[2]
	if framed(key) {
		typeID, n := binary.Varint(rest)
		if n <= 0 || n != len(rest) {
			return k, false
		}
		k.TypeID = int(typeID)
	} else {
		at := strings.LastIndexByte(texts[2], ':')
		if at < 0 {
			return k, false
		}
		k.Category = texts[2][:at]
		if k.TypeID, err = strconv.Atoi(texts[2][at+1:]); err != nil {
			return k, false
		}
	}
	k.From, err = hubspot.ParseID(texts[0])
	k.To, err2 = hubspot.ParseID(texts[1])
	return k, err == nil && err2 == nil
}

// keyTexts splits a key into n texts: those of an Avro key, and what follows
// them, or of a string with separators.
func keyTexts(key []byte, n int, separator string) (texts []string, rest []byte, ok bool) {
	if !framed(key) {
		if n == 1 {
			return []string{string(key)}, nil, len(key) > 0
		}
		texts = strings.SplitN(string(key), separator, n)
		return texts, nil, len(texts) == n
	}
	rest = key[frame:]
	for range n {
		size, w := binary.Varint(rest)
		if w <= 0 || size < 0 || size > int64(len(rest)-w) {
			return nil, nil, false
		}
		texts, rest = append(texts, string(rest[w:w+int(size)])), rest[w+int(size):]
	}
	return texts, rest, true
}

// frame is the length of the registry's header.
const frame = 5

// framed reports whether bytes begin with the registry's header. No text does.
func framed(b []byte) bool { return len(b) > frame && b[0] == 0 }

// head is what a holding needs of an event.
type head struct {
	Op     string `avro:"op"`
	Source struct {
		Connector string `avro:"connector"`
		DB        string `avro:"db"`
		Seq       int64  `avro:"seq"`
	} `avro:"source"`

	after map[string]any // of an entry of a reference list
}

// errForeign says that a record is not the connector's.
var errForeign = errors.New("not an event of the connector")

// noSchema is errForeign of a record whose schema, by its id, the registry does not
// have.
type noSchema int

func (id noSchema) Error() string        { return fmt.Sprintf("the registry has no schema %d", int(id)) }
func (id noSchema) Is(target error) bool { return target == errForeign }

// heads reads the heads of events with the schemas that the registry has. It uses
// another library than the encoder (docs/decisions/0002), which skips what is not
// asked for.
type heads struct {
	portal  string
	whole   bool // after is of interest
	reader  *avro.Schema
	writers map[int]*writerSchemas
}

type writerSchemas struct {
	head, whole *avro.Schema // nil: not of events of the connector
	missing     bool         // the registry does not have it
}

func newHeads(topic string, portal int64) *heads {
	return &heads{
		portal: strconv.FormatInt(portal, 10), writers: map[int]*writerSchemas{},
		reader: avro.MustParse(fmt.Sprintf(`{"type":"record","name":"Envelope","namespace":%q,"fields":[
			{"name":"source","type":{"type":"record","name":"Source","fields":[
				{"name":"connector","type":"string"},{"name":"db","type":"string"},{"name":"seq","type":"long"}]}},
			{"name":"op","type":"string"}]}`, schema.Namespace(topic))),
	}
}

func (hs *heads) read(ctx context.Context, registry *sr.Client, value []byte) (h head, err error) {
	if !framed(value) {
		return h, errForeign
	}
	id := int(binary.BigEndian.Uint32(value[1:]))
	w := hs.writers[id]
	if w == nil {
		if w, err = hs.writer(ctx, registry, id); err != nil {
			return h, err
		}
		hs.writers[id] = w
	}
	switch {
	case w.missing:
		return h, noSchema(id)
	case w.head == nil:
		return h, errForeign
	}
	if _, err := w.head.Decode(value[frame:], &h); err != nil || h.Source.Connector != "hubspot" || h.Source.DB != hs.portal {
		return h, errForeign
	}
	if hs.whole && h.Op != "d" {
		var event map[string]any
		if _, err := w.whole.Decode(value[frame:], &event); err != nil {
			return h, errForeign
		}
		h.after, _ = event["after"].(map[string]any)
	}
	return h, nil
}

// writer asks the registry for a schema. One that is not there, or has another
// shape than our events, is no error.
func (hs *heads) writer(ctx context.Context, registry *sr.Client, id int) (*writerSchemas, error) {
	answer, err := registry.SchemaByID(ctx, id)
	if statusOf(err) == http.StatusNotFound {
		return &writerSchemas{missing: true}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask registry for schema %d: %w", id, err)
	}
	whole, err := avro.Parse(answer.Schema)
	if err != nil {
		return &writerSchemas{}, nil //nolint:nilerr // not of our events
	}
	short, err := avro.Resolve(whole, hs.reader)
	if err != nil {
		return &writerSchemas{}, nil //nolint:nilerr // not of our events
	}
	return &writerSchemas{head: short, whole: whole}, nil
}
