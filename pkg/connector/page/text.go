package page

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Text prints the status for a terminal.
func (s *Status) Text(w io.Writer) error {
	var b strings.Builder
	portal := ""
	if s.Portal != 0 {
		portal = fmt.Sprintf(", portal %d", s.Portal)
	}
	version := ""
	if s.Version != "" {
		version = ", version " + s.Version
	}
	fmt.Fprintf(&b, "%s. %s\n%s for %s%s%s\n", s.Headline(), s.Sentence(), s.Role, span(s.Age(s.Since)), portal, version)
	for _, g := range s.Together() {
		p := g.First
		fmt.Fprintf(&b, "\n! %s\n  what to do: %s\n  %s, for %s\n", p.Problem, p.Action, words(p.Area, join(g.Objects), join(g.Streams), p.Runbook), span(s.Age(p.Since)))
	}
	for i := range s.Behind {
		one := &s.Behind[i]
		late := ""
		if one.Seconds != nil {
			late = ", " + span(*one.Seconds) + " behind"
		}
		fmt.Fprintf(&b, "\n- %s: %s%s\n  %s\n", join(one.Objects), join(one.Streams), late, one.Why)
	}
	if f := s.Backfill; f != nil {
		fmt.Fprintf(&b, "\nBackfill of %s: %s\n", types(f.Types), far(f.Records, f.Expected, f.Percent, f.PerSecond, f.Left))
	}
	if n := s.Snapshot; n != nil {
		fmt.Fprintf(&b, "\nSnapshot %s: %s, %s of about %s, %d more wait\n", n.Signal, n.Object, count(n.Records), count(n.Of), n.Waiting)
	}
	s.tables(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func words(all ...string) string {
	var out []string
	for _, one := range all {
		if one != "" {
			out = append(out, one)
		}
	}
	return strings.Join(out, " ")
}

// tables prints objects and budget.
func (s *Status) tables(b *strings.Builder) {
	if len(s.Objects) > 0 {
		rows := [][]string{{"OBJECT", "LIVE", "CREATED", "UPDATED", "DELETED", "READ", "LEADING", "BACKFILL AND SWEEPS"}}
		for i := range s.Objects {
			o := &s.Objects[i]
			rows = append(rows, []string{
				o.Object, count(o.Live), count(o.Events.Created), count(o.Events.Updated), count(o.Events.Deleted), count(o.Events.Read), o.leading(), o.passes(),
			})
		}
		table(b, rows, 6)
	}
	rows := [][]string{{"LIMIT", "OF", "LEFT"}}
	for _, l := range s.Budget.Limits {
		rows = append(rows, []string{limitName(l.Limit), number(l.Of), number(l.Left)})
	}
	table(b, rows, 2)
	var calls []string
	for _, c := range s.Budget.Streams {
		if c.Calls > 0 {
			calls = append(calls, c.Stream+" "+count(c.Calls))
		}
	}
	if len(calls) == 0 {
		calls = []string{"none"}
	}
	fmt.Fprintf(b, "\n%s\nCalls: %s\nCommits: %s, %s failed\n", throttled(s.Budget.Throttled), strings.Join(calls, ", "), count(s.Commits.OK), count(s.Commits.Failed))
}

// table prints rows in columns. The numbers, so many columns after the first one, stand
// at the right.
func table(b *strings.Builder, rows [][]string, numbers int) {
	b.WriteByte('\n')
	for _, row := range rows {
		var line strings.Builder
		for c, cell := range row {
			width := 0
			for _, other := range rows {
				width = max(width, utf8.RuneCountInString(other[c]))
			}
			if c == 0 || c > numbers {
				width = -width
			}
			fmt.Fprintf(&line, "%*s  ", width, cell)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// leading is the age of the stream that finds changes first.
func (o *Object) leading() string {
	for _, a := range o.Streams {
		if a.Stream == "leading" && a.Behind != nil {
			return span(*a.Behind)
		}
	}
	return "-"
}

func (o *Object) passes() string {
	var out []string
	for _, p := range o.Passes {
		out = append(out, p.Stream+" "+far(p.Records, p.Expected, p.Percent, p.PerSecond, p.Left))
	}
	switch {
	case len(out) > 0:
		return strings.Join(out, "; ")
	case o.Backfill == "done":
		return "backfill done"
	case o.Backfill != "":
		return "waits for its backfill"
	}
	return "no run"
}
