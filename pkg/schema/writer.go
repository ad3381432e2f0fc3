package schema

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// writer writes Avro's binary encoding, and what the events of all topics have in
// common. An encoder writes into its caller's slice, which it lends to the writer
// for as long as an Append lasts.
type writer struct{ out []byte }

// null and present choose the branch of a union, which is always ["null", T].
func (w *writer) null()    { w.out = append(w.out, 0) }
func (w *writer) present() { w.out = append(w.out, 2) }

// long also writes an int. Avro's variable-length zigzag integers are Go's.
func (w *writer) long(n int64) { w.out = binary.AppendVarint(w.out, n) }

func (w *writer) double(v float64) {
	w.out = binary.LittleEndian.AppendUint64(w.out, math.Float64bits(v))
}

func (w *writer) bool(v bool) {
	if v {
		w.out = append(w.out, 1)
	} else {
		w.out = append(w.out, 0)
	}
}

func (w *writer) bytes(text []byte) {
	w.long(int64(len(text)))
	w.out = append(w.out, text...)
}

func (w *writer) string(text string) {
	w.long(int64(len(text)))
	w.out = append(w.out, text...)
}

func (w *writer) id(id hubspot.ID) {
	var buf [20]byte
	w.present()
	w.bytes(strconv.AppendUint(buf[:0], uint64(id), 10))
}

// millis writes a point in time that may be unknown. One outside the years that
// consumers can read counts as unknown.
func (w *writer) millis(m hubspot.Millis) {
	if m == 0 {
		m = hubspot.NoTime
	}
	w.time(m)
}

// time writes a point in time of a record's, for which 1970 is a time like any
// other.
func (w *writer) time(m hubspot.Millis) {
	if m == hubspot.NoTime || !inYears(int64(m)) {
		w.null()
		return
	}
	w.present()
	w.long(int64(m))
}

// op ends an event: its op, and when the connector made it.
func (w *writer) op(op byte, at hubspot.Millis) {
	w.out = append(w.out, 2, op) // a string of one byte
	w.millis(at)
}

// source writes the record Source, in the order of schemas/source.avsc.
func (w *writer) source(s *Source) {
	w.string(s.Version)
	w.string(connectorName)
	w.string(s.Name)
	w.long(int64(s.TsMs))
	w.string(s.Snapshot)
	w.string(s.DB)
	w.string(s.Table)
	w.string(s.Stream)
	w.long(s.Seq)
	w.optional(s.Reason)
	w.optional(s.MergedInto)
	if len(s.Omitted) == 0 {
		w.null()
		return
	}
	w.present()
	w.long(int64(len(s.Omitted))) // one block of items, then the end
	for _, name := range s.Omitted {
		w.string(name)
	}
	w.long(0)
}

func (w *writer) optional(text string) {
	if text == "" {
		w.null()
		return
	}
	w.present()
	w.string(text)
}
