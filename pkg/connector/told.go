package connector

import (
	"maps"
	"regexp"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/stream"
)

// told remembers which notices have begun something that has not ended: a snapshot
// or a problem.
type told struct {
	open  map[string]stream.Notice // by what it is about
	ended map[string]bool          // snapshots that signals asked for: a run reads signals again
}

func newTold() *told { return &told{map[string]stream.Notice{}, map[string]bool{}} }

// note takes a notice that is about to be written. It reports whether that is
// needed: a snapshot that goes on after a restart has been told.
func (t *told) note(n stream.Notice) bool {
	key := about(n)
	_, begun := t.open[key]
	switch {
	case key == "":
	case n.Type == stream.NoticeStarted || n.Type == stream.NoticeRaised:
		if !begun { // else the older one says when it began
			t.open[key] = n
		}
		delete(t.ended, key)
		return !begun
	case begun && (n.Type == stream.NoticePaused || n.Type == stream.NoticeResumed):
		of := t.open[key]
		of.Type = n.Type
		t.open[key] = of
	case n.Type == stream.NoticeCompleted || n.Type == stream.NoticeAborted || n.Type == stream.NoticeCleared:
		delete(t.open, key)
		if n.Aggregate == stream.IncrementalSnapshot {
			known := t.ended[key]
			t.ended[key] = true
			return !known
		}
	}
	return true
}

// backfill is the notice of an object's backfill, or first sweep, that has begun.
func (t *told) backfill(object string) (begun stream.Notice, open bool) {
	if len(t.open) == 0 { // an idle portal is asked every few seconds
		return stream.Notice{}, false
	}
	begun, open = t.open[about(stream.Notice{Aggregate: stream.InitialSnapshot, Data: map[string]string{stream.DataCollections: object}})]
	return begun, open
}

// recall takes what is in the topic, in its order. What this process has told
// itself counts more.
func (t *told) recall(all []stream.Notice) {
	there := newTold()
	for _, n := range all {
		there.note(n)
	}
	for key, n := range there.open {
		if _, own := t.open[key]; !own {
			t.open[key] = n
		}
	}
	maps.Copy(t.ended, there.ended)
}

// about says what a notice is about; empty: nothing that begins and ends.
func about(n stream.Notice) string {
	switch n.Aggregate {
	case stream.InitialSnapshot:
		return n.Aggregate + " " + n.Data[stream.DataCollections]
	case stream.IncrementalSnapshot:
		return n.Aggregate + " " + n.Data[stream.DataOffset]
	case stream.NoticeProblem:
		return strings.Join([]string{n.Aggregate, n.Data[stream.DataArea], n.Data[stream.DataObject], n.Data[stream.DataStream], withoutNumbers(n.Data[stream.DataProblem])}, " ")
	}
	return ""
}

var (
	numbered = regexp.MustCompile(`[\pL\pN._:-]*\pN[\pL\pN._:-]*`)
	numbers  = regexp.MustCompile(`#([, ]+#)+`)
)

// withoutNumbers is a text without its counts, ids, times and ports: with others it
// is still about the same problem.
func withoutNumbers(text string) string {
	return numbers.ReplaceAllString(numbered.ReplaceAllString(text, "#"), "#")
}

// leave forgets what the next owner goes on with, when this instance is none any
// more.
func (t *told) leave() {
	for key, n := range t.open {
		if n.Aggregate != stream.NoticeProblem || n.Data[stream.DataArea] == stream.ProblemArea {
			delete(t.open, key)
		}
	}
}
