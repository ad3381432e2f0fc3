package page

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/stream"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func of[T any](v T) *T { return &v }

// busy is a status in which everything has a value: one type in its backfill, one with
// a problem, a pair that waits.
func busy() *Status {
	at := time.Date(2026, 11, 24, 16, 40, 0, 0, time.UTC)
	pass := stream.Progress{
		Object: "contacts", Stream: "backfill", Records: 31_000, Expected: of(250_000), Percent: of(12.4), PerSecond: 1063.5, Left: of(206.0),
		Since: at.Add(-30 * time.Second), First: true,
	}
	return &Status{
		V: Version, Time: at, Ready: true, Role: "owner", Since: at.Add(-2 * time.Hour), Portal: 4242, Version: "v1.2.3", Started: at.Add(-3 * time.Hour),
		Behind: []Behind{
			{Objects: []string{"deals"}, Streams: []string{"census"}, Seconds: of(4000.0), Why: "HubSpot refuses it <403>", Action: "give the token its scope"},
			{Objects: []string{"contacts"}, Streams: []string{"backfill"}, Why: "being read for the first time"},
		},
		Backfill: &stream.Backfill{Types: 1, Records: 31_000, Expected: of(250_000), Percent: of(12.4), PerSecond: 1063.5, Left: of(206.0)},
		Objects: []Object{
			{Object: "contacts", Live: 31_004, Events: Events{Created: 4, Read: 31_000}, Backfill: "running", Passes: []stream.Progress{pass},
				Streams: []stream.Age{{Stream: "leading", Started: true, Behind: of(1.25)}, {Stream: "backfill"}}},
			{Object: "deals", Live: 7, Events: Events{Updated: 2, Deleted: 1}, Backfill: "done", Passes: []stream.Progress{}, Streams: []stream.Age{{Stream: "census", Started: true, Behind: of(4000.0)}}},
			{Object: "contacts:deals", Backfill: "running", Passes: []stream.Progress{}, Streams: []stream.Age{}},
		},
		Snapshot: &stream.Snapshot{Signal: "again-1", Object: "deals", Records: 5, Of: 7, ID: "9", Waiting: 2},
		Budget: Budget{
			Limits: []Limit{
				{Limit: "search", Of: of(5.0), Left: of(0.8)}, {Limit: "ten_seconds", Of: of(190.0)},
				{Limit: "day", Of: of(650_000.0), Left: of(402_113.0), Reserve: of(130_000.0), Resets: of(at.Add(7 * time.Hour))},
			},
			Streams: []Calls{{"backfill", 310}, {"leading", 12}}, Throttled: map[string]int{"SECONDLY": 0, "TEN_SECONDLY_ROLLING": 3},
		},
		Commits: Commits{OK: 155, Failed: 1, Seconds: of(0.0125)},
		Problems: []stream.Problem{{
			Area: stream.ProblemArea, Object: "deals", Stream: "census", Problem: "HubSpot refuses it <403>", Action: "give the token its scope", Runbook: "docs/runbook.md#a-scope-is-missing",
			Since: at.Add(-time.Hour),
		}, {
			Area: stream.ProblemArea, Object: "deals", Stream: "archive", Problem: "HubSpot refuses that too", Action: "give the token its scope",
			Runbook: "docs/runbook.md#a-scope-is-missing", Since: at.Add(-time.Minute),
		}},
	}
}

// TestStatus_ItsJSONIsDocumented: programs rely on its members. docs/operations.md
// names them.
func TestStatus_ItsJSONIsDocumented(t *testing.T) {
	got, err := json.MarshalIndent(busy(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/status.json"
	if *update {
		if err := os.WriteFile(file, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != string(got)+"\n" {
		t.Errorf("%v\n%s", err, got)
	}
}

// TestHTML_IsWellFormed: every element ends, every value is escaped, and nothing is
// asked of another address.
func TestHTML_IsWellFormed(t *testing.T) {
	s := busy()
	s.Problems[0].Problem = `<script>alert("x")</script>&`
	s.Objects[0].Object = `p1_<b>'"`
	for name, s := range map[string]*Status{"busy": s, "empty": {V: Version, Role: "starting"}, "standby": {V: Version, Role: "standby", Ready: true}} {
		body, err := s.HTML()
		if err != nil {
			t.Fatal(err)
		}
		d := xml.NewDecoder(strings.NewReader(string(body)))
		d.Entity = xml.HTMLEntity
		scripts := 0
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			e, ok := token.(xml.StartElement)
			if !ok {
				continue
			}
			if e.Name.Local == "script" {
				scripts++
			}
			for _, a := range e.Attr {
				if e.Name.Local == "a" && strings.HasPrefix(a.Value, repository+"docs/runbook.md#") {
					continue // asked for when somebody follows it
				}
				if (a.Name.Local == "href" || a.Name.Local == "src") && strings.Contains(a.Value, "//") || strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "style" {
					t.Errorf("%s: %s has %s=%q", name, e.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
		if scripts != 1 {
			t.Errorf("%s: %d scripts", name, scripts)
		}
		for _, element := range []string{"style", "script"} {
			if !strings.Contains(Policy, hashed(body, element)) {
				t.Errorf("%s: the policy forbids the page's own %s", name, element)
			}
		}
	}
}

// TestHTML_ShowsTheProblemAndWhatToDo, how far a backfill is, and the budget.
func TestHTML_ShowsTheProblemAndWhatToDo(t *testing.T) {
	body, err := busy().HTML()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Running, with problems", "<p>HubSpot refuses it &lt;403&gt;</p>\n<p>What to do: give the token its scope</p>", "stream · deals · census, archive · for 1 h",
		"12.4 %, 31,000 of 250,000 records, 1,063 a second, 3 min 26 s left", "1 h 6 min behind", "402,113", "3 TEN_SECONDLY_ROLLING", "12.5 ms each", "backfill done", "waits for its backfill", `<a href="` + repository + "docs/runbook.md#a-scope-is-missing",
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// TestPauses_AreOneLineAndNothingIsWrong: whoever paused something sees that it is paused,
// once for all that he named.
func TestPauses_AreOneLineAndNothingIsWrong(t *testing.T) {
	s := busy()
	paused := func(object string, ago time.Duration) stream.Problem {
		return stream.Problem{Area: stream.ProblemArea, Object: object, Stream: "paused", Problem: "its streams are paused", Action: "send resume", Runbook: "docs/runbook.md#something-is-paused", Since: s.Time.Add(-ago)}
	}
	s.Problems = []stream.Problem{paused("contacts", time.Minute), paused("deals", time.Hour), paused("contacts:deals", time.Minute)}
	var b strings.Builder
	if err := s.Text(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Running, with pauses. A signal has paused what is listed below.",
		"\n! its streams are paused\n  what to do: send resume\n  stream contacts, deals, contacts:deals paused docs/runbook.md#something-is-paused, for 1 h\n",
	} {
		if strings.Count(b.String(), want) != 1 {
			t.Errorf("it does not say %q once:\n%s", want, b.String())
		}
	}
	if s.Colour() != "wait" {
		t.Errorf("the page is %s", s.Colour())
	}
	s.Problems = append(s.Problems, busy().Problems...)
	if s.Headline() != "Running, with problems" || s.Colour() != "bad" || len(s.Together()) != 2 {
		t.Errorf("with a problem besides: %s, %s, %+v", s.Headline(), s.Colour(), s.Together())
	}
}

// TestSpan_HasTwoUnits.
func TestSpan_HasTwoUnits(t *testing.T) {
	for seconds, want := range map[float64]string{
		0: "0 s", 1.25: "1.2 s", -3: "0 s", 9.97: "9 s", 42: "42 s", 60: "1 min", 206: "3 min 26 s", 3600: "1 h", 3725: "1 h 2 min", 90_000: "1 d 1 h",
	} {
		if got := span(seconds); got != want {
			t.Errorf("%v: %q, want %q", seconds, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1_234_567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := count(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// BenchmarkHTML_FortyTypes: with 40 types and a pair for each two of the first 20.
func BenchmarkHTML_FortyTypes(b *testing.B) {
	s, o := busy(), busy().Objects[0]
	for i := range 40 + 190 {
		o.Object = fmt.Sprintf("type_%d", i)
		s.Objects = append(s.Objects, o)
	}
	for b.Loop() {
		if _, err := s.HTML(); err != nil {
			b.Fatal(err)
		}
	}
}

// TestText_HasWhatThePageHas.
func TestText_HasWhatThePageHas(t *testing.T) {
	var b strings.Builder
	if err := busy().Text(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Running, with problems. Nothing is lost", "\n! HubSpot refuses it <403>\n  what to do: give the token its scope\n  stream deals census, archive docs/runbook.md#a-scope-is-missing, for 1 h\n",
		"\n- deals: census, 1 h 6 min behind\n  HubSpot refuses it <403>\n", "\nBackfill of 1 object type: 12.4 %, ", "\nSnapshot again-1: deals, 5 of about 7, 2 more wait\n",
		"\ncontacts        31,004        4        0        0  31,000    1.2 s  backfill 12.4 %, 31,000 of 250,000 records, 1,063 a second, 3 min 26 s left\n",
		"\nCalls a day           650,000    402,113\n", "\nCommits: 155, 1 failed\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, b.String())
		}
	}
	idle := busy()
	idle.Budget.Streams = []Calls{{Stream: "leading"}}
	b.Reset()
	if err := idle.Text(&b); err != nil || !strings.Contains(b.String(), "\nCalls: none\n") {
		t.Errorf("without calls, %v:\n%s", err, b.String())
	}
}
