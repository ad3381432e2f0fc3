package verify_test

import (
	"testing"
	"time"

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

// A record that comes and goes is not away all the while, even if it happens to be away
// at every look.
func TestVerify_WhatWasThereBetweenTwoLooksIsNotMissing(t *testing.T) {
	settings := append([]string{"SYNC_LEADING_INTERVAL=1s", "SYNC_ARCHIVE_INTERVAL=5s"}, contactsOnly...)
	world.In(t, hubspottest.Options{Seed: 27}, settings, func(w *world.World) {
		ids := w.Portal.Seed("contacts", 50)
		p := w.Start()
		w.SleepUntil(time.Hour, func() bool { return p.Backfilled("contacts") })
		time.Sleep(time.Minute)
		published := func(n int) {
			w.ReadUntil(5*time.Minute, func() bool { return len(w.Records("hubspot.contacts")) >= n })
		}
		gone := func() (after int) {
			before := len(w.Records("hubspot.contacts"))
			w.Portal.Archive("contacts", ids[1])
			published(before + 2) // the delete and its tombstone
			w.Portal.Restore("contacts", ids[1], true)
			return before + 2
		}
		after, looks := gone(), 0
		r := compared(w, verify.Options{Progress: func(is verify.Progress) {
			if is.Suspects > 0 {
				looks++
				published(after + 1)
				after = gone()
			}
		}})
		if found := only(t, r, "hubspot.contacts"); looks < 10 || len(found.Missing) > 0 {
			t.Errorf("%d looks; found %s", looks, jsonOf(t, found))
		}
		p.Stop()
	})
}
