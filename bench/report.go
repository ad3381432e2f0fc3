package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// result is one number that a figure found.
type result struct {
	name  string
	value float64
	unit  string
	goal  string // what it should be; "" where there is no such thing
}

// row is a line of the report.
type row struct {
	Figure  string   `json:"figure"`
	Name    string   `json:"name"`
	Value   float64  `json:"value"`
	Unit    string   `json:"unit,omitempty"`
	Goal    string   `json:"goal,omitempty"`
	Skipped string   `json:"skipped,omitempty"`
	Against *float64 `json:"against,omitempty"` // the same of the other build
	Ratio   *float64 `json:"ratio,omitempty"`   // value / against
}

type report struct{ rows []row }

// add takes what a figure found, of the build under test or of the other one.
func (r *report) add(figure string, other bool, results []result) {
	for _, res := range results {
		if !other {
			r.rows = append(r.rows, row{Figure: figure, Name: res.name, Value: res.value, Unit: res.unit, Goal: res.goal})
			continue
		}
		for i := range r.rows {
			if w := &r.rows[i]; w.Figure == figure && w.Name == res.name {
				w.Against = &res.value
				if res.value != 0 {
					ratio := w.Value / res.value
					w.Ratio = &ratio
				}
			}
		}
	}
}

// skip notes why there is no number.
func (r *report) skip(figure, name, why string) {
	r.rows = append(r.rows, row{Figure: figure, Name: name, Skipped: why})
}

func (r *report) json(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r.rows)
}

func (r *report) table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "figure\tof\tvalue\tunit\tto reach\tagainst\tratio")
	for _, row := range r.rows {
		against, ratio := "", ""
		if row.Against != nil {
			against = number(*row.Against)
		}
		if row.Ratio != nil {
			ratio = strconv.FormatFloat(*row.Ratio, 'f', 2, 64)
		}
		if row.Skipped != "" {
			fmt.Fprintf(t, "%s\t%s\tskipped: %s\n", row.Figure, row.Name, row.Skipped)
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", row.Figure, row.Name, number(row.Value), row.Unit, row.Goal, against, ratio)
	}
	return t.Flush()
}

// number writes a value with as many digits as it is worth.
func number(v float64) string {
	switch {
	case v == float64(int64(v)) && v < 1e9:
		return strconv.FormatInt(int64(v), 10)
	case v < 1:
		return strconv.FormatFloat(v, 'f', 4, 64)
	case v < 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}
