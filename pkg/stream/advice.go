package stream

import (
	"errors"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Sections of docs/runbook.md, one for each kind of problem that a stream can have.
const (
	runbookLost        = "docs/runbook.md#a-topic-has-lost-what-was-published"
	runbookStuck       = "docs/runbook.md#hubspot-does-not-answer-about-some-records"
	runbookLeftOut     = "docs/runbook.md#hubspot-does-not-say-whether-records-have-associations"
	runbookHeld        = "docs/runbook.md#hubspot-no-longer-shows-something"
	runbookBrake       = "docs/runbook.md#many-records-are-gone-at-once"
	runbookJournal     = "docs/runbook.md#the-webhooks-journal-does-not-work"
	runbookSignals     = "docs/runbook.md#the-signals-topic-cannot-be-read"
	runbookSensitive   = "docs/runbook.md#sensitive-properties-are-left-out"
	runbookList        = "docs/runbook.md#a-reference-list-cannot-be-read-completely"
	runbookTopic       = "docs/runbook.md#a-topic-waits-for-the-schema-registry"
	runbookSchema      = "docs/runbook.md#the-schema-registry-refuses-a-schema"
	runbookScope       = "docs/runbook.md#a-scope-is-missing"
	runbookGone        = "docs/runbook.md#an-object-type-is-not-there"
	runbookPaused      = "docs/runbook.md#something-is-paused"
	runbookRefused     = "docs/runbook.md#hubspot-refuses-a-stream"
	runbookCreate      = "docs/runbook.md#a-topic-cannot-be-made-ready"
	RunbookKafka       = "docs/runbook.md#kafka-cannot-be-used"
	RunbookRegistry    = "docs/runbook.md#the-schema-registry-cannot-be-used"
	runbookUnanswering = "docs/runbook.md#one-of-hubspots-apis-does-not-answer"
)

// advise says what an operator can do about a stream's problem, and where the runbook
// says more.
func advise(err error) (action, runbook string) {
	var brake *brakeError
	var withheld *withheldError
	var list *referenceError
	var topic *cdc.RefusedError
	var inbox *inboxError
	var journal *journalError
	var records *stuckError
	var silent *leftOutError
	var held *HeldError
	var paused *pausedError
	switch {
	case errors.As(err, &paused):
		return paused.action(), runbookPaused
	case isRepublish(err):
		return "find out who deleted records of the connector's topic; consumers see every record once more (op r, source.snapshot=incremental)", runbookLost
	case errors.As(err, &records):
		return "open one of these records in HubSpot, and report it to HubSpot's support if it fails there too; the connector asks again with waits from a minute to an hour, and everything else continues", runbookStuck
	case errors.Is(err, errLeftOut):
		return "open one of the records that stream stuck names in HubSpot, and report it to HubSpot's support if it is there; these records stay as published, and the connector asks again every minute", runbookStuck
	case errors.As(err, &silent):
		return "ask HubSpot for the associations of these records, as the runbook says, and report it to HubSpot's support if the answer counts more errors (numErrors) than it lists (errors). The next sweep asks again (SYNC_ASSOCIATIONS_INTERVAL)", runbookLeftOut
	case errors.As(err, &held):
		return held.action(), runbookHeld
	case errors.As(err, &journal):
		return journal.action(), runbookJournal
	case errors.As(err, &inbox):
		return "let the connector create, describe and read the signals topic; until then it takes no signals", runbookSignals
	case errors.As(err, &withheld):
		return withheld.action(), runbookSensitive
	case errors.As(err, &list):
		return list.action(), runbookList
	case errors.As(err, &topic) && topic.Cure != "":
		section := runbookTopic
		if topic.Subject == "" {
			section = runbookCreate
		}
		return topic.Cure + ". The connector tries again by itself, at the latest when it reads the portal's schemas next (SYNC_SCHEMA_INTERVAL)", section
	case errors.As(err, &topic):
		return "look at what else was registered under that subject; if it is the connector's alone, set its compatibility to BACKWARD or FULL. The connector asks the registry again whenever it reads the portal's schemas", runbookSchema
	case errors.As(err, &brake):
		return "check in HubSpot whether somebody deleted these records on purpose; if so, wait: the connector publishes the deletes of those that are still gone after the hour", runbookBrake
	case strings.Contains(err.Error(), "create topic"), strings.Contains(err.Error(), "describe topic"):
		return "bring Kafka back: the connector asks it again whenever it reads the portal's schemas", RunbookKafka
	case strings.Contains(err.Error(), "ask registry"), strings.Contains(err.Error(), "register schema"):
		return "bring the schema registry back: the connector asks it again whenever it reads the portal's schemas", RunbookRegistry
	case hubspot.MissingScopes(err):
		return "give the token the read scope of this object type, or leave the type out of HUBSPOT_OBJECTS", runbookScope
	case hubspot.NotFound(err):
		return "check that the object type still exists in the portal", runbookGone
	case hubspot.Unanswered(err):
		return waitForHubSpot, runbookUnanswering
	default:
		return waitForHubSpot, runbookRefused
	}
}

const waitForHubSpot = "wait, and see HubSpot's status page: it is tried again every minute. If it lasts, ask HubSpot's support, with the correlation id of the problem"
