package stream

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Audit compares what the journal names with what is published. It belongs to a run;
// its counters outlive it.
type Audit struct {
	found *prometheus.CounterVec

	mu    sync.Mutex
	whole hubspot.Millis // since when the journal has been whole; 0: it is not
	lacks []string       // types of which the journal lacks something
}

// NewAudit makes the audit of a run.
func NewAudit(m *Metrics) *Audit { return &Audit{found: m.found} }

// Whole notes that the journal has been read to its end.
func (a *Audit) Whole(now hubspot.Millis) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.whole == 0 {
		a.whole = now
	}
}

// Broken notes that the journal may lack something from now on.
func (a *Audit) Broken() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.whole = 0
}

// Lacks sets the types of which HubSpot writes not everything into the journal.
func (a *Audit) Lacks(types []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lacks = types
}

// Named notes that the journal named a record, or the from side of an association.
func (a *Audit) Named(object string, id hubspot.ID, occurred hubspot.Millis) {}

// published counts who found what was committed first.
func (a *Audit) published(object, stream string, op cdc.Op) {
	if op != cdc.Read {
		a.found.WithLabelValues(object, stream).Inc()
	}
}
