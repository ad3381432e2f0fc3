package main

import (
	"context"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// measureKills kills the connector again and again in the middle of a backfill, and
// counts the records that HubSpot had to be asked for again.
func measureKills(ctx context.Context, b *bench) ([]result, error) {
	const object = "contacts"
	l := b.newLab(object)
	l.widen(object)
	l.portal.Seed(object, b.records)
	if err := l.open(true); err != nil {
		return nil, err
	}
	defer l.close()
	topic := l.topic(object)
	seen := func() int { return l.seen.distinct(topic) }
	var away time.Duration // from a kill to the next page
	for i := range b.kills + 1 {
		page := l.first(list(object))
		killed := time.Now()
		c, err := l.start(ctx)
		if err != nil {
			return nil, err
		}
		defer c.kill()
		until := b.records * (2*i + 1) / (2 * b.kills) // the middle of each part
		if err := c.until(ctx, patience, seen, func() bool { return seen() >= min(until, b.records) }); err != nil {
			return nil, err
		}
		if i > 0 {
			away += page.at.Sub(killed)
		}
		if i < b.kills {
			b.tell("kill %d, after %d records", i+1, seen())
			c.kill()
		} else if err := c.stop(); err != nil {
			return nil, err
		}
	}
	doubled := 0
	l.seen.of(topic, func(t *traffic) { doubled = t.events - len(t.times) })
	answered := l.portal.Stats().Records
	again := float64(answered[hubspottest.EndpointList] + answered[hubspottest.EndpointBatchRead] - b.records)
	return []result{
		{"kills", float64(b.kills), "", ""},
		{"pages read again for a kill", again / float64(b.kills) / pageSize, "", "≤ 1 for each chain"},
		{"records lost", float64(b.records - seen()), "", "0"},
		{"records doubled", float64(doubled), "", "0"},
		{"from a kill to the next page", away.Seconds() / float64(b.kills), "s", ""},
		{"429 answers", float64(l.throttled()), "", "0"},
	}, nil
}
