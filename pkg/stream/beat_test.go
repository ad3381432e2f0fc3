package stream

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestUntilBeat_WhoLooksAtAnyTimeLooksWithTheOthers: whenever they begin, and again and again.
func TestUntilBeat_WhoLooksAtAnyTimeLooksWithTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const period = 15 * time.Second
		looks := make(chan time.Time, 1000)
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 777 * time.Millisecond)
				for range 3 {
					d := UntilBeat(period)
					if d <= 0 || d > period {
						t.Errorf("the next beat is in %s", d)
					}
					time.Sleep(d)
					looks <- time.Now()
				}
			})
		}
		all.Wait()
		close(looks)
		moments := map[time.Time]int{}
		for at := range looks {
			moments[at]++
		}
		if len(moments) != 3 {
			t.Errorf("60 looks at %d moments, want 3: %v", len(moments), moments)
		}
	})
}

// TestOnBeat_LongIntervalsEndTogetherAndShortOnesWhenTheyEnd: a long interval is longer for
// it by a sixteenth at most, and never shorter: what a day may cost is planned with it.
func TestOnBeat_LongIntervalsEndTogetherAndShortOnesWhenTheyEnd(t *testing.T) {
	for interval, apart := range map[time.Duration]time.Duration{
		time.Second: 0, 15900 * time.Millisecond: 0, 16 * time.Second: time.Second, 54 * time.Second: 2 * time.Second,
		64 * time.Second: 4 * time.Second, time.Hour: 4 * time.Second,
	} {
		moments := map[time.Time]bool{}
		began := time.Now()
		for i := range 1000 {
			due := began.Add(time.Duration(i) * 8 * time.Millisecond) // eight seconds in all
			at := onBeat(due, interval)
			if late := at.Sub(due); late < 0 || late > apart || late > interval/16 {
				t.Fatalf("due %s, on the beat %s", due, at)
			}
			moments[at] = true
		}
		if apart == 0 && len(moments) != 1000 || apart > 0 && len(moments) > int(8*time.Second/apart)+1 {
			t.Errorf("every %s: %d moments", interval, len(moments))
		}
	}
}

// TestOnBeat_AClockThatIsSetBackDelaysNothing: what is due keeps the monotonic clock.
func TestOnBeat_AClockThatIsSetBackDelaysNothing(t *testing.T) {
	if due := onBeat(time.Now(), time.Minute); !strings.Contains(due.String(), " m=") {
		t.Errorf("%s goes by the wall clock alone", due)
	}
}
