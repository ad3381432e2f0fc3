package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// pauses are the object types and pairs whose streams an operator has paused, and
// whether snapshots are. Their streams end their pass, and begin it again after the
// pause: every pass goes on from what is committed, as it does after a refusal of
// HubSpot's. The zero value is ready to use.
type pauses struct {
	mu      sync.Mutex
	objects map[string]hubspot.Millis
	owed    map[string]hubspot.Millis // offsets.Paused.Owed
	all     hubspot.Millis            // of the snapshots; 0: they are not paused
	changed chan struct{}             // closed by the next change; nil: nobody waits
	passes  map[*passing]bool
	resumed map[string]time.Time // when the latest pause ended, by our clock
}

// errPaused ends a pass.
var errPaused = errors.New("paused by a signal")

// pausedError says what is paused.
type pausedError struct {
	what, resume string
	since        hubspot.Millis
}

func (e *pausedError) Error() string {
	return fmt.Sprintf("%s have been paused by a signal since %s", e.what, e.since)
}

func (e *pausedError) action() string {
	return "send " + e.resume + " (connector signal " + e.resume + ") when they may go on; they go on where they stopped"
}

// set makes the pauses what they are from now on.
func (p *pauses) set(objects map[string]hubspot.Millis, snapshots hubspot.Millis) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name := range p.objects {
		if _, still := objects[name]; still {
			continue
		}
		if p.resumed == nil {
			p.resumed = map[string]time.Time{}
		}
		p.resumed[name] = time.Now()
	}
	p.objects, p.all = objects, snapshots
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
	for pass := range p.passes {
		if p.paused(pass.object, pass.snapshot) {
			pass.cancel(errPaused)
		}
	}
}

// paused reports whether an object is paused, or a snapshot of it is. The caller
// holds the lock.
func (p *pauses) paused(object string, snapshot bool) bool {
	_, is := p.objects[object]
	return is || snapshot && p.all != 0
}

// get returns the pauses.
func (p *pauses) get() (objects map[string]hubspot.Millis, snapshots hubspot.Millis) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if objects = maps.Clone(p.objects); objects == nil {
		objects = map[string]hubspot.Millis{}
	}
	return objects, p.all
}

// look is paused, and changed is closed when that may be different.
func (p *pauses) look(object string, snapshot bool) (paused bool, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.paused(object, snapshot), p.changed
}

// Paused reports whether the streams of an object type or a pair are paused.
func (s *Status) Paused(object string) bool {
	s.pauses.mu.Lock()
	defer s.pauses.mu.Unlock()
	return s.pauses.paused(object, false)
}

// Resumed is when the latest pause of an object type or a pair ended in this run, zero
// where there was none.
func (s *Status) Resumed(object string) time.Time {
	s.pauses.mu.Lock()
	defer s.pauses.mu.Unlock()
	return s.pauses.resumed[object]
}

// wait returns when an object is not paused. first, unless nil, is called if it is.
func (p *pauses) wait(ctx context.Context, object string, snapshot bool, first func()) error {
	for {
		paused, changed := p.look(object, snapshot)
		if !paused {
			return ctx.Err()
		}
		if first != nil {
			first()
			first = nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// passing is work that a pause ends.
type passing struct {
	object   string
	snapshot bool
	cancel   context.CancelCauseFunc
}

// during does some work until it ends or the object is paused; then it returns
// errPaused.
func (p *pauses) during(ctx context.Context, object string, snapshot bool, work func(context.Context) error) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	pass := &passing{object, snapshot, cancel}
	p.enter(pass)
	defer p.leave(pass)
	err := work(inner)
	if err != nil && !errors.Is(err, errFinished) && errors.Is(context.Cause(inner), errPaused) && ctx.Err() == nil {
		return errPaused
	}
	return err
}

func (p *pauses) enter(pass *passing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.passes == nil {
		p.passes = map[*passing]bool{}
	}
	p.passes[pass] = true
	if p.paused(pass.object, pass.snapshot) {
		pass.cancel(errPaused)
	}
}

func (p *pauses) leave(pass *passing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.passes, pass)
}

// excuseFor is how long after a pause what polling finds says nothing about the
// journal: it is what the journal told during the pause.
const excuseFor = time.Hour

// pausable is what a signal can pause. After a pause everything is read once more,
// because the journal told of changes meanwhile.
type pausable interface {
	collection
	readAgain()                                 // asks for a sweep
	readSince(hubspot.Millis) (begun, all bool) // a sweep that began then or later has begun, has shown everything
}

// excuse keeps the journal from being blamed, until then, for what it did not name
// of an object.
func (a *Audit) excuse(object string, until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.excused == nil {
		a.excused = map[string]time.Time{}
	}
	a.excused[object] = until
}

// showPauses makes the status show what is paused.
func (s *Status) showPauses(objects map[string]hubspot.Millis, snapshots hubspot.Millis) {
	was, all := s.pauses.get()
	for name, since := range objects {
		s.Problem(name, offsets.PausedStream, &pausedError{"its streams", "resume", since})
	}
	if snapshots != 0 {
		s.Problem("", offsets.PausedStream, &pausedError{"the snapshots that signals asked for", "resume-snapshot", snapshots})
	}
	s.pauses.set(objects, snapshots) // before it clears anything: Resumed says why something is behind
	for name := range was {
		if _, still := objects[name]; !still {
			s.Clear(name, offsets.PausedStream)
		}
	}
	if snapshots == 0 && all != 0 {
		s.Clear("", offsets.PausedStream)
	}
}
