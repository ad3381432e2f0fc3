package stream

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Signals does what an operator writes into the signals topic: it publishes records
// or links again, as they are now, or stops doing so (docs/contract.md section 4).
//
// The cursor is the offset of the earliest unfinished signal, and the place inside
// its snapshot. It moves in the transactions of the events, so a restart continues
// at that page and publishes nothing twice. Signals are done one after the other,
// in order. Only a stop takes effect as soon as it is read, and stops what was asked
// for before it. A run first reads everything that is in the topic after the
// cursor, so that a stop counts even if it came while the connector was down.
type Signals struct {
	// Prefix is that of the topics, and the key of the signals for this
	// connector.
	Prefix string
	// Place is the cursor; nil before the first one. Then Run reads the topic
	// from its beginning: whoever prepares a deployment may ask before it
	// starts. If that publishes a snapshot twice, somebody did ask for it.
	Place *offsets.Signals
	// Open creates the topic if it is missing, and reads it from an offset on.
	Open func(ctx context.Context, offset int64) (Inbox, error)

	// References are what signals can name besides what Follow sets.
	References []ReferenceCollection

	Committer cdc.Committer
	Status    *Status
	Metrics   *Metrics
	Log       *slog.Logger
	// Tell, unless nil, takes notices.
	Tell func(Notice)

	obeyed   int64 // after the last signal that took effect at once
	caughtUp atomic.Bool
	dropped  string        // set before caughtUp: the offset of a signal whose snapshot an earlier run began, and that this run cannot go on with
	saving   chan struct{} // one slot; who has put something in may use obeyed
	resumed  chan struct{} // one slot: streams were resumed
	telling  sync.Mutex    // so that notices come in the order of what they tell
	inbox    requests
	strange  bool // a signal with another key was logged
	mu       sync.Mutex
	objects  []*Object // what signals can name
	pairs    []*Pair
	followed chan struct{} // closed by the first Follow
}

// NewSignals completes s with what others use to talk to it.
func NewSignals(s *Signals) *Signals {
	s.inbox.wake, s.followed = make(chan struct{}, 1), make(chan struct{})
	s.saving, s.resumed = make(chan struct{}, 1), make(chan struct{}, 1)
	if s.Place != nil {
		s.inbox.taken = s.Place.Offset
	}
	return s
}

// Follow sets the object types and pairs that signals can name from now on.
func (s *Signals) Follow(objects []*Object, pairs []*Pair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects, s.pairs = objects, pairs
	select {
	case <-s.followed:
	default:
		close(s.followed)
	}
}

// Inbox is the signals topic, opened at an offset.
type Inbox interface {
	// Next waits for signals. Its first call waits only for those that were
	// there when the topic was opened, if any.
	Next(context.Context) ([]offsets.Signal, error)
	Close()
}

// Run reads signals and does what they ask for, from the first Follow until ctx
// ends.
func (s *Signals) Run(ctx context.Context) error {
	select {
	case <-s.followed:
	case <-ctx.Done():
		return ctx.Err()
	}
	ready := make(chan struct{})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.read(ctx, ready) })
	g.Go(func() error { return s.payOff(ctx) })
	g.Go(func() error {
		select {
		case <-ready:
			return s.work(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return g.Wait()
}

// read takes signals as they come, and closes ready when it has taken those that
// were there before. A topic that cannot be read stops nothing else: read reports
// it and tries again.
func (s *Signals) read(ctx context.Context, ready chan struct{}) error {
	wait := time.Second
	for {
		err := s.follow(ctx, func() {
			if ready != nil {
				close(ready)
				ready = nil
			}
			if wait > time.Second {
				s.Log.Info("the signals topic can be read again")
			}
			wait = time.Second
			s.Status.Clear("", offsets.SignalsStream)
		})
		var refusal *offsets.Refusal
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &refusal):
			return err
		}
		if s.Status.Problem("", offsets.SignalsStream, &inboxError{err}) {
			s.Log.Warn("the signals topic cannot be read; everything else continues, and the connector tries again", "err", err)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, time.Minute)
	}
}

// inboxError says that signals cannot be read.
type inboxError struct{ err error }

func (e *inboxError) Error() string { return e.err.Error() }
func (e *inboxError) Unwrap() error { return e.err }

// follow reads the topic from where it was left, until reading fails.
func (s *Signals) follow(ctx context.Context, caughtUp func()) error {
	inbox, err := s.Open(ctx, s.inbox.taken)
	if err != nil {
		return err
	}
	defer inbox.Close()
	for {
		signals, err := inbox.Next(ctx)
		if err != nil {
			return err
		}
		for _, raw := range signals {
			r, err := s.take(ctx, raw)
			if err != nil {
				return err
			}
			s.inbox.add(raw.Offset, r)
		}
		caughtUp()
	}
}

// take parses a signal, and obeys at once what is no snapshot. It logs a signal that
// it cannot understand, and returns it without work.
func (s *Signals) take(ctx context.Context, raw offsets.Signal) (request, error) {
	r := request{offset: raw.Offset}
	log := s.Log.With("offset", raw.Offset)
	if raw.Offset < min(s.inbox.taken, s.obeyed) { // the topic was made again
		if err := s.keep(ctx, raw.Offset-1, false); err != nil {
			return r, err
		}
	}
	if string(raw.Key) != s.Prefix {
		s.Metrics.signals.WithLabelValues("passed_over").Inc()
		if !s.strange {
			s.strange = true
			log.Warn("a signal has another key than the topic prefix, so it is for somebody else and is passed over; further ones are only counted",
				"key", string(raw.Key), "want", s.Prefix)
		}
		return r, nil
	}
	passOver := func(err error) (request, error) {
		s.Metrics.signals.WithLabelValues("passed_over").Inc()
		log.Warn("a signal cannot be understood and is passed over", "signal", r.signal, "err", err)
		return request{offset: raw.Offset}, nil
	}
	sig, err := parseSignal(raw.Value)
	r.signal = sig.ID
	if err != nil {
		return passOver(err)
	}
	if sig.Type != executeSnapshot && sig.Type != stopSnapshot && raw.Offset < s.obeyed {
		return r, nil
	}
	work, unknown, err := sig.plan(s.collections())
	if err != nil {
		return passOver(err)
	}
	if len(unknown) > 0 && len(work) == 0 && sig.Type != resumeStreams {
		return passOver(&unknownError{unknown})
	}
	if _, can := firstPausable(work); sig.Type == pauseStreams && !can {
		return passOver(errListsNotPaused)
	}
	if len(unknown) > 0 {
		log.Warn("a signal names something that is not published here; the connector does the rest of it", "signal", r.signal, "unknown", strings.Join(unknown, ","))
	}
	s.Metrics.signals.WithLabelValues("accepted").Inc()
	log = log.With("signal", r.signal, "type", sig.Type, "asks", strings.Join(sig.Collections, ","))
	switch sig.Type {
	case stopSnapshot:
		log.Info("signal accepted", "stopped", s.stop(work, len(sig.Collections) == 0))
		return r, s.endPause(ctx, raw.Offset)
	case executeSnapshot:
		log.Info("signal accepted", "snapshots", len(work))
		r.work = work
		return r, nil
	}
	log.Info("signal accepted")
	return r, s.obey(ctx, &sig, raw.Offset, s.Log.With("offset", raw.Offset, "signal", r.signal))
}

type unknownError struct{ names []string }

func (e *unknownError) Error() string {
	return "nothing is published under " + strings.Join(e.names, ", ") +
		`: name an object type, a pair such as contacts:companies, their topics, or ".*"`
}

// collections returns what signals can name now.
func (s *Signals) collections() []collection {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []collection
	for _, o := range s.objects {
		all = append(all, newObjectCollection(o, s.Prefix))
	}
	for _, p := range s.pairs {
		all = append(all, &pairCollection{p, s.Prefix})
	}
	for i := range s.References {
		all = append(all, &s.References[i])
	}
	return all
}

// published reports whether a collection is still what it was when a signal named
// it: object types come and go.
func (s *Signals) published(c collection) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch c := c.(type) {
	case *objectCollection:
		return slices.Contains(s.objects, c.Object)
	case *pairCollection:
		return slices.Contains(s.pairs, c.Pair)
	case *ReferenceCollection:
		return true
	}
	return false
}

// work does what signals ask for, page by page.
func (s *Signals) work(ctx context.Context) error {
	if s.Place != nil && !s.inbox.resume(*s.Place) {
		s.dropped = strconv.FormatInt(s.Place.Offset, 10)
		s.Log.Warn("a snapshot cannot continue, because its signal is no longer in the topic or asks for something else",
			"object", s.Place.Object, "cursor", string(s.Place.Bytes()))
	}
	s.caughtUp.Store(true)
	for {
		r, w, place := s.inbox.next()
		if w != nil {
			if err := s.snapshot(ctx, r, w); err != nil {
				return err
			}
			continue
		}
		if s.Place == nil || *s.Place != place {
			// This cursor only says that nothing is left to do, so it need not
			// hurry.
			b := cdc.Batch{Cursors: []cdc.Cursor{{Stream: offsets.SignalsStream, Value: place.Bytes()}}}
			if err := s.Committer.Commit(ctx, &b); err != nil {
				return err
			}
			s.Place = &place
		}
		select {
		case <-s.inbox.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// snapshot publishes one collection again, from where the cursor is.
func (s *Signals) snapshot(ctx context.Context, r *request, w *work) error {
	at := offsets.Signals{Offset: r.offset, Object: w.of.name()}
	log := s.Log.With("signal", r.signal, "object", at.Object)
	if p := s.Place; p != nil && p.Offset == at.Offset && p.Object == at.Object {
		at = *p
		at.After = ""
	}
	what := "snapshot started"
	if at.ID != 0 {
		what = "snapshot resumed"
	}
	total := len(w.ids)
	if total == 0 {
		total = w.of.live()
	}
	log.Info(what, "cursor", string(at.Bytes()), "ids", len(w.ids), "of", total)
	s.tellStarted(r)
	defer s.Metrics.snapshot(at.Object)()
	defer s.Status.Snapshot(nil)
	for {
		s.Status.Snapshot(&Snapshot{
			Signal: r.signal, Object: at.Object, Records: at.Records, Of: total, ID: at.ID.String(), Waiting: s.inbox.waiting(),
		})
		page, err := s.page(ctx, w, at)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case s.inbox.over(w):
			log.Info("snapshot stopped", "records", at.Records)
			return nil
		case err == nil && !s.published(w.of):
			err = errors.New("it is no longer published")
			fallthrough
		case refused(err):
			log.Warn("a snapshot was given up, because its object is refused; send the signal again once that is fixed", "records", at.Records, "err", err)
			s.inbox.finish(w)
			s.tellScanned(r, w, at.Records, scanSkipped)
			return nil
		case err != nil:
			return err
		}
		at.After, at.ID, at.Records = page.after, page.last, at.Records+int64(page.records)
		place := at
		if page.end {
			place = s.inbox.finish(w)
		}
		err = page.publish(ctx, offsets.SignalsStream, cdc.Cursor{Stream: offsets.SignalsStream, Value: place.Bytes()})
		if refused(err) {
			log.Warn("a snapshot was given up, because its object is refused; send the signal again once that is fixed", "records", at.Records, "err", err)
			s.inbox.finish(w)
			s.tellScanned(r, w, at.Records, scanSkipped)
			return nil
		}
		if err != nil {
			return err
		}
		s.Place = &place
		if len(page.absent) > 0 {
			log.Warn("HubSpot has nothing for some records that a signal names; there is no event for them", "ids", idList(page.absent))
		}
		unread := slices.DeleteFunc(slices.Clone(page.left), func(id hubspot.ID) bool { return slices.Contains(page.absent, id) })
		if w.ids != nil && len(unread) > 0 {
			log.Warn("HubSpot does not answer about some records that a signal names; there is no event for them; send the signal again once it does", "ids", idList(unread))
		}
		if page.end {
			log.Info("snapshot completed", "records", at.Records)
			s.tellScanned(r, w, at.Records, scanSucceeded)
			return nil
		}
	}
}

// page reads a page, after a pause if there is one, unless a stop comes meanwhile:
// HubSpot may make us wait.
func (s *Signals) page(ctx context.Context, w *work, at offsets.Signals) (page snapshotPage, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.inbox.interrupt(w, cancel)
	defer s.inbox.interrupt(nil, nil)
	pauses, name := &s.Status.pauses, w.of.name()
	for {
		if err = pauses.wait(ctx, name, true, nil); err != nil {
			return page, err
		}
		err = pauses.during(ctx, name, true, func(ctx context.Context) (err error) {
			page, err = w.of.page(ctx, place{at.After, at.ID}, w.ids)
			return err
		})
		if !errors.Is(err, errPaused) {
			return page, err
		}
	}
}

func idList(ids []hubspot.ID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return strings.Join(texts, ",")
}

// Snapshot is the snapshot under way that a signal asked for.
type Snapshot struct {
	Signal  string `json:"signal"` // the operator's name for it
	Object  string `json:"object"`
	Records int64  `json:"records"` // so far
	Of      int    `json:"of"`      // roughly
	ID      string `json:"id"`      // the last one that is done
	Waiting int    `json:"waiting"` // snapshots that come after it
}

// Snapshot sets the snapshot under way, nil for none.
func (s *Status) Snapshot(now *Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snapshot = now
	s.snapshotAt(now)
}

// SnapshotRunning returns the snapshot under way that a signal asked for, or nil.
func (s *Status) SnapshotRunning() *Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshot
}
