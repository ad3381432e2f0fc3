package cdc

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// EntryKey is the key of an entry of a reference list, such as the owners: its
// parts, the widest first, with U+0000 between them.
type EntryKey string

// NewEntryKey joins the parts of a key. None of them holds U+0000.
func NewEntryKey(parts ...string) EntryKey { return EntryKey(strings.Join(parts, "\x00")) }

// Parts splits the key.
func (k EntryKey) Parts() []string { return strings.Split(string(k), "\x00") }

// String is the key as it stands in topics.
func (k EntryKey) String() string { return strings.ReplaceAll(string(k), "\x00", ":") }

// parent is the key without its last part.
func (k EntryKey) parent() EntryKey { return k[:max(0, strings.LastIndexByte(string(k), 0))] }

// under reports whether the key begins with a part; every key is under "".
func (k EntryKey) under(part string) bool {
	return part == "" || strings.HasPrefix(string(k), part+"\x00")
}

// Entry is an entry of a reference list as HubSpot showed it.
type Entry struct {
	Key     EntryKey
	Version hubspot.Millis // updatedAt; zero if HubSpot does not give it
	Hash    uint64         // EntryHash of what counts as content
	// Values are the fields other than those of the key, by their names in the
	// topic: string, int32, bool or hubspot.Moment. A missing one is null.
	Values map[string]any
}

// EntryHash is a digest of the values of an entry by name (R10). It leaves out the
// modified time, which is the version.
func EntryHash(values map[string]any) uint64 {
	var d xxhash.Digest
	d.Reset()
	var n [binary.MaxVarintLen64]byte
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if name == "updatedAt" || values[name] == nil || values[name] == "" {
			continue
		}
		var text string
		switch v := values[name].(type) {
		case hubspot.Moment:
			if !v.Known {
				continue
			}
			text = v.String()
		default:
			text = fmt.Sprint(v)
		}
		_, _ = d.WriteString(name)
		size := binary.PutUvarint(n[1:], uint64(len(text)))
		_, _ = d.Write(n[:1+size])
		_, _ = d.WriteString(text)
	}
	return d.Sum64()
}

// ReferenceReading is one complete answer of HubSpot about a reference list, or
// about the part of it under one object type.
type ReferenceReading struct {
	// Under is the first part of the keys for which the answer is complete; ""
	// means all keys.
	Under   string
	Entries []Entry
	// Archived are the keys in HubSpot's list of archived entries, which was asked
	// for after the entries.
	Archived map[EntryKey]bool
	// Short says that the answer is known to lack entries: what it does not show is
	// no evidence that something is gone. Some of it cannot be read (R18), or HubSpot,
	// asked for an entry itself, shows one that it lacks (R19).
	Short bool
	// Unsure says that HubSpot, asked for such an entry itself, did not answer: what
	// is missing must be so for as long as what is missing in bulk.
	Unsure bool
	// Ended is why there are no entries any more, known from elsewhere: the object
	// type was removed.
	Ended Reason
	// Stamp is ReferenceLane.Now at the moment the (first) request was sent, SentAt
	// a time that HubSpot's clock had passed then.
	Stamp  uint64
	SentAt hubspot.Millis
	// Date is HubSpot's Date of the (last) answer.
	Date hubspot.Millis
	// Calls is how many calls the entries took; see LinkReading.
	Calls int
	// Second marks the reading that Cause Older asks for.
	Second bool
}

// keys is a digest of which entries a reading has; never 0.
func (r *ReferenceReading) keys() uint64 {
	keys := make([]string, len(r.Entries))
	for i := range r.Entries {
		keys[i] = string(r.Entries[i].Key)
	}
	slices.Sort(keys)
	return xxhash.Sum64String(strings.Join(slices.Compact(keys), "\x00\x00")) | 1
}

// ReferenceChange is an entry's new row and its event. The committer sets Row.Seq
// of a change that has an event.
type ReferenceChange struct {
	Key      EntryKey
	Row      Row
	Op       Op // 0: only the row changed
	Reason   Reason
	Values   map[string]any // nil on a delete
	SourceMs hubspot.Millis
	Stream   string
	// Incremental: see Event.
	Incremental bool
}
