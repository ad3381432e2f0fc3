package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// measureRestart starts the connector beside a large state: how soon it asks HubSpot
// again, how much memory it holds, and what a sweep over all associations costs.
func measureRestart(ctx context.Context, b *bench) ([]result, error) {
	l := b.newLab("contacts")
	from := l.portal.AddCustomType("machine").FullyQualifiedName
	to := l.portal.AddCustomType("place").FullyQualifiedName
	pair := from + ":" + to
	many := max(2, b.many)
	froms, tos := l.portal.Seed(from, many-many/10), l.portal.Seed(to, max(1, many/10))
	links := 0
	for i := 0; links < b.links; i++ {
		if l.portal.Associate(from, froms[i%len(froms)], to, tos[rand.IntN(len(tos))], "", 0) {
			links++
		}
	}
	b.tell("the portal has %d records and %d links", many, links)
	if err := l.open(false); err != nil {
		return nil, err
	}
	defer l.close()
	alone := []string{"HUBSPOT_OBJECTS=" + from + "," + to, "HUBSPOT_ASSOCIATIONS=" + pair}
	if err := l.fill(ctx, map[string]int{
		l.topic(from): len(froms), l.topic(to): len(tos), l.topic("associations." + from + "." + to): links,
	}, alone...); err != nil {
		return nil, err
	}

	poll := l.first(func(r hubspottest.Request) bool { return r.Endpoint == hubspottest.EndpointSearch })
	c, err := l.start(ctx, alone...)
	if err != nil {
		return nil, err
	}
	defer c.kill()
	if err := c.wait(ctx, poll); err != nil {
		return nil, err
	}
	first, _, err := c.memory()
	if err != nil {
		return nil, err
	}
	if err := c.sleep(ctx, 30*time.Second); err != nil {
		return nil, err
	}
	settled, most, err := c.memory()
	if err != nil {
		return nil, err
	}
	results := []result{
		{"records", float64(many), "", ""}, {"links", float64(links), "", ""},
		{"from the start to the first poll", poll.at.Sub(c.began).Seconds(), "s", "≤ 2"},
		{"resident memory at the first poll", first, "MB", ""},
		{"resident memory half a minute later", settled, "MB", "≤ 220"},
		{"most resident memory", most, "MB", ""},
	}
	if links > 0 {
		idle, err := c.cpuOf(func() error { return c.sleep(ctx, quiet) })
		if err != nil {
			return nil, err
		}
		if err := c.stop(); err != nil {
			return nil, err
		}
		swept, err := l.sweep(ctx, len(froms), links, idle/quiet.Seconds(), alone)
		if err != nil {
			return nil, fmt.Errorf("the sweep: %w", err)
		}
		return append(results, swept...), nil
	}
	return results, c.stop()
}

// quiet is how long the connector is watched without a sweep.
const quiet = 30 * time.Second

// sweep measures a sweep over all associations. idle is the CPU time that the
// connector uses anyway, in seconds for a second.
func (l *lab) sweep(ctx context.Context, froms, links int, idle float64, env []string) ([]result, error) {
	l.portal.ResetStats()
	calls := func() int { return l.portal.Stats().Calls[hubspottest.EndpointLinks] }
	begun := l.first(func(r hubspottest.Request) bool { return r.Endpoint == hubspottest.EndpointLinks })
	// A sweep follows within its interval, and is spread over it.
	c, err := l.start(ctx, append(env, "SYNC_ASSOCIATIONS_INTERVAL=2m")...)
	if err != nil {
		return nil, err
	}
	defer c.kill()
	if err := c.wait(ctx, begun); err != nil {
		return nil, err
	}
	const ids = 1000 // of a call (docs/hubspot.md section 4)
	want := (froms + ids - 1) / ids
	spent, err := c.cpuOf(func() error {
		return c.until(ctx, patience, calls, func() bool { return calls() >= want })
	})
	if err != nil {
		return nil, err
	}
	spent -= idle * time.Since(begun.at).Seconds()
	return []result{
		{"association sweep, calls for 100,000 records", float64(want) * 1e5 / float64(froms), "", "100"},
		{"association sweep, CPU for 1,000,000 links", spent * 1e6 / float64(links), "s", "≤ 1"},
		{"429 answers", float64(l.throttled()), "", "0"},
	}, c.stop()
}
