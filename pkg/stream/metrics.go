package stream

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the counters that streams share.
type Metrics struct {
	rereads    *prometheus.CounterVec
	unresolved *prometheus.CounterVec
	merged     *prometheus.CounterVec
	running    *prometheus.GaugeVec
}

// NewMetrics registers the streams' metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		rereads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_rereads_total",
			Help: "Reads made again before a page was finished, by cause.",
		}, []string{"object", "cause"}),
		unresolved: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_unresolved_records_total",
			Help: "Live keys whose record HubSpot answered neither live nor archived; they stay as they are.",
		}, []string{"object"}),
		merged: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_merged_records_total",
			Help: "Reads that HubSpot answered with the record that the asked one was merged into.",
		}, []string{"object"}),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hubspot_cdc_snapshot_running",
			Help: "1 while the backfill of the object type runs.",
		}, []string{"object"}),
	}
	reg.MustRegister(m.rereads, m.unresolved, m.merged, m.running)
	return m
}

func (m *Metrics) snapshot(object string, running bool) {
	v := 0.0
	if running {
		v = 1
	}
	m.running.WithLabelValues(object).Set(v)
}
