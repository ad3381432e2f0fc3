package stream

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Journal finds changes within seconds in HubSpot's webhooks journal: created,
// updated, restored, deleted, merged and purged records, and links that came and
// went. It names keys, and what is published is read from the object store (R16).
// Everything else goes on beside it and checks it (Audit).
//
// The cursor is the offset of the last file of which no id is left to be read. A
// restart takes the file after it, so that some files may be read twice: what they
// name is published already, and makes no event.
type Journal struct {
	Source *hubspot.Journal
	Portal int64
	// Types are the ids of the types to subscribe to before the first Follow.
	Types []string
	// Place is the cursor; nil before the first one. The journal then begins at the
	// latest file, and what came before belongs to the tiers.
	Place *offsets.Journal
	// Wanted says that an operator relies on the journal: that HubSpot refuses it is
	// a problem, and not only logged.
	Wanted bool

	Committer cdc.Committer
	Status    *Status
	Metrics   *Metrics
	Audit     *Audit
	Log       *slog.Logger

	begun    chan struct{} // closed after the first try to begin
	followed chan struct{} // closed by the first Follow
	changed  chan struct{} // one slot: there are other types

	mu      sync.Mutex
	objects []*Object
	pairs   []*Pair
	awaited bool   // something that was published is not among them yet
	refused string // why it does not work, as last logged; "" = it does

	subscribed []string  // the types that HubSpot was last told of
	looked     time.Time // when the subscriptions were last looked at
	brought    time.Time // when a poll last brought something
	resumed    bool      // this run has continued from the place
	failures   int       // of the next file, while others could be read
	blind      bool      // the last file that came was passed over
	places     int       // that HubSpot no longer had, one after the other
	again      rereads
	first      hubspot.Millis // when this run began, or a second later: HubSpot tells its time in whole ones, and R21 prefers too early a one
	empty      hubspot.Millis // when a poll last found nothing after the place; zero: none has
}

// NewJournal completes j with what others use to talk to it.
func NewJournal(j *Journal) *Journal {
	j.begun, j.followed, j.changed = make(chan struct{}), make(chan struct{}), make(chan struct{}, 1)
	return j
}

// Follow sets what is followed from now on. awaited says that a type or a pair that was
// published is not among them yet.
func (j *Journal) Follow(objects []*Object, pairs []*Pair, awaited bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.objects, j.pairs, j.awaited = objects, pairs, awaited
	select {
	case <-j.followed:
	default:
		close(j.followed)
	}
	select {
	case j.changed <- struct{}{}:
	default:
	}
}

// AwaitBegin waits until the journal has its first place, so that what changes
// before it belongs to the tiers (R16): their windows begin later. It does not wait
// longer than patience.
func (j *Journal) AwaitBegin(ctx context.Context, patience time.Duration) {
	select {
	case <-j.begun:
	case <-time.After(patience):
	case <-ctx.Done():
	}
}

// journalKept is how long HubSpot keeps the journal's files at least.
const journalKept = 3*24*time.Hour - time.Hour

const (
	// A journal that HubSpot refuses, or does not give, is asked for again after
	// journalRetry, growing to journalPatience.
	journalRetry    = time.Second
	journalPatience = 5 * time.Minute
	// A poll that brought nothing is followed by the next one after journalPoll,
	// growing to journalIdle.
	journalPoll = time.Second
	journalIdle = 5 * time.Second
)

// Run reads the journal until ctx ends.
func (j *Journal) Run(ctx context.Context) error {
	j.brought, j.first = time.Now(), max(j.now().Add(time.Second), ownClock())
	begun := sync.OnceFunc(func() { close(j.begun) })
	defer begun()
	wait := journalRetry
	for {
		brought := false
		err := TellPass(ctx, j.Log, "", func(ctx context.Context) (err error) {
			brought, err = j.step(ctx, begun)
			return err
		})
		begun()
		pause := j.pause(brought)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			j.well()
			wait = journalRetry
		case j.trouble(err):
			pause, wait = wait, min(2*wait, journalPatience)
		default:
			return err
		}
		if err := j.rest(ctx, pause); err != nil {
			return err
		}
	}
}

// pause is how long to wait after a poll: the longer nothing came, the longer.
func (j *Journal) pause(brought bool) time.Duration {
	if brought {
		j.brought = time.Now()
		return 0
	}
	return min(max(time.Since(j.brought)/10, journalPoll), journalIdle)
}

// rest waits for d, or until other types are followed.
func (j *Journal) rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-j.changed:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// step tells HubSpot what to write into the journal, if that has changed, and reads
// what is new in it. It calls begun once it has a place.
func (j *Journal) step(ctx context.Context, begun func()) (brought bool, err error) {
	if err := j.subscribe(ctx); err != nil {
		return false, err
	}
	if p := j.Place; !j.resumed && p != nil && p.Offset == "" && p.Lost == 0 && p.Published < j.now().Add(-journalKept) {
		return true, j.lose(ctx, "the journal's first files may have come and gone")
	}
	j.resumed = true
	entry, err := j.next(ctx)
	if hubspot.PlaceLost(err) {
		begun()
		return true, j.lost(ctx)
	}
	if err != nil {
		return false, &journalError{err}
	}
	if j.Place != nil && j.Place.Offset != "" {
		j.places = 0
	}
	if j.Place == nil {
		// Before the types' first transaction: what this file tells is older.
		first := offsets.Journal{Published: j.now()}
		if entry != nil {
			first.Offset = entry.Offset
		}
		if err := j.move(ctx, first); err != nil {
			return false, err
		}
	}
	begun()
	if err := j.settled(ctx); err != nil {
		return false, err
	}
	if entry == nil {
		j.empty = j.now()
		j.Audit.Whole(j.empty)
		if j.Place.Lost > 0 { // until everything was read again
			j.Audit.Broken()
		}
		j.Status.reached("", offsets.JournalStream, j.empty)
		if p := *j.Place; p.Offset == "" && p.Published < j.empty.Add(-time.Hour) {
			p.Published = j.empty // for a restart
			return false, j.move(ctx, p)
		}
		return false, nil
	}
	return true, j.take(ctx, entry)
}

// next is the entry after the place: without a place the latest one.
func (j *Journal) next(ctx context.Context) (*hubspot.JournalEntry, error) {
	defer j.overdue()()
	call := hubspot.Call{Priority: hubspot.Leading}
	switch {
	case j.Place == nil:
		return j.Source.Latest(ctx, call)
	case j.Place.Offset == "":
		return j.Source.Earliest(ctx, call)
	}
	return j.Source.Next(ctx, call, j.Place.Offset)
}

// move commits a place. It need not hurry: the files after an older place would be
// read again, and nothing be published twice.
func (j *Journal) move(ctx context.Context, to offsets.Journal) error {
	b := cdc.Batch{Cursors: []cdc.Cursor{{Stream: offsets.JournalStream, Value: to.Bytes()}}}
	if err := j.Committer.Commit(ctx, &b); err != nil {
		return err
	}
	j.Place = &to
	return nil
}

// following waits until the types are known that are followed.
func (j *Journal) following(ctx context.Context) ([]*Object, []*Pair, error) {
	select {
	case <-j.followed:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.objects, j.pairs, nil
}

func (j *Journal) now() hubspot.Millis { return j.Status.now() }

// journalError says that the journal does not work. Everything else does.
type journalError struct{ err error }

func (e *journalError) Error() string { return e.err.Error() }
func (e *journalError) Unwrap() error { return e.err }

// action is what an operator can do.
func (e *journalError) action() string {
	if cure := hubspot.JournalRefused(e.err); cure != "" {
		return cure
	}
	if hubspot.Unreadable(e.err) {
		return "check what answers in the place of the journal's files (HTTPS_PROXY, firewall), and see HubSpot's status page: they are asked for again, and meanwhile everything is found by polling"
	}
	return "wait, and see HubSpot's status page: the journal is asked for again, and meanwhile everything is found by polling"
}

// trouble notes an error of the journal, and reports whether it was one.
func (j *Journal) trouble(err error) bool {
	var e *journalError
	if !errors.As(err, &e) {
		return false
	}
	j.looked = time.Time{}
	if j.Wanted || hubspot.JournalRefused(err) == "" {
		j.complain(e)
	} else {
		j.Status.excuse("", offsets.JournalStream) // that it was silent before it refused
		j.sayOnce(e)
	}
	return true
}

// complain shows operators what is wrong with the journal.
func (j *Journal) complain(e *journalError) {
	j.Status.Problem("", offsets.JournalStream, e)
	j.sayOnce(e)
}

// sayOnce logs that the journal does not work, once for each thing to do about it.
func (j *Journal) sayOnce(e *journalError) {
	j.Audit.Broken()
	text := e.action()
	j.mu.Lock()
	news := j.refused != text
	j.refused = text
	j.mu.Unlock()
	if news {
		j.Log.Warn("the webhooks journal does not work; the connector finds everything by polling, and tries again", "err", e, "action", text)
	}
}

// well notes that the journal works.
func (j *Journal) well() {
	j.mu.Lock()
	again := j.refused != ""
	j.refused = ""
	j.mu.Unlock()
	if again {
		j.Log.Info("the webhooks journal works again")
	}
	j.Status.started("", offsets.JournalStream)
}

// silence is how long the journal may leave a question unanswered before operators
// see that.
const silence = 30 * time.Second

var errJournalSilent = errors.New("HubSpot's webhooks journal does not answer")

// overdue watches over a question. The caller calls answered once it has the answer.
func (j *Journal) overdue() (answered func()) {
	t := time.AfterFunc(silence, func() { j.complain(&journalError{errJournalSilent}) })
	return func() { t.Stop() }
}
