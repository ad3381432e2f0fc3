package fleet

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hubspot-cdc/connector/pkg/connector/page"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

//go:embed page.html
var source string

var parsed = template.Must(template.New("page").Funcs(page.Helpers()).Parse(source))

// HTML renders the page. It is complete without JavaScript, and asks for nothing but
// itself.
func (s *Status) HTML() ([]byte, error) {
	var out bytes.Buffer
	err := parsed.Execute(&out, s)
	return out.Bytes(), err
}

// problemsShown is how many problems the page and the text list above the portals.
const problemsShown = 20

// PortalProblem is a problem of a portal; Portal "": of the instance that answers.
type PortalProblem struct {
	Portal  string
	Problem stream.Problem
}

// every problem that somebody has to look at, those of the instance first.
func (s *Status) every() (out []PortalProblem) {
	for _, p := range s.Problems {
		out = append(out, PortalProblem{"", p})
	}
	for i := range s.Portals {
		for _, p := range s.Portals[i].Problems {
			if p.Area != "loading" {
				out = append(out, PortalProblem{s.Portals[i].Name, p})
			}
		}
	}
	return out
}

// AllProblems are the first of them.
func (s *Status) AllProblems() []PortalProblem {
	all := s.every()
	return all[:min(len(all), problemsShown)]
}

// MoreProblems is how many others there are.
func (s *Status) MoreProblems() int { return max(0, len(s.every())-problemsShown) }

// PartitionCount is Partitions.
func (s *Status) PartitionCount() int { return int(s.Partitions) }

// Age is how long something has lasted, in seconds.
func (s *Status) Age(since time.Time) float64 { return s.Time.Sub(since).Seconds() }

// States says how many portals are in which state.
func (s *Status) States() string {
	n, out := s.Counts(), []string{}
	for _, state := range []string{StateStreaming, StateLoading, StateFailing, StateStopped, StateUnowned, StateUnknown} {
		if n[state] > 0 {
			out = append(out, fmt.Sprintf("%d %s", n[state], state))
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

// Headline is the state in a few words.
func (s *Status) Headline() string {
	switch wrong := s.Wrong(); {
	case len(s.Problems) > 0 && s.Problems[0].Area != "loading":
		return "This instance has a problem"
	case len(s.Problems) > 0:
		return "This instance starts"
	case s.silent() == 1:
		return "1 instance does not answer"
	case s.silent() > 1:
		return fmt.Sprintf("%d instances do not answer", s.silent())
	case wrong == 1:
		return "1 portal has a problem"
	case wrong > 1:
		return fmt.Sprintf("%d portals have problems", wrong)
	case s.Counts()[StateLoading] == 1:
		return "1 portal starts"
	case s.Counts()[StateLoading] > 0:
		return fmt.Sprintf("%d portals start", s.Counts()[StateLoading])
	case len(s.Portals) == 0:
		return "No portals"
	}
	return "All portals stream"
}

// silent counts the instances that do not answer.
func (s *Status) silent() (n int) {
	for i := range s.Instances {
		if s.Instances[i].Problem != "" {
			n++
		}
	}
	return n
}

const nothingLost = "Nothing is lost: a portal goes on where it was once its problem is solved."

// Sentence says what the headline means for whoever looks.
func (s *Status) Sentence() string {
	switch {
	case len(s.Problems) > 0 && len(s.Instances) < 2:
		return "See the problems. It knows of no other instance."
	case len(s.Problems) > 0:
		return "Other instances run what this one cannot. See the problems."
	case s.silent() > 0:
		return "Nobody else knows how its portals are. If it has died, others have them within seconds."
	case s.Wrong() == len(s.Portals) && s.Wrong() > 0:
		return nothingLost
	case s.Wrong() > 0:
		return "The other portals are not affected. " + nothingLost
	case s.Counts()[StateLoading] > 0:
		return "Nothing is wrong. It needs time."
	case len(s.Portals) == 0:
		return "FLEET_DIR has no file of a portal. If it should, see whether it is mounted."
	}
	return "Nothing to do."
}

// Colour is the class of the headline.
func (s *Status) Colour() string {
	switch headline := s.Headline(); {
	case headline == "All portals stream":
		return "good"
	case s.Wrong() > 0 || headline == "This instance has a problem" || headline == "No portals":
		return "bad"
	}
	return "wait"
}

// Colour is the class of the state.
func (p *Portal) Colour() string {
	switch {
	case p.State == StateStreaming && !p.wrong():
		return "good"
	case p.State == StateLoading:
		return "wait"
	}
	return "bad"
}

// Text prints the status for a terminal.
func (s *Status) Text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s. %s\nPortals: %s\n", s.Headline(), s.Sentence(), s.States())
	for _, one := range s.AllProblems() {
		at := ""
		if one.Portal != "" {
			at = one.Portal + ": "
		}
		fmt.Fprintf(&b, "\n! %s%s\n  what to do: %s\n  ", at, one.Problem.Problem, one.Problem.Action)
		if one.Problem.Object != "" {
			fmt.Fprintf(&b, "%s, ", one.Problem.Object)
		}
		fmt.Fprintf(&b, "for %s", time.Duration(s.Age(one.Problem.Since)*float64(time.Second)).Round(time.Second))
		if one.Problem.Runbook != "" {
			fmt.Fprintf(&b, ", %s", one.Problem.Runbook)
		}
		b.WriteString("\n")
	}
	if n := s.MoreProblems(); n > 0 {
		fmt.Fprintf(&b, "\n%d more problems\n", n)
	}
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "\nINSTANCE\tHOST\tPORTALS\tANSWERS")
	for _, one := range s.Instances {
		answers, portals := "yes", fmt.Sprint(one.Portals)
		if one.Problem != "" {
			answers, portals = "no: "+one.Problem, "?"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", orNone(one.Address), orNone(one.Host), portals, answers)
	}
	_ = t.Flush() // the builder takes everything
	t = tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "\nPORTAL\tACCOUNT\tSTATE\tRECORDS\tOWNER\tPROBLEMS")
	for i := range s.Portals {
		p := &s.Portals[i]
		account := "-"
		if p.Portal != 0 {
			account = fmt.Sprint(p.Portal)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%d\n", p.Name, account, p.State, p.Live, orNone(p.Instance), p.troubles())
	}
	_ = t.Flush()
	_, err := io.WriteString(w, b.String())
	return err
}

func orNone(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
