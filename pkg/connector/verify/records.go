package verify

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// records compares an object type with its topic.
type records struct {
	*verifier
	typ    hubspot.ObjectType
	set    *schema.Set
	slots  *hubspot.Slots
	narrow bool // a list request cannot name all properties

	encoder *schema.Encoder
	own     *digester // of what the encoder writes
	room    []byte
	fold    *recordFold
	known   []hubspot.ID // some that were answered live lately (R7)

	ids *idSet // what HubSpot has, for the comparison of pairs; nil: nobody asks
}

func (v *verifier) records(typ hubspot.ObjectType, set *schema.Set) (*records, error) {
	raw := func(property string) bool {
		withheld := slices.ContainsFunc(set.Fields, func(f schema.Field) bool { return f.Property == property && f.Withheld })
		return !withheld && schema.Counts(typ.Name, property, v.setup.Volatile) // what was published of the withheld stays
	}
	r := &records{verifier: v, typ: typ}
	r.fold = newRecordFold(v.digesters(func(f schema.ReadField) bool { return f.Property != "" && raw(f.Property) }, raw))
	return r, r.adopt(set)
}

// adopt sets the properties to ask for.
func (r *records) adopt(set *schema.Set) (err error) {
	if r.encoder, err = schema.Compile(offsets.ObjectTopic(r.prefix, r.typ.Name), set); err != nil {
		return err
	}
	if r.own, err = newDigester(r.encoder.Schema, r.fold.events.counts, r.fold.events.raw); err != nil {
		return err
	}
	r.set, r.slots = set, set.Slots(r.setup.Selection)
	r.narrow = r.narrow || !hubspot.ListFits(r.slots)
	return nil
}

// renew adopts the properties that have come since: the connector publishes them too.
func (r *records) renew(ctx context.Context) error {
	f, err := stream.Look(ctx, r.client, r.typ, r.setup.Config.HubSpot.Sensitivities())
	if err != nil {
		return fmt.Errorf("read the properties of %s: %w", r.typ.Name, err)
	}
	if set := r.follow(r.set, f); !set.Same(r.set) {
		return r.adopt(set)
	}
	return nil
}

// compare is the whole comparison of the type.
func (r *records) compare(ctx context.Context) (*Topic, error) {
	topic := offsets.ObjectTopic(r.prefix, r.typ.Name)
	reader := r.reader(topic, r.fold)
	defer reader.close()
	refresh := func(ctx context.Context) error {
		if err := reader.toEnd(ctx); err != nil {
			return err
		}
		return r.renew(ctx)
	}
	if err := refresh(ctx); err != nil {
		return nil, err
	}
	t := &tally{topic: topic, object: r.typ.Name}
	suspects, equal, err := r.sweep(ctx, topic)
	if err != nil {
		return nil, err
	}
	err = settle(ctx, suspects, r.patience(ctx, topic), refresh, r.look, t.take)
	for key := range r.fold.odd {
		t.take(&view{kafka: 1, found: []difference{{extra, key}}}, true)
	}
	report := t.report(equal)
	if err == nil {
		report.Properties, err = r.names(ctx, reader, report.Different)
	}
	return report, err
}

// sweep reads HubSpot's list, and returns the keys that differ from the topic, and
// how many are equal.
func (r *records) sweep(ctx context.Context, topic string) (suspects []hubspot.ID, equal int, err error) {
	var gaps cdc.Gaps
	in := cdc.Range{}
	for after, more := "", true; more; {
		page, err := r.page(ctx, after)
		if err != nil {
			return nil, 0, fmt.Errorf("list %s after %q: %w", r.typ.Name, after, err)
		}
		after, more = page.After, page.After != ""
		ids := slices.Clone(page.Unread)
		suspects = append(suspects, page.Unread...)
		for i := range page.Records {
			record := &page.Records[i]
			ids = append(ids, record.ID)
			if v := r.view(record.ID, record, 0); record.Archived || len(v.found) > 0 {
				suspects = append(suspects, record.ID)
			} else {
				equal++
			}
			if !record.Archived {
				r.met(record.ID)
			}
		}
		if r.ids != nil {
			for _, id := range ids {
				r.ids.add(id)
			}
		}
		if len(page.Unread) > 0 {
			slices.Sort(ids)
		}
		covered, ok := gaps.Covered(in, ids, more)
		if ok {
			for id := range r.fold.table.LiveIn(covered) {
				if _, there := slices.BinarySearch(ids, id); !there {
					suspects = append(suspects, id)
				}
			}
			in.After = covered.UpTo
		}
		r.progress(Progress{Topic: topic, Done: equal + len(suspects), Of: r.fold.table.Live()})
	}
	for id := range r.fold.strays.of {
		if row, _ := r.fold.table.Get(id); !row.Live {
			suspects = append(suspects, id)
		}
	}
	if !gaps.Unordered {
		slices.Sort(suspects)
		return slices.Compact(suspects), equal, nil
	}
	// The pages do not show what they lack: every key of both sides is looked at.
	suspects = slices.AppendSeq(suspects, r.fold.table.LiveIn(cdc.Range{}))
	slices.Sort(suspects)
	return slices.Compact(suspects), 0, nil
}

// met remembers a live record as a control.
func (r *records) met(id hubspot.ID) {
	if r.known = append(r.known, id); len(r.known) > 64 {
		r.known = slices.Delete(r.known, 0, 32)
	}
}

// page reads a list page with all properties. Where their names make the request too
// long it reads the ids, and their records by batch.
func (r *records) page(ctx context.Context, after string) (page hubspot.ListPage, err error) {
	slots := r.slots
	if r.narrow {
		slots = nil
	}
	for size := hubspot.MaxList; ; size /= 2 {
		page, err = r.client.List(ctx, call, r.typ.Path, slots, after, false, size)
		if !hubspot.Divisible(err) || hubspot.TooLong(err) || size == 1 {
			break
		}
	}
	if !r.narrow && hubspot.TooLong(err) {
		r.narrow = true
		return r.page(ctx, after)
	}
	if err != nil || !r.narrow {
		return page, err
	}
	ids := page.Unread
	for i := range page.Records {
		ids = append(ids, page.Records[i].ID)
	}
	readings, silent, err := r.read(ctx, ids)
	page.Records, page.Unread = page.Records[:0], silent
	for _, id := range ids {
		if rd, ok := readings[id]; ok && rd.Outcome == cdc.IsLive {
			page.Records = append(page.Records, *rd.Record)
		} else if ok {
			page.Unread = append(page.Unread, id)
		}
	}
	return page, err
}

// look looks at some records on both sides.
func (r *records) look(ctx context.Context, ids []hubspot.ID) ([]view, error) {
	readings, silent, err := r.read(ctx, ids)
	if err != nil {
		return nil, err
	}
	views := make([]view, len(ids))
	for i, id := range ids {
		switch rd, ok := readings[id]; {
		case ok && rd.Outcome == cdc.IsLive:
			views[i] = r.view(id, rd.Record, 0)
		case slices.Contains(silent, id):
			views[i].silent = true
		case ok && rd.Record != nil:
			views[i] = r.view(id, nil, rd.Record.ArchivedAt)
		default:
			views[i] = r.view(id, nil, 0)
		}
	}
	return views, nil
}

// view compares a record, nil for none, with the topic. archived is when it was, if
// that is known.
func (r *records) view(id hubspot.ID, record *hubspot.Record, archived hubspot.Millis) (v view) {
	row, torn := r.fold.latest(id)
	var s state
	if record != nil {
		s = r.state(record, r.fold.omitted[id])
		v.hubspot = 1
	}
	if row.Live {
		v.kafka = 1
	}
	if torn {
		v.enough = standFor
	}
	unknown := row == cdc.UnknownRow(0)
	found := func(c class) { v.found = []difference{{c, id.String()}} }
	switch {
	case record == nil && !row.Live:
	case record == nil:
		found(extra)
		if v.enough == 0 && archived != 0 {
			v.enough = r.old(archived)
		}
	case !row.Live:
		found(missing)
		s = state{} // as it is: it stays missing while HubSpot's record changes
	case unknown, s.version <= row.Version && s != (state{row.Version, row.Hash}):
		found(different)
	case s.version > row.Version && !(s.hash == row.Hash && r.setup.Config.Event.SkipUnchanged):
		found(stale)
		v.enough = r.old(s.version)
		s = state{} // likewise
	default:
		v.equal = 1
	}
	var room [48]byte
	b := append(room[:0], byte(v.hubspot), byte(v.kafka))
	for _, n := range []uint64{uint64(s.version), s.hash, uint64(row.Version), row.Hash, r.fold.left[id]} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	v.seen = xxhash.Sum64(b)
	return v
}

// old is how long a difference must stand that is of a change of that time.
func (r *records) old(at hubspot.Millis) time.Duration {
	if at.Add(underWay) < r.client.Now() {
		return catchUp
	}
	return 0
}

// state is what is compared of a record, if an event were written of it.
func (r *records) state(record *hubspot.Record, omitted []string) state {
	fact := r.fact(record, omitted)
	return r.own.state(&fact)
}

// fact is what such an event would say. The next call overwrites it.
func (r *records) fact(record *hubspot.Record, omitted []string) schema.Fact {
	event := schema.Event{Op: 'r', ID: record.ID, Record: record}
	for slot, f := range r.set.Fields {
		if slices.Contains(omitted, f.Property) {
			event.Omit = append(event.Omit, slot)
		}
	}
	r.room, _ = r.encoder.Append(r.room[:0], &event)
	fact, err := r.own.reader.Read(r.room)
	if err != nil {
		panic(fmt.Sprintf("verify: an event that the encoder wrote cannot be read: %v", err))
	}
	return fact
}

// read reads records by id, and confirms what HubSpot does not have (R7, R8). What it
// says nothing about is silent. A reading that is not live is that of a record that
// the topic holds; HubSpot does not have the others either.
func (r *records) read(ctx context.Context, ids []hubspot.ID) (readings map[hubspot.ID]cdc.Reading, silent []hubspot.ID, err error) {
	readings = make(map[hubspot.ID]cdc.Reading, len(ids))
	for chunk := range slices.Chunk(ids, hubspot.MaxBatch) {
		l := cdc.NewLookUp(chunk)
		if err := drive(ctx, l, r.answer); err != nil {
			return nil, nil, err
		}
		c := cdc.NewComplete(l.Readings, l.Missing, nil)
		if err := drive(ctx, c, r.answer); err != nil {
			return nil, nil, err
		}
		silent = slices.Concat(silent, l.Unresolved(), l.Stuck(), c.Unresolved(), c.Stuck())
		for _, rd := range c.Readings {
			if rd.Outcome == cdc.IsLive {
				r.met(rd.ID)
			}
			readings[rd.ID] = rd
		}
	}
	return readings, silent, nil
}

// answer answers a protocol's questions: HubSpot does, and the topic in place of a
// lane.
func (r *records) answer(ctx context.Context, ask cdc.Ask) (a cdc.Answer, err error) {
	a.Slots = r.slots
	c := call
	c.Tries, c.Quick = max(c.Tries, ask.Tries), ask.Quick
	switch ask.What {
	case cdc.AskLiveAmong:
		for _, id := range ask.IDs {
			if row, _ := r.fold.latest(id); row.Live {
				a.IDs = append(a.IDs, id)
			}
		}
	case cdc.AskControls:
		for _, id := range slices.Backward(r.known) {
			if len(a.IDs) < 3 && !slices.Contains(ask.IDs, id) && !slices.Contains(a.IDs, id) {
				a.IDs = append(a.IDs, id)
			}
		}
	case cdc.AskGoneBefore, cdc.AskBin: // why a record is gone is of no interest here
	case cdc.AskList:
		a.List, err = r.client.List(ctx, c, r.typ.Path, nil, "", false, 0)
	default:
		archived := ask.What == cdc.AskArchived
		a.Batch, err = r.client.BatchRead(ctx, c, r.typ.Path, r.slots, ask.IDs, archived)
		if archived && hubspot.ArchivedUnsupported(err) {
			err = nil
		}
	}
	return a, err
}
