package check

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/hubspot-cdc/connector/pkg/connector"
)

// areas is the order of the table.
var areas = []string{"hubspot", "scopes", "kafka", "access", "topics", "registry"}

func inOrder(all []Finding) []Finding {
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Compare(slices.Index(areas, a.Area), slices.Index(areas, b.Area))
	})
	return all
}

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// colour is a terminal's code for each status.
var colour = map[Status]string{OK: "\x1b[32m", Note: "\x1b[36m", Warn: "\x1b[33m", Fail: "\x1b[31m"}

const plainColour = "\x1b[0m"

// WriteTable writes the findings, what to do about each, and the plan. It colours
// the first word of a line afterwards, because a tabwriter would count the codes.
func (r *Report) WriteTable(w io.Writer, coloured bool) error {
	var text bytes.Buffer
	t := tabwriter.NewWriter(&text, 0, 8, 2, ' ', 0)
	area := ""
	var words []Status // the status of each line, "" for lines without
	for _, f := range r.Findings {
		if f.Area != area {
			area = f.Area
			fmt.Fprintf(t, "\n%s\n", strings.ToUpper(area))
			words = append(words, "", "")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", strings.ToUpper(string(f.Status)), f.Check, cmp.Or(f.Subject, "-"), f.Found)
		words = append(words, f.Status)
		for _, todo := range f.Todo {
			fmt.Fprintf(t, "\t\t\t-> %s\n", todo)
			words = append(words, "")
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	i := 0
	for line := range strings.Lines(text.String()) {
		if word := words[i]; coloured && word != "" {
			line = colour[word] + line[:len(word)] + plainColour + line[len(word):]
		}
		i++
		if _, err := io.WriteString(w, line); err != nil {
			return err
		}
	}
	if err := r.Plan.write(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", r.verdict())
	return err
}

func (r *Report) verdict() string {
	warnings := 0
	for _, f := range r.Findings {
		if f.Status == Warn {
			warnings++
		}
	}
	switch r.Code {
	case connector.ExitOK:
		if warnings > 0 {
			return fmt.Sprintf("connector run would work; warnings: %d.", warnings)
		}
		return "connector run would work."
	case connector.ExitRefused:
		return "connector run would refuse to start (exit code 3): see FAIL above."
	case connector.ExitConfig:
		return "The configuration is wrong (exit code 2): see FAIL above."
	}
	return "connector run would not work: see FAIL above."
}

// number writes a count for people: 625,000.
func number[T int | int64](n T) string {
	digits := strconv.FormatInt(int64(n), 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// percent writes a share, with one decimal where it is small.
func percent(share float64) string {
	if share > 0 && share < 0.1 {
		return strconv.FormatFloat(100*share, 'f', 1, 64) + " %"
	}
	return strconv.FormatFloat(100*share, 'f', 0, 64) + " %"
}
