package connector

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

const (
	// noticeSettle is how long a problem lasts before it is told, and stays away
	// before that is told. What comes and goes faster is no news to anybody.
	noticeSettle = 5 * time.Second
	// runSettle is how long a run may take to meet again the problems of the run
	// before it. Until then, that one is not there means nothing, unless its stream has
	// succeeded.
	runSettle = time.Minute
)

// changes is what a look sees of the problems, over time.
type changes struct {
	run   *sink.Sink           // of the run that streams; nil: none does
	since time.Time            // since when it does
	came  map[string]time.Time // problems that are not told yet
	went  map[string]time.Time // problems that are told and are not there
}

// young reports whether a run may not have met the problems of the run before it yet.
func (c *changes) young() bool { return c.run == nil || time.Since(c.since) < runSettle }

// lookAtProblems tells of problems that came and went.
func (n *notices) lookAtProblems(owner, standby bool) {
	c, now := &n.changes, time.Now()
	there := map[string]stream.Notice{}
	problems := n.health.dependencies()
	if owner {
		problems = append(problems, n.health.status.Problems()...)
	}
	for _, p := range problems {
		notice := ofProblem(p)
		there[about(notice)] = notice
	}
	settled := owner && n.known && !c.young()
	for _, key := range slices.Sorted(maps.Keys(there)) {
		if _, open := n.told.open[key]; !open && !standby && c.lasts(c.came, key, now) { // the owner sees the same, and more
			n.sayProblem(there[key], stream.NoticeRaised, stream.NoticeHeld)
		}
	}
	maps.DeleteFunc(c.came, func(key string, _ time.Time) bool { _, still := there[key]; return !still })
	for _, key := range slices.Sorted(maps.Keys(n.told.open)) {
		notice := n.told.open[key]
		_, still := there[key]
		ended := !still && notice.Aggregate == stream.NoticeProblem
		proven := settled || n.health.status.Proven(notice.Data[stream.DataObject], notice.Data[stream.DataStream])
		unknown := notice.Data[stream.DataArea] == stream.ProblemArea && !proven || !owner && !standby || owner && !n.known
		switch {
		case !ended || unknown:
			delete(c.went, key)
		case c.lasts(c.went, key, now):
			n.sayProblem(notice, stream.NoticeCleared, stream.NoticeReleased)
		}
	}
}

// lasts reports whether a change has lasted long enough to be told.
func (c *changes) lasts(since map[string]time.Time, key string, now time.Time) bool {
	began, seen := since[key]
	if !seen {
		since[key] = now
		return false
	}
	if now.Sub(began) < noticeSettle {
		return false
	}
	delete(since, key)
	return true
}

func ofProblem(p stream.Problem) stream.Notice {
	return stream.Notice{Aggregate: stream.NoticeProblem, Data: map[string]string{
		stream.DataArea: p.Area, stream.DataObject: p.Object, stream.DataStream: p.Stream,
		stream.DataProblem: p.Problem, stream.DataAction: p.Action, stream.DataRunbook: p.Runbook, stream.DataSince: p.Since.UTC().Format("2006-01-02T15:04:05.000Z"),
	}}
}

// sayProblem tells that a problem came or went, and of the brake in its own words
// too.
func (n *notices) sayProblem(about stream.Notice, what, ofBrake string) {
	notice := func(aggregate, what string) stream.Notice {
		return n.complete(stream.Notice{Aggregate: aggregate, Type: what, Data: maps.Clone(about.Data)})
	}
	said := notice(stream.NoticeProblem, what)
	n.told.note(said)
	n.add(said)
	if (stream.Problem{Area: said.Data[stream.DataArea], Stream: said.Data[stream.DataStream]}).Brake() {
		n.add(notice(stream.NoticeBrake, ofBrake))
	}
}

// lookAtSweeps tells of backfills, and of the first sweeps of pairs and lists.
// swept are those that had ended before the run began.
func (n *notices) lookAtSweeps(swept map[string]bool) {
	now := n.health.status.Backfills()
	say := func(object, what string, more map[string]string) {
		notice := stream.Notice{Aggregate: stream.InitialSnapshot, Type: what, Data: map[string]string{stream.DataCollections: object}}
		maps.Copy(notice.Data, more)
		if notice = n.complete(notice); n.told.note(notice) {
			n.add(notice)
		}
	}
	young := n.changes.young()
	for _, object := range slices.Sorted(maps.Keys(now)) {
		done := now[object] == "done"
		// A run first shows everything as under way.
		if !swept[object] || !done && !young && !n.health.status.Paused(object) {
			say(object, stream.NoticeStarted, nil)
		}
		begun, open := n.told.backfill(object)
		paused := n.health.status.Paused(object)
		switch {
		case !open:
		case done:
			say(object, stream.NoticeCompleted, map[string]string{stream.DataRows: strconv.Itoa(n.health.status.Live()[object])})
			swept[object] = true
		case paused && begun.Type != stream.NoticePaused:
			say(object, stream.NoticePaused, nil)
		case !paused && begun.Type == stream.NoticePaused:
			say(object, stream.NoticeResumed, nil)
		}
	}
	if young {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(n.told.open)) {
		notice := n.told.open[key]
		object := notice.Data[stream.DataCollections]
		if _, there := now[object]; notice.Aggregate == stream.InitialSnapshot && !there && !n.awaited(object) {
			say(object, stream.NoticeAborted, nil)
		}
	}
}

// awaited reports whether a problem may keep an object from being followed again: its
// own, that of an end of a pair, or that HubSpot does not answer.
func (n *notices) awaited(object string) bool {
	ends := strings.Split(object, ":")
	return len(n.health.dependencies()) > 0 || slices.ContainsFunc(n.health.status.Problems(), func(p stream.Problem) bool {
		return p.Object == object || slices.Contains(ends, p.Object)
	})
}

// lookAtSnapshots tells, once in a run, of the snapshots that the run before it had
// completed and not told of, and of the one that this run cannot go on with.
func (n *notices) lookAtSnapshots() {
	n.mu.Lock()
	unfinished := n.unfinished
	n.mu.Unlock()
	if unfinished == nil {
		return
	}
	left, dropped, known := unfinished()
	if !known {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(n.told.open)) {
		begun := n.told.open[key]
		if begun.Aggregate != stream.IncrementalSnapshot || slices.Contains(left, begun.Data[stream.DataOffset]) {
			continue
		}
		ended := stream.NoticeCompleted
		if begun.Data[stream.DataOffset] == dropped {
			ended = stream.NoticeAborted
		}
		notice := n.complete(stream.Notice{ID: begun.ID, Aggregate: begun.Aggregate, Type: ended, Data: map[string]string{
			stream.DataCollections: begun.Data[stream.DataCollections], stream.DataOffset: begun.Data[stream.DataOffset],
		}})
		n.told.note(notice)
		n.add(notice)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unfinished = nil
}

// swept lists the objects whose backfill, or first sweep, earlier runs have ended.
func swept(l *offsets.Loaded) map[string]bool {
	out := map[string]bool{}
	for key, value := range l.Cursors {
		switch key.Stream {
		case offsets.BackfillStream:
			s, err := offsets.ParseSweep(value)
			out[key.Object] = err == nil && s.Done
		case offsets.AssociationsStream:
			s, err := offsets.ParseAssociations(value)
			out[key.Object] = err == nil && s.Completed != 0
		case offsets.ReferenceStream:
			s, err := offsets.ParseReference(value)
			out[key.Object] = err == nil && s.Completed != 0
		}
	}
	return out
}

// tellSchema tells what came, went or changed of an object type or a pair.
func (r *run) tellSchema(object string, changes map[string][]string) {
	data := map[string]string{stream.DataObject: object}
	for what, names := range changes {
		if text := strings.Join(names, ", "); text != "" {
			data[what] = text
		}
	}
	r.tell(stream.Notice{Aggregate: stream.NoticeSchema, Type: stream.NoticeChanged, Data: data})
}
