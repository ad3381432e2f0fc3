package hubspot

import (
	"fmt"
	"strconv"
	"time"
)

// ID is the id of a CRM record. HubSpot sends ids as decimal text and orders
// them as numbers; a number keeps a table of tens of millions of them small.
type ID uint64

// ParseID reads an id in HubSpot's spelling. It refuses everything that would
// not be written back as the same text (signs, leading zeros, other letters),
// so that a Kafka key made from an ID is always the id that HubSpot sent.
func ParseID(text string) (ID, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != text {
		return 0, fmt.Errorf("%q is not the id of a CRM record", text)
	}
	return ID(n), nil
}

func (id ID) String() string { return strconv.FormatUint(uint64(id), 10) }

// Millis is a point in time as HubSpot keeps it: milliseconds since
// 1970-01-01T00:00:00Z. Zero means that no time is known.
type Millis int64

// MillisOf drops what a millisecond does not hold.
func MillisOf(t time.Time) Millis { return Millis(t.UnixMilli()) }

// Time returns m as a time.Time in UTC.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)).UTC() }

// Add returns the time d later; parts of a millisecond are dropped.
func (m Millis) Add(d time.Duration) Millis { return m + Millis(d.Milliseconds()) }

// String writes m as it stands in cursors and logs: 2026-11-24T13:00:00.123Z.
func (m Millis) String() string { return m.Time().Format("2006-01-02T15:04:05.000Z") }

// Record is one CRM record as the object store gave it: a value per slot, no
// map. Values[i] is the raw text (JSON escapes resolved) and nil for null,
// for "" and for what HubSpot left out, which all mean the same (docs/hubspot.md
// section 10). In a hashed slot it is the value's digest. The bytes live in a slab that the records of one page share;
// nobody writes to them.
type Record struct {
	ID         ID
	Created    Millis
	Updated    Millis
	ArchivedAt Millis // zero unless Archived
	Archived   bool
	Values     [][]byte

	// Merged is the text of hs_merged_object_ids, which is read whether or not
	// it is published: without it a merge is not found (R7).
	Merged []byte
}
