package main

import (
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// oneOfEveryKind makes every kind of event happen, and says where each is.
func oneOfEveryKind(w *world) []eventKind {
	w.T.Helper()
	contact := func(first, email string) uint64 {
		return w.Portal.Create("contacts", map[string]string{"firstname": first, "email": email, "hubspotscore": "12.5"})
	}
	wait := func() { time.Sleep(3 * time.Minute) }
	old := contact("Ada", "ada@example.com")
	firm := w.Portal.Create("companies", map[string]string{"name": "Anchor Partners"})
	wait()
	p := w.Start()
	w.SleepUntil(2*time.Minute, func() bool { return p.Backfilled("contacts", "companies", "deals") })
	wait()

	grace := contact("Grace", "grace@example.com")
	wait()
	w.Portal.Update("contacts", grace, map[string]string{"hubspotscore": "20"})
	wait()
	w.Portal.Archive("contacts", grace)
	wait()
	w.Portal.Restore("contacts", grace, true)
	one, other, purged := contact("Edda", "edda@example.com"), contact("Edda", "edda@example.org"), contact("Gus", "gus@example.com")
	w.Portal.Associate("contacts", old, "companies", firm, "", 0)
	wait()
	merged := w.Portal.Merge("contacts", one, other)
	w.Portal.Purge("contacts", purged)
	w.Portal.Dissociate("contacts", old, "companies", firm, "", 0)
	owner := w.Portal.AddOwner(hubspottest.Owner{Email: "owner@example.com", FirstName: "Mary", LastName: "Owner", UserID: 7})
	w.Produce("hubspot.signals", "hubspot", `{"id":"ask-1","type":"execute-snapshot","data":{"data-collections":["contacts"],"additional-conditions":[{"data-collection":"contacts","filter":"`+idText(old)+`"}]}}`)
	wait()
	p.Stop()

	const contacts, pair = "hubspot.contacts", "hubspot.associations.contacts.companies"
	link := idText(old) + ":" + idText(firm) + ":"
	return []eventKind{
		{"A record that was there before the first start", contacts, idText(old), "r", "snapshot=true"},
		{"Create", contacts, idText(grace), "c", ""},
		{"Update", contacts, idText(grace), "u", ""},
		{"Delete", contacts, idText(grace), "d", "reason=archived"},
		{"The tombstone behind it", contacts, idText(grace), "", ""},
		{"Restore", contacts, idText(grace), "c", "reason=restored"},
		{"Merge: the records that went", contacts, idText(one), "d", "reason=merged"},
		{"Merge: the record that came", contacts, idText(merged), "c", ""},
		{"Purge", contacts, idText(purged), "d", "reason=purged"},
		{"Association", pair, link, "c", ""},
		{"Association removed", pair, link, "d", "reason=removed"},
		{"Owner", "hubspot.owners", owner, "c", ""},
		{"Pipeline", "hubspot.pipelines", "deals:default", "r", ""},
		{"Stage", "hubspot.pipeline_stages", "deals:default:", "r", ""},
		{"A record that a signal asked for", contacts, idText(old), "r", "snapshot=incremental"},
	}
}
