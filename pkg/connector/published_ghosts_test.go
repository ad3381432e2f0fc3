package connector_test

import (
	"fmt"
	"testing"
	"time"

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
				settings := append(append([]string{}, published...), "KAFKA_KEY_FORMAT="+keys, fmt.Sprint("TOMBSTONES_ON_DELETE=", tombstones))
				inWorld(t, hubspottest.Options{Seed: 24, Types: []string{"contacts", "companies", "deals"}}, settings, func(w *world) {
					contacts, owners := w.peopled(40)
					p := w.start()
					time.Sleep(10 * time.Minute)
					w.Portal.Archive("contacts", contacts[0])
					w.Portal.ArchiveOwner(owners[0])
					time.Sleep(10 * time.Minute)
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
					time.Sleep(20 * time.Minute)
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
					records := len(w.Records(contactsTopic))
					p = w.start()
					time.Sleep(10 * time.Minute)
					p.Stop()
					if n := len(w.Records(contactsTopic)); n != records {
						t.Errorf("the next run published %d more records", n-records)
					}
				})
			})
		}
	}
}
