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

// shorterLook is how often a leading tier, a census or a sweep that waits asks whether its
// interval has become shorter without anything that tells it.
const shorterLook = time.Minute

// onBeat moves what comes round with an interval, and is due at a time, to the next beat,
// so that those of a process that have long intervals send together too. The beats are four
// seconds apart, or two, or one: at most a sixteenth of the interval. Where that is shorter
// than sixteen seconds, it is due when it is due.
func onBeat(due time.Time, interval time.Duration) time.Time {
	for apart := 4 * time.Second; apart >= time.Second; apart /= 2 {
		if apart <= interval/16 {
			late := due.Sub(due.Truncate(apart)) // Truncate alone forgets the monotonic clock
			if late == 0 {
				return due
			}
			return due.Add(apart - late)
		}
	}
	return due
}
