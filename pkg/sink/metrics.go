package sink

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubspot-cdc/connector/pkg/cdc"
)

type metrics struct {
	sums bool // Config.Sums

	events   *prometheus.CounterVec
	commits  *prometheus.CounterVec
	seconds  prometheus.Histogram
	change   *prometheus.HistogramVec
	unparsed *prometheus.CounterVec
	omitted  *prometheus.CounterVec
}

// newMetrics registers the package's metrics. A process opens a Sink for each of
// its runs, and the later ones continue the counts of the earlier ones.
func newMetrics(reg prometheus.Registerer, sums bool) *metrics {
	m := &metrics{
		sums: sums,
		events: register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_events_total", Help: "Events committed, by object and op (c, u, d, r).",
		}, []string{"object", "op"})),
		commits: register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_commits_total", Help: "Kafka transactions, by result: ok or failed. A failed one ends the run.",
		}, []string{"result"})),
		seconds: register(reg, prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "hubspot_cdc_commit_seconds", Help: "How long committed Kafka transactions took, in seconds.",
			Buckets: []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		})),
		change: register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hubspot_cdc_change_seconds", Help: "Seconds from HubSpot's time of a change to its commit, by HubSpot's clock; without snapshots, and without changes of which HubSpot does not say when they were.",
			Buckets: []float64{.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400},
		}, []string{"object"})),
		unparsed: register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_unparsed_values_total", Help: "Values whose raw text travels in unparsed.",
		}, []string{"object"})),
		omitted: register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_omitted_values_total", Help: "Values left out because the event was larger than its topic allows.",
		}, []string{"object"})),
	}
	for _, result := range []string{"ok", "failed"} { // an alert needs the 0 before the first one
		m.commits.WithLabelValues(result)
	}
	return m
}

// follow gives every series of an object that is followed its 0 before the first
// event: an alert on a rise needs it. dated says that HubSpot tells when its changes
// were.
func (m *metrics) follow(object string, dated bool) {
	for _, op := range []cdc.Op{cdc.Create, cdc.Update, cdc.Delete, cdc.Read} {
		m.events.WithLabelValues(object, string(rune(op)))
	}
	if m.sums {
		return
	}
	m.unparsed.WithLabelValues(object)
	m.omitted.WithLabelValues(object)
	if dated {
		m.change.WithLabelValues(object)
	}
}

// Follow notes that a run follows an object type or a reference list.
func (s *Sink) Follow(object string) { s.metrics.follow(object, true) }

// FollowPair notes that a run follows a pair. HubSpot does not say when a link was
// made or removed.
func (s *Sink) FollowPair(pair string) { s.metrics.follow(pair, false) }

// RegisterMetrics registers what Sinks count before the first one is opened.
func RegisterMetrics(reg prometheus.Registerer) { newMetrics(reg, false) }

func register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	err := reg.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		return already.ExistingCollector.(C)
	}
	if err != nil {
		panic(err) // two different metrics of one name: a bug
	}
	return c
}
