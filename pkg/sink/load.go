package sink

import (
	"context"
	"crypto/rand"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Load reads back what earlier runs committed. The first transaction puts right
// what is wrong in the topics.
func (s *Sink) Load(ctx context.Context) (*offsets.Loaded, error) {
	src := s.reading(s.cfg.Logger)
	src.Frontiers = s.frontiers.topic != ""
	l, err := offsets.Load(ctx, src)
	if err != nil {
		return nil, err
	}
	if err := checkFormats(l.Topics, s.cfg.KeyFormat); err != nil {
		return nil, err
	}
	s.written.load(l.Schemas)
	if err := s.checkSchemas(ctx); err != nil {
		return nil, err
	}
	first, err := s.settle(ctx, l)
	if err != nil {
		return nil, err
	}
	if err := checkFormats(l.Topics, s.cfg.KeyFormat); err != nil { // of those that were taken over
		return nil, err
	}
	s.seq = l.Seq
	for name, meta := range l.Topics {
		s.topics.change(name, func(t *topicState) { t.meta, t.identity = meta, l.Identities[name] })
	}
	s.attach(append(first, s.frontiers.load(l)...)...)
	return l, nil
}

func (s *Sink) reading(log *slog.Logger) offsets.Source {
	return offsets.Source{Opts: s.cfg.Opts, Asking: s.setup.cl, Prefix: s.cfg.Prefix, Portal: s.cfg.Portal, Logger: log, Turn: s.cfg.Turn, Held: s.cfg.Held}
}

// repairs are records that the first transaction carries to put the topics right.
func (s *Sink) repairs(l *offsets.Loaded) []*kgo.Record {
	var records []*kgo.Record
	if l.Fresh {
		birth := rand.Text()
		records = append(records,
			s.cursorRecord(offsets.Key{Portal: s.cfg.Portal, Stream: offsets.BirthStream}, offsets.Birth{ID: birth}.Bytes()),
			s.stateRecord(offsets.BirthKey(), offsets.BirthBytes(birth, s.cfg.Portal)))
	}
	for _, odd := range l.Odd {
		// First the tombstone, then the value: of all spellings, the latest
		// record counts.
		s.log.Info("a cursor was set under another spelling of its key; it moves to the usual one", "cursor", odd.Key.String())
		value := l.Cursors[odd.Key]
		if odd.Key.Stream == offsets.BirthStream && odd.Key.Object == "" {
			value = offsets.Birth{ID: l.Birth}.Bytes()
		}
		records = append(records,
			&kgo.Record{Topic: s.cursorTopic, Key: odd.Raw},
			s.cursorRecord(odd.Key, value))
	}
	if len(l.Expired) > 0 {
		records = append(records, s.stateRecord(offsets.SeqKey(), offsets.SeqBytes(l.Seq)))
	}
	for _, key := range l.Expired {
		records = append(records, s.stateRecord(key, nil))
	}
	return records
}
