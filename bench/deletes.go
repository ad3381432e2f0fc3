package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// deletion is a record that was deleted, and when.
type deletion struct {
	kind, topic string
	id          uint64
	at          time.Time
}

// measureDeletes deletes records of types that are fully published, with everything
// at its default, and waits for their tombstones: first one of each type, in which
// nothing was deleted before, then many.
func measureDeletes(ctx context.Context, b *bench) ([]result, error) {
	l := b.newLab("contacts")
	custom := l.portal.AddCustomType("machine").FullyQualifiedName
	left := map[string][]uint64{} // in random order
	for _, object := range []string{"contacts", custom} {
		ids := l.portal.Seed(object, max(20, b.records/2))
		rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		left[object] = ids
	}
	if err := l.open(false); err != nil {
		return nil, err
	}
	defer l.close()
	if err := l.fill(ctx, map[string]int{l.topic("contacts"): len(left["contacts"]), l.topic(custom): len(left[custom])}); err != nil {
		return nil, err
	}
	c, err := l.start(ctx, "HUBSPOT_ASSOCIATIONS=none")
	if err != nil {
		return nil, err
	}
	defer c.kill()
	if err := c.sleep(ctx, time.Minute); err != nil { // it has counted everything
		return nil, err
	}

	kinds := []struct {
		name, object string
		of           func(string, uint64) bool
	}{
		{"archived, standard type", "contacts", l.portal.Archive},
		{"archived, custom type", custom, l.portal.Archive},
		{"purged", "contacts", l.portal.Purge},
	}
	remove := func(kind int) deletion {
		k := kinds[kind]
		id := left[k.object][0]
		left[k.object] = left[k.object][1:]
		k.of(k.object, id)
		return deletion{k.name, l.topic(k.object), id, time.Now()}
	}
	var results []result
	report := func(prefix string, goals map[string]string, deleted []deletion) error {
		took, err := l.tombstones(ctx, c, deleted)
		if err != nil {
			return err
		}
		for _, k := range kinds {
			if of := took[k.name]; len(of) > 0 {
				results = append(results, result{prefix + k.name + ", p50", quantile(of, 0.5), "s", goals["p50 "+k.name]})
				if len(of) > 1 {
					results = append(results, result{prefix + k.name + ", p90", quantile(of, 0.9), "s", goals["p90 "+k.name]})
				}
			}
		}
		return nil
	}
	const first = "the first of its type: "
	if err := report(first, map[string]string{"p50 " + kinds[0].name: "≤ 300", "p50 " + kinds[1].name: "≤ 300"}, []deletion{remove(0), remove(1)}); err != nil {
		return nil, err
	}
	var deleted []deletion
	for range b.deletes {
		for kind := range kinds {
			if err := c.sleep(ctx, time.Duration(2000+rand.IntN(6000))*time.Millisecond); err != nil {
				return nil, err
			}
			deleted = append(deleted, remove(kind))
		}
	}
	if err := report("", map[string]string{
		"p50 " + kinds[0].name: "≤ 15", "p90 " + kinds[0].name: "≤ 40",
		"p50 " + kinds[1].name: "≤ 15", "p90 " + kinds[1].name: "≤ 40",
		"p50 " + kinds[2].name: "≤ 45", "p90 " + kinds[2].name: "≤ 70",
	}, deleted); err != nil {
		return nil, err
	}
	return append(results, result{"429 answers", float64(l.throttled()), "", "0"}), c.stop()
}

// tombstones waits until all deletes are published, and returns how long each took,
// by kind, in seconds.
func (l *lab) tombstones(ctx context.Context, c *child, deleted []deletion) (map[string][]float64, error) {
	took := map[string][]float64{}
	missing := func() (n int) {
		clear(took)
		for _, d := range deleted {
			l.seen.of(d.topic, func(t *traffic) {
				at, there := t.gone[strconv.FormatUint(d.id, 10)]
				if !there {
					n++
					return
				}
				took[d.kind] = append(took[d.kind], at.Sub(d.at).Seconds())
			})
		}
		return n
	}
	const patience = 20 * time.Minute
	err := c.until(ctx, patience, missing, func() bool { return missing() == 0 })
	return took, err
}

// quantile is the value below which a share of them lie.
func quantile(values []float64, share float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

// fill has everything of the portal published quickly, without HubSpot's limits and
// round trips. After that they are in force. want is the number of events of each
// topic.
func (l *lab) fill(ctx context.Context, want map[string]int, more ...string) error {
	l.portal.SetPace(hubspottest.Limits{Off: true}, hubspottest.Span{})
	c, err := l.start(ctx, append(more, "HUBSPOT_RATE_10S=1000000", "HUBSPOT_RATE_SEARCH=1000", "HUBSPOT_RATE_DAILY=1000000000")...)
	if err != nil {
		return err
	}
	defer c.kill()
	began := time.Now()
	err = c.until(ctx, patience, func() int { return l.seen.events() }, func() bool {
		for topic, n := range want {
			if l.seen.events(topic) < n {
				return false
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	l.tell("%d events published in %.0f s", l.seen.events(), time.Since(began).Seconds())
	if err := c.stop(); err != nil {
		return fmt.Errorf("after the filling: %w", err)
	}
	l.portal.SetPace(realLimits, realLatency)
	l.portal.ResetStats()
	return nil
}
