package stream

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are what the streams of all runs count, one run after another.
type Metrics struct {
	rereads    *prometheus.CounterVec
	unresolved *prometheus.CounterVec
	running    *prometheus.GaugeVec
	disputed   *prometheus.GaugeVec
	signals    *prometheus.CounterVec
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
			Help: "Snapshots of the object under way: its backfill, and one that a signal asked for.",
		}, []string{"object"}),
		disputed: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hubspot_cdc_disputed_records",
			Help: "Ids about which HubSpot's search index and its object store do not agree.",
		}, []string{"object"}),
		signals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_signals_total",
			Help: "Signals read: accepted, or passed_over because they cannot be understood.",
		}, []string{"result"}),
	}
	reg.MustRegister(m.signals, m.disputed, m.rereads, m.unresolved, m.running)
	return m
}

// Between says that no run is under way: nothing is at present, and what was
// counted stays.
func (m *Metrics) Between() {
	m.running.Reset()
	m.disputed.Reset()
}

// snapshot says that a snapshot of an object has begun; what it returns, that
// it has ended.
func (m *Metrics) snapshot(object string) (ended func()) {
	m.running.WithLabelValues(object).Inc()
	return sync.OnceFunc(m.running.WithLabelValues(object).Dec)
}
