package stream

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the counters that streams share.
type Metrics struct {
	rereads    *prometheus.CounterVec
	unresolved *prometheus.CounterVec
	running    *prometheus.GaugeVec
	disputed   *prometheus.GaugeVec
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
			Help: "Ids that HubSpot, asked for them alone, neither answered nor reported missing; they stay as they are.",
		}, []string{"object"}),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hubspot_cdc_snapshot_running",
			Help: "1 while the backfill of the object type runs.",
		}, []string{"object"}),
		disputed: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hubspot_cdc_disputed_records",
			Help: "Ids about which HubSpot's search index and its object store do not agree.",
		}, []string{"object"}),
	}
	reg.MustRegister(m.disputed, m.rereads, m.unresolved, m.running)
	return m
}

func (m *Metrics) snapshot(object string, running bool) {
	v := 0.0
	if running {
		v = 1
	}
	m.running.WithLabelValues(object).Set(v)
}
