package stream

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// TestPace_SquareRootRule: intervals are proportional to 1/sqrt(changes per hour),
// stay between a second and a minute, and their calls add up to the budget
// (docs/contract.md section 3).
func TestPace_SquareRootRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace(2, 0)
		rates := map[string]int{"contacts": 40_000, "deals": 10_000, "companies": 2_500, "tickets": 400}
		for object := range rates {
			p.Add(object)
		}
		for range 600 { // ten times the memory
			time.Sleep(10 * time.Second)
			for object, perHour := range rates {
				p.Seen(object, perHour/360)
			}
		}
		var calls float64
		for object := range rates {
			calls += 1 / p.Interval(object).Seconds()
		}
		if math.Abs(calls-2) > 0.05 {
			t.Errorf("%.2f calls a second, want 2", calls)
		}
		ratio := p.Interval("deals").Seconds() / p.Interval("contacts").Seconds()
		if p.Interval("contacts") > shortestInterval && math.Abs(ratio-2) > 0.1 {
			t.Errorf("with a quarter of the changes the interval is %.2f times as long, want 2", ratio)
		}
		if got, want := p.Interval("tickets")/p.Interval("companies"), time.Duration(2); got != want {
			t.Errorf("tickets wait %d times as long as companies, want %d", got, want)
		}
	})
}

// TestPace_Bounds: no type waits less than a second or more than a minute, whatever
// the budget, and a fixed interval applies to all.
func TestPace_Bounds(t *testing.T) {
	rich := NewPace(1000, 0)
	rich.Add("contacts")
	if got := rich.Interval("contacts"); got != shortestInterval {
		t.Errorf("with a large budget the interval is %v, want the shortest", got)
	}
	for _, budget := range []float64{0, 1e-6} {
		poor := NewPace(budget, 0)
		poor.Add("contacts")
		poor.Add("deals")
		if got := poor.Interval("contacts"); got != longestInterval {
			t.Errorf("with a budget of %v the interval is %v, want the longest", budget, got)
		}
	}
	fixed := NewPace(2, 7*time.Second)
	fixed.Add("contacts")
	if got := fixed.Interval("contacts"); got != 7*time.Second {
		t.Errorf("the fixed interval is %v, want 7s", got)
	}
}
