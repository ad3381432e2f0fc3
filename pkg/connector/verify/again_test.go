package verify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/connector/verify"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// A tombstone of somebody else's counts within seconds. Its key is published again while
// another one is still looked at: the report does not say that it is missing.
func TestVerify_WhatCameBackBeforeTheReportIsNotMissing(t *testing.T) {
	world.In(t, hubspottest.Options{Seed: 26}, contactsOnly, func(w *world.World) {
		ids := w.Portal.Seed("contacts", 50)
		p := w.Start()
		w.SleepUntil(time.Hour, func() bool { return p.Backfilled("contacts") })
		time.Sleep(5 * time.Minute)
		w.Produce("hubspot.contacts", text(ids[1]), "")
		w.Portal.UpdateCalculated("contacts", ids[7], map[string]string{"lastname": "Calculated"})
		began, changed := time.Now(), false
		r := compared(w, verify.Options{Progress: func(verify.Progress) {
			if !changed && time.Since(began) > 2*time.Minute {
				changed = true
				w.Portal.Update("contacts", ids[1], map[string]string{"firstname": "Back"})
			}
		}})
		check(t, only(t, r, "hubspot.contacts"), verify.Topic{
			Topic: "hubspot.contacts", HubSpot: 50, Kafka: 50, Equal: 49, Different: []string{text(ids[7])}, Properties: differsIn("lastname", ids[7]),
		})
		p.Stop()
	})
}

// What comes and goes is not away all the while, even if it happens to be away at every
// look.
func TestVerify_WhatWasThereBetweenTwoLooksIsNotMissing(t *testing.T) {
	world.In(t, hubspottest.Options{Seed: 27}, twoTypes, func(w *world.World) {
		everything(w)
		client := w.Kafka.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
		for topic, object := range map[string]string{
			"hubspot.contacts": "contacts", "hubspot.associations.contacts.companies": "contacts:companies", "hubspot.owners": "owners",
		} {
			event := w.Records(topic)[0]
			write := func(value []byte) {
				r := &kgo.Record{Topic: topic, Key: event.Key, Value: value, Partition: event.Partition}
				if err := client.ProduceSync(w.T.Context(), r).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			write(nil)
			looks := 0
			r := compared(w, verify.Options{Objects: []string{object}, Progress: func(is verify.Progress) {
				if is.Suspects > 0 {
					looks++
					write(event.Value)
					write(nil)
				}
			}})
			if found := only(t, r, topic); looks < 3 || !found.Same() || !strings.Contains(r.Notes(), topic+": 1 key changed at every look") {
				t.Errorf("%d looks; found %s; it says %q", looks, jsonOf(t, found), r.Notes())
			}
		}
	})
}
