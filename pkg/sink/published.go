package sink

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// What is published is still there (R20): before anything is read from HubSpot,
// settle compares each data topic with the state. What a topic has lost is
// published again by a stream of its own, whose cursor settle writes. Of a topic
// that the state does not know, or that is another one, it takes over the live
// keys, so that what HubSpot no longer has is deleted there too.

// settle returns what the first transaction has to add to the state. It writes the
// rows of live keys at once, because there may be millions.
func (s *Sink) settle(ctx context.Context, l *offsets.Loaded) ([]*kgo.Record, error) {
	known, losses, err := s.compareAll(ctx, l)
	if err != nil {
		return nil, err
	}
	strange, err := s.strange(ctx, l)
	if err != nil {
		return nil, err
	}
	var read []*holding
	for name := range losses {
		read = append(read, s.holding(name))
	}
	for name := range strange {
		read = append(read, s.holding(name))
	}
	slices.SortFunc(read, func(a, b *holding) int { return strings.Compare(a.topic, b.topic) })
	if len(read) > 0 {
		began := time.Now()
		if err := s.read(ctx, read); err != nil {
			return nil, fmt.Errorf("read what is published: %w", err)
		}
		s.log.Info("data topics read, because the state does not tell what they hold", "topics", len(read),
			"took", time.Since(began).Round(time.Millisecond).String())
	}
	floor := l.Seq
	for _, h := range read {
		l.Seq = max(l.Seq, h.seq)
	}
	first := s.repairs(l)
	if l.Seq > floor && len(l.Expired) == 0 {
		first = append(first, s.stateRecord(offsets.SeqKey(), offsets.SeqBytes(l.Seq)))
	}
	rows := &rowWriter{sink: s, first: first}
	var out []*kgo.Record
	for _, h := range read {
		var more []*kgo.Record
		if now := strange[h.topic]; now != nil {
			more, err = s.takeOver(ctx, l, h, now, rows)
		} else {
			more, err = s.renew(ctx, l, h, known[h.topic], losses[h.topic], rows)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	for name, now := range known {
		if now.denied {
			s.ends.found(name, l.Ends[name].After, l.Ends[name])
			s.topics.change(name, func(t *topicState) { t.presence = hidden })
			continue
		}
		// Of an earlier version of the connector, or of brokers that knew no ids: the
		// topic is taken as it is, once.
		if was, identified := l.Identities[name]; !identified || was.ID == "" && now.id != "" {
			out = append(out, s.identify(l, now, l.Ends[name])...)
		}
		s.found(now, l)
	}
	if err := rows.flush(ctx); err != nil {
		return nil, err
	}
	return append(rows.first, out...), nil
}

// compareAll shows the topics that the state knows and that are there, and what
// they have lost. One that is gone may belong to a type that is no longer followed:
// whoever makes it ready finds out.
func (s *Sink) compareAll(ctx context.Context, l *offsets.Loaded) (map[string]*look, map[string]*loss, error) {
	names := slices.Sorted(maps.Keys(l.Topics))
	known, err := s.setup.looks(ctx, names)
	if err != nil {
		return nil, nil, err
	}
	losses := map[string]*loss{}
	for name, now := range known {
		if len(now.ends) != int(l.Topics[name].Partitions) {
			continue // refused when it is made ready
		}
		lost, err := s.setup.compare(ctx, now, l.Identities[name], l.Ends[name])
		if err != nil {
			return nil, nil, err
		}
		if lost != nil {
			losses[name] = lost
		}
	}
	// A broker that has just started may show a topic as it was, and one that has just
	// committed may not show the end yet. A take-over does not wait longer than it has
	// to.
	for waited := time.Duration(0); len(losses) > 0 && waited < secondLook; waited += secondLook / 8 {
		if err := wait(ctx, secondLook/8); err != nil {
			return nil, nil, err
		}
		again, err := s.setup.looks(ctx, slices.Sorted(maps.Keys(losses)))
		if err != nil {
			return nil, nil, err
		}
		for name := range losses {
			now := again[name]
			if now == nil {
				delete(losses, name)
				delete(known, name)
				continue
			}
			known[name] = now
			if losses[name], err = s.setup.compare(ctx, now, l.Identities[name], l.Ends[name]); err != nil {
				return nil, nil, err
			}
			if losses[name] == nil {
				delete(losses, name)
			}
		}
	}
	return known, losses, nil
}

// strange shows the data topics that hold records and that the state does not
// know: somebody deleted the state, or they come from elsewhere.
func (s *Sink) strange(ctx context.Context, l *offsets.Loaded) (map[string]*look, error) {
	all, err := s.listing(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range all {
		if _, known := l.Topics[name]; !known && isData(s.cfg.Prefix, name) {
			names = append(names, name)
		}
	}
	found, err := s.setup.looks(ctx, names)
	maps.DeleteFunc(found, func(_ string, now *look) bool { return slices.Equal(now.starts, now.ends) })
	return found, err
}

// listing gives all topics that this user may see. Sinks that share a client share it.
func (s *Sink) listing(ctx context.Context) (map[string]string, error) {
	ask := func() (map[string]string, error) {
		ids, _, err := s.setup.topicIDs(ctx, nil)
		return ids, err
	}
	if s.cfg.Beside == nil {
		return ask()
	}
	return s.cfg.Beside.listed.get(ctx, ask)
}

// takeOver makes the state know a topic that holds our records.
func (s *Sink) takeOver(ctx context.Context, l *offsets.Loaded, h *holding, now *look, rows *rowWriter) ([]*kgo.Record, error) {
	if err := h.readable(s.setup.tool("kafka-topics")); err != nil {
		return nil, err
	}
	if h.foreign > 0 {
		s.log.Warn("a data topic holds records that are not the connector's, or that it cannot understand; they are passed over",
			"topic", h.topic, "records", h.foreign)
	}
	if h.ours == 0 {
		return nil, nil
	}
	s.log.Warn("a data topic holds what an earlier installation published; its live keys are taken over: what HubSpot still has is published again, the rest is deleted",
		"topic", h.topic, "object", h.object, "live", h.live())
	s.adopted = append(s.adopted, h.object)
	meta := offsets.TopicMeta{Partitions: int32(len(now.ends)), KeyFormat: h.keyFormat, KeySchema: h.keySchema}
	l.Topics[h.topic] = meta
	if err := h.merge(ctx, l, rows); err != nil {
		return nil, err
	}
	out := append(s.identify(l, now, offsets.Ends{}), s.stateRecord(offsets.TopicKey(h.topic), meta.Bytes()))
	s.found(now, l)
	return out, nil
}

// renew settles what a topic has lost.
func (s *Sink) renew(ctx context.Context, l *offsets.Loaded, h *holding, now *look, lost *loss, rows *rowWriter) ([]*kgo.Record, error) {
	out := s.identify(l, now, offsets.Ends{After: l.Ends[h.topic].After})
	if lost.front && !h.lacks(l) { // of every key the latest event is left
		s.cfg.Warned.frontMoves(h.topic)
		return out, nil
	}
	out = s.identify(l, now, offsets.Ends{})
	if err := h.merge(ctx, l, rows); err != nil {
		return nil, err
	}
	return append(out, s.republish(l.Cursors, h.topic, h.object, lost.what)), nil
}

// republish asks for everything of an object to be published again: whoever
// follows it begins with the cursor.
func (s *Sink) republish(cursors map[offsets.Key][]byte, topic, object, why string) *kgo.Record {
	s.log.Error("a data topic has lost what was published; everything of it is published again", "topic", topic, "object", object, "err", why)
	key := offsets.Key{Portal: s.cfg.Portal, Object: object, Stream: offsets.RepublishStream}
	value := offsets.Republish{}.Bytes()
	cursors[key] = value
	return s.cursorRecord(key, value)
}

// identify makes the state know a topic as it is now.
func (s *Sink) identify(l *offsets.Loaded, now *look, ours offsets.Ends) []*kgo.Record {
	identity := offsets.Identity{ID: now.id, Starts: now.starts}
	if len(ours.After) == 0 {
		ours.After = slices.Clone(now.ends)
	}
	l.Identities[now.name], l.Ends[now.name] = identity, ours
	return []*kgo.Record{
		s.stateRecord(offsets.IdentityKey(now.name), identity.Bytes()),
		s.stateRecord(offsets.EndsKey(now.name), ours.Bytes()),
	}
}

// merge makes the state know the keys that are live in the topic alone: as live,
// with a content that nothing equals. So a reading of such a key is published, and
// a delete too.
func (h *holding) merge(ctx context.Context, l *offsets.Loaded, to *rowWriter) error {
	for id := range h.ids {
		if l.Rows[h.object] == nil {
			l.Rows[h.object] = cdc.NewTable()
		}
		if was, _ := l.Rows[h.object].Get(id); !was.Live {
			row := cdc.UnknownRow(was.Seq)
			l.Rows[h.object].Put(id, row)
			if err := to.write(ctx, offsets.RowKey(h.object, id), offsets.AppendRow(nil, row)); err != nil {
				return err
			}
		}
	}
	for key := range h.links {
		if l.Links[h.pair] == nil {
			l.Links[h.pair] = cdc.NewLinkTable()
		}
		if !l.Links[h.pair].IsLive(key) {
			row := cdc.UnknownLink()
			l.Links[h.pair].Put(key, row)
			if err := to.write(ctx, offsets.LinkKey(h.pair, key), offsets.AppendLinkRow(nil, row)); err != nil {
				return err
			}
		}
	}
	for _, key := range h.entries {
		if l.References[h.object] == nil {
			l.References[h.object] = map[cdc.EntryKey]cdc.Row{}
		}
		if was := l.References[h.object][key]; !was.Live {
			row := cdc.UnknownRow(was.Seq)
			l.References[h.object][key] = row
			if err := to.write(ctx, offsets.EntryRowKey(h.object, key), offsets.AppendRow(nil, row)); err != nil {
				return err
			}
		}
	}
	return nil
}

// lacks reports whether the topic lacks a key that is published as live.
func (h *holding) lacks(l *offsets.Loaded) bool {
	for id, row := range l.Rows[h.object].All() {
		if _, there := h.ids[id]; row.Live && !there {
			return true
		}
	}
	for key, row := range l.References[h.object] {
		if row.Live && !slices.Contains(slices.Collect(maps.Values(h.entries)), key) {
			return true
		}
	}
	table := l.Links[h.pair]
	if h.links == nil || table == nil {
		return false
	}
	there := 0
	for key := range h.links {
		if table.IsLive(key) {
			there++
		}
	}
	return there < table.Live()
}

// rowWriter writes rows to the state, many in a transaction.
type rowWriter struct {
	sink  *Sink
	first []*kgo.Record // that go before any row; none once a row is written
	rows  []*kgo.Record
}

// rowsAtOnce keeps the transactions well below their time limit.
const rowsAtOnce = 20_000

func (w *rowWriter) write(ctx context.Context, key, value []byte) error {
	if w.rows = append(w.rows, w.sink.stateRecord(key, value)); len(w.rows) < rowsAtOnce {
		return nil
	}
	return w.flush(ctx)
}

func (w *rowWriter) flush(ctx context.Context) error {
	if len(w.rows) == 0 {
		return nil
	}
	if err := w.sink.transact(ctx, slices.Concat(w.first, w.rows)); err != nil {
		return fmt.Errorf("take over what is published: %w", err)
	}
	w.first, w.rows = nil, nil
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
