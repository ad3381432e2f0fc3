package hubspot

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the numbers of docs/contract.md section 7 that this package owns.
type metrics struct {
	requests  *prometheus.CounterVec
	throttled *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, g *Governor) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_requests_total",
			Help: "Attempts sent to HubSpot, by API and HTTP status; error: no answer came.",
		}, []string{"api", "status"}),
		throttled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_throttled_total",
			Help: "Answers 429 of HubSpot, by the limit they named.",
		}, []string{"policy"}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.throttled, budget{g}} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

var budgetRemaining = prometheus.NewDesc("hubspot_cdc_budget_remaining",
	"Calls left of a limit: search (our own share), ten_seconds and day (HubSpot's last word); missing while not known.",
	[]string{"limit"}, nil)

// budget shows what the governor has left. A limit that is not known is left
// out: any number would be read as one.
type budget struct{ g *Governor }

func (budget) Describe(ch chan<- *prometheus.Desc) { ch <- budgetRemaining }

func (b budget) Collect(ch chan<- prometheus.Metric) {
	for limit, left := range b.g.remaining() {
		ch <- prometheus.MustNewConstMetric(budgetRemaining, prometheus.GaugeValue, left, limit)
	}
}
