package connector_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// startOver deletes what the connector remembers, as the message of exit code 3
// advises.
func (w *world) startOver() {
	w.T.Helper()
	if _, err := w.Kafka.Admin().DeleteTopics(w.T.Context(), "hubspot.state", "hubspot.offsets"); err != nil {
		w.T.Fatal(err)
	}
}

// TestR20_NoGhosts: whoever deletes .state and .offsets gets everything published
// again, once, and whatever HubSpot no longer has is deleted: records, links and
// entries of reference lists, with either format of keys and with or without
// tombstones. source.seq goes on rising.
func TestR20_NoGhosts(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{"string", "avro"} {
		for _, tombstones := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s keys, tombstones %v", keys, tombstones), func(t *testing.T) {
				t.Parallel()
				if keys == "avro" || tombstones {
					long(t)
				}
				settings := append(append([]string{}, published...), "KAFKA_KEY_FORMAT="+keys, fmt.Sprint("TOMBSTONES_ON_DELETE=", tombstones))
				inWorld(t, hubspottest.Options{Seed: 24, Types: []string{"contacts", "companies", "deals"}}, settings, func(w *world) {
					contacts, owners := w.peopled(40)
					p := w.start()
					time.Sleep(3 * time.Minute)
					w.Portal.Archive("contacts", contacts[0])
					w.Portal.ArchiveOwner(owners[0])
					time.Sleep(3 * time.Minute)
					p.Stop()
					// 27 records go while nobody looks, and everything is forgotten.
					for _, id := range contacts[1:28] {
						if id%2 == 0 {
							w.Portal.Purge("contacts", id)
						} else {
							w.Portal.Archive("contacts", id)
						}
					}
					w.Portal.ArchiveOwner(owners[1])
					w.Produce(contactsTopic, "what is this", "nothing of ours")
					w.Produce(linksTopic, "1:2", "{}")
					w.startOver()
					before, last := map[string]map[string]int{}, int64(0)
					for _, topic := range append([]string{"hubspot.companies"}, kinds...) {
						before[topic] = w.keysOf(topic)
						for _, e := range w.eventsOf(topic) {
							if e.Op != "" {
								last = max(last, e.Seq())
							}
						}
					}

					p = w.start()
					time.Sleep(6 * time.Minute)
					for _, topic := range kinds {
						for key, n := range w.whole(topic) {
							if want := before[topic][key] + 1; n != want {
								t.Errorf("%s: %d events of %s, want %d", topic, n, key, want)
							}
						}
						again := 0
						for _, e := range w.eventsOf(topic) {
							if e.Op != "" && e.Seq() > last {
								again++
								if e.Op != "r" && e.Op != "d" || e.Source["snapshot"] == "incremental" {
									t.Errorf("%s: op %s, snapshot %v, of %s", topic, e.Op, e.Source["snapshot"], e.Key)
								}
							}
						}
						if want := len(before[topic]); again != want {
							t.Errorf("%s: %d events after the last seq, want %d", topic, again, want)
						}
					}
					if n := p.Log.Count("a data topic holds records that are not the connector's"); n != 2 {
						t.Errorf("the log tells %d times of foreign records, want once for each of two topics", n)
					}
					p.Stop()
					w.publishesNothing(contactsTopic)
				})
			})
		}
	}
}

// TestR20_AKillWhileItIsTakenOver: however often the connector dies after its memory
// was deleted, each key is taken over, and published once.
func TestR20_AKillWhileItIsTakenOver(t *testing.T) {
	long(t)
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 30, Types: []string{"contacts", "companies", "deals"}}, published, func(w *world) {
		contacts, owners := w.peopled(300)
		p := w.start()
		time.Sleep(3 * time.Minute)
		p.Stop()
		for _, id := range contacts[:80] {
			w.Portal.Archive("contacts", id)
		}
		w.Portal.ArchiveOwner(owners[0])
		w.startOver()
		for at := range 12 {
			p = w.start()
			w.SleepUntil(time.Minute, func() bool { return p.Log.Has("state loaded") })
			time.Sleep(time.Duration(at*at) * 10 * time.Millisecond)
			p.Kill()
			p.Brokers.Mend()
		}
		p = w.start()
		time.Sleep(6 * time.Minute)
		p.Stop()
		for _, topic := range kinds {
			for key, n := range w.whole(topic) {
				if n != 2 {
					t.Errorf("%s: %d events of %s", topic, n, key)
				}
			}
		}
	})
}

// TestR20_AStateOfAnEarlierVersion has no record of topics and schemas: they are
// taken as they are found, once, and nothing is published again.
func TestR20_AStateOfAnEarlierVersion(t *testing.T) {
	long(t)
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 31, Types: []string{"contacts", "companies", "deals"}}, published, func(w *world) {
		w.peopled(12)
		p := w.start()
		time.Sleep(3 * time.Minute)
		p.Stop()
		kept := func() (keys []string) {
			for key := range testkit.Latest(w.Records("hubspot.state")) {
				if strings.ContainsAny(key[:1], "IZA") {
					keys = append(keys, key)
				}
			}
			slices.Sort(keys)
			return keys
		}
		before := kept()
		for _, key := range before {
			w.Produce("hubspot.state", key, "")
		}
		records := 0
		for _, topic := range kinds {
			records += len(w.Records(topic))
		}
		for range 2 {
			p = w.start()
			time.Sleep(3 * time.Minute)
			p.Stop()
			for _, topic := range kinds {
				records -= len(w.Records(topic))
			}
			if records != 0 {
				t.Errorf("%d records were published again", -records)
			}
			if after := kept(); !slices.Equal(after, before) {
				t.Errorf("the state keeps\n%q\nand kept\n%q", after, before)
			}
			for _, topic := range kinds {
				records += len(w.Records(topic))
			}
		}
		loss{"made again, empty", 0, false}.befall(w, linksTopic)
		p = w.start()
		time.Sleep(3 * time.Minute)
		p.Stop()
		w.whole(linksTopic)
	})
}
