package fleet

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/hubspot-cdc/connector/pkg/connector"
)

// What the metrics show of a portal.
const (
	MetricsPortal = "portal" // sums
	MetricsFull   = "full"   // all that a connector of its own would show
)

// metricsPortals is of how many portals an instance shows metrics, the first by name. A
// Prometheus has to keep all series that it ever saw.
const metricsPortals = 2000

// sums are the metrics of MetricsPortal, each with the labels that it keeps; series that
// differ in others are one, with their sum.
var sums = map[string][]string{
	"hubspot_cdc_ready":            nil,
	"hubspot_cdc_problems":         {"area"},
	"hubspot_cdc_events_total":     {"op"},
	"hubspot_cdc_calls_total":      nil,
	"hubspot_cdc_throttled_total":  nil,
	"hubspot_cdc_commits_total":    {"result"},
	"hubspot_cdc_budget_remaining": {"limit"},
}

var (
	portalsDesc = prometheus.NewDesc("hubspot_cdc_fleet_portals", "Portals that this instance has, by state.", []string{"state"}, nil)
	hiddenDesc  = prometheus.NewDesc("hubspot_cdc_fleet_portals_without_metrics", "Portals of this instance that have no metrics, because it has too many.", nil, nil)
	unownedDesc = prometheus.NewDesc("hubspot_cdc_fleet_unowned_portals", "Portals of this instance's folder that no instance has, a minute ago at most.", nil, nil)
	inDesc      = prometheus.NewDesc("hubspot_cdc_fleet_in_group", "1 while this instance is in the group of the fleet's instances, else 0.", nil, nil)
)

// Describe implements prometheus.Collector.
func (f *Fleet) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{portalsDesc, hiddenDesc, unownedDesc, inDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (f *Fleet) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	s := f.own()
	n := s.Counts()
	for _, state := range []string{StateStreaming, StateLoading, StateFailing, StateStopped} { // an alert needs the 0 before the first one
		gauge(portalsDesc, float64(n[state]), state)
	}
	gauge(hiddenDesc, float64(max(0, len(f.connectors())-metricsPortals)))
	gauge(unownedDesc, float64(f.unowned.Load()))
	f.mu.Lock()
	in := f.in
	f.mu.Unlock()
	value := 0.0
	if in {
		value = 1
	}
	gauge(inDesc, value)
}

func (f *Fleet) metrics() http.Handler {
	own := prometheus.NewRegistry()
	own.MustRegister(f, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all := prometheus.Gatherers{own}
		connectors := f.connectors()
		for i, name := range slices.Sorted(maps.Keys(connectors)) {
			if i < metricsPortals {
				all = append(all, named{name, f.cfg.Metrics == MetricsFull, connectors[name]})
			}
		}
		promhttp.HandlerFor(all, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	})
}

// named are the metrics of a portal, with its name.
type named struct {
	name string
	full bool
	c    *connector.Connector
}

// Gather implements prometheus.Gatherer.
func (n named) Gather() ([]*dto.MetricFamily, error) {
	families, err := n.c.Gatherer().Gather()
	var out []*dto.MetricFamily
	for _, family := range families {
		for _, m := range family.Metric {
			m.Label = slices.Clone(m.Label) // it is the counter's own
		}
		if !n.full {
			keep, shown := sums[family.GetName()]
			if !shown {
				continue
			}
			sum(family, keep)
		}
		for _, m := range family.Metric {
			label, value := "portal_name", n.name
			m.Label = append(m.Label, &dto.LabelPair{Name: &label, Value: &value})
			slices.SortFunc(m.Label, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
		}
		out = append(out, family)
	}
	return out, err
}

// sum adds up the series of a family that differ in other labels than those to keep.
func sum(family *dto.MetricFamily, keep []string) {
	var out []*dto.Metric
	of := map[string]*dto.Metric{}
	for _, m := range family.Metric {
		m.Label = slices.DeleteFunc(m.Label, func(l *dto.LabelPair) bool { return !slices.Contains(keep, l.GetName()) })
		key := ""
		for _, l := range m.Label {
			key += l.GetName() + "\x00" + l.GetValue() + "\x00"
		}
		first := of[key]
		if first == nil {
			of[key], out = m, append(out, m)
			continue
		}
		if c := first.GetCounter(); c != nil {
			total := c.GetValue() + m.GetCounter().GetValue()
			c.Value = &total
		}
		if g := first.GetGauge(); g != nil {
			total := g.GetValue() + m.GetGauge().GetValue()
			g.Value = &total
		}
	}
	family.Metric = out
}
