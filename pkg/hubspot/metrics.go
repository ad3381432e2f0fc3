package hubspot

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are this package's metrics of docs/contract.md section 7.
type metrics struct {
	requests  *prometheus.CounterVec
	calls     *prometheus.CounterVec
	throttled *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, g *Governor, c *clock) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_requests_total",
			Help: "Attempts sent to HubSpot, by API and HTTP status; the status error means no answer.",
		}, []string{"api", "status"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_calls_total",
			Help: "Attempts that count against HubSpot's day, by the stream that needed them; connector is none.",
		}, []string{"stream"}),
		throttled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_throttled_total",
			Help: "429 answers from HubSpot, by the limit they named.",
		}, []string{"policy"}),
	}
	for _, policy := range []string{policySecond, policyTenSeconds, policyDay} { // an alert needs the 0 before the first one
		m.throttled.WithLabelValues(policy)
	}
	m.calls.WithLabelValues(noStream)
	if reg == nil {
		return m, nil
	}
	apart := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hubspot_cdc_clock_difference_seconds",
		Help: "HubSpot's clock minus this machine's, by HubSpot's answers.",
	}, func() float64 { return c.apart().Seconds() })
	for _, c := range []prometheus.Collector{m.requests, m.calls, m.throttled, budget{g}, apart} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// noStream is what calls count as that no stream needs: the account's details and
// its count of the day's calls.
const noStream = "connector"

type charged struct{}

// Charge returns a context whose calls count as a stream's.
func (c *Client) Charge(ctx context.Context, stream string) context.Context {
	return context.WithValue(ctx, charged{}, c.metrics.calls.WithLabelValues(stream))
}

// charge counts an attempt.
func (m *metrics) charge(ctx context.Context) {
	counter, ok := ctx.Value(charged{}).(prometheus.Counter)
	if !ok {
		counter = m.calls.WithLabelValues(noStream)
	}
	counter.Inc()
}

var budgetRemaining = prometheus.NewDesc("hubspot_cdc_budget_remaining",
	"Calls left under a limit: search (our own share), ten_seconds and day (HubSpot's latest count); absent while not known.",
	[]string{"limit"}, nil)

// budget exports what the governor has left. It leaves out an unknown limit,
// because readers would take any number for a real one.
type budget struct{ g *Governor }

func (budget) Describe(ch chan<- *prometheus.Desc) { ch <- budgetRemaining }

func (b budget) Collect(ch chan<- prometheus.Metric) {
	for limit, left := range b.g.remaining() {
		ch <- prometheus.MustNewConstMetric(budgetRemaining, prometheus.GaugeValue, left, limit)
	}
}
