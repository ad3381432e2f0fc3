package connector_test

import (
	"math/rand/v2"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// journalWeather is the journal of a random life. It has random numbers of its own,
// so that a life has the same users and faults with a journal as without.
type journalWeather struct {
	portal *hubspottest.Portal
	rng    *rand.Rand
	usual  hubspottest.Journal
	next   time.Time      // when an outage comes or goes
	befell map[string]int // the outages so far
}

// newJournalWeather gives half of the lives a journal, and those settings that let the
// connector read it. It is nil for the others.
func newJournalWeather(seed uint64) (*journalWeather, []string) {
	if (seed+seed/2)%2 == 0 {
		return nil, nil
	}
	rng := rand.New(rand.NewPCG(seed, 16))
	share := func(most float64) float64 { // often nothing
		if rng.IntN(2) == 0 {
			return 0
		}
		return most * rng.Float64()
	}
	j := hubspottest.Journal{
		App: journalApp, Delay: hubspottest.Span{Min: time.Second, Max: time.Duration(2+rng.IntN(20)) * time.Second},
		FileEvents: []int{1, 2, 7, 50, 10_000}[rng.IntN(5)],
		Retention:  []time.Duration{time.Minute, 3 * time.Minute, 72 * time.Hour, 72 * time.Hour}[rng.IntN(4)],
		AddressFor: []time.Duration{2 * time.Second, 20 * time.Second, 10 * time.Minute}[rng.IntN(3)],
		Lost:       share(0.3), Doubled: share(0.3), Late: share(0.3), Disorder: share(0.5), Garbage: share(0.03),
		Unknown: share(0.2), Foreign: share(0.2), TextIDs: share(1),
		RecordLinks: rng.IntN(2) == 0, Labels: rng.IntN(2) == 0, Conflict: rng.IntN(2) == 0, EmptyIsNone: rng.IntN(4) == 0,
	}
	settings := []string{
		"HUBSPOT_JOURNAL=" + []string{"auto", "on"}[rng.IntN(2)],
		"HUBSPOT_JOURNAL_CLIENT_ID=" + journalApp.ClientID, "HUBSPOT_JOURNAL_CLIENT_SECRET=" + journalApp.ClientSecret,
	}
	return &journalWeather{rng: rng, usual: j, befell: map[string]int{}}, settings
}

// begin puts the journal into a portal, before the connector starts.
func (j *journalWeather) begin(portal *hubspottest.Portal) {
	if j == nil {
		return
	}
	j.portal, j.next = portal, time.Now()
	portal.SetJournal(j.usual)
	if j.rng.IntN(3) > 0 { // else the journal may be refused when the connector starts
		j.next = j.next.Add(time.Duration(j.rng.IntN(300)) * time.Second)
	}
}

// step lets an outage of the journal come or go when its time has come.
func (j *journalWeather) step() {
	if j == nil || time.Now().Before(j.next) {
		return
	}
	now, what := j.usual, ""
	switch j.rng.IntN(14) {
	case 0:
		now.Refuse, what = hubspottest.RefuseToken, "token"
	case 1:
		now.Refuse, what = hubspottest.RefuseScopes, "scopes"
	case 2:
		now.OtherScopes, what = []string{"developer.webhooks_journal.read"}, "no scope to subscribe"
	case 3:
		now.NotInstalled, what = true, "not installed"
		now.NoReads, now.Forgets = j.rng.IntN(2) == 0, j.rng.IntN(2) == 0
	case 4, 5:
		now.DownStatus, what = []int{500, 502, 503, 429, 404, 400}[j.rng.IntN(6)], "down"
	case 6:
		now.Retention, what = time.Millisecond, "places lost"
	}
	if what != "" {
		j.befell[what]++
	}
	j.portal.SetJournal(now)
	j.next = time.Now().Add(time.Duration(10+j.rng.IntN(150)) * time.Second)
}

// end leaves the journal as it usually is.
func (j *journalWeather) end() {
	if j != nil {
		j.portal.SetJournal(j.usual)
	}
}
