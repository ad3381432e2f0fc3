package connector

import (
	"cmp"
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubspot-cdc/connector/pkg/stream"
)

// areas are those that a problem may have.
var areas = []string{areaHubSpot, areaKafka, areaRegistry, areaLoading, areaConnector, stream.ProblemArea}

var (
	roleDesc = prometheus.NewDesc("hubspot_cdc_role",
		"1 while this process is the owner and streams, 0 while it starts or stands by.", nil, nil)
	readyDesc = prometheus.NewDesc("hubspot_cdc_ready",
		"1 while /readyz answers 200, else 0.", nil, nil)
	problemsDesc = prometheus.NewDesc("hubspot_cdc_problems",
		"Problems that /readyz shows, by area.", []string{"area"}, nil)
	buildDesc = prometheus.NewDesc("hubspot_cdc_build_info",
		"1, with the version and the commit of this build.", []string{"version", "commit"}, nil)
)

// gauges exports what /readyz says. Each scrape asks once, as /readyz does, so that
// the figures agree with each other and with it.
type gauges struct {
	health *health
	ask    bool // the brokers too
}

// Describe implements prometheus.Collector.
func (gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{roleDesc, readyDesc, problemsDesc, buildDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	var body Readiness
	if g.ask {
		body = g.health.readiness(context.Background())
	} else {
		is := g.health.now()
		body = g.health.unasked(&is)
	}
	gauge(roleDesc, oneIf(body.Role == "owner"))
	gauge(readyDesc, oneIf(body.Ready))
	count := map[string]int{}
	for _, area := range areas { // an alert needs the 0 before the first one
		count[area] = 0
	}
	for _, p := range body.Problems {
		count[p.Area]++
	}
	for area, n := range count {
		gauge(problemsDesc, float64(n), area)
	}
	commit, _ := builtFrom()
	gauge(buildDesc, 1, g.health.setup.Version, cmp.Or(commit, "unknown"))
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
