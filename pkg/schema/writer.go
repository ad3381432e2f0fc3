package schema

import (
	"strconv"

	"github.com/hamba/avro/v2"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// writer writes what the events of all topics have in common.
type writer struct{ w *avro.Writer }

func newWriter() writer {
	api := avro.Config{}.Freeze() // of its own: see Encoder
	return writer{avro.NewWriter(nil, 4096, avro.WithWriterConfig(api))}
}

// null and present choose the branch of a union, which is always ["null", T].
func (e writer) null()    { e.w.WriteLong(0) }
func (e writer) present() { e.w.WriteLong(1) }

func (e writer) id(id hubspot.ID) {
	var buf [20]byte
	e.present()
	e.w.WriteBytes(strconv.AppendUint(buf[:0], uint64(id), 10))
}

// millis writes a point in time that may be unknown. One outside the years that
// consumers can read counts as unknown.
func (e writer) millis(m hubspot.Millis) {
	if m == 0 {
		m = hubspot.NoTime
	}
	e.time(m)
}

// time writes a point in time of a record's, for which 1970 is a time like any
// other.
func (e writer) time(m hubspot.Millis) {
	if m == hubspot.NoTime || !inYears(int64(m)) {
		e.null()
		return
	}
	e.present()
	e.w.WriteLong(int64(m))
}

// source writes the record Source, in the order of schemas/source.avsc.
func (e writer) source(s *Source) {
	e.w.WriteString(s.Version)
	e.w.WriteString(connectorName)
	e.w.WriteString(s.Name)
	e.w.WriteLong(int64(s.TsMs))
	e.w.WriteString(s.Snapshot)
	e.w.WriteString(s.DB)
	e.w.WriteString(s.Table)
	e.w.WriteString(s.Stream)
	e.w.WriteLong(s.Seq)
	e.optional(s.Reason)
	e.optional(s.MergedInto)
	if len(s.Omitted) == 0 {
		e.null()
		return
	}
	e.present()
	e.w.WriteLong(int64(len(s.Omitted))) // one block of items, then the end
	for _, name := range s.Omitted {
		e.w.WriteString(name)
	}
	e.w.WriteLong(0)
}

func (e writer) optional(text string) {
	if text == "" {
		e.null()
		return
	}
	e.present()
	e.w.WriteString(text)
}
