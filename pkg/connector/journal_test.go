package connector_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// withJournal are the settings of a deployment that has an app for the journal.
var withJournal = []string{"HUBSPOT_JOURNAL=on", "HUBSPOT_JOURNAL_CLIENT_ID=app-1", "HUBSPOT_JOURNAL_CLIENT_SECRET=app-secret"}

// journalApp is that app.
var journalApp = &hubspottest.JournalApp{ClientID: "app-1", ClientSecret: "app-secret"}

// happening is one change in the portal, of a key that has no other.
type happening struct {
	kind, object, key, op string
	at                    time.Time
}

// TestR16_HowSoon: where the journal works, a change of any kind is committed within
// seconds after HubSpot has published it in the journal, deletes of large types and
// associations of records that do not change otherwise too.
func TestR16_HowSoon(t *testing.T) {
	t.Parallel()
	records, minutes := shorter(100_000, 6_000), shorter(5, 1)
	opt := hubspottest.Options{
		Seed: 16, Types: []string{"contacts", "companies", "deals"}, NoHistory: true,
		Latency: hubspottest.Span{Min: 150 * time.Millisecond, Max: 300 * time.Millisecond},
	}
	inWorld(t, opt, slices.Concat(withJournal, []string{"HUBSPOT_ASSOCIATIONS=contacts:companies"}), func(w *world) {
		t := w.T
		const delay = 3 * time.Second
		w.Portal.SetJournal(hubspottest.Journal{App: journalApp, Delay: hubspottest.Span{Min: delay - 2*time.Second, Max: delay}})
		rng := rand.New(rand.NewPCG(16, 16))
		car := w.Portal.AddCustomType("car", hubspottest.Property{Name: "model", Type: "string", FieldType: "text"}).FullyQualifiedName
		ids := map[string][]uint64{}
		for i, object := range []string{"contacts", "companies", "deals", car} {
			ids[object] = w.Portal.Seed(object, records/min(1+i, 2))
			rng.Shuffle(len(ids[object]), func(i, j int) { ids[object][i], ids[object][j] = ids[object][j], ids[object][i] })
		}
		next := func(object string) (id uint64) {
			id, ids[object] = ids[object][0], ids[object][1:]
			return id
		}
		var linked [][2]uint64
		each := 60*minutes*20/10 + 1 // of each kind
		for range each {
			pair := [2]uint64{next("contacts"), next("companies")}
			w.Portal.Associate("contacts", pair[0], "companies", pair[1], "HUBSPOT_DEFINED", 279)
			linked = append(linked, pair)
		}
		time.Sleep(time.Minute)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.Backfilled("contacts", "companies", "deals", car, "contacts:companies") })
		var archived []uint64
		for range each {
			id := next("deals")
			w.Portal.Archive("deals", id)
			archived = append(archived, id)
		}
		time.Sleep(5 * time.Minute)

		var all []happening
		note := func(kind, object, key, op string) { all = append(all, happening{kind, object, key, op, time.Now()}) }
		linkKey := func(from, to uint64) string { return fmt.Sprintf("%d:%d:HUBSPOT_DEFINED:279", from, to) }
		kinds := []func(){
			func() {
				id := next("contacts")
				w.Portal.Update("contacts", id, map[string]string{"firstname": "Ada"})
				note("updated", "contacts", idText(id), "u")
			},
			func() {
				id := next(car)
				w.Portal.Update(car, id, map[string]string{"model": "x"})
				note("updated, custom", car, idText(id), "u")
			},
			func() {
				id := w.Portal.Create("deals", map[string]string{"dealname": "new"})
				note("created", "deals", idText(id), "c")
			},
			func() { // which moves no modified time
				id := archived[0]
				archived = archived[1:]
				w.Portal.Restore("deals", id, false)
				note("restored", "deals", idText(id), "c")
			},
			func() {
				id := next("contacts")
				w.Portal.Archive("contacts", id)
				note("archived", "contacts", idText(id), "d")
			},
			func() { id := next(car); w.Portal.Archive(car, id); note("archived, custom", car, idText(id), "d") },
			func() { id := next("deals"); w.Portal.Purge("deals", id); note("purged", "deals", idText(id), "d") },
			func() {
				a, b := next("companies"), next("companies")
				w.Portal.Merge("companies", a, b)
				note("merged", "companies", idText(b), "d")
			},
			func() {
				a, b := next("contacts"), next("companies")
				w.Portal.Associate("contacts", a, "companies", b, "HUBSPOT_DEFINED", 279)
				note("linked", "associations.contacts.companies", linkKey(a, b), "c")
			},
			func() {
				pair := linked[0]
				linked = linked[1:]
				w.Portal.Dissociate("contacts", pair[0], "companies", pair[1], "HUBSPOT_DEFINED", 279)
				note("unlinked", "associations.contacts.companies", linkKey(pair[0], pair[1]), "d")
			},
		}
		for i := range 20 * 60 * minutes {
			kinds[i%len(kinds)]()
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(2 * time.Minute)
		p.Stop()

		type first struct {
			at     time.Time
			stream string
		}
		committed := map[string]first{}
		for _, object := range []string{"contacts", "companies", "deals", car, "associations.contacts.companies"} {
			for _, r := range w.Records("hubspot." + object) {
				if r.Value != nil {
					m := w.Decode(r.Value)
					key := object + " " + string(r.Key) + " " + m["op"].(string)
					if _, there := committed[key]; !there {
						committed[key] = first{r.Timestamp, m["source"].(map[string]any)["stream"].(string)}
					}
				}
			}
		}
		streams := map[string]map[string]int{}
		took := map[string][]time.Duration{}
		for _, h := range all {
			found, there := committed[h.object+" "+h.key+" "+h.op]
			if !there {
				t.Errorf("%s of %s %s is not published", h.kind, h.object, h.key)
				continue
			}
			for _, kind := range []string{h.kind, "all"} {
				took[kind] = append(took[kind], found.at.Sub(h.at))
				if streams[kind] == nil {
					streams[kind] = map[string]int{}
				}
				streams[kind][found.stream]++
			}
		}
		for _, kind := range slices.Sorted(maps.Keys(took)) {
			d := took[kind]
			slices.Sort(d)
			p50, p99 := d[len(d)/2], d[len(d)*99/100]
			t.Logf("%-16s %5d p50 %4.1f s, p99 %4.1f s, most %4.1f s, found by %v", kind, len(d), p50.Seconds(), p99.Seconds(), d[len(d)-1].Seconds(), streams[kind])
			least := 20 // of a hundred: what searches and the recycle bin show may be found there first
			if slices.Contains([]string{"linked", "purged", "restored", "unlinked"}, kind) {
				least = 90
			}
			if 100*streams[kind]["journal"] < least*len(d) {
				t.Errorf("%s: less than %d %% are found by the journal", kind, least)
			}
			more := delay
			if strings.HasPrefix(kind, "purged") {
				more += 2 * time.Second
			}
			if p50 > 4*time.Second+more || p99 > 10*time.Second+more {
				t.Errorf("%s: p50 %v, p99 %v", kind, p50, p99)
			}
		}
	})
}
