package stream

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// rich is a portal whose limits hold nothing back.
var rich = Budget{IdleShare: 0.2, Day: 1_000_000, Left: math.Inf(1), Searches: 1000}

// alone is the only portal of its process.
func alone() int { return 1 }

func pace(b Budget, fixed time.Duration, types ...string) *Pace {
	p := NewPace(func() Budget { return b }, fixed, alone)
	for _, object := range types {
		p.Add(object)
	}
	return p
}

// live lets changes of each type come evenly, so many an hour.
func live(p *Pace, d time.Duration, perHour map[string]int) {
	const step = 10 * time.Second
	for i := range int(d / step) {
		time.Sleep(step)
		for object, n := range perHour {
			p.Seen(object, (i+1)*n/360-i*n/360)
		}
	}
}

// TestPace_SquareRootRule: intervals are proportional to 1/sqrt(changes per hour),
// stay between a second and two minutes, and their calls add up to the leading
// tiers' share of the searches (docs/contract.md section 3).
func TestPace_SquareRootRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rates := map[string]int{"contacts": 40_320, "deals": 10_080, "companies": 2_520, "tickets": 2_520}
		b := rich
		b.Searches = 2
		p := pace(b, 0, "contacts", "deals", "companies", "tickets")
		live(p, 5*time.Hour, rates)
		var calls float64
		for object := range rates {
			calls += 1 / p.Interval(object).Seconds()
		}
		if math.Abs(calls-2) > 0.05 {
			t.Errorf("%.2f calls a second, want 2", calls)
		}
		if got, want := p.Interval("deals").Seconds()/p.Interval("contacts").Seconds(), 2.0; math.Abs(got-want) > 0.1 {
			t.Errorf("with a quarter of the changes the interval is %.2f times as long, want %v", got, want)
		}
	})
}

// TestPace_Bounds: no type waits less than a second, and none of a portal that
// sleeps more than two minutes while the idle share suffices; a fixed interval
// applies to all.
func TestPace_Bounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace(rich, 0, "contacts")
		live(p, time.Hour, map[string]int{"contacts": 100_000})
		if got := p.Interval("contacts"); got != shortestInterval {
			t.Errorf("with a large budget the interval is %v, want the shortest", got)
		}
		poor := rich
		poor.Searches, poor.Day = 0.001, 250_000
		p = pace(poor, 0, "contacts", "deals")
		time.Sleep(2 * awake)
		if got := p.Interval("contacts"); got > longestInterval {
			t.Errorf("the interval is %v, want at most the longest", got)
		}
		p = pace(poor, 7*time.Second, "contacts", "deals")
		if got := p.Interval("contacts"); got != 7*time.Second {
			t.Errorf("the fixed interval is %v, want 7s", got)
		}
	})
}

// TestPace_AnIdlePortalCostsItsShare: whatever the types and pairs, all polling
// together costs at most the idle share; the patient streams stretch before the
// leading tiers do.
func TestPace_AnIdlePortalCostsItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, types := range []int{1, 5, 20, 60, 200} {
			p := pace(Budget{IdleShare: 0.2, Day: 250_000, Left: math.Inf(1), Searches: 2}, 0)
			var patient []*Patient
			d := Demand{Calls: 20, Least: 5 * time.Minute, Most: 4 * time.Hour}
			for i := range types {
				name := fmt.Sprint(i)
				p.Add(name)
				patient = append(patient, p.Patient(name, "sweep", func() Demand { return d }))
			}
			time.Sleep(2 * awake)
			leading := float64(types) * day(p.Interval("0"))
			waits := 0.0
			for _, s := range patient {
				waits += d.Calls * day(s.Interval())
			}
			if sum := leading + waits; sum > 50_000 {
				t.Errorf("%d types: %.0f calls a day, want at most 50,000", types, sum)
			} else if types >= 20 && sum < 40_000 {
				t.Errorf("%d types: %.0f calls a day, though 50,000 may be spent", types, sum)
			}
			t.Logf("%3d types: leading %v (%.0f a day), patient %v (%.0f a day)", types, p.Interval("0"), leading, patient[0].Interval(), waits)
			if p.Interval("0") > longestInterval && patient[0].Interval() < d.Most {
				t.Errorf("%d types: leading stretches to %v before the patient streams, %v, stretch to %v", types, p.Interval("0"), patient[0].Interval(), d.Most)
			}
		}
	})
}

// day is how many calls a day an interval makes.
func day(every time.Duration) float64 { return (24 * time.Hour).Seconds() / every.Seconds() }

// TestPace_WhatAnOperatorSetsStays: and what it costs is not there for the others.
func TestPace_WhatAnOperatorSetsStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace(Budget{IdleShare: 0.2, Day: 250_000, Left: math.Inf(1), Searches: 2}, 0, "contacts")
		set := p.Patient("contacts", "set", func() Demand { return Demand{Calls: 10, Least: 30 * time.Second, Fixed: true} })
		free := p.Patient("contacts", "free", func() Demand { return Demand{Calls: 50, Least: time.Minute, Most: time.Hour} })
		if got := set.Interval(); got != 30*time.Second {
			t.Errorf("the set interval is %v", got)
		}
		time.Sleep(2 * awake)
		if sum := 10*day(set.Interval()) + 50*day(free.Interval()) + day(p.Quiet("contacts")); sum > 50_000 {
			t.Errorf("%.0f calls a day, want at most 50,000", sum)
		}
		stretched := free.Interval()
		free.Changed()
		if got := free.Interval(); got != time.Minute || stretched <= got {
			t.Errorf("after a change the interval is %v, before it was %v; want a minute, and more before", got, stretched)
		}
		time.Sleep(awake)
		if got := free.Interval(); got != stretched {
			t.Errorf("an hour later the interval is %v, want %v", got, stretched)
		}
	})
}

// TestPace_WhatSeldomChangesIsAskedLess: definitions and lists that did not change
// are asked for less and less often, and at once again when one changed.
func TestPace_WhatSeldomChangesIsAskedLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace(rich, 0, "contacts")
		s := p.Patient("", "schema", func() Demand {
			return Demand{Calls: 1, Least: 5 * time.Minute, Most: time.Hour, Settles: true}
		})
		for _, want := range []time.Duration{5 * time.Minute, 5 * time.Minute, 10 * time.Minute, time.Hour} {
			if got := s.Interval(); got != want {
				t.Errorf("the interval is %v, want %v", got, want)
			}
			time.Sleep(30 * time.Minute)
			if want == 10*time.Minute {
				time.Sleep(6 * time.Hour)
			}
		}
		if s.Changed(); s.Interval() != 5*time.Minute {
			t.Errorf("after a change the interval is %v, want 5m", s.Interval())
		}
	})
}

// TestPace_ManyPortalsBeginSettled: a process that begins to follow hundreds of portals
// does not ask for the definitions of all of them again in five minutes. A change
// shortens the interval all the same.
func TestPace_ManyPortalsBeginSettled(t *testing.T) {
	for _, c := range []struct {
		portals int
		want    time.Duration
	}{{1, 5 * time.Minute}, {50, 5 * time.Minute}, {100, 30 * time.Minute}, {1000, 57 * time.Minute}} {
		synctest.Test(t, func(t *testing.T) {
			p := NewPace(func() Budget { return rich }, 0, func() int { return c.portals })
			s := p.Patient("", "schema", func() Demand {
				return Demand{Calls: 1, Least: 5 * time.Minute, Most: time.Hour, Settles: true}
			})
			if got := s.Interval(); got != c.want {
				t.Errorf("of %d portals each begins with an interval of %v, want %v", c.portals, got, c.want)
			}
			if s.Changed(); s.Interval() != 5*time.Minute {
				t.Errorf("of %d portals each is asked every %v after a change, want 5m", c.portals, s.Interval())
			}
		})
	}
}

// TestPace_TheFirstChangeWakesItsType, and the portal too, less so.
func TestPace_TheFirstChangeWakesItsType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace(Budget{IdleShare: 0.2, Day: 250_000, Left: math.Inf(1), Searches: 2}, 0)
		for i := range 20 {
			p.Add(fmt.Sprint(i))
		}
		p.Patient("", "sweeps", func() Demand { return Demand{Calls: 28_000, Least: 24 * time.Hour, Fixed: true} })
		time.Sleep(12 * time.Hour)
		asleep := p.Interval("0")
		if asleep < time.Minute {
			t.Errorf("a portal that sleeps is asked every %v", asleep)
		}
		p.Seen("1", 0)
		select {
		case <-p.Sooner("2"):
			t.Error("a walk that found nothing hastens others")
		default:
		}
		p.Seen("0", 1)
		select {
		case <-p.Sooner("1"):
		default:
			t.Error("who waits for a walk of another type does not hear of the change")
		}
		if got := p.Interval("0"); got > 12*time.Second {
			t.Errorf("after a first change the interval is %v, want at most 12s", got)
		}
		if got := p.Interval("1"); got > asleep {
			t.Errorf("the other types' interval is %v, it was %v", got, asleep)
		}
		time.Sleep(2 * awake)
		if got := p.Interval("0"); got != asleep {
			t.Errorf("two hours later the interval is %v, want %v", got, asleep)
		}
	})
}

// TestPace_TheRhythmOfTheDay: types in which changes come at certain hours are awake
// before the first one.
func TestPace_TheRhythmOfTheDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the bubble's clock begins at midnight UTC
		p := pace(Budget{IdleShare: 0.2, Day: 1_000_000, Left: math.Inf(1), Searches: 2}, 0, "contacts", "deals")
		for i := range 18 {
			p.Add(fmt.Sprint(i))
		}
		for range 3 {
			time.Sleep(8 * time.Hour)
			live(p, 10*time.Hour, map[string]int{"contacts": 120, "deals": 12})
			time.Sleep(6 * time.Hour)
		}
		time.Sleep(7 * time.Hour)
		night := p.Interval("contacts")
		time.Sleep(55 * time.Minute)
		if morning := p.Interval("contacts"); morning > 3*time.Second || night < 20*time.Second {
			t.Errorf("the interval is %v at seven and %v before eight, want more than 20s and at most 3s", night, morning)
		}
		if deals, contacts := p.Interval("deals"), p.Interval("contacts"); deals <= contacts {
			t.Errorf("deals, with a tenth of the changes, are asked for every %v, contacts every %v", deals, contacts)
		}
	})
}

// TestPace_AmongManyPortals: what a change wakes in a portal among many costs little,
// and is still quick where changes come together; a portal alone is asked as often as
// its limits allow. Figures of the leading searches of a day (docs/figures.md).
func TestPace_AmongManyPortals(t *testing.T) {
	for _, c := range []struct {
		portals, burst, most int           // portals of the process; changes that come together; searches a day
		p50                  time.Duration // from a change to the search that shows it
	}{
		{portals: 1, burst: 1, most: 130_000, p50: 2 * time.Second},
		{portals: 50, burst: 1, most: 65_000, p50: 4 * time.Second},
		{portals: 333, burst: 1, most: 12_000, p50: 14 * time.Second},
		{portals: 333, burst: 5, most: 15_000, p50: 2 * time.Second},
		{portals: 2000, burst: 5, most: 5_000, p50: 10 * time.Second},
	} {
		if testing.Short() && c.portals != 333 {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			p := NewPace(func() Budget { return Budget{IdleShare: 0.2, Day: 650_000, Left: math.Inf(1), Searches: 2.4} }, 0, func() int { return c.portals })
			p.Patient("", "sweeps", func() Demand { return Demand{Calls: 5_000, Least: 24 * time.Hour, Fixed: true} })
			searches, waited := followed(p, 3, c.burst, 17*time.Minute, 2)
			p50 := waited[len(waited)/2]
			t.Logf("%4d portals, %d changes at a time: %6d searches a day, a change is found after p50 %.1fs, p90 %.1fs, p99 %.1fs",
				c.portals, c.burst, searches, p50.Seconds(), waited[len(waited)*9/10].Seconds(), waited[len(waited)*99/100].Seconds())
			if searches > c.most || p50 > c.p50 {
				t.Errorf("%d portals: %d searches a day, p50 %v; want at most %d and %v", c.portals, searches, p50, c.most, c.p50)
			}
		})
	}
}

// followed has a portal of some types followed for days, after a first one. It changes
// at random times, so long apart on average, each time in one type and up to 2*burst-1
// times at once. followed returns the leading searches of a day, and how long each change
// waited for one, in order.
func followed(p *Pace, types, burst int, apart time.Duration, days int) (searches int, waited []time.Duration) {
	const day = 24 * time.Hour
	rng := rand.New(rand.NewPCG(1, 2))
	began, end := time.Now(), time.Duration(days)*day
	var names []string
	made, last := make([][]time.Duration, types), make([]time.Duration, types)
	for i := range types {
		names = append(names, fmt.Sprint(i))
		p.Add(names[i])
	}
	for at := time.Duration(0); at < end; at += time.Duration(rng.ExpFloat64() * float64(apart) * float64(burst)) {
		i, together := rng.IntN(types), at
		for range 1 + rng.IntN(2*burst-1) {
			made[i] = append(made[i], together)
			together += time.Duration(2+rng.IntN(40)) * time.Second
		}
	}
	for i := range types {
		slices.Sort(made[i])
	}
	for now := time.Duration(0); now < end; now += time.Second {
		time.Sleep(time.Until(began.Add(now)))
		for i, name := range names {
			if now < last[i]+p.Interval(name) {
				continue
			}
			last[i] = now
			changes := 0
			for ; len(made[i]) > 0 && made[i][0] <= now; made[i] = made[i][1:] {
				changes++
				if now > day {
					waited = append(waited, now-made[i][0])
				}
			}
			if now > day {
				searches++
			}
			p.Seen(name, changes)
		}
	}
	slices.Sort(waited)
	return searches / (days - 1), waited
}
