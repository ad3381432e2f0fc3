package stream

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are what the streams count. They outlive a run.
type Metrics struct {
	// Sums says that nobody looks at single objects. Set it before a run.
	Sums bool

	rereads    *prometheus.CounterVec
	unresolved *prometheus.CounterVec
	running    *prometheus.GaugeVec
	disputed   *prometheus.GaugeVec
	stuck      *prometheus.GaugeVec
	held       *prometheus.GaugeVec
	signals    *prometheus.CounterVec

	found         *prometheus.CounterVec
	missed        *prometheus.CounterVec
	pollingMissed *prometheus.CounterVec
	journalEvents *prometheus.CounterVec
	journalFiles  *prometheus.CounterVec
}

// NewMetrics registers the streams' metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		rereads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_rereads_total",
			Help: "Reads repeated before a page was committed, by cause.",
		}, []string{"object", "cause"}),
		unresolved: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_unresolved_records_total",
			Help: "Ids that HubSpot, even when asked for one alone, neither returned nor reported missing; the connector asks again.",
		}, []string{"object"}),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hubspot_cdc_snapshot_running",
			Help: "Snapshots of the object under way: its backfill, and the one that a signal asked for.",
		}, []string{"object"}),
		disputed: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hubspot_cdc_disputed_records",
			Help: "Ids about which HubSpot's search index and its object store disagree.",
		}, []string{"object"}),
		stuck: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hubspot_cdc_stuck_records",
			Help: "Records that HubSpot does not answer about even when asked for one alone; they stay as published and are asked for again.",
		}, []string{"object"}),
		held: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hubspot_cdc_held_records",
			Help: "Records, associations or entries whose deletes are held back, because HubSpot lacks many at once.",
		}, []string{"object"}),
		signals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_signals_total",
			Help: "Signals read: accepted, or passed_over because they cannot be understood.",
		}, []string{"result"}),
		found: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_found_first_total",
			Help: "Changes published, by the stream that named the record or the association first.",
		}, []string{"object", "finder"}),
		missed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_journal_missed_total",
			Help: "Changes that polling found and HubSpot's webhooks journal did not name within ten minutes.",
		}, []string{"object"}),
		pollingMissed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_polling_missed_total",
			Help: "Changes that HubSpot's webhooks journal named and no search showed before the longest lag was over.",
		}, []string{"object"}),
		journalEvents: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_journal_events_total",
			Help: "Events of HubSpot's webhooks journal: named a record or an association to read, dropped because it is of a type or pair that is not followed, foreign because it is of another portal, or odd because it cannot be understood.",
		}, []string{"outcome"}),
		journalFiles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_journal_files_total",
			Help: "Files of HubSpot's webhooks journal: read, or unreadable and passed over.",
		}, []string{"result"}),
	}
	for _, outcome := range []string{journalNamed, journalDropped, journalForeign, journalOdd} {
		m.journalEvents.WithLabelValues(outcome)
	}
	for _, result := range []string{journalRead, journalUnreadable} {
		m.journalFiles.WithLabelValues(result)
	}
	for _, result := range []string{"accepted", "passed_over"} {
		m.signals.WithLabelValues(result)
	}
	reg.MustRegister(m.found, m.missed, m.pollingMissed, m.journalEvents, m.journalFiles)
	reg.MustRegister(m.signals, m.disputed, m.stuck, m.held, m.rereads, m.unresolved, m.running)
	return m
}

// Outcomes of the journal's events, and results of its files.
const (
	journalNamed, journalDropped, journalForeign, journalOdd = "named", "dropped", "foreign", "odd"
	journalRead, journalUnreadable                           = "read", "unreadable"
)

// zero gives a series of an object its 0 before the first event: an alert on a rise needs
// it. A fleet, of which only sums are looked at, would need a tenth of its heap for that.
func (m *Metrics) zero(vec *prometheus.MetricVec, labels ...string) {
	if m.Sums {
		return
	}
	if _, err := vec.GetMetricWithLabelValues(labels...); err != nil {
		panic(err) // another number of labels: a bug
	}
}

// follow does it for all series of an object that is followed. causes are those of its
// re-reads.
func (m *Metrics) follow(object string, causes ...string) {
	m.zero(m.running.MetricVec, object)
	m.zero(m.held.MetricVec, object)
	for _, cause := range causes {
		m.zero(m.rereads.MetricVec, object, cause)
	}
}

// unordered is the cause of re-reads of a search page (R2).
const unordered = "unordered"

// Between marks that no run is under way. It resets the gauges; counters stay.
func (m *Metrics) Between() {
	m.running.Reset()
	m.disputed.Reset()
	m.stuck.Reset()
	m.held.Reset()
}

// snapshot marks that a snapshot of an object has begun. The caller calls ended
// when the snapshot is over; further calls do nothing.
func (m *Metrics) snapshot(object string) (ended func()) {
	m.running.WithLabelValues(object).Inc()
	return sync.OnceFunc(m.running.WithLabelValues(object).Dec)
}
