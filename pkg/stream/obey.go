package stream

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Resume takes over what signals had paused when the last run ended. Call it before
// any stream runs.
func (s *Signals) Resume(p offsets.Paused) {
	s.obeyed = p.Offset
	s.Status.showPauses(p.Objects, p.Snapshots)
	s.Status.pauses.setOwed(p.Owed, s.Status.now())
	for name := range p.Objects {
		s.Log.Info("the streams of an object are paused by a signal", "object", name)
	}
}

// obey does what takes effect as soon as it is read. A run reads again what came
// after the earliest unfinished signal, and obeys none of it twice.
func (s *Signals) obey(ctx context.Context, sig *signal, offset int64, log *slog.Logger) error {
	switch sig.Type {
	case logMessage:
		log.Info(strings.ReplaceAll(sig.Message, "{}", strconv.FormatInt(offset, 10)))
		return s.keep(ctx, offset, false)
	case pauseSnapshot, resumeSnapshot:
		s.pauseSnapshots(sig.Type == pauseSnapshot, log)
	case pauseStreams:
		s.pause(sig, log)
	case resumeStreams:
		s.resume(sig, log)
	}
	return s.keep(ctx, offset, true)
}

// keep makes the next run remember what is paused, and that a signal was obeyed.
func (s *Signals) keep(ctx context.Context, offset int64, now bool) error {
	return s.save(ctx, now, func() { s.obeyed = offset + 1 })
}

// save commits what is paused after a change. The latest commit has the latest change.
func (s *Signals) save(ctx context.Context, now bool, change func()) error {
	select {
	case s.saving <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.saving }()
	change()
	objects, snapshots := s.Status.pauses.get()
	place := offsets.Paused{Offset: s.obeyed, Objects: objects, Snapshots: snapshots, Owed: s.Status.pauses.owes()}
	return s.Committer.Commit(ctx, &cdc.Batch{Sync: now, Cursors: []cdc.Cursor{{Stream: offsets.PausedStream, Value: place.Bytes()}}})
}

// pauseSnapshots pauses the snapshots that were asked for, or lets them go on.
func (s *Signals) pauseSnapshots(paused bool, log *slog.Logger) {
	objects, since := s.Status.pauses.get()
	r, w, _ := s.inbox.next()
	switch {
	case paused && w == nil:
		log.Info("there is no snapshot to pause")
		return
	case paused && since != 0:
		log.Info("the snapshots are paused already")
		return
	case !paused && since == 0:
		log.Info("no snapshot is paused")
		return
	}
	what := NoticeResumed
	if since = 0; paused {
		since, what = s.Status.now(), NoticePaused
	}
	s.Status.showPauses(objects, since)
	log.Info("the snapshots are " + strings.ToLower(what))
	if r != nil {
		s.tellStarted(r)
		s.tellSnapshot(r, what, nil)
	}
}

// stop ends snapshots that were asked for before, of some collections or of all.
func (s *Signals) stop(some []*work, all bool) (stopped int) {
	s.telling.Lock()
	defer s.telling.Unlock()
	stopped, ended := s.inbox.stop(some, all)
	for _, r := range ended {
		s.tellSnapshot(r, NoticeAborted, nil)
	}
	return stopped
}

// pause stops the streams of some object types and pairs. Lists are read as a whole
// and need no pause.
func (s *Signals) pause(sig *signal, log *slog.Logger) {
	objects, snapshots := s.Status.pauses.get()
	var names []string
	for _, c := range s.collections() {
		if _, can := c.(pausable); can && sig.means(c) {
			names = append(names, c.name())
			if _, already := objects[c.name()]; !already {
				objects[c.name()] = s.Status.now()
			}
		}
	}
	slices.Sort(names)
	s.Status.showPauses(objects, snapshots)
	log.Info("streams are paused", "objects", strings.Join(names, ","))
}

// resume lets streams go on. They owe what the journal has told meanwhile.
func (s *Signals) resume(sig *signal, log *slog.Logger) {
	objects, snapshots := s.Status.pauses.get()
	var names []string
	for name := range objects {
		if len(sig.Collections) == 0 || slices.ContainsFunc(sig.Collections, func(entry string) bool { return namesObject(entry, name, s.Prefix) }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		delete(objects, name)
	}
	s.Status.pauses.owe(s.Status.now(), names...)
	s.Status.showPauses(objects, snapshots)
	select {
	case s.resumed <- struct{}{}:
	default:
	}
	log.Info("streams go on", "objects", strings.Join(names, ","))
}

// means reports whether a signal names a collection.
func (s *signal) means(c collection) bool {
	return slices.ContainsFunc(s.Collections, func(entry string) bool { return names(entry, c) })
}

// namesObject is names for a collection that may not be followed any more.
func namesObject(entry, name, prefix string) bool {
	entry = strings.ReplaceAll(entry, `\.`, ".")
	from, to, pair := strings.Cut(name, ":")
	topic := offsets.ObjectTopic(prefix, name)
	if pair {
		topic = offsets.PairTopic(prefix, cdc.Pair{From: from, To: to})
	}
	return entry == everything || entry == name || entry == topic
}

// endPause ends a pause of the snapshots when a stop has left none.
func (s *Signals) endPause(ctx context.Context, offset int64) error {
	objects, snapshots := s.Status.pauses.get()
	if _, w, _ := s.inbox.next(); w != nil || snapshots == 0 || offset < s.obeyed {
		return nil
	}
	s.Status.showPauses(objects, 0)
	return s.keep(ctx, offset, true)
}

// firstPausable returns the first collection that can be paused, if there is one.
func firstPausable(all []*work) (p pausable, ok bool) {
	for _, w := range all {
		if p, ok = w.of.(pausable); ok {
			return p, true
		}
	}
	return nil, false
}
