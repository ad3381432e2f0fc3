package stream

import (
	"context"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// What the journal may have carried and nobody will read there: its place is lost, or
// a file is passed over. Everything is then read again. The cursor says so until that
// has ended.

// outlived reports that the place is of a file that HubSpot has dropped for its age,
// while this run has seen that nothing came after it.
func (j *Journal) outlived() bool {
	kept := j.now().Add(-journalKept)
	return j.Place.Published < kept && j.empty > kept
}

// lost decides what becomes of a place that HubSpot no longer has.
func (j *Journal) lost(ctx context.Context) error {
	if j.outlived() {
		return j.move(ctx, offsets.Journal{Published: j.empty, Lost: j.Place.Lost})
	}
	if j.places++; j.places > 1 { // one that it has just given
		if err := j.rest(ctx, min(journalRetry<<min(j.places-1, 10), journalPatience)); err != nil {
			return err
		}
	}
	return j.lose(ctx, "the journal no longer has the place where it was left")
}

// lose gives up the place, and continues with the earliest file.
func (j *Journal) lose(ctx context.Context, why string) error {
	j.sayLost(why+": reading what it still has, and every record and association again", "cursor", string(j.Place.Bytes()))
	return j.miss(ctx, offsets.Journal{})
}

// sayLost tells of the first of several losses.
func (j *Journal) sayLost(what string, attrs ...any) {
	say := j.Log.Warn
	if j.Place.Lost > 0 {
		say = j.Log.Debug
	}
	say(what, attrs...)
}

// miss moves to a place before which something may be missing.
func (j *Journal) miss(ctx context.Context, to offsets.Journal) error {
	j.Audit.Broken()
	to.Lost = j.now()
	return j.move(ctx, to)
}

// Everything is read again at once after a loss, but not sooner than rereadLeast after
// it was for another one, growing to rereadMost while losses go on. Polling finds the
// changes meanwhile, as often as without a journal.
const (
	rereadLeast = 10 * time.Minute
	rereadMost  = 24 * time.Hour
)

// rereads is how often everything was read again for losses.
type rereads struct {
	lost  hubspot.Millis // the loss that is being made good; zero: none is
	since hubspot.Millis // a reading that began then, or later, began after the loss
	next  hubspot.Millis // not before this is it another's turn
	wait  time.Duration
}

// begin begins to make a loss good. HubSpot's time as we know it may have gone back
// since the loss, by up to a second: a reading that begins now would count as one from
// before it, and everything would be read twice. begun reports whether a reading has
// begun since a time.
func (r *rereads) begin(lost, now hubspot.Millis, begun func(since hubspot.Millis) bool) {
	if now > r.next.Add(rereadMost) {
		r.wait = 0
	}
	r.wait = min(max(2*r.wait, rereadLeast), rereadMost)
	r.lost, r.since, r.next = lost, lost, now.Add(r.wait)
	if now < lost && !begun(now) {
		r.since = now
	}
}

// settled has everything read again after something was lost, and forgets the loss
// once that has ended. What is followed only later is read again then.
func (j *Journal) settled(ctx context.Context) error {
	lost := j.Place.Lost
	if lost == 0 {
		return nil
	}
	objects, pairs, err := j.following(ctx)
	if err != nil {
		return err
	}
	if j.again.lost == 0 {
		now := j.now()
		if now < j.again.next {
			return nil
		}
		j.again.begin(lost, now, func(since hubspot.Millis) bool {
			return slices.ContainsFunc(objects, func(o *Object) bool { return o.sweeps.begunSince(since) }) ||
				slices.ContainsFunc(pairs, func(p *Pair) bool { return p.sweeps.begunSince(since) })
		})
	}
	left := false
	for _, o := range objects {
		if !o.sweeps.begunSince(j.again.since) {
			o.askReconcile()
		}
		left = left || !o.sweeps.endedSince(j.again.since)
	}
	for _, p := range pairs {
		if !p.sweeps.begunSince(j.again.since) {
			p.SweepNow()
		}
		left = left || !p.sweeps.endedSince(j.again.since)
	}
	if left {
		return nil
	}
	if j.again.lost != lost { // there was another one meanwhile
		j.again.lost = 0
		return nil
	}
	if j.awaits() {
		return nil
	}
	j.again.lost = 0
	for _, o := range objects {
		j.Status.Clear(o.Type.Name, offsets.JournalStream)
	}
	j.Log.Info("everything was read again since the journal's place was lost")
	to := *j.Place
	to.Lost = 0
	return j.move(ctx, to)
}

func (j *Journal) awaits() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.awaited
}
