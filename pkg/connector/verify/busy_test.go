package verify_test

import (
	"context"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/connector/verify"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// A portal in which twenty things happen a second, beside a connector that follows
// them: what is under way is no difference.
func TestVerify_NoFalseAlarmWhileRecordsChange(t *testing.T) {
	life := hubspottest.Life{Types: []string{"contacts"}, Create: 20, Update: 40, Touch: 3, Archive: 10}
	if testing.Short() {
		busy(t, 5, life, verify.Options{Objects: []string{"contacts"}})
		return
	}
	life = hubspottest.Life{
		Types: []string{"contacts", "companies"}, Create: 100, Update: 200, Touch: 15, Archive: 50, Restore: 25,
		Merge: 10, Purge: 1, Associate: 40, Dissociate: 5, Owner: 5, Pipeline: 5,
	}
	for seed := range uint64(10) {
		busy(t, 6+seed, life, verify.Options{})
	}
}

func busy(t *testing.T, seed uint64, life hubspottest.Life, o verify.Options) {
	life.Seed = seed
	settings := append([]string{
		"SYNC_LEADING_INTERVAL=1s", "SYNC_TRAILING_LAG=10s,1m", "SYNC_TRAILING_INTERVAL=2s", "SYNC_CENSUS_INTERVAL=5s",
		"SYNC_ARCHIVE_INTERVAL=5s", "SYNC_ASSOCIATIONS_INTERVAL=10s", "SYNC_REFERENCE_INTERVAL=10s",
	}, twoTypes...)
	world.In(t, hubspottest.Options{Seed: seed}, settings, func(w *world.World) {
		companies := w.Portal.Seed("companies", 50)
		for i, id := range w.Portal.Seed("contacts", 400) {
			w.Portal.Associate("contacts", id, "companies", companies[i%50], "", 0)
		}
		p := w.Start()
		w.SleepUntil(time.Hour, func() bool { return p.Backfilled("contacts", "companies", "contacts:companies", "owners") })
		ctx, cancel := context.WithCancel(w.T.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.Portal.Live(ctx, 20, life)
		}()
		time.Sleep(30 * time.Second)
		if r := compared(w, o); !r.Equal {
			t.Errorf("seed %d, while records change: %s", seed, jsonOf(t, r))
		}
		cancel()
		<-done
		p.Stop()
	})
}

// A property that comes while records are compared is published by the connector, and
// read by the comparison.
func TestVerify_APropertyThatComesMeanwhileIsNoDifference(t *testing.T) {
	settings := append([]string{"SYNC_SCHEMA_INTERVAL=5s", "SYNC_LEADING_INTERVAL=1s"}, contactsOnly...)
	world.In(t, hubspottest.Options{Seed: 10}, settings, func(w *world.World) {
		ids := w.Portal.Seed("contacts", 250)
		p := w.Start()
		w.SleepUntil(time.Hour, func() bool { return p.Backfilled("contacts") })
		time.Sleep(time.Minute)
		came := false
		r := compared(w, verify.Options{Objects: []string{"contacts"}, Progress: func(verify.Progress) {
			if !came {
				came = true
				w.Portal.AddProperty("contacts", hubspottest.Property{Name: "late", Type: "string"})
				w.Portal.BulkUpdate("contacts", ids, map[string]string{"late": "value"})
			}
		}})
		if !came || !r.Equal {
			t.Errorf("the property came: %v; found %s", came, jsonOf(t, r))
		}
		p.Stop()
	})
}

// A connector that restarts just when a long list ends was seen while HubSpot listed.
func TestVerify_ARestartAfterALongListIsNoDifference(t *testing.T) {
	settings := append([]string{"SYNC_LEADING_INTERVAL=1m"}, contactsOnly...)
	world.In(t, hubspottest.Options{Seed: 13}, settings, func(w *world.World) {
		w.Portal.Seed("contacts", 150)
		p := w.Start()
		w.SleepUntil(time.Hour, func() bool { return p.Backfilled("contacts") })
		time.Sleep(90 * time.Second)
		listed, again := false, make(chan *world.Process, 1)
		r := compared(w, verify.Options{Objects: []string{"contacts"}, Progress: func(is verify.Progress) {
			if listed || is.Done == 0 {
				return
			}
			listed = true
			time.Sleep(5 * time.Minute) // the rest of the list takes so long
			p.Stop()
			w.Portal.Seed("contacts", 1)
			go func() {
				time.Sleep(30 * time.Second)
				again <- w.Start()
			}()
		}})
		if !listed || !r.Equal {
			t.Errorf("listed: %v; found %s", listed, jsonOf(t, r))
		}
		(<-again).Stop()
	})
}

// A connector that restarts while records are compared goes on a moment later: what is
// under way then is no difference either.
func TestVerify_ARestartMeanwhileIsNoDifference(t *testing.T) {
	settings := append([]string{"SYNC_LEADING_INTERVAL=1m"}, contactsOnly...)
	world.In(t, hubspottest.Options{Seed: 11}, settings, func(w *world.World) {
		w.Portal.Seed("contacts", 150)
		p := w.Start()
		w.SleepUntil(time.Hour, func() bool { return p.Backfilled("contacts") })
		time.Sleep(90 * time.Second)
		created, looks, again := false, 0, make(chan *world.Process, 1)
		r := compared(w, verify.Options{Objects: []string{"contacts"}, Progress: func(is verify.Progress) {
			if !created {
				created = true
				w.Portal.Seed("contacts", 1)
			}
			if is.Suspects == 0 {
				return
			}
			if looks++; looks == 2 {
				p.Stop()
				go func() {
					time.Sleep(30 * time.Second)
					again <- w.Start()
				}()
			}
		}})
		if looks < 2 || !r.Equal {
			t.Errorf("%d looks; found %s", looks, jsonOf(t, r))
		}
		(<-again).Stop()
	})
}
