package cdcmodel

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// patience is the time between the two confirms of a purge (R9).
const patience = 5 * time.Second

// world is HubSpot, what Kafka has committed, and the connector's present life.
type world struct {
	portal
	without without
	finders []string // that run
	process *process
	// everyWay: this is exhaustive search, not a random history, and what finders
	// learn matters.
	everyWay bool
	spelling []byte   // a key's, for reuse
	log      []string // what happened, if told is set
	told     bool

	rows    map[hubspot.ID]cdc.Row
	cursors map[string][]byte
	noted   map[string][]byte // cursors of idle passes, not committed yet
	seq     int64
	events  [lastID + 1][]event
	// linkRows and linkEvents belong to the pair's topic.
	linkRows   map[cdc.LinkKey]cdc.LinkRow
	linkEvents [len(everyLink)][]linkEvent
	crash      crash
	ending     ending

	tally     map[string]int // what happened in all histories, by name
	published int            // pages that the lane was given
}

// ending is what becomes of work under way when HubSpot falls quiet.
type ending uint8

const (
	finished ending = iota
	killed
)

// crash is when the process is killed.
type crash uint8

const (
	noCrash crash = iota
	beforeCommit
	afterCommit // the transaction stands, and nobody learns of it
)

// event is what a consumer saw.
type event struct {
	op      cdc.Op
	reason  cdc.Reason
	n       uint8
	merged  idSet
	created hubspot.Millis
	updated hubspot.Millis
	source  hubspot.Millis
	into    hubspot.ID
	again   bool // of a snapshot that an operator asked for
	seq     int64
	stream  string
}

func (e event) String() string {
	text := fmt.Sprintf("%c", e.op)
	switch {
	case e.op == cdc.Delete:
		text += " " + e.reason.String()
		if e.into != 0 {
			text += " into " + e.into.String()
		}
	default:
		text += fmt.Sprintf(" n=%d updatedAt=%s", e.n, clock(e.updated))
		if e.merged != 0 {
			text += " hs_merged_object_ids=" + string(e.merged.text())
		}
		if e.reason != cdc.NoReason {
			text += " " + e.reason.String()
		}
	}
	return fmt.Sprintf("%s seq=%d by %s", text, e.seq, e.stream)
}

// newWorld makes a world that plays one history after another.
func newWorld() *world {
	return &world{
		rows: map[hubspot.ID]cdc.Row{}, cursors: map[string][]byte{}, noted: map[string][]byte{},
		linkRows: map[cdc.LinkKey]cdc.LinkRow{}, tally: map[string]int{},
	}
}

func (w *world) begin(c *choices) {
	w.portal.reset(c)
	w.linkStore.whole = w.without.whole
	clear(w.rows)
	clear(w.cursors)
	clear(w.noted)
	clear(w.linkRows)
	for i := range w.linkEvents {
		w.linkEvents[i] = w.linkEvents[i][:0]
	}
	w.seq, w.crash, w.log = 0, noCrash, w.log[:0]
	for id := range w.events {
		w.events[id] = w.events[id][:0]
	}
	if w.told {
		w.said = func(format string, args ...any) {
			w.log = append(w.log, fmt.Sprintf("%7s  ", clock(w.now))+fmt.Sprintf(format, args...))
		}
	}
}

// failure is the error of a commit whose outcome the process does not learn.
type failure struct{}

func (failure) Error() string { return "the process was killed in a transaction" }

// Commit is Kafka: a transaction stands as a whole or not at all.
func (w *world) Commit(_ context.Context, b *cdc.Batch) error {
	if len(b.Changes)+len(b.Links) == 0 && !b.Sync { // moves cursors of an idle pass
		for _, c := range b.Cursors {
			w.noted[c.Stream] = c.Value
		}
		return nil
	}
	if w.crash == beforeCommit {
		w.tally["killed before a commit"]++
		w.tell("Kafka: the transaction is aborted")
		return failure{}
	}
	for i := range b.Changes {
		c := &b.Changes[i]
		if c.Event != nil {
			w.seq++
			c.Row.Seq = w.seq
			w.saw(c)
		}
		w.rows[c.ID] = c.Row
	}
	for i := range b.Links {
		c := &b.Links[i]
		w.seq++
		c.Row.Seq = w.seq
		w.sawLink(c)
		w.linkRows[c.Key] = c.Row
	}
	for stream, value := range w.noted {
		w.cursors[stream] = value
	}
	clear(w.noted)
	for _, c := range b.Cursors {
		w.cursors[c.Stream] = c.Value
	}
	if w.crash == afterCommit {
		w.tally["killed after a commit"]++
		w.tell("Kafka: the transaction is committed, but the answer is lost")
		return failure{}
	}
	return nil
}

// saw notes an event as a consumer sees it.
func (w *world) saw(c *cdc.Change) {
	e := event{op: c.Event.Op, reason: c.Event.Reason, into: c.Event.Into, source: c.Event.SourceMs, again: c.Event.Incremental, seq: c.Row.Seq, stream: c.Event.Stream}
	if r := c.Event.Record; r != nil {
		e.updated, e.created = r.Updated, r.Created
		e.n, e.merged = parse(r)
	}
	w.events[c.ID] = append(w.events[c.ID], e)
	name := "published: " + strings.TrimSpace(string(e.op)+" "+e.reason.String())
	if e.again {
		name += " again"
	}
	w.tally[name]++
	w.tell("published: record %s %s", c.ID, e)
}

func parse(r *hubspot.Record) (n uint8, merged idSet) {
	for _, digit := range r.Values[0] {
		n = n*10 + digit - '0'
	}
	for _, letter := range r.Values[1] {
		if letter != ';' {
			merged |= 1 << (letter - '0')
		}
	}
	return n, merged
}

// start begins a life of the connector with what is committed.
func (w *world) start() {
	w.crash = noCrash
	p := &process{w: w, recheck: cdc.Rechecks{}}
	w.process = p
	if w.journaled {
		p.startFeed()
	}
	p.clock, p.clockAt = w.date(), w.now // from the answer to the very first call, which asks for the account
	started := p.now()
	sweeps := sweep{stream: backfill}
	var leading, trailing cdc.Window
	if first, ok := w.cursors[backfill]; !ok {
		leading, trailing = cdc.NewWindow(started), cdc.NewWindow(started)
		if w.without.overlap {
			leading, trailing = cdc.Window{Start: started}, cdc.Window{Start: started}
		}
	} else {
		v := place(first)
		sweeps.after, sweeps.done, sweeps.left = hubspot.ID(v[0]), v[1] == 1, readChains(first)
		leading, trailing = window(w.cursors[leadingStream]), window(w.cursors[trailingStream])
	}
	if w.without.first && !sweeps.done { // overruled when the backfill is done
		leading.Start, trailing.Start = started.Add(time.Hour*24*365), started.Add(time.Hour*24*365)
	}
	table := cdc.NewTable()
	for id, row := range w.rows {
		table.Put(id, row)
	}
	p.recordLane = cdc.NewLane(cdc.LaneConfig{
		Object: "contacts", Table: table, Slots: slots, Content: content, Started: epoch,
		Patience: cdc.Patience{Second: patience, Witnessed: witnessed, Repeat: time.Hour}, Committer: w,
	})
	w.tell("the connector starts: %d rows, leading from %s, trailing from %s", len(w.rows), clock(leading.Start), clock(trailing.Start))
	if _, ok := w.cursors[backfill]; !ok { // R5
		_, err := p.recordLane.Publish(context.Background(), cdc.Page{Sync: true, Cursors: []cdc.Cursor{
			p.feed.cursor(),
			{Stream: backfill, Value: sweeps.cursor()},
			{Stream: leadingStream, Value: places(int64(leading.Start), 0, 0)},
			{Stream: trailingStream, Value: places(int64(trailing.Start), 0, 0)},
		}})
		if err != nil {
			panic(err)
		}
	}
	p.leading = tier{stream: leadingStream, window: leading}
	p.trailing = tier{stream: trailingStream, lag: trailingLag, window: trailing}
	p.backfill, p.reconcile = sweeps, sweep{stream: reconcile, done: true}
	if b, ok := w.cursors[reconcile]; ok {
		v := place(b)
		p.reconcile.after, p.reconcile.done, p.reconcile.left = hubspot.ID(v[0]), v[1] == 1, readChains(b)
	}
	p.snapshot = sweep{stream: snapshot, done: true}
	if b, ok := w.cursors[snapshot]; ok {
		v := place(b)
		p.snapshot.after, p.snapshot.done = hubspot.ID(v[0]), v[1] == 1
	}
	p.stuck = idSet(place(w.cursors[stuckStream])[0])
	p.bin = bin{after: hubspot.ID(place(w.cursors[archiveStream])[0])}
	if w.linked {
		p.startPair()
	}
	for _, name := range w.finders {
		p.run(name)
	}
}

const (
	leadingStream  = "leading"
	trailingStream = "trailing-10s"
)

func window(b []byte) cdc.Window {
	v := place(b)
	return cdc.Window{Start: hubspot.Millis(v[0]), T0: hubspot.Millis(v[1]), Last: hubspot.ID(v[2])}
}

// run adds a finder, which repeats its pass.
func (p *process) run(name string) {
	a := &agent{process: p, name: name, memory: memory{on: p.w.everyWay}}
	a.lane, a.links = heardLane{p.recordLane, &a.memory}, heardLinks{p.linkLane, &a.memory}
	a.next, a.stop = iter.Pull(func(yield func(moment) bool) {
		a.yield = yield
		growStack(len(name))
		for {
			if a.err = a.pass(); a.err != nil {
				return
			}
			a.passes++
			a.forget()
			if a.err = a.pause(toPass); a.err != nil {
				return
			}
		}
	})
	p.agents = append(p.agents, a)
}

// growStack makes the stack as large as a pass needs while it is still shallow.
// Every history starts its finders on small stacks, and copying a deep stack each
// time that it doubles took a quarter of the search's time.
//
//go:noinline
func growStack(at int) byte {
	var room [12 << 10]byte
	room[at] = 1
	return room[at/2]
}

func (a *agent) pass() error {
	switch a.name {
	case leadingStream:
		return a.leading.pass(a)
	case trailingStream:
		return a.trailing.pass(a)
	case archiveStream:
		return a.bin.pass(a)
	case snapshot:
		return a.snapshot.pass(a)
	case censusStream:
		return census{}.pass(a)
	case recheckStream:
		return again{}.pass(a)
	case stuckStream:
		return a.askStuck()
	case associationsStream:
		return a.sweepLinks()
	case changedStream:
		return a.lookAtChanged()
	case relookStream:
		return a.lookAgain()
	case signalsStream:
		return a.snapshotLinks()
	case journalStream:
		return a.readJournal()
	}
	if a.backfill.done {
		return a.reconcile.pass(a)
	}
	err := a.backfill.pass(a)
	if err == nil && a.w.without.first {
		a.leading.window.Start, a.trailing.window.Start = a.w.date(), a.w.date()
	}
	return err
}

// step lets an agent run to the next moment at which others may take a step. If the
// agent sleeps, time passes until it wakes.
func (w *world) step(a *agent) {
	if a.at.what == toWake && a.at.until > w.now {
		w.now = a.at.until
	}
	m, ok := a.next()
	if a.at = m; !ok {
		w.kill()
	}
}

// kill ends the connector's life and begins the next one.
func (w *world) kill() {
	if w.journaled {
		w.forgetWaits()
	}
	w.end()
	clear(w.noted)
	w.tally["killed"]++
	w.tell("the connector is killed")
	w.start()
}

func (w *world) end() {
	if w.process == nil {
		return
	}
	for _, a := range w.process.agents {
		a.stop()
	}
	w.process = nil
}

// history plays one history to its end and says which promise it broke, or "".
func (w *world) history(c *choices) string {
	c.step = 0
	c.next()
	w.linked = c.of(3) == 1
	journaled := c.of(3) == 1
	w.begin(c)
	w.page = 1 + c.of(3)
	merges := c.of(16)
	w.losersInBin, w.binFollows, w.losersUnknown = merges&1 != 0, merges&2 != 0, merges >= 12
	w.faulty = c.of(3) == 1
	sickly := w.faulty && merges%2 == 1
	w.behind = c.of(4) == 1
	w.binInLive, w.unsorted = c.of(4) == 1, c.of(8) == 1
	calm := c.of(4) == 1 // nothing that hides from the tiers
	w.ending = ending(c.of(2))
	w.finders = finderSets[c.of(len(finderSets))]
	if w.linked {
		w.tally["histories with links"]++
		w.shown = 1 + c.of(2)
		w.finders = slices.Concat(w.finders, linkFinderSets[c.of(len(linkFinderSets))])
	}
	if journaled {
		w.tally["histories with a journal"]++
		w.finders = slices.Concat(w.finders, []string{journalStream})
		w.loses, w.lies = c.of(3) == 1, c.of(3) == 1
	}
	for id := range hubspot.ID(1 + c.of(lastID)) {
		w.create(id + 1)
	}
	if w.linked {
		w.makeFirst(c.of(1 << len(firstLinks)))
	}
	w.now = w.now.Add(times[c.of(len(times))])
	w.journaled = journaled
	w.start()
	defer w.end()
	if (w.linked || w.journaled) && c.of(4) != 0 {
		w.early(c.of(3) != 0)
	}
	for left := 12; c.next(); {
		what := c.of(16)
		if what == 7 && sickly {
			w.sicken()
			continue
		}
		switch what {
		case 0, 1:
			w.now = w.now.Add(times[c.of(len(times))])
		case 2, 3, 4:
			switch {
			case left == 0:
			case w.linked && c.of(2) == 1:
				left--
				w.actLink()
			case calm:
				left--
				w.do(hubspot.ID(1+c.of(lastID)), update)
			default:
				left--
				w.act()
			}
		case 5:
			if w.journaled && c.of(2) == 1 {
				w.journalTrouble()
				continue
			}
			if !w.faulty {
				continue
			}
			switch c.of(12) {
			case 1:
				w.blink()
			case 2:
				w.fail()
			case 3:
				w.silence()
			case 4, 5, 6, 7:
				w.disorder = 6
				w.tell("HubSpot: the next pages of searches may be out of order")
			}
		case 6:
			if c.of(4) != 1 {
				continue
			}
			if w.crash = crash(c.of(3)); w.crash == noCrash {
				w.kill()
			}
		default:
			p := w.process
			agents := p.agents
			if w.linked && c.of(2) == 1 {
				agents = slices.DeleteFunc(slices.Clone(agents), func(a *agent) bool {
					return a.name != associationsStream && a.name != changedStream && a.name != signalsStream
				})
			}
			if w.journaled && c.of(3) == 1 {
				agents = slices.DeleteFunc(slices.Clone(p.agents), func(a *agent) bool {
					return a.name != journalStream && a.name != recheckStream && a.name != relookStream
				})
			}
			a := agents[c.of(len(agents))]
			for range 1 + c.of(5) {
				if w.step(a); w.process != p {
					break
				}
			}
		}
	}
	return w.quiet()
}

// early begins with a life in which the backfill ended, and the first sweep of links
// too: otherwise what follows takes more steps than a history has.
func (w *world) early(swept bool) {
	w.all()
	faulty := w.faulty
	w.faulty = false
	w.passes(backfill, 1)
	if swept && w.linked {
		w.passes(associationsStream, 1)
	}
	w.faulty = faulty
	w.end()
	clear(w.noted)
	w.start()
}

var times = [...]time.Duration{0, time.Second / 2, time.Second, 3 * time.Second, 10 * time.Second, 11 * time.Second}

// finderSets are which finders take steps while HubSpot is busy. A few at a time
// meet more often. In the end all of them run.
var finderSets = [][]string{
	{leadingStream, trailingStream, backfill, archiveStream, censusStream, recheckStream},
	{leadingStream, trailingStream, backfill},
	{leadingStream, trailingStream},
	{leadingStream, backfill, recheckStream, stuckStream},
	{trailingStream, backfill, archiveStream},
	{leadingStream, trailingStream, archiveStream, recheckStream},
	{leadingStream, censusStream, recheckStream, backfill},
	{leadingStream, backfill, snapshot},
}

var linkFinderSets = [][]string{
	{associationsStream, changedStream, relookStream},
	{associationsStream, relookStream},
	{changedStream},
	{associationsStream, changedStream, relookStream},
	{associationsStream, changedStream, relookStream, signalsStream},
}
