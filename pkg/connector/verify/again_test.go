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
			Topic: "hubspot.contacts", HubSpot: 50, Kafka: 50, Equal: 49, Different: []string{text(ids[7])},
		})
		p.Stop()
	})
}
