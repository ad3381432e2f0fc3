package stream

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestR16_PollingStretchesWhileTheJournalIsReliedOn: what is polled waits longer for
// the types of which the journal may be relied on, and as long as it did before for
// others, where an operator set the interval, and once it is no longer relied on.
func TestR16_PollingStretchesWhileTheJournalIsReliedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relied := true
		p := pace(Budget{IdleShare: 0.2, Day: 250_000, Left: math.Inf(1), Searches: 2}, 0, "contacts", "deals")
		p.Relied = func(object string) bool { return relied && object == "contacts" }
		d := Demand{Calls: 1, Least: time.Minute, Most: time.Minute, Relied: ReliedCensus}
		free := p.Patient("contacts", CensusStream, func() Demand { return d })
		other := p.Patient("deals", CensusStream, func() Demand { return d })
		set := p.Patient("contacts", "set", func() Demand { return Demand{Calls: 1, Least: time.Minute, Fixed: true, Relied: ReliedCensus} })
		is := func(what string, got, want time.Duration) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
		p.Seen("contacts", 1)
		is("awake", p.Interval("contacts"), reliedAwake)
		if got := p.Interval("deals"); got > longestInterval {
			t.Errorf("a type that the journal lacks, awake: %v", got)
		}
		time.Sleep(10 * time.Hour)
		is("asleep", p.Interval("contacts"), reliedAsleep)
		is("asleep, planned", p.Quiet("contacts"), reliedAsleep)
		if got := p.Interval("deals"); got > longestInterval {
			t.Errorf("a type that the journal lacks, asleep: %v", got)
		}
		is("census", free.Interval(), ReliedCensus)
		is("census of a type that the journal lacks", other.Interval(), time.Minute)
		is("set", set.Interval(), time.Minute)
		relied = false
		if got := p.Interval("contacts"); got > longestInterval {
			t.Errorf("no longer relied on: %v", got)
		}
		is("census, no longer relied on", free.Interval(), time.Minute)
		fixed := pace(rich, time.Second, "contacts")
		fixed.Relied = func(string) bool { return true }
		is("leading, set", fixed.Interval("contacts"), time.Second)
	})
}

// TestR16_RoundsGoBackAtOnce: a look for deletes that waits because of the journal
// comes within seconds after the journal is no longer relied on.
func TestR16_RoundsGoBackAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var relied atomic.Bool
		relied.Store(true)
		r := NewRounds(1)
		r.Add("contacts")
		r.Went("contacts", time.Now()) // hot: a round in seconds, if it were not for the journal
		r.Relied = func(string) bool { return relied.Load() }
		began := time.Now()
		wait := func(want time.Duration) {
			t.Helper()
			if err := r.Wait(context.Background(), "contacts", began, 1, ReliedCensus); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(began); got < want || got > want+shorterLook {
				t.Errorf("looked after %v, want %v", got, want)
			}
			began = time.Now()
		}
		wait(ReliedCensus)
		time.AfterFunc(8*time.Minute, func() { relied.Store(false) })
		wait(8 * time.Minute)
		wait(hotRound)
	})
}
