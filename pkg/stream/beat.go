package stream

import "time"

// UntilBeat is the time from now to the next beat of this period, on the process's clock:
// more than nothing, and at most the period. Those who only look now and then whether there
// is something to do wait for it, so that all of a process look together: a process with
// hundreds of portals has thousands of them, and each moment at which an idle process wakes
// costs it far more than one more goroutine that runs then (docs/fleet.md, Sizes).
func UntilBeat(period time.Duration) time.Duration {
	return period - time.Duration(time.Now().UnixNano()%int64(period))
}
