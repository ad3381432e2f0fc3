package main

import (
	"context"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// patience is how long nothing may happen. A run that another one has to follow
// waits six seconds for the group, and HubSpot is asked in ten seconds' turns.
const patience = 2 * time.Minute

// smallTypes stand beside the large one; the first is the smallest.
var smallTypes = []string{"quotes", "companies", "deals", "tickets", "leads"}

func measureBackfill(ctx context.Context, b *bench) ([]result, error) { return b.backfill(ctx, nil) }

func measureBeside(ctx context.Context, b *bench) ([]result, error) {
	return b.backfill(ctx, smallTypes)
}

// Names of results that a comparison takes.
const (
	rateName = "records a second"
	cpuName  = "CPU for 1,000 records"
)

// backfill has one large type read from the first page to the last event, beside
// some small ones.
func (b *bench) backfill(ctx context.Context, beside []string) (results []result, err error) {
	const object = "contacts"
	l := b.newLab(append([]string{object}, beside...)...)
	l.widen(object)
	l.portal.Seed(object, b.records)
	all, topics := b.records, []string{l.topic(object)}
	for i, small := range beside {
		n := b.small
		if i == 0 {
			n = max(1, b.small/10)
		}
		l.portal.Seed(small, n)
		all, topics = all+n, append(topics, l.topic(small))
	}
	if err := l.open(true); err != nil {
		return nil, err
	}
	defer l.close()
	page := l.first(list(object))
	c, err := l.start(ctx)
	if err != nil {
		return nil, err
	}
	defer c.kill()
	topic := topics[0]
	events := func() int { return l.seen.events() }
	if err := c.wait(ctx, page); err != nil {
		return nil, err
	}
	b.tell("the first page after %.1f s", page.at.Sub(c.began).Seconds())
	spent, err := c.cpuOf(func() error {
		return c.until(ctx, patience, events, func() bool { return l.seen.distinct(topic) >= b.records && l.seen.events(topics...) >= all })
	})
	if err != nil {
		return nil, err
	}
	rss, most, err := c.memory()
	if err != nil {
		return nil, err
	}
	var last time.Time
	doubled := 0
	for _, of := range topics {
		l.seen.of(of, func(t *traffic) { last, doubled = later(last, t.last), doubled+t.events-len(t.times) })
	}
	took := last.Sub(page.at)
	rate := float64(all) / took.Seconds()
	calls := 0 // that count against the ten seconds
	for endpoint, n := range l.portal.Stats().Calls {
		switch endpoint {
		case hubspottest.EndpointSearch, hubspottest.EndpointLinks, hubspottest.EndpointLabels:
		default:
			calls += n
		}
	}
	results = []result{
		{"share of the list ceiling", 100 * rate / ceiling(b.share), "%", "≥ 97"},
		{"share of the calls that it leaves us, of all kinds", 100 * float64(calls) * pageSize / took.Seconds() / ceiling(b.share), "%", ""},
		{rateName, rate, "1/s", ""},
		{"records doubled", float64(doubled), "", "0"},
		{"429 answers", float64(l.throttled()), "", "0"},
		{cpuName, 1000 * spent / float64(all), "s", ""},
		{"resident memory at the end", rss, "MB", ""},
		{"most resident memory", most, "MB", ""},
	}
	if len(beside) > 0 {
		l.seen.of(l.topic(beside[0]), func(t *traffic) {
			results = append(results,
				result{"first event of the smallest type, after the first page of the largest", t.first.Sub(page.at).Seconds(), "s", "≤ 5"},
				result{"the same, after the start of the process", t.first.Sub(c.began).Seconds(), "s", ""})
		})
	}
	return results, c.stop()
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// ceiling is how many records a second the list calls can bring, of the share of
// the ten-second limit that is ours.
func ceiling(share float64) float64 {
	return share * float64(realLimits.TenSecondly) / 10 * pageSize
}
