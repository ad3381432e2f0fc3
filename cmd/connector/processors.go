package main

import (
	"os"
	"runtime"
)

// boundProcessors makes Go run on one processor at a time. At HubSpot's limits a run
// needs a thirtieth of one, in bursts. With more, each burst wakes threads that look
// for work, find none and go to sleep again, which costs about a tenth of a backfill's
// processor time. A number that the operator has set, in GOMAXPROCS, stays.
func boundProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}
