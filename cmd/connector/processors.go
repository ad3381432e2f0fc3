package main

import (
	"os"
	"runtime"
)

// boundProcessors makes Go run on one processor at a time. A run calls it once it has
// read its state, which keeps two busy. From then on it needs a thirtieth of one at
// HubSpot's limits, in bursts. With more, each burst wakes threads that look for work,
// find none and go to sleep again, which costs up to a tenth of a backfill's processor
// time. A number that the operator has set, in GOMAXPROCS, stays.
func boundProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}
