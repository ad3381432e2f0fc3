package cdc

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

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
	second        time.Duration
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
// after the first came, lacks it too (promise 4). If readings take several calls,
// two consecutive ones must have the same entries: a page border that moved between
// two calls hides a live entry, and can do so twice (R14).
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
		if rd.Short {
			continue
		}
		for _, key := range t.lacking(rd.Under, seen) {
			old := t.rows[key]
			c := ReferenceChange{Key: key, Row: Row{Version: old.Version}, Op: Delete, Reason: Removed, SourceMs: rd.Date}
			switch first, waits := t.absent[key]; {
			case stale(key):
				d.left.again(Stale)
				continue
			case rd.Ended != NoReason:
				c.Reason = rd.Ended
			case rd.Archived[key]:
				c.Reason = Archived
			case !waits:
				d.absent[key] = rd.Date
				d.left.After = max(d.left.After, r.second)
				continue
			case rd.SentAt < first.Add(r.second):
				d.left.After = max(d.left.After, time.Duration(first.Add(r.second)-rd.SentAt)*time.Millisecond)
				continue
			case !certain:
				d.left.After = max(d.left.After, r.second)
				continue
			}
			c.Row.Reason = c.Reason
			add(c)
		}
	}
	return d
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
