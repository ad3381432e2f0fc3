package verify

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// links compares a pair with its topic: the exact set of every record of its from
// type.
type links struct {
	*verifier
	ends   stream.Ends
	topic  string
	events *digesters
	table  *cdc.LinkTable
	torn   map[cdc.LinkKey]bool // see recordFold
	strays[cdc.LinkKey]
	departures[hubspot.ID] // of links, by the records that have them
	odd                    map[string]bool

	encoder *schema.LinkEncoder
	own     *digester
	labels  map[string]uint64 // what HubSpot calls links, as the topic has it
}

func (v *verifier) links(ends stream.Ends) (*links, error) {
	l := &links{
		verifier: v, ends: ends, topic: offsets.PairTopic(v.prefix, ends.Name()), table: cdc.NewLinkTable(),
		torn: map[cdc.LinkKey]bool{}, odd: map[string]bool{}, labels: map[string]uint64{},
	}
	var err error
	if l.encoder, err = schema.CompileLinks(l.topic); err != nil {
		return nil, err
	}
	l.events = v.digesters(func(f schema.ReadField) bool { return f.Name == "label" }, nil)
	l.own, err = newDigester(l.encoder.Schema, l.events.counts, nil)
	return l, err
}

// compare is the whole comparison of the pair. ids are those that HubSpot has of the
// from type.
func (l *links) compare(ctx context.Context, ids *idSet) (*Topic, error) {
	topic := l.reader(l.topic, l)
	defer topic.close()
	if err := topic.toEnd(ctx); err != nil {
		return nil, err
	}
	suspects, equal, err := l.sweep(ctx, ids)
	if err != nil {
		return nil, err
	}
	t := &tally{topic: l.topic, object: l.ends.Name().String()}
	err = settle(ctx, suspects, l.patience(ctx, l.topic), topic.toEnd, l.look, t.take)
	for key := range l.odd {
		t.take(&view{kafka: 1, found: []difference{{extra, key}}}, true)
	}
	report := t.report(equal)
	report.Properties = l.names(report.Different)
	return report, err
}

// add folds a record of the topic.
func (l *links) add(ctx context.Context, r *kgo.Record) error {
	key, ok := sink.ParseLinkKey(r.Key)
	if !ok {
		delete(l.odd, string(r.Key))
		if r.Value != nil {
			l.odd[string(r.Key)] = true
		}
		return nil
	}
	if !l.note(key, key.From.String(), r) {
		return nil
	}
	if r.Value == nil {
		if l.table.IsLive(key) {
			l.torn[key] = true
			l.leave(key.From)
		}
		l.table.Remove(key)
		return nil
	}
	delete(l.torn, key)
	d, event, err := l.events.read(ctx, r.Value)
	switch {
	case errors.Is(err, schema.ErrForeign):
		l.table.Put(key, cdc.UnknownLink())
		l.torn[key] = true
	case err != nil:
		return fmt.Errorf("read %s partition %d offset %d: %w", r.Topic, r.Partition, r.Offset, err)
	case !event.Live:
		if l.left != nil && l.table.IsLive(key) {
			l.leave(key.From)
		}
		l.table.Remove(key)
	default:
		l.table.Put(key, cdc.LinkRow{Live: true, Label: d.state(&event).hash})
	}
	return nil
}

func (l *links) recall(r *kgo.Record) {
	if key, ok := sink.ParseLinkKey(r.Key); ok {
		l.note(key, key.From.String(), r)
	}
}

// label is the hash of a label as an event would have it.
func (l *links) label(text string) uint64 {
	hash, known := l.labels[text]
	if !known {
		event := schema.LinkEvent{Op: 'r', Label: text}
		fact, err := l.own.reader.Read(l.encoder.Append(nil, &event))
		if err != nil {
			panic(fmt.Sprintf("verify: an event that the encoder wrote cannot be read: %v", err))
		}
		hash = l.own.state(&fact).hash
		l.labels[strings.Clone(text)] = hash
	}
	return hash
}

// sweep reads the links of every record, and returns the records whose links differ
// from the topic, and how many links the others have. Records that HubSpot does not
// have may still have links in the topic.
func (l *links) sweep(ctx context.Context, ids *idSet) (suspects []hubspot.ID, equal int, err error) {
	done := 0
	last := hubspot.ID(0)
	page := func(chunk []hubspot.ID, upTo hubspot.ID) error {
		views, err := l.look(ctx, chunk)
		if err != nil {
			return err
		}
		for i, v := range views {
			if v.silent || len(v.found) > 0 {
				suspects = append(suspects, chunk[i])
			} else {
				equal += v.equal
			}
		}
		for id := range l.table.LinkingIn(cdc.Range{After: last, UpTo: upTo}) {
			if _, asked := slices.BinarySearch(chunk, id); !asked {
				suspects = append(suspects, id)
			}
		}
		last, done = upTo, done+len(chunk)
		l.progress(Progress{Topic: l.topic, Done: done, Of: ids.n})
		return nil
	}
	chunk := make([]hubspot.ID, 0, hubspot.MaxLinks)
	for id := range ids.all() {
		if chunk = append(chunk, id); len(chunk) == cap(chunk) {
			if err := page(chunk, id); err != nil {
				return nil, 0, err
			}
			chunk = chunk[:0]
		}
	}
	if err := page(chunk, 0); err != nil {
		return nil, 0, err
	}
	strange := map[hubspot.ID]bool{} // records with strays that nobody has asked about
	for key := range l.strays.of {
		strange[key.From] = true
	}
	if len(strange) > 0 {
		for id := range ids.all() {
			delete(strange, id)
		}
	}
	suspects = slices.AppendSeq(suspects, maps.Keys(strange))
	slices.Sort(suspects)
	return slices.Compact(suspects), equal, nil
}

// look looks at the links of some records on both sides.
func (l *links) look(ctx context.Context, ids []hubspot.ID) ([]view, error) {
	views := make([]view, len(ids))
	if len(ids) == 0 {
		return views, nil
	}
	read := cdc.NewLinkRead(slices.Clone(ids))
	if err := drive(ctx, read, l.answer); err != nil {
		return nil, err
	}
	for i, id := range ids {
		at, there := slices.BinarySearchFunc(read.Readings, id, func(r cdc.LinkReading, id hubspot.ID) int { return cmp.Compare(r.From, id) })
		if !there {
			views[i].silent = true
			continue
		}
		views[i] = l.view(id, read.Readings[at].Links)
	}
	if len(ids) == 1 {
		return views, nil
	}
	// As the connector does (R8): of many records HubSpot may never say that one has no
	// links left, because it counts more errors than it lists.
	for _, id := range read.Unresolved() {
		if !l.linking(id) {
			continue
		}
		alone, err := l.look(ctx, []hubspot.ID{id})
		if err != nil {
			return nil, err
		}
		if alone[0].silent {
			break
		}
		views[slices.Index(ids, id)] = alone[0]
	}
	return views, nil
}

// linking reports whether a consumer has links of a record.
func (l *links) linking(from hubspot.ID) bool {
	for range l.latest(from) {
		return true
	}
	return false
}

// answer answers the questions of a read of links: HubSpot does, and a direct read of
// the records in place of a lane.
func (l *links) answer(ctx context.Context, ask cdc.Ask) (a cdc.Answer, err error) {
	c := call
	c.Tries, c.Quick = max(c.Tries, ask.Tries), ask.Quick
	switch ask.What {
	case cdc.AskLinks:
		a.Links, err = l.client.Links(ctx, c, l.ends.From.Path, l.ends.To.Path, ask.Links)
	case cdc.AskLive:
		a.Batch, err = l.client.BatchRead(ctx, c, l.ends.From.Path, nil, ask.IDs, false)
	case cdc.AskDeletedBefore: // HubSpot answers no links of a record that it does not have, or has merged
		for chunk := range slices.Chunk(ask.IDs, hubspot.MaxBatch) {
			records := cdc.NewLookUp(chunk)
			if err := drive(ctx, records, l.answer); err != nil {
				return a, err
			}
			a.IDs = append(a.IDs, records.Missing...)
			for i := range records.Readings {
				if rd := &records.Readings[i]; rd.Outcome == cdc.IsMerged {
					a.IDs = append(a.IDs, rd.ID)
				}
			}
		}
	}
	return a, err
}

// view compares the links that HubSpot has of a record with those of the topic.
func (l *links) view(from hubspot.ID, set []hubspot.Link) (v view) {
	torn := true // all that differs
	here := make(map[cdc.LinkKey]uint64, len(set))
	for _, link := range set {
		key := cdc.LinkKey{From: from, To: link.To, Category: link.Category, TypeID: link.TypeID}
		here[key] = l.label(link.Label)
		v.seen += sight(key, here[key])
	}
	v.seen = (v.seen + l.left[from]) * 31 // the other side
	v.hubspot = len(here)
	differ := func(c class, key cdc.LinkKey) {
		v.found = append(v.found, difference{c, keyText(key)})
		stray, _ := l.strays.latest(key)
		torn = torn && (stray || l.torn[key])
	}
	for key, label := range l.latest(from) {
		v.seen += sight(key, label)
		v.kafka++
		switch own, there := here[key]; {
		case !there:
			differ(extra, key)
		case own != label:
			differ(different, key)
		default:
			v.equal++
		}
		delete(here, key)
	}
	for _, link := range set {
		key := cdc.LinkKey{From: from, To: link.To, Category: link.Category, TypeID: link.TypeID}
		if _, lacking := here[key]; lacking {
			differ(missing, key)
			delete(here, key)
		}
	}
	if torn {
		v.enough = standFor
	}
	return v
}

// latest yields the live links of a record as a consumer has them, with the hashes of
// their labels.
func (l *links) latest(from hubspot.ID) iter.Seq2[cdc.LinkKey, uint64] {
	return func(yield func(cdc.LinkKey, uint64) bool) {
		for key, label := range l.table.LiveOf(from) {
			if stray, _ := l.strays.latest(key); !stray && !yield(key, label) {
				return
			}
		}
		for key := range l.strays.of {
			if stray, live := l.strays.latest(key); stray && live && key.From == from && !yield(key, foreignLabel) {
				return
			}
		}
	}
}

// foreignLabel is the label of a link that is not of the connector's making: no label
// has this hash.
const foreignLabel = math.MaxUint64

// sight is a digest of a link on a side.
func sight(k cdc.LinkKey, label uint64) uint64 {
	var room [64]byte
	b := binary.AppendUvarint(binary.AppendUvarint(room[:0], uint64(k.To)), uint64(k.TypeID))
	return xxhash.Sum64(binary.LittleEndian.AppendUint64(append(b, k.Category...), label))
}

// keyText is a link's key as it stands in the topic.
func keyText(k cdc.LinkKey) string {
	return k.From.String() + ":" + k.To.String() + ":" + k.Category + ":" + strconv.Itoa(k.TypeID)
}
