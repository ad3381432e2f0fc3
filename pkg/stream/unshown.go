package stream

import (
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Records that the journal found and that no search has shown yet. Without the
// journal, the connector would publish those that search never shows only when a
// reconcile comes to them.

// unshownMost bounds their number; others are not counted.
const unshownMost = 100_000

// found notes a publication of a record. The caller holds the lock.
func (a *Audit) found(object string, id hubspot.ID, p *publication) {
	waiting := a.unshown[object]
	if p.polled || !p.exact {
		delete(waiting, id)
		return
	}
	if waiting == nil {
		waiting = map[hubspot.ID]hubspot.Millis{}
		a.unshown[object] = waiting
	}
	if _, there := waiting[id]; there || len(waiting) < unshownMost {
		waiting[id] = p.at
	}
}

// shown notes what a walk of a tier has seen.
func (a *Audit) shown(object string, rows []hubspot.SearchRow) {
	a.mu.Lock()
	defer a.mu.Unlock()
	waiting := a.unshown[object]
	for _, row := range rows {
		if at, there := waiting[row.ID]; there && row.Updated >= at {
			delete(waiting, row.ID)
		}
	}
}

// passed notes that the tier with the longest lag will not look for what was modified
// before start again.
func (a *Audit) passed(object string, start hubspot.Millis) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, at := range a.unshown[object] {
		if at < start {
			delete(a.unshown[object], id)
			a.metrics.pollingMissed.WithLabelValues(object).Inc()
		}
	}
}

// recordFinders are the streams that find a record's changes, besides the tiers.
var recordFinders = []string{
	offsets.JournalStream, offsets.BackfillStream, offsets.ReconcileStream, offsets.ArchiveStream, CensusStream,
	offsets.RefillStream, offsets.SignalsStream, offsets.StuckStream, offsets.RepublishStream,
}

// linkFinders are the streams that find a pair's changes.
var linkFinders = []string{offsets.JournalStream, offsets.AssociationsStream, offsets.SignalsStream, offsets.RepublishStream}
