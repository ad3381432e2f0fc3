package stream

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

const now = hubspot.Millis(1_700_000_000_000)

func resume(t *testing.T, saved map[string]string) Places {
	t.Helper()
	lags, err := Lags([]string{"5m", "1h"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Resume("contacts", lags, func(stream string) []byte {
		if v, ok := saved[stream]; ok {
			return []byte(v)
		}
		return nil
	}, Clock{now, now + 1000})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// first names the streams whose cursors the first transaction carries.
func first(p Places) string {
	var names []string
	for _, c := range p.First {
		name := c.Stream
		if c.Value == nil {
			name += " forgotten"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

var settled = map[string]string{
	"leading":     `{"at":"2023-11-14T22:00:00.000Z","v":1}`,
	"trailing-5m": `{"at":"2023-11-14T21:50:00.000Z","t0":"2023-11-14T22:00:00.000Z","id":"17","v":1}`,
	"trailing-1h": `{"at":"2023-11-14T21:00:00.000Z","v":1}`,
	"backfill":    `{"ranges":[{"from":"0","to":"","after":"","id":"99"}],"started":"2023-11-01T00:00:00.000Z","completed":"2023-11-01T01:00:00.000Z","done":true,"v":1}`,
}

func without(stream string) map[string]string {
	out := map[string]string{}
	for k, v := range settled {
		if k != stream {
			out[k] = v
		}
	}
	return out
}

// TestR5_TheFirstTransactionHasEveryCursor: the backfill begins at 0, and all tiers a
// little before one moment, which lies before the first page. HubSpot may stamp a
// change just before that moment and show it only after the backfill has passed.
func TestR5_TheFirstTransactionHasEveryCursor(t *testing.T) {
	p := resume(t, nil)
	if got, want := first(p), "leading, trailing-5m, trailing-1h, backfill"; got != want {
		t.Errorf("first transaction: %s, want %s", got, want)
	}
	for i, w := range p.Windows {
		if w != cdc.NewWindow(now) {
			t.Errorf("tier %d begins at %+v", i, w)
		}
	}
	if p.Sweep.Started != now || p.Sweep.Done || len(p.Sweep.Ranges) != 1 || p.Sweep.Ranges[0].After != "" {
		t.Errorf("sweep %+v", p.Sweep)
	}
}

// TestResume_GoesOnWhereItWas: in the middle of a walk too.
func TestResume_GoesOnWhereItWas(t *testing.T) {
	p := resume(t, settled)
	if len(p.First) != 0 {
		t.Errorf("the first transaction has %s, want nothing", first(p))
	}
	if w := p.Windows[1]; !w.Walking() || w.Last != 17 {
		t.Errorf("Resume forgot the walk: %+v", w)
	}
	if !p.Sweep.Done {
		t.Error("the backfill runs again")
	}
}

// TestResume_WhatIsMissingStartsAnew: a tier starts now, and the sweep runs again but
// keeps the type's first start; a missing sweep starts at 0 (docs/contract.md
// section 4).
func TestResume_WhatIsMissingStartsAnew(t *testing.T) {
	p := resume(t, without("trailing-1h"))
	if got, want := first(p), "trailing-1h, backfill"; got != want {
		t.Errorf("without a tier: %s, want %s", got, want)
	}
	if p.Windows[2] != cdc.NewWindow(now) || p.Windows[0] == cdc.NewWindow(now) {
		t.Errorf("windows %+v", p.Windows)
	}
	if p.Sweep.Done || p.Sweep.Started.String() != "2023-11-01T00:00:00.000Z" {
		t.Errorf("sweep %+v", p.Sweep)
	}
	p = resume(t, without("backfill"))
	if got, want := first(p), "backfill"; got != want || p.Sweep.Started != now {
		t.Errorf("without the sweep: %s, want %s; %+v", got, want, p.Sweep)
	}
}

// TestR13_HoldersOfAPropertyAreReadAgain, together with those whose refill was under
// way. Every record is read again where HubSpot cannot name the holders, or where
// there are many properties.
func TestR13_HoldersOfAPropertyAreReadAgain(t *testing.T) {
	half := without("")
	half["refill"] = `{"properties":["older"],"after":"12","round":2,"v":1}`
	for _, c := range []struct {
		name            string
		saved           map[string]string
		ask, gone       string
		refill, commits string
	}{
		{"a new one", settled, "points", "", "points 0 1", "refill"},
		{"nothing new while a refill is under way", half, "", "", "older 12 2", ""},
		{"another while a refill is under way", half, "points", "", "older,points 0 1", "refill"},
		{"the same once more", half, "older", "", "older 0 1", "refill"},
		{"one that is gone", settled, "", "points", "", "reconcile"},
		{"the one under way is gone", half, "", "older", "", "reconcile, refill forgotten"},
		{"one of two under way is gone", half, "points", "older", "points 0 1", "reconcile, refill"},
		{"many", settled, "a,b,c,d,e,f", "", "", "reconcile"},
		{"many with those under way", half, "a,b,c,d,e", "", "", "reconcile, refill forgotten"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := resume(t, c.saved)
			split := func(s string) []string { return strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) }
			p.Renew("contacts", Changed{Ask: split(c.ask), Gone: split(c.gone)}, now)
			refill := ""
			if p.Refill != nil {
				refill = fmt.Sprintf("%s %d %d", strings.Join(p.Refill.Properties, ","), p.Refill.After, p.Refill.Round)
			}
			if refill != c.refill || first(p) != c.commits {
				t.Errorf("refill %q, want %q; commits %q, want %q", refill, c.refill, first(p), c.commits)
			}
			if whole := strings.HasPrefix(c.commits, "reconcile"); whole != (len(p.Reconcile.Ranges) == 1 && !p.Reconcile.Done && p.Reconcile.Started == now) {
				t.Errorf("reconcile %+v", p.Reconcile)
			}
			if lacks := refill != "" || c.gone+c.ask != ""; p.Sweep.Waits != lacks || p.Reconcile.Waits && p.Reconcile.Started == now {
				t.Errorf("sweeps read before say that they lack something: %v, want %v; reconcile %+v", p.Sweep.Waits, lacks, p.Reconcile)
			}
		})
	}
}

func TestLags(t *testing.T) {
	for _, bad := range []string{"soon", "0s", "-5m", ""} {
		if _, err := Lags([]string{bad}); err == nil {
			t.Errorf("Lags accepts %q", bad)
		}
	}
}

// TestR21_ACursorAheadOfHubSpotsTimeIsMovedBack: a tier that has passed what is still
// to come begins now, and a backfill reads what it missed. A walk that is ahead begins
// again. The times of a sweep alone only delay it.
func TestR21_ACursorAheadOfHubSpotsTimeIsMovedBack(t *testing.T) {
	const later, soon = "2023-11-17T22:13:20.000Z", "2023-11-14T22:13:20.500Z"
	for name, c := range map[string]struct {
		stream, value string
		ahead, first  string
	}{
		"a tier":                  {"leading", `{"at":"` + later + `"}`, "leading", "leading, backfill"},
		"a tier in a walk":        {"trailing-5m", `{"at":"` + later + `","t0":"` + later + `","id":"17"}`, "trailing-5m", "trailing-5m, backfill"},
		"a walk":                  {"trailing-5m", `{"at":"2023-11-14T21:50:00.000Z","t0":"` + later + `","id":"17"}`, "trailing-5m", ""},
		"a reconcile":             {"reconcile", `{"ranges":[],"started":"` + later + `","done":true}`, "reconcile", ""},
		"an archive sweep":        {"archive", `{"after":"7","started":"` + later + `"}`, "archive", ""},
		"less than we know about": {"leading", `{"at":"` + soon + `"}`, "", ""},
	} {
		saved := without(c.stream)
		saved[c.stream] = c.value
		p := resume(t, saved)
		if got := strings.Join(p.Ahead, ", "); got != c.ahead {
			t.Errorf("%s: ahead are %q, want %q", name, got, c.ahead)
		}
		if got := first(p); got != c.first || p.Sweep.Done != (c.first == "") {
			t.Errorf("%s: first cursors %q, want %q; done %v", name, got, c.first, p.Sweep.Done)
		}
		for i, w := range p.Windows {
			if w.Start > now+1000 || w.T0 > now || w.T0 == 0 && w.Last != 0 {
				t.Errorf("%s: window %d is %+v", name, i, w)
			}
		}
		if latest := max(p.Reconcile.Started, p.Archive.Started, p.Sweep.Started); latest > now {
			t.Errorf("%s: a sweep began at %v", name, latest)
		}
	}
}
