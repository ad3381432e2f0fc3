package check

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// write writes the plan under the table.
func (p *Plan) write(w io.Writer) error {
	if p == nil {
		_, err := fmt.Fprintln(w, "\nPLAN\nnone: HubSpot did not show what there is")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "\nPLAN\n")
	create := "not known, because the brokers did not show which there are"
	if p.ToCreate != nil {
		create = number(len(p.ToCreate))
	}
	if p.ToCreate != nil && p.Later > 0 {
		create += fmt.Sprintf(", and up to %s later: one for a pair of types at its first association, one for owners, pipelines and stages at the first entry", number(p.Later))
	}
	fmt.Fprintf(t, "topics to be created\t%s\n", create)
	switch b := &p.Backfill; {
	case p.Uncounted > 0 && len(p.Objects) == 0:
		fmt.Fprintf(t, "backfill\tnot known, because no type is counted\n")
	case b.Calls == 0:
		fmt.Fprintf(t, "backfill\tdone; HubSpot has %s\n", records(p.Records))
	case b.Left < p.Records:
		fmt.Fprintf(t, "backfill\t%s of HubSpot's %s left, in %s, about %s; then %s for associations\n",
			number(b.Left), records(p.Records), calls(b.Calls), span(b.Minutes/60), calls(b.Links))
	default:
		fmt.Fprintf(t, "backfill\t%s in %s, about %s; then %s for associations\n", records(p.Records), calls(b.Calls), span(b.Minutes/60), calls(b.Links))
	}
	if p.Uncounted > 0 && len(p.Objects) > 0 {
		fmt.Fprintf(t, "\tbesides %s, not counted\n", plural(p.Uncounted, "type"))
	}
	if p.Backfill.Days > 0 {
		fmt.Fprintf(t, "\tthat is more than today's calls allow: it takes about %s\n", plural(p.Backfill.Days, "day"))
	}
	for _, o := range p.Objects {
		text := records(o.Records)
		switch {
		case o.Calls == 0:
			text += ", backfill done"
		case o.Left < o.Records:
			text += fmt.Sprintf(", %s left, %s", number(o.Left), calls(o.Calls))
		default:
			text += ", " + calls(o.Calls)
		}
		fmt.Fprintf(t, "  %s\t%s\n", o.Object, text)
	}
	sum := number(p.IdleSum)
	if p.Limit > 0 {
		sum += fmt.Sprintf(", %s of the day's %s; %s of what the reserve leaves", percent(p.Share), number(p.Limit), percent(p.Ours))
	}
	fmt.Fprintf(t, "idle calls a day\t%s\n", sum)
	for _, s := range p.Idle {
		fmt.Fprintf(t, "  %s\t%s\n", s.Stream, number(s.Calls))
	}
	if p.IdleRelied > 0 {
		fmt.Fprintf(t, "while the journal is whole\t%s\n", number(p.IdleRelied))
	}
	fmt.Fprintf(t, "reconcile\t%s\n", reconcile(p.Sweep, p.Every))
	for _, note := range p.Notes {
		fmt.Fprintf(t, "note\t%s\n", note)
	}
	return t.Flush()
}

// reconcile says how long a pass over everything takes, and how often one begins.
func reconcile(takes, every float64) string {
	if every <= takes {
		return "one pass after the other, each of " + span(takes)
	}
	return fmt.Sprintf("one pass of %s, once in %s", span(takes), span(every))
}

// span writes a time in hours for people.
func span(h float64) string {
	switch {
	case h < 59.0/60:
		return plural(max(1, int(math.Ceil(60*h))), "minute")
	case h > 48:
		return fmt.Sprintf("%.1f days", h/24)
	case math.Abs(h-math.Round(h)) < 0.05:
		return fmt.Sprintf("%.0f h", h)
	}
	return fmt.Sprintf("%.1f h", h)
}

func records(n int) string { return plural(n, "record") }
func calls(n int) string   { return plural(n, "call") }

// plural writes a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}
