package connector

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/connector/page"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// overview is what GET / and GET /status show. It asks nobody and waits for nobody, so
// that looking costs a run nothing: the brokers count as away once they have been
// silent.
func (h *health) overview() page.Status {
	is := h.now()
	known := h.unasked(&is)
	out := page.Status{
		V: page.Version, Time: moment(time.Now()), Ready: known.Ready, Role: known.Role, Since: moment(is.since),
		Prefix: h.setup.Config.Kafka.TopicPrefix, List: h.list, Portal: is.portal, Version: h.setup.Version, Started: moment(h.started),
		Objects: []page.Object{}, Snapshot: known.Snapshot, Problems: known.Problems,
	}
	counts := h.counts()
	passes := h.status.Progress()
	for _, f := range h.status.Followed() {
		o := page.Object{Object: f.Object, Live: f.Live, Backfill: f.Backfill, Passes: []stream.Progress{}, Streams: f.Streams, Events: counts.events[f.Object]}
		for _, p := range passes {
			if p.Object == f.Object {
				p.Since = moment(p.Since)
				o.Passes = append(o.Passes, p)
			}
		}
		out.Objects = append(out.Objects, o)
	}
	out.Backfill = h.status.Backfill()
	out.Behind = h.behind(out.Objects, out.Problems, is.since)
	out.Budget, out.Commits = h.budget(counts), counts.commits
	return out
}

func moment(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// counts are what this process has counted, as /metrics shows it.
type counts struct {
	events    map[string]page.Events
	calls     []page.Calls
	throttled map[string]int
	left      map[string]float64
	commits   page.Commits
}

func (h *health) counts() counts {
	c := counts{events: map[string]page.Events{}, calls: []page.Calls{}, throttled: map[string]int{}, left: map[string]float64{}}
	families, _ := h.setup.Metrics.Gather() // an error concerns other metrics
	for _, family := range families {
		for _, m := range family.GetMetric() {
			label := map[string]string{}
			for _, l := range m.GetLabel() {
				label[l.GetName()] = l.GetValue()
			}
			n := int(m.GetCounter().GetValue())
			switch family.GetName() {
			case "hubspot_cdc_events_total":
				e := c.events[label["object"]]
				*map[string]*int{"c": &e.Created, "u": &e.Updated, "d": &e.Deleted, "r": &e.Read}[label["op"]] = n
				c.events[label["object"]] = e
			case "hubspot_cdc_calls_total":
				c.calls = append(c.calls, page.Calls{Stream: label["stream"], Calls: n})
			case "hubspot_cdc_throttled_total":
				c.throttled[label["policy"]] = n
			case "hubspot_cdc_budget_remaining":
				c.left[label["limit"]] = m.GetGauge().GetValue()
			case "hubspot_cdc_commits_total":
				if label["result"] == "ok" {
					c.commits.OK = n
				} else {
					c.commits.Failed = n
				}
			case "hubspot_cdc_commit_seconds":
				if of := m.GetHistogram(); of.GetSampleCount() > 0 {
					mean := math.Round(1e4*of.GetSampleSum()/float64(of.GetSampleCount())) / 1e4
					c.commits.Seconds = &mean
				}
			}
		}
	}
	slices.SortStableFunc(c.calls, func(a, b page.Calls) int { return cmp.Compare(b.Calls, a.Calls) })
	return c
}

// budget is what HubSpot's limits leave.
func (h *health) budget(c counts) page.Budget {
	learnt := h.setup.Governor.Learnt()
	number := func(n float64, known bool) *float64 {
		if n = math.Round(10*n) / 10; known {
			return &n
		}
		return nil
	}
	limit := func(name string, of float64) page.Limit {
		left, known := c.left[name]
		return page.Limit{Limit: name, Of: number(of, of > 0), Left: number(left, known)}
	}
	day := limit("day", float64(learnt.Daily))
	if learnt.Daily > 0 {
		day.Reserve = number(float64(learnt.Reserve), true)
		if ends := moment(learnt.Resets); !learnt.Resets.IsZero() {
			day.Resets = &ends
		}
	}
	return page.Budget{
		Limits:  []page.Limit{limit("search", learnt.Searches), limit("ten_seconds", float64(learnt.TenSeconds)), day},
		Streams: c.calls, Throttled: c.throttled,
	}
}
