package connector_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// polled counts the portal's answers that were not about the journal.
func (w *world) polled() (n int) {
	for endpoint, calls := range w.Portal.Stats().Calls {
		if !strings.HasPrefix(string(endpoint), "journal_") && endpoint != hubspottest.EndpointToken {
			n += calls
		}
	}
	return n
}

// edits changes a record every ten minutes for so long.
func (w *world) edits(d time.Duration, contacts []uint64) {
	for i := range int(d / (10 * time.Minute)) {
		w.Portal.Update("contacts", contacts[i%len(contacts)], map[string]string{"firstname": fmt.Sprint("edited at ", time.Now().UnixMilli())})
		time.Sleep(10 * time.Minute)
	}
}

// TestR16_EveryFileIsAPage: while a proxy answers in the place of every file, for
// hours, the connector polls as often as before, and reads everything again once at most.
// The log says so once, and /readyz until it is over. The files are read then.
func TestR16_EveryFileIsAPage(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusOK, http.StatusForbidden} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			if status != http.StatusOK {
				long(t)
			}
			journalWorld(t, 167, "auto", func(w *world, contacts, companies []uint64) { w.everyFileIsAPage(status, contacts, companies) })
		})
	}
}

func (w *world) everyFileIsAPage(status int, contacts, companies []uint64) {
	t := w.T
	w.Set("SYNC_LEADING_INTERVAL=20s")
	p := w.start()
	defer p.Stop()
	p.streaming()
	const hour = 30 * time.Minute // too short for the journal to be relied on
	day := shorter(8*time.Hour, 30*time.Minute)
	before := w.polled()
	w.edits(hour, contacts)
	usual := (w.polled() - before) * int(day/hour)
	heal := w.Portal.Inject(hubspottest.Fault{Endpoint: hubspottest.EndpointJournalFile, Kind: hubspottest.FaultHTML, Status: status})
	before, asked := w.polled(), w.journalCalls()
	w.edits(day, contacts)
	polled, asked := w.polled()-before, w.journalCalls()-asked
	t.Logf("%v: %d calls, %d at the pace of before; %d of the journal", day, polled, usual, asked)
	if again := 20; polled > usual+usual/20+again {
		t.Errorf("%d calls in %v, %d at the pace of before", polled, day, usual)
	}
	if most := int(day / (4 * time.Second)); asked > most { // a whole journal asks every five seconds
		t.Errorf("%d calls of the journal in %v, want at most %d", asked, day, most)
	}
	for _, line := range []string{"the webhooks journal does not work", "cannot be read or understood"} {
		if n := p.Log.Count(line); n != 1 {
			t.Errorf("the log says %d times: %s", n, line)
		}
	}
	if r := p.ready(); !r.Ready || len(r.Problems) != 1 || r.Problems[0].Stream != "journal" || !strings.Contains(r.Problems[0].Action, "HTTPS_PROXY") {
		t.Errorf("%+v", r)
	}
	heal()
	w.SleepUntil(6*time.Minute, func() bool { return p.Log.Has("the webhooks journal works again") })
	w.link(contacts[50], companies[0], time.Minute)
	if r := p.ready(); !r.Ready || len(r.Problems) > 0 {
		t.Errorf("after the end: %+v", r)
	}
	time.Sleep(time.Minute)
	place, err := offsets.ParseJournal([]byte(w.Cursors()[journalKey]))
	if offsets := w.Portal.JournalOffsets(); err != nil || place.Lost != 0 || place.Offset != offsets[len(offsets)-1] {
		t.Errorf("the cursor is %+v, %v; the last file is %s", place, err, offsets[len(offsets)-1])
	}
}

// TestR16_FilesAreLostAgainAndAgain: where the journal loses something every few
// minutes, for hours, the connector reads everything again ever more rarely, and polls
// as it does without a journal.
func TestR16_FilesAreLostAgainAndAgain(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(*world){
		"files that are no JSON": func(w *world) { w.Portal.SetJournal(hubspottest.Journal{App: journalApp, Garbage: 0.4}) },
		"places that are lost at once": func(w *world) {
			w.Portal.Inject(hubspottest.Fault{Endpoint: hubspottest.EndpointJournalNext, Kind: hubspottest.FaultStatus, Status: http.StatusNotFound})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			journalWorld(t, 168, "auto", func(w *world, contacts, companies []uint64) {
				w.Set("SYNC_LEADING_INTERVAL=20s")
				p := w.start()
				p.streaming()
				w.link(contacts[40], companies[0], time.Minute)
				begin(w)
				listed, asked := w.Portal.Stats().Records[hubspottest.EndpointList], w.journalCalls()
				hours := shorter(6, 1)
				for i := range 60 * hours {
					w.Portal.Update("contacts", contacts[i%len(contacts)], map[string]string{"firstname": fmt.Sprint(i)})
					time.Sleep(time.Minute)
				}
				again := (w.Portal.Stats().Records[hubspottest.EndpointList] - listed) / (len(contacts) + 20)
				asked = w.journalCalls() - asked
				t.Logf("%d hours: everything was read again %d times; %d calls of the journal", hours, again, asked)
				if most := 6; again == 0 || again > most { // after 0, 10, 30, 70, 150 and 310 minutes
					t.Errorf("everything was read again %d times in %d hours, want at most %d", again, hours, most)
				}
				if most := hours * 3600 / 2; asked > most {
					t.Errorf("%d calls of the journal, want at most %d", asked, most)
				}
				p.Stop()
			})
		})
	}
}
