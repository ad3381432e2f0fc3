package cdc

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// entry is a row, and the lane's counter when the row last changed (R1).
type entry struct {
	Row
	decided uint64
}

// referenceTable holds what is published of a reference list. These lists are
// short: nothing in it is sorted.
type referenceTable struct {
	rows map[EntryKey]entry
	// absent is when an entry that is published as live was first found missing. It
	// is not stored: after a restart a reading finds it missing again.
	absent map[EntryKey]hubspot.Millis
	last   map[string]listed // by Under
}

// listed is which entries a reading had, and when it came.
type listed struct {
	keys uint64
	date hubspot.Millis
}

type referenceRules struct {
	swept         bool
	skipUnchanged bool
	patience      Patience
}

type referenceDecision struct {
	changes []ReferenceChange
	left    ReferenceLeft
	absent  map[EntryKey]hubspot.Millis // found missing for the first time
	present []EntryKey
	last    map[string]listed
}

// diff compares complete readings of a reference list with what is published (R1,
// R10). It changes nothing. An entry that a reading lacks is deleted if HubSpot
// shows it among the archived ones, else if a second complete reading, sent a while
// after the first came, lacks it too (promise 4). Where entries are missing in bulk,
// no reading of a whole hour may have one of them (R19). If readings take several
// calls, two consecutive ones must have the same entries: a page border that moved
// between two calls hides a live entry, and can do so twice (R14).
func (t *referenceTable) diff(p *ReferencePage, r *referenceRules) referenceDecision {
	d := referenceDecision{absent: map[EntryKey]hubspot.Millis{}, last: map[string]listed{}}
	here := map[EntryKey]bool{} // decided in this page
	for i := range p.Readings {
		rd := &p.Readings[i]
		stale := func(key EntryKey) bool { return here[key] || rd.Stamp < t.rows[key].decided }
		add := func(c ReferenceChange) {
			here[c.Key] = true
			c.Row.Seq, c.Stream = t.rows[c.Key].Seq, p.Stream
			d.changes = append(d.changes, c)
		}
		seen := make(map[EntryKey]bool, len(rd.Entries))
		for j := range rd.Entries {
			e := &rd.Entries[j]
			if seen[e.Key] {
				continue // on two pages
			}
			seen[e.Key] = true
			d.present = append(d.present, e.Key)
			old, known := t.rows[e.Key]
			c, changed := compareEntry(e, old.Row, known, r, p.asks(e.Key))
			switch {
			case !changed:
			case stale(e.Key):
				d.left.again(Stale)
			case known && old.Live && e.Version < old.Version && !rd.Second:
				d.left.again(Older)
			default:
				if c.SourceMs == 0 {
					c.SourceMs = rd.Date
				}
				add(c)
			}
		}
		now, before := listed{rd.keys(), rd.Date}, t.last[rd.Under]
		d.last[rd.Under] = now
		certain := rd.Calls <= 1 || before.keys == now.keys && before.date <= rd.SentAt
		lacking := t.lacking(rd.Under, seen)
		patience := r.patience.Second
		if rd.Unsure || t.bulk(rd, lacking) {
			patience = r.patience.Repeat
		}
		for _, key := range lacking {
			old := t.rows[key]
			c := ReferenceChange{Key: key, Row: Row{Version: old.Version}, Op: Delete, Reason: Removed, SourceMs: rd.Date}
			first, waits := t.absent[key]
			missing := first.Add(patience) - rd.SentAt
			switch {
			case stale(key):
				d.left.again(Stale)
				continue
			case rd.Ended != NoReason:
				c.Reason = rd.Ended
			case rd.Archived[key]:
				c.Reason = Archived
			case rd.Short:
				d.present = append(d.present, key)
				d.left.Held++
				continue
			case !waits || missing > 0 || !certain:
				if !waits {
					d.absent[key] = rd.Date
				}
				if patience > r.patience.Second {
					d.left.Held++
				}
				if waits && missing > 0 {
					d.left.wait(time.Duration(missing) * time.Millisecond)
				} else {
					d.left.wait(r.patience.Second)
				}
				continue
			}
			c.Row.Reason = c.Reason
			add(c)
		}
	}
	return d
}

// bulk reports whether the entries that a reading lacks are so many that the answer
// itself is in doubt (R19): the list is empty, or at least two are gone and half of
// what there was. Entries under one key, such as the stages of a pipeline, go
// together and count as one when all of them are gone. What HubSpot shows among the
// archived ones is no part of the doubt.
func (t *referenceTable) bulk(rd *ReferenceReading, lacking []EntryKey) bool {
	known, gone := map[EntryKey]int{}, map[EntryKey]int{}
	for _, key := range t.lacking(rd.Under, nil) {
		known[key.parent()]++
	}
	for _, key := range lacking {
		if !rd.Archived[key] {
			gone[key.parent()]++
		}
	}
	groups, entries, left := 0, 0, 0
	for parent, n := range known {
		if gone[parent] == n {
			groups++
			continue
		}
		entries, left = entries+gone[parent], left+n
	}
	most := func(gone, of int) bool { return gone > 0 && gone == of || gone >= 2 && 2*gone >= of }
	return most(groups, len(known)) || most(entries, left)
}

// compareEntry returns the change that an entry is, if it is one (R10).
func compareEntry(e *Entry, old Row, known bool, r *referenceRules, snapshot bool) (ReferenceChange, bool) {
	c := ReferenceChange{Key: e.Key, Row: Row{Version: e.Version, Hash: e.Hash, Live: true}, Values: e.Values}
	again := snapshot && known && old.Live
	if known && !again && same(old, c.Row) {
		return c, false
	}
	if !known || old.Version != e.Version {
		c.SourceMs = e.Version
	}
	switch {
	case again || known && old.unknown():
		c.Op = Read
	case known && old.Live:
		c.Op = Update
		if r.skipUnchanged && old.Hash == e.Hash {
			c.Op = 0
		}
	case known:
		c.Op, c.Reason = Create, Restored
	case r.swept:
		c.Op = Create
	default:
		c.Op = Read
	}
	c.Incremental = snapshot && c.Op == Read
	return c, true
}

// asks reports whether an operator asked for an entry to be published again.
func (p *ReferencePage) asks(key EntryKey) bool {
	if p.Only == nil {
		return p.Snapshot
	}
	parts := key.Parts()
	return p.Snapshot && slices.Contains(p.Only, parts[len(parts)-1])
}

// lacking returns the live keys under a part that are not in seen, sorted.
func (t *referenceTable) lacking(under string, seen map[EntryKey]bool) []EntryKey {
	var out []EntryKey
	for key, e := range t.rows {
		if e.Live && key.under(under) && !seen[key] {
			out = append(out, key)
		}
	}
	slices.SortFunc(out, func(a, b EntryKey) int { return strings.Compare(string(a), string(b)) })
	return out
}

// apply takes over what was committed.
func (t *referenceTable) apply(d *referenceDecision, counter uint64) {
	for _, key := range d.present {
		delete(t.absent, key)
	}
	for key, at := range d.absent {
		t.absent[key] = at
	}
	maps.Copy(t.last, d.last)
	for _, c := range d.changes {
		t.rows[c.Key] = entry{c.Row, counter}
		if !c.Row.Live {
			delete(t.absent, c.Key)
		}
	}
}

func (t *referenceTable) live() (n int) {
	for _, e := range t.rows {
		if e.Live {
			n++
		}
	}
	return n
}
