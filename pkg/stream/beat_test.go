package stream

import (
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
