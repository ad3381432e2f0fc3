package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// stuck are the records of an object type, or of a pair, about which HubSpot does
// not answer even when asked for one alone (R18). What is published of them stays.
// Pages and cursors go on without them, and the stream Stuck asks for them again.
type stuck struct {
	object  string
	status  *Status
	metrics *Metrics
	log     *slog.Logger
	commit  func(context.Context, cdc.Cursor) error
	wake    chan struct{} // one slot: an id was added

	turn chan struct{} // one slot: cursors are committed in the order of what they say
	said []hubspot.ID  // what the cursor says; who has put something in turn may use it

	sizes pageSizes // of the questions

	mu      sync.Mutex
	ids     map[hubspot.ID]*stuckID
	latest  error     // why HubSpot did not answer about the latest one
	doubted time.Time // when HubSpot failed to answer about a known record too
}

// stuckID is when to ask for an id again.
type stuckID struct {
	due   time.Time
	wait  time.Duration
	again bool // it is being asked for
	waits bool // HubSpot has answered, and another confirm is needed
}

const (
	// stuckFirst and stuckLongest are the waits before an id is asked for again.
	stuckFirst   = time.Minute
	stuckLongest = time.Hour
	// stuckMost is how many ids may be stuck. Beyond that it is the object type or
	// the pair that cannot be read, not some of its records.
	stuckMost = 1000
	// stuckPatient is up to how many of them are asked for again without a longer
	// wait while HubSpot fails known records too: it is HubSpot that is ill then,
	// and each of them may be fine the moment it is well again.
	stuckPatient = 100
)

// newStuck begins with the ids that an earlier run left. commit commits the cursor.
func newStuck(of subject, metrics *Metrics, ids []hubspot.ID, commit func(context.Context, cdc.Cursor) error) *stuck {
	s := &stuck{
		object: of.name, status: of.status, metrics: metrics, log: of.log, commit: commit,
		turn: make(chan struct{}, 1), wake: make(chan struct{}, 1), ids: map[hubspot.ID]*stuckID{},
		said: slices.Sorted(slices.Values(ids)),
	}
	for _, id := range ids { // asked for at once
		s.ids[id] = &stuckID{due: time.Now(), wait: stuckFirst / 2}
	}
	return s
}

// has reports whether an id is not to be asked for now.
func (s *stuck) has(id hubspot.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.ids[id]
	return one != nil && !one.again
}

func (s *stuck) retrying(id hubspot.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.ids[id]
	return one != nil && one.again
}

// full reports whether there is no place for one of some ids. Those that are stuck
// already have theirs.
func (s *stuck) full(ids []hubspot.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ids) >= stuckMost && len(s.unanswered()) >= stuckMost && slices.ContainsFunc(ids, func(id hubspot.ID) bool { return s.ids[id] == nil })
}

// unanswered are those of all that HubSpot has not answered about since. The caller
// holds mu.
func (s *stuck) unanswered() (ids []hubspot.ID) {
	for id, one := range s.ids {
		if !one.waits {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (s *stuck) all() []hubspot.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.ids))
}

// ask asks a protocol's question, in parts where HubSpot does not answer it whole.
func (s *stuck) ask(ctx context.Context, q cdc.Ask, answer func(cdc.Ask) (cdc.Answer, error)) (a cdc.Answer, err error) {
	err = s.patiently(ctx, func() error {
		most, trial := s.sizes.now(hubspot.MaxLinks), false
		if len(q.IDs)+len(q.Links) > most {
			if size, due := s.sizes.larger(hubspot.MaxLinks); due {
				most, trial = size, true
			}
		}
		parts := cdc.NewParts(q, most, s.has, s.full(q.Own()))
		for part, more := parts.Next(); more; part, more = parts.Next() {
			a, err := answer(part)
			switch {
			case hubspot.Divisible(err):
				parts.Fail(err)
			case err != nil:
				return err
			default:
				parts.Take(a)
			}
		}
		if size, heavy := parts.Size(); heavy {
			s.sizes.set(size)
		} else if trial && parts.Whole() {
			s.sizes.grew(most, hubspot.MaxLinks)
		}
		if parts.Doubted() {
			s.mu.Lock()
			s.doubted = time.Now()
			s.mu.Unlock()
		}
		if a, err = parts.Answer(); err == nil && len(a.Stuck) > 0 && parts.Why() != nil {
			s.mu.Lock()
			s.latest = parts.Why()
			s.mu.Unlock()
		}
		return err
	})
	return a, err
}

// patiently repeats what HubSpot does not answer although it answers other things,
// and although the records are not the reason: one of its APIs is down.
func (s *stuck) patiently(ctx context.Context, try func() error) error {
	said := false
	defer func() {
		if said {
			s.status.Clear(s.object, answersPart)
		}
	}()
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		err := try()
		if !hubspot.Unanswered(err) {
			return err
		}
		said = true
		s.status.Problem(s.object, answersPart, err)
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// set notes that HubSpot does not answer about some ids, and commits the cursor:
// before the page that named them is committed without them.
func (s *stuck) set(ctx context.Context, ids []hubspot.ID) error {
	added := false
	s.mu.Lock()
	for _, id := range ids {
		switch one := s.ids[id]; {
		case one == nil:
			s.ids[id] = &stuckID{due: time.Now().Add(stuckFirst), wait: stuckFirst}
			added = true
		case one.again:
			one.again, one.waits = false, false
			if len(s.ids) > stuckPatient || time.Since(s.doubted) > one.wait {
				one.wait = min(2*one.wait, stuckLongest)
			}
			one.due = time.Now().Add(one.wait)
		}
	}
	why := s.latest
	s.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	if added {
		s.log.Warn("HubSpot does not answer about some records; they stay as published, everything else continues, and the connector asks again",
			"stream", offsets.StuckStream, "ids", idList(firstShown(s.all())), "err", why)
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return s.save(ctx)
}

// unset forgets ids that were read, but for those that another confirm waits for: a
// sweep that has ended without them has not shown them yet, and the next run knows
// that from the cursor alone (R17).
func (s *stuck) unset(ctx context.Context, ids, waiting []hubspot.ID) error {
	var gone []hubspot.ID
	s.mu.Lock()
	for _, id := range ids {
		switch one := s.ids[id]; {
		case one == nil || !one.again:
		case slices.Contains(waiting, id): // whoever comes upon it may ask for it
			if one.wait = min(2*one.wait, stuckLongest); !one.waits {
				one.waits, one.wait = true, stuckFirst
			}
			one.due = time.Now().Add(one.wait)
		default:
			delete(s.ids, id)
			gone = append(gone, id)
		}
	}
	s.mu.Unlock()
	if len(gone) > 0 {
		s.log.Info("HubSpot answers about some records again", "stream", offsets.StuckStream, "ids", idList(firstShown(gone)))
	}
	return s.save(ctx)
}

// save commits the cursor if that says something else, and shows what is stuck. A pass
// may end before its commit: the next one makes up for it.
func (s *stuck) save(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.turn }()
	s.show()
	ids := s.all()
	if slices.Equal(ids, s.said) {
		return nil
	}
	cursor := cdc.Cursor{Object: s.object, Stream: offsets.StuckStream}
	if len(ids) > 0 {
		cursor.Value = offsets.Stuck{IDs: ids}.Bytes()
	}
	if err := s.commit(ctx, cursor); err != nil {
		return fmt.Errorf("commit what is stuck of %s: %w", s.object, err)
	}
	s.said = ids
	return nil
}

func (s *stuck) show() {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := s.unanswered()
	s.metrics.stuck.WithLabelValues(s.object).Set(float64(len(ids)))
	if len(ids) == 0 {
		s.status.Clear(s.object, offsets.StuckStream)
		return
	}
	s.status.Problem(s.object, offsets.StuckStream, &stuckError{ids, s.latest})
}

// stuckError names the records that are stuck.
type stuckError struct {
	ids []hubspot.ID
	why error // nil after a restart, until they are asked for again
}

// stuckShown is how many ids a problem or a log line names.
const stuckShown = 20

func firstShown(ids []hubspot.ID) []hubspot.ID { return ids[:min(stuckShown, len(ids))] }

func (e *stuckError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "HubSpot does not answer about %d records: %s", len(e.ids), idList(firstShown(e.ids)))
	if len(e.ids) > stuckShown {
		b.WriteString(" …")
	}
	if e.why != nil {
		b.WriteString(" (" + e.why.Error() + ")")
	}
	return b.String()
}

func (e *stuckError) Unwrap() error { return e.why }

// take returns the ids that are due, at most n, and how long until the next one is.
func (s *stuck) take(n int) (ids []hubspot.ID, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	wait = stuckLongest
	for id, one := range s.ids {
		if left := one.due.Sub(now); left > 0 {
			wait = min(wait, left)
		} else if len(ids) < n {
			ids, one.again = append(ids, id), true
		}
	}
	slices.Sort(ids)
	return ids, wait
}

// giveBack undoes take, after HubSpot refused to answer at all.
func (s *stuck) giveBack(ids []hubspot.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if one := s.ids[id]; one != nil && one.again {
			one.again, one.due = false, time.Now().Add(recheckRetry)
		}
	}
}

// Stuck asks again for the records that HubSpot does not answer about, with growing
// waits.
type Stuck struct {
	set  *stuck
	of   subject
	most int // ids that one question takes
	// publish reads ids and publishes them. It returns those that another confirm waits
	// for (R9).
	publish  func(ctx context.Context, ids []hubspot.ID) (waiting []hubspot.ID, err error)
	verified *verification
}

// Stuck is the stream of the type's stuck records.
func (o *Object) Stuck() *Stuck {
	return &Stuck{o.stuck, subject{o.Type.Name, o.Status, o.Log}, hubspot.MaxBatch, func(ctx context.Context, ids []hubspot.ID) ([]hubspot.ID, error) {
		readings, err := o.read(ctx, hubspot.Confirm, ids)
		if err == nil {
			_, err = o.publishes(ctx, cdc.Page{Stream: offsets.StuckStream, Readings: readings}) // others may be stuck still
		}
		if err != nil {
			return nil, err
		}
		return o.Lane.GoneBefore(ctx, ids)
	}, o.verified}
}

// StillUnread are the records whose links are stuck.
func (p *Pair) StillUnread() []hubspot.ID { return p.stuck.all() }

// Stuck is the stream of the records whose links are stuck. Only a sweep of one run
// shows everything of a pair, so nothing that waits need be in the cursor.
func (p *Pair) Stuck() *Stuck {
	return &Stuck{p.stuck, p.subject(), hubspot.MaxLinks, func(ctx context.Context, ids []hubspot.ID) ([]hubspot.ID, error) {
		readings, err := p.read(ctx, hubspot.Confirm, ids)
		if err != nil {
			return nil, err
		}
		return nil, p.publish(ctx, cdc.LinkPage{Stream: offsets.AssociationsStream, Readings: readings})
	}, p.verified}
}

// Run asks until ctx ends.
func (s *Stuck) Run(ctx context.Context) error {
	s.set.show()
	return superviseAs(ctx, s.of, offsets.StuckStream, func() time.Duration { return 0 }, s.pass)
}

func (s *Stuck) pass(ctx context.Context) error {
	ids, wait := s.set.take(s.most)
	if len(ids) == 0 {
		if err := s.set.save(ctx); err != nil {
			return err
		}
		return s.set.idle(ctx, wait)
	}
	waiting, err := s.publish(ctx, ids)
	if err != nil {
		s.set.giveBack(ids)
		return err
	}
	if err := s.set.unset(ctx, ids, waiting); err != nil {
		return err
	}
	s.verified.settle(ctx)
	return nil
}

// idle returns when an id is added, or after d.
func (s *stuck) idle(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.wake:
	case <-t.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// errLeftOut is why a record is stuck that HubSpot's answers leave out (R8), or deny
// without anything that bears them out (R7).
var errLeftOut = errors.New("its answers leave them out, or deny them without proof")

// settle takes over what a protocol that has ended left: ids that HubSpot did not
// answer, and ids that its answers leave out.
func (s *stuck) settle(ctx context.Context, unanswered, leftOut []hubspot.ID) error {
	if len(leftOut) > 0 {
		if s.full(leftOut) {
			return fmt.Errorf("read %d records: HubSpot answers, but %w; %d others wait already", len(leftOut), errLeftOut, stuckMost)
		}
		s.mu.Lock()
		s.latest = errLeftOut
		s.mu.Unlock()
	}
	return s.set(ctx, slices.Concat(unanswered, leftOut))
}
