package stream

import "time"

// Where the journal may be relied on (Audit.Relied), polling only checks it, and asks
// as seldom as this wherever the operator has set no interval. As soon as the journal
// is no longer relied on, every interval is what it was, and whoever waits notices
// within shorterLook (docs/decisions/0021-how-seldom-a-whole-journal-is-checked.md).
const (
	// reliedAwake and reliedAsleep are the least leading intervals of a portal that is
	// awake and of one that sleeps.
	reliedAwake, reliedAsleep = 2 * time.Minute, 5 * time.Minute
	// ReliedCensus is the least time between two rounds of the census.
	ReliedCensus = 15 * time.Minute
	// ReliedArchive is that between two passes over the recycle bin.
	ReliedArchive = time.Hour
	// ReliedLinks is that between two sweeps of a pair that has links.
	ReliedLinks = 4 * time.Hour
)
