package page

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Headline is the state in a word or two.
func (s *Status) Headline() string {
	switch {
	case s.Role == "standby":
		return "Standing by"
	case !s.Ready && s.Role == "starting" && s.wrong():
		return "Not streaming"
	case !s.Ready && s.Role == "starting":
		return "Starting"
	case !s.Ready:
		return "Not ready"
	case s.paused():
		return "Running, with pauses"
	case len(s.Problems) > 0:
		return "Running, with problems"
	case s.Backfill != nil:
		return "Running, first read under way"
	case len(s.Behind) > 0:
		return "Running, behind"
	}
	return "Up to date"
}

// Sentence says what the headline means for whoever looks.
func (s *Status) Sentence() string {
	wrong := s.wrong()
	switch {
	case s.Role == "standby" && wrong:
		return "Another instance streams. This one could not take over now; see the problems."
	case s.Role == "standby":
		return "Another instance streams, and its own page shows how far it is. This one takes over when that one ends. Nothing to do."
	case s.Role == "starting" && wrong:
		return "Nothing is published now. The connector goes on by itself, where it was, once the problem is solved."
	case s.Role == "starting":
		return "Nothing is published yet. Wait for the step below."
	case s.Ready && s.paused():
		return "A signal has paused what is listed below. After resume it goes on where it stopped, and nothing is lost. Everything else goes on."
	case wrong:
		return "Nothing is lost: what has a problem waits, and everything else goes on."
	case !s.Ready:
		return "Some streams have not started yet. Wait for the step below."
	case s.Backfill != nil || len(s.Behind) > 0:
		return "Nothing is wrong. It needs time."
	}
	return "All streams run. Nothing to do."
}

// Colour is the class of the headline.
func (s *Status) Colour() string {
	switch {
	case s.Headline() == "Up to date" || s.Headline() == "Standing by" && len(s.Problems) == 0:
		return "good"
	case s.wrong() && !s.paused():
		return "bad"
	}
	return "wait"
}

// paused reports whether the problems are pauses that signals asked for, and nothing else.
func (s *Status) paused() bool {
	return len(s.Problems) > 0 && !slices.ContainsFunc(s.Problems, func(p Problem) bool { return p.Stream != offsets.PausedStream })
}

// wrong reports whether there is a problem that waiting does not solve.
func (s *Status) wrong() bool {
	return slices.ContainsFunc(s.Problems, func(p Problem) bool { return p.Area != "loading" })
}

// Group is one problem, and all objects and streams that have it.
type Group struct {
	First   Problem // since the earliest
	Objects []string
	Streams []string
}

// Together lists the problems: those of an object with one cure as one, and those that
// several objects have alike.
func (s *Status) Together() (out []Group) {
	for _, g := range s.byObject() {
		i := slices.IndexFunc(out, func(o Group) bool {
			return o.First.Area == g.First.Area && o.First.Problem == g.First.Problem && o.First.Action == g.First.Action && slices.Equal(o.Streams, g.Streams)
		})
		if g.First.Object == "" || i < 0 {
			out = append(out, g)
			continue
		}
		out[i].Objects = append(out[i].Objects, g.First.Object)
		if g.First.Since.Before(out[i].First.Since) {
			out[i].First.Since = g.First.Since
		}
	}
	return out
}

func (s *Status) byObject() (out []Group) {
	for _, p := range s.Problems {
		i := slices.IndexFunc(out, func(g Group) bool {
			return g.First.Area == p.Area && g.First.Object == p.Object && g.First.Action == p.Action
		})
		if p.Object == "" || i < 0 {
			i, out = len(out), append(out, Group{First: p})
			if p.Object != "" {
				out[i].Objects = []string{p.Object}
			}
		}
		if p.Stream != "" {
			out[i].Streams = append(out[i].Streams, p.Stream)
		}
		if p.Since.Before(out[i].First.Since) {
			out[i].First.Since = p.Since
		}
	}
	return out
}

// Age is how many seconds before the status something was.
func (s *Status) Age(at time.Time) float64 { return s.Time.Sub(at).Seconds() }

// far says how far a pass is: "12 %, 12,000 of 100,000 records, 310 a second, 5 min left".
func far(records int, expected *int, percent *float64, perSecond float64, left *float64) string {
	parts := []string{count(records) + " records"}
	if expected != nil && percent != nil {
		parts = []string{decimal(*percent) + " %", count(records) + " of " + count(*expected) + " records"}
	}
	if perSecond > 0 {
		parts = append(parts, decimal(perSecond)+" a second")
	}
	if left != nil {
		parts = append(parts, span(*left)+" left")
	}
	return strings.Join(parts, ", ")
}

// span is a number of seconds, to two of its units.
func span(seconds float64) string {
	switch d := int64(seconds); {
	case seconds < 9.95:
		return decimal(max(0, seconds)) + " s"
	case d < 60:
		return fmt.Sprintf("%d s", d)
	case d < 60*60:
		return two(d, 60, "min", 1, "s")
	case d < 24*60*60:
		return two(d, 60*60, "h", 60, "min")
	default:
		return two(d, 24*60*60, "d", 60*60, "h")
	}
}

func two(d, large int64, name string, small int64, rest string) string {
	text := fmt.Sprintf("%d %s", d/large, name)
	if n := d % large / small; n > 0 {
		text += fmt.Sprintf(" %d %s", n, rest)
	}
	return text
}

// count writes a whole number with commas.
func count[N int | int64](n N) string {
	text := strconv.FormatInt(int64(n), 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// decimal writes a number with one decimal if it is small and has one.
func decimal(n float64) string {
	if n < 100 {
		return strings.TrimSuffix(strconv.FormatFloat(n, 'f', 1, 64), ".0")
	}
	return count(int64(n))
}

func types(n int) string {
	if n == 1 {
		return "1 object type"
	}
	return count(n) + " object types"
}

func number(n *float64) string {
	if n == nil {
		return "not known"
	}
	return decimal(*n)
}

func join(names []string) string {
	const most = 12
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

func limitName(name string) string {
	switch name {
	case "search":
		return "Searches a second"
	case "ten_seconds":
		return "Calls in ten seconds"
	case "day":
		return "Calls a day"
	}
	return name
}

func throttled(by map[string]int) string {
	var parts []string
	for _, policy := range slices.Sorted(maps.Keys(by)) {
		if by[policy] > 0 {
			parts = append(parts, count(by[policy])+" "+policy)
		}
	}
	if len(parts) == 0 {
		return "HubSpot has refused no call for its limits (429)."
	}
	return "HubSpot has refused calls for its limits (429): " + strings.Join(parts, ", ") + "."
}
