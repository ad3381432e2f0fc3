package hubspottest

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// Index says how the search index follows the object store (docs/hubspot.md
// section 1). Shares and chances are from 0 to 1. The zero value lags by one to
// six seconds.
type Index struct {
	Immediate bool          // no delay at all, which HubSpot never promises
	Min, Max  time.Duration // delay of most changes
	Tail      float64       // share of changes with a delay between Max and TailMax
	TailMax   time.Duration // zero: one hour
	Lost      float64       // share of changes that never get there; the record's next change may

	Flap  float64 // chance that an answer lacks an indexed row
	Fresh float64 // share of rows answered with the object store's values, though older ones matched
	Stale float64 // share of rows answered with older values than those that matched
}

func (x Index) withDefaults() Index {
	if !x.Immediate && x.Min == 0 && x.Max == 0 {
		x.Min, x.Max = time.Second, 6*time.Second
	}
	if x.TailMax == 0 {
		x.TailMax = time.Hour
	}
	return x
}

// SetIndex sets how the index treats changes and answers from now on.
func (p *Portal) SetIndex(x Index) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opt.Index = x.withDefaults()
}

func (p *Portal) indexDelay() int64 {
	x := p.opt.Index
	switch {
	case x.Immediate:
		return 0
	case chance(p.rng, x.Tail):
		return Span{x.Max, max(x.Max, x.TailMax)}.draw(p.rng).Milliseconds()
	}
	return Span{x.Min, x.Max}.draw(p.rng).Milliseconds()
}

// searchIndex is what search sees of one type: each record's newest version
// that is due. It keeps the records in two orders, so that neither a walk by id
// nor a window of modified times needs a pass over everything.
type searchIndex struct {
	rows     map[uint64]*row
	byID     []entry
	byTime   []entry // by modified time, then id
	pending  versionHeap
	left     map[uint64]uint64 // records that left the index, with the seq of the version that left
	deferred bool              // rebuild byID and byTime at the end of the batch
}

// row is an indexed record.
type row struct {
	current  *state
	previous *state // the version before it, which answers may still carry
}

type entry struct {
	id       uint64
	modified int64
	row      *row
}

// version is a change on its way into the index.
type version struct {
	due   int64
	state *state
}

func newSearchIndex() searchIndex {
	return searchIndex{rows: make(map[uint64]*row), left: make(map[uint64]uint64)}
}

func (x *searchIndex) enqueue(st *state, due int64) { heap.Push(&x.pending, version{due, st}) }

// load indexes versions at once.
func (x *searchIndex) load(states []*state) {
	x.deferred = len(states) >= manyVersions
	for _, st := range states {
		x.apply(st)
	}
	if x.deferred {
		x.rebuild()
	}
}

// manyVersions is the number of due versions from which re-sorting everything
// is cheaper than moving entries one by one.
const manyVersions = 512

// catchUp indexes the versions that are due.
func (x *searchIndex) catchUp(now int64) {
	var due []*state
	for len(x.pending) > 0 && x.pending[0].due <= now {
		due = append(due, heap.Pop(&x.pending).(version).state)
	}
	x.load(due)
}

// apply indexes a version, unless a newer one of the same record overtook it.
func (x *searchIndex) apply(st *state) {
	r := x.rows[st.id]
	if x.left[st.id] > st.seq || r != nil && r.current.seq > st.seq {
		return
	}
	if r != nil && !x.deferred {
		old := entry{st.id, r.current.updated, r}
		x.byID = removeEntry(x.byID, old, entryByID)
		x.byTime = removeEntry(x.byTime, old, entryByTime)
	}
	if st.gone || st.archived {
		delete(x.rows, st.id)
		x.left[st.id] = st.seq
		return
	}
	if r == nil {
		r = &row{current: st}
		x.rows[st.id] = r
	} else {
		r.previous, r.current = r.current, st
	}
	if !x.deferred {
		e := entry{st.id, st.updated, r}
		x.byID = insertEntry(x.byID, e, entryByID)
		x.byTime = insertEntry(x.byTime, e, entryByTime)
	}
}

func (x *searchIndex) rebuild() {
	x.byID = x.byID[:0]
	for id, r := range x.rows {
		x.byID = append(x.byID, entry{id, r.current.updated, r})
	}
	slices.SortFunc(x.byID, entryByID)
	x.byTime = append(x.byTime[:0], x.byID...)
	slices.SortFunc(x.byTime, entryByTime)
}

func entryByID(a, b entry) int { return cmp.Compare(a.id, b.id) }

func entryByTime(a, b entry) int {
	return cmp.Or(cmp.Compare(a.modified, b.modified), cmp.Compare(a.id, b.id))
}

func insertEntry(entries []entry, e entry, order func(a, b entry) int) []entry {
	i, _ := slices.BinarySearchFunc(entries, e, order)
	return slices.Insert(entries, i, e)
}

func removeEntry(entries []entry, e entry, order func(a, b entry) int) []entry {
	if i, ok := slices.BinarySearchFunc(entries, e, order); ok {
		return slices.Delete(entries, i, i+1)
	}
	return entries
}

// idRange and timeRange return the entries with lo ≤ id ≤ hi, and with
// lo ≤ modified ≤ hi.
func (x *searchIndex) idRange(lo, hi uint64) []entry {
	i, _ := slices.BinarySearchFunc(x.byID, lo, func(e entry, id uint64) int { return cmp.Compare(e.id, id) })
	n, exact := slices.BinarySearchFunc(x.byID, hi, func(e entry, id uint64) int { return cmp.Compare(e.id, id) })
	if exact {
		n++
	}
	return x.byID[min(i, n):n]
}

func (x *searchIndex) timeRange(lo, hi int64) []entry {
	i, _ := slices.BinarySearchFunc(x.byTime, entry{modified: lo}, entryByTime)
	n, exact := slices.BinarySearchFunc(x.byTime, entry{id: 1<<64 - 1, modified: hi}, entryByTime)
	if exact {
		n++
	}
	return x.byTime[min(i, n):n]
}

// versionHeap is a heap with the version that is due first on top.
type versionHeap []version

func (h versionHeap) Len() int           { return len(h) }
func (h versionHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h versionHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *versionHeap) Push(v any)        { *h = append(*h, v.(version)) }
func (h *versionHeap) Pop() any {
	old := *h
	v := old[len(old)-1]
	*h = old[:len(old)-1]
	return v
}
