package cdcmodel

import (
	"context"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

const journalStream = "journal"

// feed is the finder of the journal (R16).
type feed struct {
	offset int            // of the last file that is done; 0: there was none yet
	at     hubspot.Millis // when that was published; when there was none yet
	idle   bool           // the last answer had nothing newer
	// reconcile and sweep are asked for, with a number, because what the journal told
	// is lost; 0: they are not. Until they have begun, the cursor stays, so that a
	// crash does not make the connector forget them.
	reconcile, sweep int
	asked            int
}

// answered is a request after something has begun for it, or for an earlier one.
func answered(request, answer int) int {
	if request == answer {
		return 0
	}
	return request
}

func (f *feed) cursor() cdc.Cursor {
	return cdc.Cursor{Stream: journalStream, Value: places(int64(f.offset), int64(f.at))}
}

// subscribe begins the journal, before the tiers have their first start: then every
// delete of what the backfill publishes is told.
func (p *process) subscribe() {
	if w := p.w; !w.subscribed {
		w.subscribed = true
		newest := w.latest()
		p.feed = feed{offset: newest.offset, at: w.date()}
		w.tell("the connector subscribes to the journal")
	}
}

// startFeed begins with what is committed.
func (p *process) startFeed() {
	if b, ok := p.w.cursors[journalStream]; ok {
		v := place(b)
		p.feed = feed{offset: int(v[0]), at: hubspot.Millis(v[1])}
	} else if !p.w.without.subscribedFirst {
		p.subscribe()
	}
}

// readJournal takes the next file.
func (a *agent) readJournal() error {
	w, f := a.w, &a.feed
	a.forget()
	a.subscribe()
	_, answer, date, err := ask(a, func() journalAnswer {
		if f.offset == 0 && w.without.earliest {
			return w.latest()
		}
		return w.next(f.offset)
	})
	if err != nil {
		return err
	}
	// A file may have come and gone since there was none.
	lost := answer.lost || f.offset == 0 && date >= f.at.Add(retention)
	if lost && !w.without.placeLost {
		w.tally["journal: place lost"]++
		w.tell("%s: its place is lost", a.name)
		a.askForAll()
		if answer.lost {
			if _, answer, date, err = ask(a, func() journalAnswer { return w.next(0) }); err != nil {
				return err
			}
			f.offset = 0
		}
	}
	f.idle = answer.offset == 0
	next := feed{offset: answer.offset, at: answer.file.published}
	switch {
	case f.idle && f.offset > 0:
		return nil
	case f.idle:
		next.at = date
	case answer.file.odd:
		w.tally["journal: odd files"]++
		w.tell("%s: file %d cannot be understood", a.name, answer.offset)
		a.askForAll()
	default:
		w.tally["journal: files"]++
		w.tell("%s: file %d", a.name, answer.offset)
		if w.without.journalLast {
			if err := a.publish(cdc.Page{Stream: journalStream, Cursors: []cdc.Cursor{next.cursor()}}, nil); err != nil {
				return err
			}
		}
		if err := a.settleFile(answer.file.events); err != nil {
			return err
		}
	}
	if f.offset, f.at = next.offset, next.at; f.reconcile+f.sweep > 0 && !w.without.journalWaits {
		return nil
	}
	return a.publish(cdc.Page{Stream: journalStream, Cursors: []cdc.Cursor{f.cursor()}}, nil)
}

// askForAll asks for a reconcile and for a sweep of associations.
func (a *agent) askForAll() {
	a.w.gap = true
	for id := range a.w.records { // as in readNamed
		r := &a.w.records[id]
		r.unsure = r.unsure || !a.w.rows[hubspot.ID(id)].Live
	}
	if !a.w.without.afterLoss {
		a.feed.asked++
		if a.feed.reconcile = a.feed.asked; a.linkLane != nil {
			a.feed.sweep = a.feed.asked
		}
	}
}

// settleFile reads what a file names, and publishes it lane by lane.
func (a *agent) settleFile(events []journalEvent) error {
	var reads, confirms, purged, sets idSet
	var untied []cdc.LinkRemoved
	for _, e := range events {
		a.w.tell("%s: %s of %s", a.name, e.action, e.id)
		switch e.action {
		case didPurge:
			a.w.tally["journal: purges named"]++
			purged |= 1 << e.id
			confirms |= 1 << e.id
		case didDelete:
			confirms |= 1 << e.id
		case didMerge:
			reads |= 1 << e.id
			confirms |= e.losers
		case didUntie:
			a.w.tally["journal: links named"]++
			untied = append(untied, cdc.LinkRemoved{LinkKey: cdc.LinkKey{From: e.id, To: e.to}, At: e.at})
			sets |= 1 << e.id
		case didTie:
			sets |= 1 << e.id
		default:
			reads |= 1 << e.id
		}
	}
	ctx := context.Background()
	if err := a.recordLane.Witness(ctx, purged.ids()); err != nil {
		return err
	}
	readings, err := a.readNamed(events, reads, confirms&^reads)
	if err == nil {
		err = a.publish(cdc.Page{Stream: journalStream, Readings: readings, Told: true}, nil)
	}
	if err != nil || sets == 0 || a.linkLane == nil {
		return err
	}
	if err := a.linkLane.Witness(ctx, untied); err != nil {
		return err
	}
	published, err := a.publishedAmong(sets.ids())
	if err != nil || len(published) == 0 {
		return err
	}
	before := a.memory
	links, err := a.readLinks(published)
	if err != nil {
		return err
	}
	a.doubtLinks(links, untied)
	return a.publishLinks(cdc.LinkPage{Stream: journalStream, Readings: links}, before)
}

// doubtLinks notes what the journal does not promise of links: one that is gone may
// be about to be published by who read it before, and where a set takes several calls
// a link can hide between two of them (R14).
func (a *agent) doubtLinks(links []cdc.LinkReading, untied []cdc.LinkRemoved) {
	for i := range links {
		if links[i].Calls > 1 {
			a.w.doubtSets(links[i].From)
		}
	}
	for _, e := range untied {
		published := false
		for typeID := 1; typeID <= lastType; typeID++ {
			published = published || a.w.linkRows[cdc.LinkKey{From: e.From, To: e.To, Category: category, TypeID: typeID}].Live
		}
		if !published {
			a.w.doubtSets(e.From)
		}
	}
}

// publishedAmong are the records whose sets may be read: a link of a record that is
// not published would stay if the record went before it is. The others are read when
// their record is published (R14).
func (a *agent) publishedAmong(ids []hubspot.ID) ([]hubspot.ID, error) {
	if a.w.without.publishedFirst {
		return ids, nil
	}
	published, err := a.lane.LiveAmong(context.Background(), ids)
	for _, id := range ids {
		if !slices.Contains(published, id) {
			a.w.doubtSets(id)
		}
	}
	return published, err
}

// readNamed reads some records, and confirms that others are gone.
func (a *agent) readNamed(events []journalEvent, reads, confirms idSet) ([]cdc.Reading, error) {
	if a.w.without.journalContent {
		return a.believe(events), nil
	}
	l := cdc.NewLookUp(reads.ids())
	if err := a.drive(l); err != nil {
		return nil, err
	}
	// A record that is gone may be about to be published by who read it before: the
	// journal does not promise to know.
	for _, id := range (reads | confirms).ids() {
		r := &a.w.records[id]
		r.unsure = r.unsure || !a.w.rows[id].Live && r.kind != live
	}
	return a.complete(l.Readings, slices.Concat(l.Missing, confirms.ids()))
}

// believe is what must not happen: what events show is published.
func (a *agent) believe(events []journalEvent) (out []cdc.Reading) {
	sent := cdc.Sent{Stamp: a.lane.Now(), At: a.now(), Slots: slots}
	for _, e := range events {
		s := e.shows
		rec := hubspot.Record{
			ID: e.id, Created: a.w.records[e.id].created, Updated: s.updated,
			Values: [][]byte{numbers[s.n], s.merged.text()}, Merged: s.merged.text(),
		}
		if s.kind == live {
			out = append(out, sent.Reading(e.id, cdc.IsLive, &rec, a.w.date()))
		}
	}
	return out
}

// journalKept checks what the journal promises where polling has not been everywhere
// yet: when its last file is done, everything that was told is settled. Where it is
// lost, a reconcile and a sweep have begun, and when they end it is settled too.
//
// It does not promise what HubSpot did not answer when it was read, nor a second
// confirm that a crash made the connector forget (R6).
func (w *world) journalKept() string {
	if !w.journaled {
		return ""
	}
	for _, e := range w.pending {
		w.now = max(w.now, e.due)
	}
	f := &w.process.feed
	for tries := 0; ; tries++ {
		if w.passes(journalStream, 1); f.idle {
			break
		}
		if tries > 200 {
			panic("the journal does not end")
		}
	}
	w.whole(stuckStream)
	switch {
	case f.reconcile > 0:
		w.whole(backfill)
	case w.gap && !w.process.reconcile.done:
		w.passes(backfill, 1)
	}
	if w.gap && w.unsorted { // an unsorted list shows no deletes
		w.passes(censusStream, 1)
	}
	if broken := w.rechecked(); broken != "" {
		return broken
	}
	if w.linked {
		switch {
		case f.sweep > 0:
			w.whole(associationsStream)
		case w.gap && w.process.pair.sweep.UnderWay():
			w.passes(associationsStream, 1)
		}
		if w.gap { // the records that the reconcile found
			w.passes(changedStream, 1)
		}
		if broken := w.relooked(); broken != "" {
			return broken
		}
	}
	for id := hubspot.ID(1); id <= lastID; id++ {
		r, events := &w.records[id], w.events[id]
		switch {
		case !r.told || r.unsure:
		case r.kind == live && (len(events) == 0 || !w.shows(events[len(events)-1], id, r.state)),
			r.kind != live && len(events) > 0 && events[len(events)-1].op != cdc.Delete:
			return "the journal told of record " + id.String() + ", which is not settled: " + r.state.String()
		}
	}
	for i, k := range everyLink {
		// The links of records that go and come back are looked at with them (R14).
		stays := w.stayed(k.from) && (k.to > lastID || w.stayed(k.to))
		if t := &w.ties[i]; w.linked && t.told && stays && !w.unsureSets.has(k.from) {
			if broken := linkKept(t.history, w.linkEvents[i]); broken != "" {
				return "the journal told of link " + k.String() + ", which is not settled: " + broken
			}
		}
	}
	w.tell("what the journal told is settled")
	return ""
}

// forgetWaits notes what a crash makes the connector forget.
func (w *world) forgetWaits() {
	for _, id := range w.process.waited.ids() {
		w.records[id].unsure = true
	}
	if w.unsureSets |= w.process.waitedSets; w.gap {
		w.unsureSets = 1<<(lastID+1) - 1 // looks at records that a reconcile found
	}
}

// journalTrouble is what happens to a journal.
func (w *world) journalTrouble() {
	switch w.choices.of(8) {
	case 1, 2:
		w.tellAgain()
	case 3, 4, 5:
		if w.lies {
			w.lie()
		}
	case 6:
		w.expire()
	}
}

// witnessed is the time between the two readings of what the journal named as gone
// (R16).
const witnessed = 2 * time.Second
