package cdcmodel

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// lastID is the highest id of a world. With so few ids a lane takes all of them as
// controls, in whatever order (cdc.Lane.Controls).
const lastID = 4

// idSet is a set of ids, as bits.
type idSet uint8

func (s idSet) has(id hubspot.ID) bool { return s>>id&1 == 1 }

func (s idSet) ids() (out []hubspot.ID) {
	for id := hubspot.ID(1); id <= lastID; id++ {
		if s.has(id) {
			out = append(out, id)
		}
	}
	return out
}

// text is the set as HubSpot writes it; nil if it is empty.
func (s idSet) text() []byte { return mergedTexts[s] }

var mergedTexts = func() (out [1 << (lastID + 1)][]byte) {
	for s := range out {
		var ids []string
		for rest := uint(s); rest != 0; rest &= rest - 1 {
			ids = append(ids, strconv.Itoa(bits.TrailingZeros(rest)))
		}
		if len(ids) > 0 {
			out[s] = []byte(strings.Join(ids, ";"))
		}
	}
	return out
}()

// numbers are the values of the property n, as texts.
var numbers = func() (out [256][]byte) {
	for n := range out {
		out[n] = []byte(strconv.Itoa(n))
	}
	return out
}()

// kind is what a record is.
type kind uint8

const (
	never kind = iota // not created yet
	live
	archived
	gone   // neither live nor in the recycle bin
	merged // another record answers for it
)

// state is a record as the object store has it for a while.
type state struct {
	kind    kind
	n       uint8 // the content
	merged  idSet // hs_merged_object_ids
	updated hubspot.Millis
	at      hubspot.Millis // archivedAt
	// into is the record that answers for a merged one. If none does any more, it is
	// the last one whose archived copy tells that this one was merged.
	into hubspot.ID
}

func (s state) String() string {
	switch s.kind {
	case live:
		text := fmt.Sprintf("live n=%d updatedAt=%s", s.n, clock(s.updated))
		if s.merged != 0 {
			text += " hs_merged_object_ids=" + string(s.merged.text())
		}
		return text
	case archived:
		return "archived at " + clock(s.at)
	case gone:
		return "gone"
	case merged:
		return fmt.Sprintf("merged into %s", s.into)
	}
	return "not there"
}

// clock writes a time as seconds since the beginning of the world.
func clock(m hubspot.Millis) string {
	return strconv.FormatFloat(float64(m-epoch)/1000, 'f', -1, 64) + "s"
}

// record is one id's life.
type record struct {
	state
	created  hubspot.Millis
	contents uint8 // how many it had so far
	history  []state
	into     hubspot.ID     // the record that this one was merged into
	mergeAt  hubspot.Millis // when
	index    indexEntry
	// blinks is until when the object store does not answer the record, although it
	// exists.
	blinks hubspot.Millis
	// mute is how many more reads by id say nothing about the record.
	mute int
	// told says that the journal promises to tell the last change, unsure that
	// HubSpot did not answer the record properly, or that a crash made the connector
	// forget a second confirm.
	told, unsure bool
	// hidden says that the tiers cannot be relied on to see the record's last
	// change: only a sweep is sure to find it.
	hidden bool
}

// indexEntry is what search sees of a record, and the changes on their way to it.
type indexEntry struct {
	in      bool
	updated hubspot.Millis
	before  hubspot.Millis // what updated was, for stale answers; 0 for none
	pending []indexChange
}

type indexChange struct {
	due     hubspot.Millis
	in      bool
	updated hubspot.Millis
}

// portal is HubSpot: the object store, current, and the index, behind.
type portal struct {
	now     hubspot.Millis
	records [lastID + 1]record
	labels  uint8 // how many there were so far
	sick    idSet // reads by id fail as a whole if they ask about one of these
	page    int   // rows on a page of search or list
	// losersInBin: a merged record also stands in the list of archived ones.
	// losersUnknown: reads by id do not know it, whatever became of its survivor.
	// binFollows: the archived copy of its survivor answers for it.
	losersInBin, losersUnknown, binFollows bool
	// faulty: the index answers wrongly at times, and reads leave records out.
	// outage is until when batch reads say of every record that it does not exist.
	faulty bool
	outage hubspot.Millis
	// disorder is how many more pages of a search may be out of order, or without
	// their rows.
	disorder int
	// behind: rows may show older values than those that matched.
	behind bool
	// unsorted: pages of lists are not in the order of ids.
	unsorted bool
	// binInLive: live reads by id answer archived records too, as archived.
	binInLive bool
	linkStore
	journal
	choices *choices
	said    func(format string, args ...any)
}

// epoch is when a world begins: any whole second that is not zero.
const epoch = hubspot.Millis(1_000_000_000)

// trailingLag is the lag of the model's trailing tier. Changes that take longer to
// reach the index are left to the sweep.
const trailingLag = 10 * time.Second

// lags are how long a change takes to reach the index. skews are by how much the
// clock of the server that makes it is behind (R3 and R4 assume at most two
// seconds).
var (
	lags  = [...]time.Duration{0, 0, time.Second, 4 * time.Second, trailingLag, trailingLag, time.Minute, 0}
	skews = [...]time.Duration{0, 0, 0, time.Second / 2, time.Second, 2 * time.Second}
)

func (p *portal) reset(c *choices) {
	p.now, p.labels, p.outage, p.disorder, p.choices, p.said = epoch, 0, 0, 0, c, nil
	p.sick = 0
	for id := range p.records {
		r := &p.records[id]
		*r = record{history: r.history[:0], index: indexEntry{pending: r.index.pending[:0]}}
	}
	p.linkStore.reset()
	p.journal.reset()
}

func (p *portal) tell(format string, args ...any) {
	if p.said != nil {
		p.said(format, args...)
	}
}

// date is the Date header of an answer.
func (p *portal) date() hubspot.Millis { return p.now - p.now%1000 }

// set gives a record its next state.
func (p *portal) set(id hubspot.ID, s state) {
	r := &p.records[id]
	r.state = s
	r.history = append(r.history, s)
	for other := range p.records {
		p.derive(hubspot.ID(other))
	}
	p.relink()
}

// derive makes a merged record follow what answers for it now.
func (p *portal) derive(id hubspot.ID) {
	r := &p.records[id]
	if r.into == 0 {
		return
	}
	s := state{kind: gone, into: p.teller(id)}
	if into := p.survivor(id); into != 0 {
		s = state{kind: merged, into: into}
	} else if p.losersInBin {
		s.kind, s.at = archived, r.mergeAt
	}
	if s != r.state {
		r.state = s
		r.history = append(r.history, s)
	}
}

// survivor is the live record that answers for a merged one; 0 if there is none any
// more.
func (p *portal) survivor(id hubspot.ID) hubspot.ID {
	for p.records[id].into != 0 {
		id = p.records[id].into
	}
	if p.records[id].kind != live {
		return 0
	}
	return id
}

// teller is the last record whose archived copy tells that this one was merged; 0 if
// there is none.
func (p *portal) teller(id hubspot.ID) (last hubspot.ID) {
	for id = p.records[id].into; id != 0; id = p.records[id].into {
		if p.copied(id) {
			last = id
		}
	}
	return last
}

// copied reports whether the list of archived records has a copy of a record.
func (p *portal) copied(id hubspot.ID) bool {
	r := &p.records[id]
	if r.into != 0 {
		return p.losersInBin
	}
	return r.kind == archived
}

// mergedInto reports whether a record was merged into another one, or into one that
// was merged into that.
func (p *portal) mergedInto(id, into hubspot.ID) bool {
	for id = p.records[id].into; id != 0 && id != into; id = p.records[id].into {
	}
	return id == into && id != 0
}

// moved is the updatedAt of a change made now.
func (p *portal) moved() hubspot.Millis {
	return p.now.Add(-skews[p.choices.of(len(skews))])
}

// fresh returns content that no record had before.
func (p *portal) fresh(id hubspot.ID) uint8 {
	const most = 256 / (lastID + 1)
	r := &p.records[id]
	if r.contents++; r.contents == most {
		panic("too many contents")
	}
	return uint8(id)*most + r.contents
}

// show queues a change for the index. The change is hidden from the tiers if it
// takes too long or does not move the modified time.
func (p *portal) show(id hubspot.ID, in, moved bool) {
	lag := lags[p.choices.of(len(lags))]
	r := &p.records[id]
	r.index.pending = append(r.index.pending, indexChange{p.now.Add(lag), in, r.updated})
	if in {
		r.hidden = !moved || lag > trailingLag
	}
	p.tell("HubSpot: record %s is %s, in the index after %s", id, r.state, lag)
}

func (p *portal) create(id hubspot.ID) {
	p.records[id].created = p.now
	p.set(id, state{kind: live, n: p.fresh(id), updated: p.moved()})
	p.show(id, true, true)
	p.tellsRecord(didUpdate, id, 0)
}

// change is what a user does to a record.
type change uint8

const (
	update    change = iota
	calculate        // a calculated property, which does not move the modified time
	archive
	purge
	mergeKept // into another record, which keeps its id
	mergeNew  // with another record, into a new one
)

// acts are the changes, each as often as it should come.
var acts = [...]change{update, update, update, calculate, archive, purge, mergeKept, mergeNew}

// act changes one record, if the chosen change is possible.
func (p *portal) act() {
	id := hubspot.ID(1 + p.choices.of(lastID))
	p.do(id, acts[p.choices.of(len(acts))])
}

func (p *portal) do(id hubspot.ID, what change) {
	r := &p.records[id]
	s := r.state
	switch {
	case s.kind == never:
		p.create(id)
	case s.kind == archived && r.into == 0: // restored, or purged
		switch what {
		case purge:
			p.set(id, state{kind: gone})
			p.tell("HubSpot: record %s is purged from the recycle bin", id)
		case calculate, archive:
			s = p.lastLive(id)
			p.set(id, s)
			p.show(id, true, false)
			p.tellsRecord(didRestore, id, 0)
		default:
			s = p.lastLive(id)
			s.updated = p.moved()
			p.set(id, s)
			p.show(id, true, true)
			p.tellsRecord(didRestore, id, 0)
		}
	case s.kind != live:
	case what == calculate:
		s.n = p.fresh(id)
		p.set(id, s)
		r.hidden, r.told = true, false
		p.tell("HubSpot: a calculated property of record %s changes: %s", id, s)
	case what == archive:
		p.set(id, state{kind: archived, at: p.now})
		p.show(id, false, false)
		p.tellsRecord(didDelete, id, 0)
	case what == purge:
		p.set(id, state{kind: gone})
		p.show(id, false, false)
		p.tellsRecord(didPurge, id, 0)
	case what == mergeKept || what == mergeNew:
		p.merge(id, what)
	default:
		s.n, s.updated = p.fresh(id), p.moved()
		p.set(id, s)
		p.show(id, true, true)
		p.tellsRecord(didUpdate, id, 0)
	}
}

func (p *portal) lastLive(id hubspot.ID) state {
	h := p.records[id].history
	for i := len(h) - 1; ; i-- {
		if h[i].kind == live {
			return h[i]
		}
	}
}

// merge merges a record with the next live one.
func (p *portal) merge(id hubspot.ID, what change) {
	var other, unused hubspot.ID
	for d := 1; d <= lastID-1; d++ {
		next := (id-1+hubspot.ID(d))%lastID + 1
		switch p.records[next].kind {
		case live:
			other = next
		case never:
			unused = next
		}
	}
	if other == 0 || what == mergeNew && unused == 0 {
		return
	}
	losers, into := []hubspot.ID{id}, other
	if what == mergeNew {
		losers, into = []hubspot.ID{id, other}, unused
		p.records[into].created = p.now
	}
	s := p.records[into].state
	for _, loser := range losers {
		l := &p.records[loser]
		s.merged |= 1<<loser | l.merged
		l.into, l.mergeAt = into, p.now
		p.moveLinks(loser, into)
	}
	s.kind, s.n, s.updated = live, p.fresh(into), p.moved()
	p.set(into, s)
	p.show(into, true, true)
	gone := idSet(0)
	for _, loser := range losers {
		p.show(loser, false, false)
		gone |= 1 << loser
	}
	p.tellsRecord(didMerge, into, gone)
}

// blink makes the object store leave a record out for a while, once, for less than
// the time between the two confirms of a purge (R9). Where the journal lies, that is
// the shorter time (R16).
func (p *portal) blink() {
	id := hubspot.ID(1 + p.choices.of(lastID))
	blinks := patience - 2*time.Second
	if p.lies {
		blinks = witnessed - 2*time.Second/2 - time.Millisecond // a Date is up to a second old
	}
	if r := &p.records[id]; r.kind == live && r.blinks == 0 && p.outage == 0 {
		r.blinks = p.now.Add(blinks)
		p.tell("HubSpot: record %s cannot be read until %s", id, clock(r.blinks))
	}
}

// silence makes reads by id say nothing about a record, a few times.
func (p *portal) silence() {
	id := hubspot.ID(1 + p.choices.of(lastID))
	p.records[id].mute = 1 + p.choices.of(20)
	p.tell("HubSpot: %d reads by id say nothing about record %s", p.records[id].mute, id)
}

// sicken makes reads by id fail if they ask about a record, or no longer.
func (p *portal) sicken() {
	p.sick ^= 1 << (1 + p.choices.of(lastID))
	p.tell("HubSpot: reads fail that ask about any of %s", p.sick.text())
}

// fails reports whether a question fails as a whole.
func (p *portal) fails(q *cdc.Ask) bool {
	sick := func(id hubspot.ID) bool { return id <= lastID && p.sick&(1<<id) != 0 }
	return slices.ContainsFunc(q.IDs, sick) && (q.What == cdc.AskLive || q.What == cdc.AskArchived) ||
		slices.ContainsFunc(q.Links, func(in hubspot.LinkInput) bool { return sick(in.ID) })
}

// fail makes batch reads answer that nothing exists, once, for longer than the time
// between two confirms.
func (p *portal) fail() {
	for id := range p.records {
		if p.records[id].blinks != 0 {
			return
		}
	}
	if p.outage == 0 {
		p.outage = p.now.Add(3 * patience)
		p.tell("HubSpot: nothing can be read by id until %s", clock(p.outage))
	}
}

// catchUp makes the index show what is due. A later change overtakes an earlier
// one.
func (p *portal) catchUp() {
	for id := range p.records {
		x := &p.records[id].index
		for i := len(x.pending) - 1; i >= 0; i-- {
			if c := x.pending[i]; c.due <= p.now {
				if x.before = 0; x.in {
					x.before = x.updated
				}
				x.in, x.updated = c.in, c.updated
				x.pending = append(x.pending[:0], x.pending[i+1:]...)
				break
			}
		}
	}
}

// settle is when the index shows everything and every record can be read.
func (p *portal) settle() hubspot.Millis {
	at := max(p.now, p.outage)
	for id := range p.records {
		for _, c := range p.records[id].index.pending {
			at = max(at, c.due)
		}
		at = max(at, p.records[id].blinks)
	}
	return at
}

// search answers rows modified at or after since, above an id. The trailing tier is
// the last to see changes that move the modified time: what the search keeps from
// it is hidden. It may skip a row (R4) only from skipFrom on.
func (p *portal) search(q hubspot.SearchQuery, skipFrom hubspot.Millis, trailing bool) (page hubspot.SearchPage) {
	p.catchUp()
	const flap, fresh, reversed, emptied = 10, 11, 12, 13
	fault := 0
	if p.faulty {
		fault = p.choices.of(fresh + 1)
	}
	if p.disorder > 0 {
		if what := p.choices.of(3); what > 0 {
			p.disorder--
			fault = fresh + what
		}
	}
	most := cmp.Or(q.Limit, p.page)
	for id := q.After + 1; id <= lastID; id++ {
		r := &p.records[id]
		if !r.index.in || r.index.updated < q.Since {
			continue
		}
		if len(page.Rows) == most && fault != reversed {
			page.More = true
			break
		}
		row := hubspot.SearchRow{ID: id, Updated: r.index.updated}
		switch {
		case fault == flap && p.choices.of(2) == 1:
			r.hidden = r.hidden || trailing
			p.tell("HubSpot: the search leaves out %s", id)
			continue
		case p.behind && r.index.before != 0 && p.choices.of(2) == 0:
			row.Updated = r.index.before
			r.hidden = r.hidden || trailing && row.Updated >= skipFrom
		case fault == fresh && r.kind == live:
			row.Updated = r.updated
		}
		page.Rows = append(page.Rows, row)
	}
	switch { // a single row cannot be out of order
	case fault == reversed && min(len(page.Rows), most) > 1:
		slices.Reverse(page.Rows)
	case fault == emptied && len(page.Rows) > 0:
		return hubspot.SearchPage{More: true}
	}
	if len(page.Rows) > most {
		page.Rows, page.More = page.Rows[:most], true
	}
	return page
}

// list answers a page of the live records above an id.
func (p *portal) list(after hubspot.ID, most int) (page hubspot.ListPage) {
	for id := after + 1; id <= lastID; id++ {
		if p.records[id].kind != live {
			continue
		}
		if len(page.Records) == most {
			page.After = page.Records[most-1].ID.String()
			break
		}
		page.Records = append(page.Records, p.answer(id))
	}
	if p.unsorted {
		slices.Reverse(page.Records)
	}
	return page
}

// listArchived answers a page of the recycle bin.
func (p *portal) listArchived(after hubspot.ID) (copies []hubspot.Record, more bool) {
	for id := after + 1; id <= lastID; id++ {
		if !p.copied(id) {
			continue
		}
		if len(copies) == p.page {
			return copies, true
		}
		copies = append(copies, p.copy(id))
	}
	return copies, false
}

// losersInCopies answers the archived copies that name losers of merges.
func (p *portal) losersInCopies() (page hubspot.ListPage) {
	for id := hubspot.ID(1); id <= lastID; id++ {
		if p.copied(id) && p.lastLive(id).merged != 0 {
			page.Records = append(page.Records, p.copy(id))
		}
	}
	return page
}

// copy is what the list of archived records shows of one.
func (p *portal) copy(id hubspot.ID) hubspot.Record {
	return hubspot.Record{ID: id, Archived: true, Merged: p.lastLive(id).merged.text()}
}

// answer is a live record or an archived copy, as HubSpot sends it.
func (p *portal) answer(id hubspot.ID) hubspot.Record {
	r := &p.records[id]
	s := r.state
	if s.kind == archived {
		s = p.lastLive(id)
	}
	return hubspot.Record{
		ID: id, Created: r.created, Updated: s.updated, Archived: r.kind == archived, ArchivedAt: r.at,
		Values: [][]byte{numbers[s.n], s.merged.text()}, Merged: s.merged.text(),
	}
}

// batchRead answers as docs/hubspot.md section 3 says: for a merged id comes the
// record that survived, under its own id.
func (p *portal) batchRead(ids []hubspot.ID, inBin bool) hubspot.BatchPage {
	var page hubspot.BatchPage
	silent := p.faulty && !inBin && p.choices.of(30) == 1
	var answered idSet
	give := func(id hubspot.ID, asked bool) {
		switch {
		case answered.has(id):
		case asked:
			page.Records = append(page.Records, p.answer(id))
		default:
			page.Foreign = append(page.Foreign, p.answer(id))
		}
		answered |= 1 << id
	}
	for i, id := range ids {
		r := &p.records[id]
		switch {
		case inBin && p.binFollows && r.kind != merged && r.state.into != 0:
			give(r.state.into, slices.Contains(ids, r.state.into))
			page.Unanswered = append(page.Unanswered, id)
		case inBin && r.kind == archived:
			give(id, true)
		case inBin:
			page.Missing = append(page.Missing, id)
		case p.now < p.outage, r.kind == live && p.now < r.blinks:
			r.hidden, r.unsure = true, p.journaled
			page.Missing = append(page.Missing, id)
		case silent && i == 0:
			page.Unanswered = append(page.Unanswered, id)
		case r.kind == live && r.mute > 0:
			r.mute--
			page.Unanswered = append(page.Unanswered, id)
		case r.kind == live, r.kind == archived && p.binInLive:
			give(id, true)
		case r.kind == merged && (p.losersUnknown || p.now < p.records[r.state.into].blinks):
			page.Missing = append(page.Missing, id)
		case r.kind == merged:
			give(r.state.into, slices.Contains(ids, r.state.into))
			page.Unanswered = append(page.Unanswered, id)
		default:
			page.Missing = append(page.Missing, id)
		}
	}
	p.tell("HubSpot: batch read of %v, archived %v: %d answered, missing %v, neither %v", ids, inBin, len(page.Records), page.Missing, page.Unanswered)
	return page
}

// slots and content describe the model's records.
var (
	slots   = hubspot.NewSlots([]string{"n", "hs_merged_object_ids"})
	content = cdc.NewContent([]string{"n", "hs_merged_object_ids"})
)
