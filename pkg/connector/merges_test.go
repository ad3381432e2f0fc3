package connector_test

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestR7_TheLoserOfAMergeSaysSo, whatever became of the survivor before anybody read
// it, whatever HubSpot answers for the ids of losers, and whichever finder misses
// them. HubSpot documents none of this (docs/hubspot.md section 9). Only where no
// copy tells of the merge is the loser purged, or archived.
func TestR7_TheLoserOfAMergeSaysSo(t *testing.T) {
	t.Parallel()
	reads := map[string]hubspottest.Options{
		"reads lead to the live survivor":         {},
		"reads lead to every survivor":            {MergedCopies: true},
		"reads do not know losers":                {MergedUnknown: true},
		"losers are archived":                     {MergedInArchive: true},
		"losers are archived, reads lead on":      {MergedInArchive: true, MergedCopies: true},
		"losers are archived, reads know no more": {MergedInArchive: true, MergedUnknown: true},
	}
	finders := map[string][]string{
		"all":       nil,
		"archive":   {"SYNC_ARCHIVE_INTERVAL=5s", "SYNC_CENSUS_INTERVAL=1000h", "SYNC_RECONCILE_INTERVAL=1000h"},
		"census":    {"SYNC_ARCHIVE_INTERVAL=1000h", "SYNC_CENSUS_INTERVAL=5s", "SYNC_RECONCILE_INTERVAL=1000h"},
		"reconcile": {"SYNC_ARCHIVE_INTERVAL=1000h", "SYNC_CENSUS_INTERVAL=1000h", "SYNC_RECONCILE_INTERVAL=1m"},
	}
	for r, read := range slices.Sorted(maps.Keys(reads)) {
		for f, finder := range slices.Sorted(maps.Keys(finders)) {
			for _, down := range []bool{true, false} {
				if !*everyPlace && down != ((r+f)%2 == 1) { // for each finder, it is down at half of them
					continue
				}
				t.Run(fmt.Sprintf("%s, found by %s, down %v", read, finder, down), func(t *testing.T) {
					opt := reads[read]
					if finder != "all" || !down || !opt.MergedInArchive || !opt.MergedUnknown {
						long(t)
					}
					opt.Seed = 21
					inWorld(t, opt, append([]string{"HUBSPOT_OBJECTS=contacts"}, finders[finder]...), func(w *world) {
						mergesUnread(w, down, opt.MergedUnknown, finder != "archive" || opt.MergedInArchive)
					})
				})
			}
		}
	}
}

// mergesUnread merges records and disposes of their survivors before the connector
// reads any. unknown says that reads do not know losers, found that the finders at
// work find them.
func mergesUnread(w *world, down, unknown, found bool) {
	w.T.Helper()
	const object = "contacts"
	ids := w.Portal.Seed(object, 250)
	p := w.start()
	w.SleepUntil(time.Minute, func() bool { return p.backfilled(250, []string{object}) })
	time.Sleep(5 * time.Minute)
	if down {
		p.Stop()
	}

	into := map[uint64][]uint64{} // what each loser may be merged into; none: nothing tells of the merge
	early := map[uint64]bool{}    // the loser may be found before anything tells of the merge
	next := 10
	merge := func() (a, b, survivor uint64) {
		a, b = ids[next], ids[next+1]
		next += 10
		survivor = w.Portal.Merge(object, a, b)
		into[a], into[b] = []uint64{survivor}, []uint64{survivor}
		return a, b, survivor
	}
	_, _, archived := merge()
	w.Portal.Archive(object, archived)
	a, b, _ := merge() // the survivor lives; only its own reading tells, if reads do not
	early[a], early[b] = unknown, unknown
	a, b, purged := merge()
	w.Portal.Purge(object, purged)
	into[a], into[b] = nil, nil
	// A chain: the last survivor is archived.
	a, b, first := merge()
	c := ids[next]
	last := w.Portal.Merge(object, first, c)
	w.Portal.Archive(object, last)
	into[a], into[b], into[c] = []uint64{first, last}, []uint64{first, last}, []uint64{last}
	next += 10
	// The survivor keeps its id, and is archived as a record that was published.
	kept, loser := ids[next], ids[next+1]
	w.Portal.MergeInto(object, kept, loser)
	w.Portal.Archive(object, kept)
	into[loser] = []uint64{kept}
	w.Portal.Archive(object, ids[1]) // has nothing to do with them

	if down {
		time.Sleep(time.Hour)
		p = w.start()
	}
	time.Sleep(30 * time.Minute)
	p.Stop()
	if found {
		w.check(object)
	}

	deletes := map[string]string{}
	for _, e := range w.Events(object) {
		if e.Op == "d" {
			deletes[e.Key] = fmt.Sprint(e.Source["reason"], " ", e.Source["mergedInto"])
		}
	}
	for id, survivors := range into {
		got := deletes[idText(id)]
		if got == "" && !found {
			continue
		}
		want := []string{"purged <nil>", "archived <nil>"}
		if survivors != nil && !early[id] {
			want = nil
		}
		for _, s := range survivors {
			want = append(want, "merged "+idText(s))
		}
		if !slices.Contains(want, got) {
			w.T.Errorf("the loser %d: %q, want one of %q", id, got, want)
		}
	}
	for _, id := range []uint64{kept, ids[1]} {
		if got := deletes[idText(id)]; got != "archived <nil>" {
			w.T.Errorf("the archived record %d: %q", id, got)
		}
	}
}

// TestR7_ARecycleBinThatIsNotListedDelaysOnlyOnePage: what is gone may be the loser of
// a merge, and the list of archived records that would tell does not answer. The
// page that names it does not wait for the list each time.
func TestR7_ARecycleBinThatIsNotListedDelaysOnlyOnePage(t *testing.T) {
	t.Parallel()
	var portal *hubspottest.Portal
	var doomed atomic.Uint64
	opt := hubspottest.Options{Seed: 22, OnRequest: func(r hubspottest.Request) {
		if id := doomed.Load(); id != 0 && r.Endpoint == hubspottest.EndpointBatchRead {
			portal.Purge("contacts", id) // just after the search named it
		}
	}}
	inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=5s"}, func(w *world) {
		portal = w.Portal
		ids := w.Portal.Seed("contacts", 100)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
		time.Sleep(3 * time.Minute)
		heal := w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultSlow, Latency: time.Hour, Endpoint: hubspottest.EndpointList})
		late := 0
		for i := range 5 {
			name := fmt.Sprint("Round ", i)
			doomed.Store(ids[50+i])
			w.Portal.BulkUpdate("contacts", []uint64{ids[i], ids[50+i]}, map[string]string{"firstname": name})
			if w.ReadUntil(5*time.Minute, func() bool { return w.FirstName(ids[i]) == name }) > 30*time.Second {
				late++
			}
			doomed.Store(0)
			time.Sleep(time.Minute)
		}
		if late > 1 {
			t.Errorf("%d of 5 pages waited for the list", late)
		}
		heal()
		time.Sleep(15 * time.Minute)
		p.Stop()
		w.check("contacts")
	})
}
