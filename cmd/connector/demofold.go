package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// demoFold tells the first event of a backfill in the demo, and then how many more
// there are like it: hundreds of lines would hide what happens meanwhile.
type demoFold struct {
	mu     sync.Mutex
	topics map[string]*folded
}

// folded is what a topic has of its backfill.
type folded struct {
	more   int
	latest time.Time
	told   bool
}

// foldQuiet is how long no event of a backfill must have come before it is told.
const foldQuiet = 500 * time.Millisecond

// takes reports whether an event is one more of a backfill that is under way.
func (f *demoFold) takes(r *record) bool {
	source, _ := r.event["source"].(map[string]any)
	if source["snapshot"] != "true" {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	of := f.topics[r.Topic]
	if of == nil {
		f.topics[r.Topic] = &folded{latest: time.Now()}
		return false
	}
	if of.told && source["stream"] != offsets.BackfillStream {
		return false // it was found late
	}
	of.more, of.latest, of.told = of.more+1, time.Now(), false
	return true
}

// tell writes a line for each backfill that is over, until ctx ends.
func (f *demoFold) tell(ctx context.Context, out *tail) {
	ticker := time.NewTicker(foldQuiet / 5)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			for _, line := range f.over() {
				fmt.Fprint(out, line)
			}
		case <-ctx.Done():
			return
		}
	}
}

// over are the lines about the backfills that have ended since it was last asked.
func (f *demoFold) over() (lines []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for topic, of := range f.topics {
		if of.told || time.Since(of.latest) < foldQuiet {
			continue
		}
		if of.told = true; of.more > 0 {
			lines = append(lines, fmt.Sprintf("* connector: %d more r in %s, the rest of what was there when it began to read them\n", of.more, topic))
			of.more = 0
		}
	}
	return lines
}
