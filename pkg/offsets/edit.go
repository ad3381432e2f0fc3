package offsets

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Listing is the cursor topic as an operator sees and edits it: everything in it,
// of any portal, understood or not.
type Listing struct {
	Entries []Entry // of cursors that have a value, in the order of their keys
	Portals []int64 // that have cursors or a birth id there

	topic   string
	births  map[int64]bool
	objects map[string]byte // that have or had cursors, or that the state knows: kindSet, kindLink or kindEntry
	lags    map[string]bool // the trailing tiers that have or had cursors
	values  [][]byte        // keys as spelt that have a value, without birth ids
}

// Entry is a cursor as it stands in the topic: the latest record of all spellings
// of its key.
type Entry struct {
	Key    Key // zero if it cannot be understood
	Raw    []byte
	Value  []byte
	Offset int64
	Err    error // why the connector would refuse to start
}

// Change is what an operator wants of a cursor: a new value, or nil to forget it.
type Change struct {
	Key   Key
	Value []byte
}

// Edit is a record to write to the cursor topic; a nil Value is a tombstone.
type Edit struct {
	Key, Value []byte
}

// ReadListing reads the cursor topic up to its end and, if state is set, the
// state topic for the objects that it knows. It ignores Source.Portal.
func ReadListing(ctx context.Context, src Source, state bool) (*Listing, error) {
	log := &cursorLog{topic: CursorTopic(src.Prefix), latest: map[string]cursorRecord{}}
	l := &Listing{topic: log.topic, births: map[int64]bool{}, objects: map[string]byte{}, lags: map[string]bool{}}
	topics := map[string]func(*kgo.Record) error{log.topic: log.add}
	if state {
		topics[StateTopic(src.Prefix)] = l.addState
	}
	if err := ReadToEnd(ctx, src, topics); err != nil {
		return nil, fmt.Errorf("read %s: %w", strings.Join(slices.Sorted(maps.Keys(topics)), " and "), err)
	}
	l.take(log)
	return l, nil
}

// addState collects the object types, pairs and reference lists in the state's
// keys.
func (l *Listing) addState(r *kgo.Record) error {
	if len(r.Key) == 0 || r.Value == nil {
		return nil
	}
	switch name := r.Key[1:]; r.Key[0] {
	case kindSet:
		l.objects[string(name)] = kindSet
	case kindEntry, kindLink:
		name, _, _ = bytes.Cut(name, []byte{0})
		if l.objects[string(name)] == 0 { // millions of links share a name, and only an assignment allocates it
			l.objects[string(name)] = r.Key[0]
		}
	}
	return nil
}

func (l *Listing) take(log *cursorLog) {
	records := slices.Collect(maps.Values(log.latest))
	slices.SortFunc(records, func(a, b cursorRecord) int { return cmp.Compare(a.offset, b.offset) })
	latest := map[Key]cursorRecord{}
	portals := map[int64]bool{}
	for _, r := range records {
		key, err := ParseKey(r.raw)
		if err == nil && key.Stream == BirthStream {
			if r.value != nil {
				l.births[key.Portal], portals[key.Portal] = true, true
			}
			continue
		}
		if r.value != nil {
			l.values = append(l.values, r.raw)
		}
		switch {
		case err == nil:
			latest[key] = r
		case r.value != nil:
			l.Entries = append(l.Entries, Entry{Raw: r.raw, Value: r.value, Offset: r.offset, Err: fmt.Errorf("the key cannot be understood: %w", err)})
		}
	}
	for key, r := range latest {
		l.learn(key)
		if r.value == nil {
			continue
		}
		portals[key.Portal] = true
		e := Entry{Key: key, Raw: r.raw, Value: r.value, Offset: r.offset}
		if err := checkValue(key.Stream, r.value); err != nil {
			e.Err = fmt.Errorf("the value cannot be understood: %w", err)
		}
		l.Entries = append(l.Entries, e)
	}
	slices.SortFunc(l.Entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Key.Portal, b.Key.Portal), strings.Compare(a.Key.Object, b.Key.Object),
			strings.Compare(a.Key.Stream, b.Key.Stream), bytes.Compare(a.Raw, b.Raw))
	})
	l.Portals = slices.Sorted(maps.Keys(portals))
}

// learn notes what a key says is there. One that was forgotten says so too:
// cursors that were printed before a reset can be set after it.
func (l *Listing) learn(k Key) {
	if strings.HasPrefix(k.Stream, TrailingPrefix) {
		l.lags[k.Stream] = true
	}
	if k.Object == "" || l.objects[k.Object] != 0 { // the state knows better
		return
	}
	switch {
	case strings.Contains(k.Object, ":"):
		l.objects[k.Object] = kindLink
	case k.Stream == ReferenceStream:
		l.objects[k.Object] = kindEntry
	default:
		l.objects[k.Object] = kindSet
	}
}

// Set returns the records that change a portal's cursors. It checks every change
// first, as the next start will; the error lists all that are wrong. Set removes
// the other spellings of a changed key, so that none of them comes back to life.
func (l *Listing) Set(portal int64, changes []Change, now time.Time) ([]Edit, error) {
	if err := l.begun(portal); err != nil {
		return nil, err
	}
	var wrong []error
	seen := map[Key]bool{}
	for _, c := range changes {
		err := l.check(portal, c, now)
		if err == nil && seen[c.Key] {
			err = errors.New("is listed twice")
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", c.Key, err))
		}
		seen[c.Key] = true
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	var edits []Edit
	for _, raw := range l.values {
		if key, err := ParseKey(raw); err == nil && seen[key] && !bytes.Equal(raw, key.Bytes()) {
			edits = append(edits, Edit{Key: raw})
		}
	}
	for _, c := range changes {
		edits = append(edits, Edit{c.Key.Bytes(), c.Value})
	}
	return edits, nil
}

// Reset returns the records that make the connector forget every cursor, even
// those that it cannot understand and those of a portal that it never ran for: it
// would not start beside them. Birth ids stay, and so do the cursors of another
// portal that has one, and the memory of what is published.
func (l *Listing) Reset(portal int64) ([]Edit, error) {
	if err := l.begun(portal); err != nil {
		return nil, err
	}
	var edits []Edit
	for _, raw := range l.values {
		if key, err := ParseKey(raw); err != nil || key.Portal == portal || !l.births[key.Portal] {
			edits = append(edits, Edit{Key: raw})
		}
	}
	return edits, nil
}

// begun refuses to write cursors where the connector never ran: without its birth
// id it would not start with them.
func (l *Listing) begun(portal int64) error {
	if l.births[portal] {
		return nil
	}
	return &Refusal{
		To:   ChangeCursors,
		What: fmt.Sprintf("topic %s has no birth id of portal %d, so the connector has never run there", l.topic, portal),
		Cure: "check KAFKA_TOPIC_PREFIX and --portal; a first start needs no cursors",
	}
}

func (l *Listing) check(portal int64, c Change, now time.Time) error {
	if c.Key.Portal != portal {
		return fmt.Errorf("the cursors are those of portal %d", portal)
	}
	switch s := c.Key.Stream; {
	case s == BirthStream:
		return errors.New("the birth id is not a cursor and cannot be set: it ties the cursors to what is published")
	case strings.HasPrefix(s, TrailingPrefix):
		if lag, err := time.ParseDuration(strings.TrimPrefix(s, TrailingPrefix)); err != nil || lag <= 0 {
			return fmt.Errorf("stream %q is named after a lag, such as trailing-5m", s)
		}
	case !slices.Contains(streams, s):
		return fmt.Errorf("there is no stream %q; there are %s and %s5m (or another lag)", s, strings.Join(streams, ", "), TrailingPrefix)
	}
	if err := l.exists(c.Key); err != nil {
		return err
	}
	if c.Value == nil {
		return nil
	}
	if t, err := ParseTier(c.Value); isTier(c.Key.Stream) && err == nil && t.At.Time().After(now.Add(24*time.Hour)) {
		return errors.New(`"at" is in the future`) // a search from there would find nothing until then
	}
	return checkValue(c.Key.Stream, c.Value)
}

// streams are those whose cursors an operator may set, besides the trailing
// tiers.
var streams = []string{LeadingStream, BackfillStream, ReconcileStream, ArchiveStream, AssociationsStream, ReferenceStream, RefillStream, StuckStream, SignalsStream, PausedStream, RepublishStream, JournalStream}

// exists finds cursors that no stream would ever read. One that is in the topic
// may be set and forgotten.
func (l *Listing) exists(k Key) error {
	if slices.ContainsFunc(l.Entries, func(e Entry) bool { return e.Key == k }) || k.Object == "" {
		return nil
	}
	kind := l.objects[k.Object]
	from, to, _ := strings.Cut(k.Object, ":")
	switch s := k.Stream; {
	case kind == 0 && l.objects[to+":"+from] != 0:
		return fmt.Errorf("object %q is not known here; the pair is %s:%s", k.Object, to, from)
	case kind == 0:
		return fmt.Errorf("object %q is not known here; there are %s", k.Object, strings.Join(slices.Sorted(maps.Keys(l.objects)), ", "))
	case s == RepublishStream, s == StuckStream && kind != kindEntry:
	case s == AssociationsStream:
		if kind != kindLink {
			return fmt.Errorf("stream %q belongs to a pair, such as contacts:companies", s)
		}
	case s == ReferenceStream:
		if kind != kindEntry {
			return fmt.Errorf("stream %q belongs to a reference list, such as owners", s)
		}
	case kind != kindSet:
		return fmt.Errorf("stream %q belongs to an object type, such as contacts", s)
	case strings.HasPrefix(s, TrailingPrefix) && len(l.lags) > 0 && !l.lags[s]:
		return fmt.Errorf("no tier is called %q here; there are %s", s, strings.Join(slices.Sorted(maps.Keys(l.lags)), ", "))
	}
	return nil
}

// OneLine returns a JSON value on one line, as the connector writes it.
func OneLine(value []byte) ([]byte, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, value); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	return b.Bytes(), nil
}
