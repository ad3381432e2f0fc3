package connector

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/connector/page"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// lateAfter is the age at which the search for changes counts as behind. Where no
// interval is set, one search begins within two minutes of the other.
const lateAfter = 3 * time.Minute

// behind lists what is not up to date: what has not been read at all yet, streams that
// have a problem, and types in which nobody has looked for changes for minutes. What
// has one reason is one entry. since is when the run began.
func (h *health) behind(objects []page.Object, problems []stream.Problem, since time.Time) []page.Behind {
	late := lateness{max(lateAfter, 3*h.setup.Config.Sync.LeadingInterval), since, h.status}
	out := []page.Behind{}
	add := func(same func(*page.Behind) bool, object, name string, seconds *float64, why, action string) {
		i := slices.IndexFunc(out, func(b page.Behind) bool { return same(&b) })
		if i < 0 {
			i, out = len(out), append(out, page.Behind{Why: why, Action: action})
		}
		b := &out[i]
		b.Objects, b.Streams = with(b.Objects, object), with(b.Streams, name)
		if seconds != nil && (b.Seconds == nil || *b.Seconds < *seconds) {
			b.Seconds = seconds
		}
	}
	for i := range objects {
		o := &objects[i]
		said := map[string]bool{}
		for _, p := range problems {
			if p.Area != stream.ProblemArea || p.Object != o.Object {
				continue
			}
			said[p.Stream] = true
			add(func(b *page.Behind) bool {
				return b.Action == p.Action && (slices.Equal(b.Objects, []string{o.Object}) || b.Why == p.Problem && slices.Equal(b.Streams, []string{p.Stream}))
			}, o.Object, p.Stream, age(o, p.Stream), p.Problem, p.Action)
		}
		if said[offsets.PausedStream] {
			continue // that is the reason
		}
		alike := func(why, action string) func(*page.Behind) bool {
			return func(b *page.Behind) bool { return b.Why == why && b.Action == action }
		}
		if first, does := firstRead(o); first != "" && !said[first] {
			why, action := because(problems, does)
			add(alike(why, action), o.Object, first, nil, why, action)
		}
		if behind := age(o, offsets.LeadingStream); behind != nil && *behind > late.after.Seconds() && !said[offsets.LeadingStream] {
			why, action := because(problems, late.why(o.Object))
			add(alike(why, action), o.Object, offsets.LeadingStream, behind, why, action)
		}
	}
	slices.SortStableFunc(out, func(a, b page.Behind) int { return cmp.Compare(order(&a), order(&b)) })
	return out
}

// lateness is when the search for changes of an object counts as behind, and why it may be.
type lateness struct {
	after  time.Duration
	since  time.Time // when the run began
	status *stream.Status
}

func (l *lateness) why(object string) string {
	began := l.since
	if resumed := l.status.Resumed(object); resumed.After(began) {
		began = resumed
	}
	if time.Since(began) < l.after {
		return "the search for changes goes on since " + began.UTC().Format(time.RFC3339) + " (it was paused, or the connector did not run), and catches up"
	}
	return "no search for changes has ended for minutes: it finds many, waits for its share of HubSpot's limits, or begins seldom, because other streams use the idle share of the day"
}

func with(all []string, one string) []string {
	if slices.Contains(all, one) {
		return all
	}
	return append(all, one)
}

// order puts what needs somebody first.
func order(b *page.Behind) int {
	if b.Action != "" {
		return 0
	}
	return 1
}

// because is why a stream without a problem of its own is behind: what the whole
// connector lacks, or else what is said.
func because(problems []stream.Problem, otherwise string) (why, action string) {
	for _, p := range problems {
		if p.Area != stream.ProblemArea && p.Area != areaLoading {
			return p.Problem, p.Action
		}
	}
	return otherwise, ""
}

// firstRead is the stream that reads an object for the first time, and what it does;
// "" if none does.
func firstRead(o *page.Object) (name, does string) {
	for i := range o.Passes {
		if p := &o.Passes[i]; p.First {
			return p.Stream, "being read for the first time; changes are followed already"
		}
	}
	switch {
	case o.Backfill != "running":
		return "", ""
	case strings.Contains(o.Object, ":"):
		return offsets.AssociationsStream, "its links are read once the backfill of its first type is done"
	}
	return "", ""
}

func age(o *page.Object, name string) *float64 {
	for i := range o.Streams {
		if o.Streams[i].Stream == name {
			return o.Streams[i].Behind
		}
	}
	return nil
}
