package stream

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// TestR12_RoundsAreOftenWhereRecordsGo: for a day after a record went, and then less
// and less.
func TestR12_RoundsAreOftenWhereRecordsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRounds(1)
		r.Add("contacts")
		r.Add("deals")
		check := func(want time.Duration) {
			t.Helper()
			if got := r.Interval("contacts"); (got - want).Abs() > time.Second {
				t.Errorf("%v, want %v", got, want)
			}
		}
		check(coldRound)
		r.Went("contacts", time.Now())
		check(hotRound)
		time.Sleep(hotFor)
		check(hotRound)
		time.Sleep(coolFor / 2)
		check((hotRound + coldRound) / 2)
		time.Sleep(coolFor / 2)
		check(coldRound)
		time.Sleep(100 * time.Hour)
		check(coldRound)
		r.Went("contacts", time.Now().Add(-hotFor/2))
		r.Went("contacts", time.Now().Add(-2*hotFor)) // an older one says nothing new
		check(hotRound)
		if got := r.Interval("deals"); got != coldRound {
			t.Errorf("another type: %v, want %v", got, coldRound)
		}
	})
}

// TestR12_RoundsAreBounded: however many types records go from, all rounds together
// keep to the bound, and no type waits longer than a cold one.
func TestR12_RoundsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		for range 200 {
			bound := 0.01 + rng.Float64()
			r := NewRounds(bound)
			n, hot := 1+rng.IntN(60), []string{}
			for i := range n {
				name := fmt.Sprint(i)
				r.Add(name)
				if age := time.Duration(rng.Int64N(int64(100 * time.Hour))); age < hotFor+coolFor {
					r.Went(name, time.Now().Add(-age))
					if age < hotFor {
						hot = append(hot, name)
					}
				}
			}
			sum := 0.0
			for i := range n {
				d := r.Interval(fmt.Sprint(i))
				if d > coldRound || d < hotRound {
					t.Fatalf("%v between two rounds", d)
				}
				sum += 1 / d.Seconds()
			}
			most := max(bound, float64(n)/coldRound.Seconds())
			if sum > most*1.01 {
				t.Errorf("%d types, %d of them hot: %.3f rounds a second, want at most %.3f", n, len(hot), sum, most)
			}
			for _, name := range hot {
				if d := r.Interval(name); d > hotRound && sum < most*0.99 {
					t.Errorf("%d types, %d of them hot: %v between two rounds, with %.3f rounds a second of %.3f", n, len(hot), d, sum, most)
				}
			}
		}
	})
}

// TestR12_ATypeThatBecomesHotIsNotSleptThrough: the wait of a cold type ends when a
// record of it goes. A list of many pages is read more seldom, and once an hour at
// least.
func TestR12_ATypeThatBecomesHotIsNotSleptThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRounds(1)
		r.Add("contacts")
		waited := func(calls int) time.Duration {
			began := time.Now()
			if err := r.Wait(t.Context(), "contacts", began, calls, 0); err != nil {
				t.Fatal(err)
			}
			return time.Since(began)
		}
		for calls, want := range map[int]time.Duration{1: coldRound, 3: 3 * coldRound, 1000: longestLook} {
			if got := waited(calls); got != want {
				t.Errorf("%d calls: %v, want %v", calls, got, want)
			}
		}
		time.AfterFunc(time.Second, func() { r.Went("contacts", time.Now()) })
		if got := waited(1); got != hotRound {
			t.Errorf("%v, want %v", got, hotRound)
		}
		if got := waited(30); got != 30*hotRound {
			t.Errorf("%v, want %v", got, 30*hotRound)
		}
	})
}
