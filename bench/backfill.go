package main

import (
	"context"
	"fmt"
	"time"
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
	for i, small := range beside {
		n := b.small
		if i == 0 {
			n = max(1, b.small/10)
		}
		l.portal.Seed(small, n)
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
	topic := l.topic(object)
	events := func() int { return l.seen.events() }
	if err := c.wait(ctx, page); err != nil {
		return nil, err
	}
	b.tell("the first page after %.1f s", page.at.Sub(c.began).Seconds())
	spent, err := c.cpuOf(func() error {
		return c.until(ctx, patience, events, func() bool { return l.seen.distinct(topic) >= b.records })
	})
	if err != nil {
		return nil, err
	}
	rss, most, err := c.memory()
	if err != nil {
		return nil, err
	}
	var took time.Duration
	doubled := 0
	l.seen.of(topic, func(t *traffic) { took, doubled = t.last.Sub(page.at), t.events-len(t.times) })
	rate := float64(b.records) / took.Seconds()
	results = []result{
		{"share of the list ceiling", 100 * rate / ceiling(b.share), "%", "≥ 97"},
		{rateName, rate, "1/s", ""},
		{"records doubled", float64(doubled), "", "0"},
		{"429 answers", float64(l.throttled()), "", "0"},
		{cpuName, 1000 * spent / float64(b.records), "s", ""},
		{"resident memory at the end", rss, "MB", ""},
		{"most resident memory", most, "MB", ""},
	}
	for i, small := range beside {
		if i > 0 {
			break
		}
		l.seen.of(l.topic(small), func(t *traffic) {
			if t == nil {
				err = fmt.Errorf("%s has no event although %s is done", small, object)
				return
			}
			results = append(results,
				result{"first event of the smallest type, after the first page of the largest", t.first.Sub(page.at).Seconds(), "s", "≤ 5"},
				result{"the same, after the start of the process", t.first.Sub(c.began).Seconds(), "s", ""})
		})
	}
	if err != nil {
		return nil, err
	}
	return results, c.stop()
}

// ceiling is how many records a second the list calls can bring, of the share of
// the ten-second limit that is ours.
func ceiling(share float64) float64 {
	return share * float64(realLimits.TenSecondly) / 10 * pageSize
}
