package hubspot

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// ID is the id of a CRM record. HubSpot sends ids as decimal text and orders
// them as numbers. As numbers they keep a table of tens of millions small.
type ID uint64

// ParseID reads an id in HubSpot's spelling. It rejects any text that String
// would write differently (signs, leading zeros, other characters), so that a
// Kafka key made from an ID is always the id that HubSpot sent.
func ParseID(text string) (ID, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != text {
		return 0, fmt.Errorf("%q is not the id of a CRM record", text)
	}
	return ID(n), nil
}

func (id ID) String() string { return strconv.FormatUint(uint64(id), 10) }

// Millis is a point in time as HubSpot keeps it: milliseconds since
// 1970-01-01T00:00:00Z. Zero means that the time is unknown.
type Millis int64

// NoTime is the time of a Record that HubSpot does not tell, or not as a time. 1970
// is a time like any other.
const NoTime Millis = math.MinInt64

// MillisOf returns t, with fractions of a millisecond dropped.
func MillisOf(t time.Time) Millis { return Millis(t.UnixMilli()) }

// Time returns m as a time.Time in UTC.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)).UTC() }

// Add returns the time d later; it drops fractions of a millisecond.
func (m Millis) Add(d time.Duration) Millis { return m + Millis(d.Milliseconds()) }

// String writes m as cursors and logs show it: 2026-11-24T13:00:00.123Z.
func (m Millis) String() string { return m.Time().Format("2006-01-02T15:04:05.000Z") }

// Record is one CRM record as the object store returned it: one value per slot,
// no map. Values[i] is the raw text (JSON escapes resolved). It is nil for null,
// for "" and for a value that HubSpot left out, which all mean the same
// (docs/hubspot.md section 10). In a hashed slot it is the value's digest. The
// records of one page share the slab that holds the bytes; nobody writes to it.
type Record struct {
	ID         ID
	Created    Millis // or NoTime
	Updated    Millis // or NoTime
	ArchivedAt Millis // zero unless Archived
	Archived   bool
	Values     [][]byte

	// Merged is the text of hs_merged_object_ids. The decoder reads it whether
	// or not it is published: merges cannot be found without it (R7).
	Merged []byte
}
