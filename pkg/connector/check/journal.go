package check

import (
	"context"
	"fmt"
	"time"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Journal says how closely to look at the webhooks journal. The zero value asks only
// whether HubSpot accepts the app.
type Journal struct {
	Probe     bool // looks at the subscriptions and the newest file too
	Subscribe bool // makes the subscriptions that are missing: all that a check ever changes
}

// checkJournal reports whether a run will use the webhooks journal (R16).
func (k *checker) checkJournal(ctx context.Context) {
	h, j := &k.setup.Config.HubSpot, k.setup.Journal
	f := Finding{Area: "hubspot", Check: "journal", Subject: "HUBSPOT_JOURNAL=" + h.Journal, Status: OK}
	switch {
	case h.Journal == connector.JournalOff:
		f.Found = "not used: changes are found by polling"
	case j == nil:
		f.Found = "not used, as no app is given: changes are found by polling"
	}
	if f.Found != "" {
		if k.journal.Probe {
			f.Status, f.Todo = Warn, []string{"give the id and secret of an app that is installed in the portal in HUBSPOT_JOURNAL_CLIENT_ID and HUBSPOT_JOURNAL_CLIENT_SECRET, with HUBSPOT_JOURNAL=auto"}
		}
		k.add(f)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	have, err := j.Subscriptions(ctx, asking)
	if err != nil {
		k.journalTrouble(f, "HubSpot does not list the subscriptions", err)
		return
	}
	f.Found = "will be used: HubSpot accepts the app's token; polling goes on beside it"
	k.add(f)
	if k.journal.Probe && k.account != nil {
		k.checkSubscriptions(ctx, j, have)
		k.checkNewest(ctx, j)
	}
}

// journalTrouble reports what the journal refuses. A run polls then, which is a
// failure only for those who rely on the journal.
func (k *checker) journalTrouble(f Finding, what string, err error) {
	f.Status = Warn
	if k.setup.Config.HubSpot.Journal == connector.JournalOn {
		f.Status = Fail
	}
	f.Found = what + ": " + connector.Plainly(err) + "; a run finds changes by polling, and tries again"
	cure := hubspot.JournalRefused(err)
	if cure == "" {
		cure = k.setup.Config.HubSpot.Diagnose(err).Cure
	}
	f.Todo = []string{cure}
	k.add(f)
}

// checkSubscriptions compares what HubSpot writes into the journal with what a run
// needs, and makes what is missing if it is asked to.
func (k *checker) checkSubscriptions(ctx context.Context, j *hubspot.Journal, have []hubspot.Subscription) {
	portal := k.account.PortalID
	var types []string
	for _, found := range k.portal.found {
		types = append(types, found.Type.TypeID)
	}
	wanted, ours := hubspot.WantedSubscriptions(portal, types), 0
	for _, s := range have {
		if s.Ours(portal) {
			ours++
		}
	}
	missing := hubspot.MissingSubscriptions(wanted, have)
	k.add(Finding{Area: "hubspot", Check: "journal_subscriptions", Subject: fmt.Sprint(portal), Status: OK,
		Found: fmt.Sprintf("%d of this portal, %d of the app's other portals; a run needs %d and makes %d", ours, len(have)-ours, len(wanted), len(missing))})
	for _, s := range missing {
		f := Finding{Area: "hubspot", Check: "journal_subscription", Subject: s.String(), Status: Note, Found: "missing"}
		if s.ID != "" {
			f.Found = "subscription " + s.ID + " lacks some of it, and would be replaced"
		}
		f.Found += "; connector check --journal --subscribe makes it, or the next run"
		if k.journal.Subscribe {
			if err := j.Subscribe(ctx, asking, s); err != nil {
				k.journalTrouble(f, "HubSpot does not take the subscription", err)
				continue
			}
			f.Status, f.Found = OK, "made now"
		}
		k.add(f)
	}
}

// checkNewest fetches the newest file, as a run would.
func (k *checker) checkNewest(ctx context.Context, j *hubspot.Journal) {
	f := Finding{Area: "hubspot", Check: "journal_newest", Status: OK}
	entry, err := j.Latest(ctx, asking)
	if err != nil {
		k.journalTrouble(f, "HubSpot does not give the newest entry", err)
		return
	}
	if entry == nil {
		f.Status, f.Found = Note, "the journal is empty: HubSpot has written nothing into it for three days"
		k.add(f)
		return
	}
	now := k.setup.HubSpot.Now()
	f.Subject = entry.Offset
	f.Found = "no UUIDv7, so it does not tell when HubSpot made it"
	if made, ok := entry.Made(); ok {
		f.Found = "made " + ago(now, made)
	}
	file, err := j.File(ctx, asking, entry)
	if err != nil {
		k.journalTrouble(f, "the newest file cannot be read", err)
		return
	}
	published := "does not say when it was published"
	if file.Published > 0 {
		published = "was published " + ago(now, file.Published)
	}
	f.Found += fmt.Sprintf("; its file %s, and has %s", published, plural(len(file.Events)+file.Odd, "event"))
	if file.Odd > 0 {
		f.Status = Note
		f.Found += fmt.Sprintf(", of which %d cannot be understood", file.Odd)
	}
	k.add(f)
}

// ago writes a time with its age.
func ago(now, at hubspot.Millis) string {
	return fmt.Sprintf("%s, %s ago", at.Time().UTC().Format(time.RFC3339), now.Time().Sub(at.Time()).Round(time.Second))
}
