package hubspottest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Create makes a record and returns its id.
func (p *Portal) Create(object string, properties map[string]string) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.must(object)
	t.check(properties)
	now := p.writeTime()
	return p.create(t, now, now, values(nil).merge(properties))
}

// CreateAt makes a record whose createdAt and updatedAt are a time in the past,
// as an import can.
func (p *Portal) CreateAt(object string, at time.Time, properties map[string]string) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.must(object)
	t.check(properties)
	return p.create(t, at.UnixMilli(), at.UnixMilli(), values(nil).merge(properties))
}

func (p *Portal) create(t *objectType, created, updated int64, v values) uint64 {
	st := &state{id: p.newID(t), created: created, updated: updated, values: v}
	p.put(t, OpCreate, st)
	return st.id
}

// Update sets properties and moves updatedAt; "" clears a property, as HubSpot's
// users can. It returns false if there is no such live record.
func (p *Portal) Update(object string, id uint64, properties map[string]string) bool {
	return p.change(object, id, OpUpdate, properties, true)
}

// UpdateCalculated sets properties without moving updatedAt, as rollups and
// calculations do (docs/hubspot.md section 10). It returns false if there is no
// such live record.
func (p *Portal) UpdateCalculated(object string, id uint64, properties map[string]string) bool {
	return p.change(object, id, OpCalculated, properties, false)
}

// Touch moves updatedAt and nothing else, as if HubSpot had changed something
// hidden. It returns false if there is no such live record.
func (p *Portal) Touch(object string, id uint64) bool {
	return p.change(object, id, OpTouch, nil, true)
}

func (p *Portal) change(object string, id uint64, op Op, properties map[string]string, move bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.must(object)
	t.check(properties)
	st := t.liveState(id)
	if st == nil {
		return false
	}
	p.edit(t, st, op, properties, move, p.writeTime())
	return true
}

func (p *Portal) edit(t *objectType, st *state, op Op, properties map[string]string, move bool, now int64) {
	next := st.copy()
	next.values = st.values.merge(properties)
	if move {
		next.updated = max(now, st.updated)
	}
	p.put(t, op, next)
}

// BulkUpdate sets properties of many records within one millisecond, as HubSpot's
// own jobs do. It returns how many of them were live.
func (p *Portal) BulkUpdate(object string, ids []uint64, properties map[string]string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.must(object)
	t.check(properties)
	now, n := p.now(), 0
	for _, id := range ids {
		if st := t.liveState(id); st != nil {
			p.edit(t, st, OpUpdate, properties, true, now)
			n++
		}
	}
	return n
}

// Archive moves a record to the recycle bin, without moving updatedAt. It returns
// false if there is no such live record.
func (p *Portal) Archive(object string, id uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.must(object)
	st := t.liveState(id)
	if st == nil {
		return false
	}
	p.archive(t, st)
	return true
}

func (p *Portal) archive(t *objectType, st *state) {
	next := st.copy()
	next.archived, next.archivedAt = true, p.now()
	p.put(t, OpArchive, next)
}

// Restore brings an archived record back under its old id. HubSpot does not
// document whether that moves updatedAt, so the caller chooses. Restore returns
// false if there is no such archived record.
func (p *Portal) Restore(object string, id uint64, moveTime bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.must(object)
	return p.restore(t, id, moveTime)
}

func (p *Portal) restore(t *objectType, id uint64, moveTime bool) bool {
	st := t.archivedState(id)
	if st == nil || st.mergedInto != 0 {
		return false
	}
	next := st.copy()
	next.archived, next.archivedAt = false, 0
	if moveTime {
		next.updated = max(p.writeTime(), st.updated)
	}
	p.put(t, OpRestore, next)
	return true
}

// Purge removes a record, live or archived, without a trace. It returns false if
// there is no such record.
func (p *Portal) Purge(object string, id uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.must(object)
	st := t.records[id]
	if st == nil {
		return false
	}
	p.purge(t, st)
	return true
}

func (p *Portal) purge(t *objectType, st *state) {
	next := st.copy()
	next.gone = true
	p.put(t, OpPurge, next)
}

// Merge makes a new record out of two and returns its id: HubSpot's way since its
// merge change. From now on both old ids resolve to the new one. It returns 0 if
// one of the two is not a live record.
func (p *Portal) Merge(object string, primary, secondary uint64) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.must(object)
	a, b := t.liveState(primary), t.liveState(secondary)
	if a == nil || b == nil || a == b {
		return 0
	}
	return p.merge(t, a, b)
}

func (p *Portal) merge(t *objectType, a, b *state) uint64 {
	next := combine(a, b, a.id, b.id)
	links := slices.Concat(t.linksOf(a.id), t.linksOf(b.id))
	next.id = p.newID(t)
	next.created = min(a.created, b.created)
	next.updated = p.writeTime()
	p.lose(t, a, next.id)
	p.lose(t, b, next.id)
	p.put(t, OpMerge, next)
	p.inherit(t, next.id, links)
	return next.id
}

// MergeInto merges the loser into a record that keeps its id: HubSpot's older
// way, and its "primary ID preservation". It returns false if one of the two is
// not a live record.
func (p *Portal) MergeInto(object string, kept, loser uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.must(object)
	a, b := t.liveState(kept), t.liveState(loser)
	if a == nil || b == nil || a == b {
		return false
	}
	next := combine(a, b, b.id)
	links := t.linksOf(b.id)
	next.updated = max(p.writeTime(), a.updated)
	p.lose(t, b, a.id)
	p.put(t, OpMerge, next)
	p.inherit(t, a.id, links)
	return true
}

// combine returns a with b's values where a has none, and with the losers' ids in
// hs_merged_object_ids.
func combine(a, b *state, losers ...uint64) *state {
	next := a.copy()
	missing := make(map[string]string)
	for _, e := range b.values {
		if own, _ := a.values.get(e.name); own == "" {
			missing[e.name] = e.text
		}
	}
	var ids []string
	for _, st := range []*state{a, b} {
		if earlier, _ := st.values.get("hs_merged_object_ids"); earlier != "" {
			ids = append(ids, earlier)
		}
	}
	for _, id := range losers {
		ids = append(ids, strconv.FormatUint(id, 10))
	}
	missing["hs_merged_object_ids"] = strings.Join(ids, ";")
	next.values = a.values.merge(missing)
	return next
}

// lose removes the loser of a merge and keeps its id as an alias of the survivor.
func (p *Portal) lose(t *objectType, st *state, survivor uint64) {
	t.aliases[st.id] = survivor
	next := st.copy()
	next.mergedInto = survivor
	if p.opt.MergedInArchive {
		next.archived, next.archivedAt = true, p.now()
	} else {
		next.gone = true
	}
	p.put(t, OpMergedAway, next)
	t.unlink(st.id)
}

// put makes a state the current one in the store, the history and the index. Only
// put changes records.
func (p *Portal) put(t *objectType, op Op, next *state) {
	p.seq++
	next.seq = p.seq
	old := t.records[next.id]
	if old != nil && (next.gone || old.archived != next.archived) {
		if old.archived {
			t.archived = remove(t.archived, old.id)
		} else {
			t.live = remove(t.live, old.id)
		}
	}
	switch {
	case next.gone:
		delete(t.records, next.id)
		t.gone[next.id] = true
	default:
		if old == nil || old.archived != next.archived {
			if next.archived {
				t.archived = insert(t.archived, next.id)
				t.binOldest = min(t.binOldest, next.archivedAt)
			} else {
				t.live = insert(t.live, next.id)
			}
		}
		t.records[next.id] = next
	}
	told := len(t.history)
	if !p.opt.NoHistory {
		t.history = append(t.history, change{at: p.now(), op: op, state: next})
	}
	p.tell(t, op, old, next)
	if wasLive, isLive := old != nil && !old.archived, !next.gone && !next.archived; wasLive != isLive {
		p.follow(op, t, next.id, isLive)
	}
	if next.gone {
		t.unlink(next.id)
	}
	if !chance(p.rng, p.opt.Index.Lost) {
		due := p.now() + p.indexDelay()
		if t.index.enqueue(next, due); told < len(t.history) {
			t.history[told].indexed = due
		}
	}
}

// binLife is how long the recycle bin keeps a record (docs/hubspot.md
// section 9).
const binLife = 90 * 24 * time.Hour

// emptyBin purges records that have been archived for 90 days. find calls it at
// every access to a type, so no read sees an overdue record.
func (p *Portal) emptyBin(t *objectType) {
	overdue := p.now() - binLife.Milliseconds()
	if len(t.archived) == 0 || t.binOldest > overdue {
		return
	}
	t.binOldest = math.MaxInt64
	for _, id := range slices.Clone(t.archived) {
		if st := t.records[id]; st.archivedAt <= overdue {
			p.purge(t, st)
		} else {
			t.binOldest = min(t.binOldest, st.archivedAt)
		}
	}
}

func (t *objectType) liveState(id uint64) *state {
	if st := t.records[id]; st != nil && !st.archived {
		return st
	}
	return nil
}

func (t *objectType) archivedState(id uint64) *state {
	if st := t.records[id]; st != nil && st.archived {
		return st
	}
	return nil
}

// resolve finds a record as get and batch read do: the id of a merged record
// leads to the survivor, unless the options say otherwise.
func (p *Portal) resolve(t *objectType, id uint64, archived bool) *state {
	find, follow := t.liveState, !p.opt.MergedUnknown
	if archived {
		find, follow = t.archivedState, p.opt.MergedCopies
	}
	last := id
	for survivor, merged := t.aliases[last]; merged && follow; survivor, merged = t.aliases[last] {
		last = survivor
	}
	if st := find(last); st != nil {
		return st
	}
	return find(id)
}

// check panics on properties that HubSpot does not let users set: unknown ones
// and those that it maintains itself.
func (t *objectType) check(properties map[string]string) {
	for name := range properties {
		t.def(name)
		if t.derived(name) {
			panic(fmt.Sprintf("hubspottest: %s.%s is maintained by HubSpot and cannot be set", t.name, name))
		}
	}
}

// newID returns a new id. Ids have gaps, and one is occasionally lower than
// earlier ones (docs/hubspot.md section 2: nothing promises that new ids are the
// largest).
func (p *Portal) newID(t *objectType) uint64 {
	if chance(p.rng, p.opt.LowIDs) {
		for range 50 {
			id := 1 + p.rng.Uint64N(p.nextID)
			if !t.used(id) {
				return id
			}
		}
	}
	p.nextID += 1 + p.rng.Uint64N(50)
	return p.nextID
}

// used reports whether an id belongs, or ever belonged, to a record: HubSpot
// never reuses an id.
func (t *objectType) used(id uint64) bool {
	return t.records[id] != nil || t.gone[id]
}

// writeTime returns the updatedAt of a change made now: HubSpot takes the time
// first, and reads see the change a little later.
func (p *Portal) writeTime() int64 {
	now := p.now()
	if d := p.opt.WriteDelay.Milliseconds(); d > 0 {
		now -= p.rng.Int64N(d + 1)
	}
	return now
}

func insert(ids []uint64, id uint64) []uint64 {
	if n := len(ids); n == 0 || ids[n-1] < id {
		return append(ids, id)
	}
	i, _ := slices.BinarySearch(ids, id)
	return slices.Insert(ids, i, id)
}

func remove(ids []uint64, id uint64) []uint64 {
	if i, ok := slices.BinarySearch(ids, id); ok {
		return slices.Delete(ids, i, i+1)
	}
	return ids
}
