package cdc

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// HashAlgorithm numbers the way Content.Hash and EntryHash work. It stands beside
// every hash in the state topic, and a reader refuses a number that it does not
// know: hashes made another way would look like a change of every record (R10).
// Whoever changes either function raises the number, and teaches offsets.ParseRow
// what to do with rows of the old one.
const HashAlgorithm = 1

// Content says which slots make up a record's content, by the names of their
// fields in the topic (R10). It is immutable.
type Content struct {
	fields []contentField
}

type contentField struct {
	name string // with a NUL at its end, which an Avro name cannot hold
	slot int
}

// NewContent takes the field name of every slot. It leaves out slots with an empty
// name: those not in force, the volatile ones, and the modified time, which is the
// version already.
func NewContent(names []string) *Content {
	c := &Content{}
	for slot, name := range names {
		if name != "" {
			c.fields = append(c.fields, contentField{name + "\x00", slot})
		}
	}
	slices.SortFunc(c.fields, func(a, b contentField) int { return strings.Compare(a.name, b.name) })
	return c
}

// Hash is a digest of the sorted (field name, raw text) pairs of the values that
// are not null. It never looks at Avro bytes or parsed values, so that a new
// property changes only the records that have a value for it.
func (c *Content) Hash(r *hubspot.Record) uint64 {
	var room [4 << 10]byte // for all but the largest records
	text := room[:0]
	for _, f := range c.fields {
		v := r.Values[f.slot]
		if v == nil {
			continue
		}
		text = append(text, f.name...)
		text = binary.AppendUvarint(text, uint64(len(v)))
		text = append(text, v...)
	}
	return xxhash.Sum64(text)
}
