package hubspot

import (
	"net/http"
	"sync"
	"time"
)

// clockMargin is how much we subtract from our own clock if HubSpot sent no
// time (R3).
const clockMargin = 5 * time.Minute

// clock gives a lower bound of HubSpot's time: the Date of its latest answer
// plus the time since that answer arrived, by our monotonic clock. It is never
// ahead of HubSpot, because Date is truncated to the second and the answer took
// some time to arrive.
type clock struct {
	mu       sync.Mutex
	date     Millis
	received time.Time
}

// note records the Date of a HubSpot answer and returns it. For an answer
// without one it returns our clock less the margin and records nothing.
func (c *clock) note(header http.Header, received time.Time) Millis {
	t, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return MillisOf(received.Add(-clockMargin))
	}
	date := MillisOf(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	if received.After(c.received) {
		c.date, c.received = date, received
	}
	return date
}

func (c *clock) now() Millis {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.received.IsZero() {
		return MillisOf(time.Now().Add(-clockMargin))
	}
	return c.date.Add(time.Since(c.received))
}
