package cdc

import (
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Outcome is what HubSpot said of a key.
type Outcome uint8

// Outcomes of a direct read of the object store.
const (
	// IsLive: the record was answered, with its content.
	IsLive Outcome = iota
	// IsArchived: no live record was answered, and the recycle bin has it.
	IsArchived
	// IsMerged: another record answers for the id.
	IsMerged
	// IsGone: HubSpot, answering for others, has neither a live record nor an
	// archived copy.
	IsGone
	// IsRemoved: the whole object type was removed from the portal (R9).
	IsRemoved
)

// deletes gives the reason of a delete by the outcome that showed it.
var deletes = [...]Reason{IsArchived: Archived, IsMerged: Merged, IsGone: Purged, IsRemoved: ObjectTypeRemoved}

// Reading is one answer of HubSpot's object store about one key (R1). Search
// rows are not readings: they only name ids.
type Reading struct {
	ID      hubspot.ID
	Outcome Outcome
	// Record is the live record, or the archived copy; else nil.
	Record *hubspot.Record
	// Into is the record that answers, of one that was merged.
	Into hubspot.ID
	// Slots is the property set that the request asked for: its identity is
	// the generation of R13.
	Slots *hubspot.Slots
	// Stamp is Lane.Now at the moment the request's last attempt was sent; of
	// a confirm, the first of its reads.
	Stamp uint64
	// SentAt is a time that HubSpot's clock had passed when the request was sent.
	SentAt hubspot.Millis
	// Date is HubSpot's Date of the answer.
	Date hubspot.Millis
	// Doubtful marks an absence that was found while HubSpot did not answer a
	// record that it ought to have, either: see absences.
	Doubtful bool
	// Second marks the read that R1 asks for when a record seemed to have
	// gone back to an older version.
	Second bool
}

// settledAfter is how long a version must be past before a reading of it is
// known to be its last content: several changes can share one millisecond, and
// HubSpot's servers do not share one clock to the millisecond (R4).
const settledAfter = 2 * time.Second

func (r *Reading) settled() bool {
	return r.SentAt > r.Record.Updated.Add(settledAfter)
}

// Cause says why an id has to be read again.
type Cause uint8

// Causes of a re-read, as in rereads_total{cause}.
const (
	// Stale: something was decided about the key after the request was sent (R1).
	Stale Cause = iota
	// Older: the record has an older version than the published one (R1).
	Older
	// Generation: the reading was asked with another property set (R13).
	Generation
	// Paged: a set of links that took several calls lacks some (R14).
	Paged
)

func (c Cause) String() string { return [...]string{"stale", "older", "generation", "paged"}[c] }

// Again is an id that is to be read once more before its page is finished.
type Again struct {
	ID    hubspot.ID
	Cause Cause
}

// Later is an id that stays as it is for now and is to be confirmed once more;
// its page does not wait for it (R6, R9).
type Later struct {
	ID    hubspot.ID
	After time.Duration
	// Held says that the brake holds the delete, and not only the second look
	// that every purge needs.
	Held bool
}

// Left is what a publish leaves to be done.
type Left struct {
	Again []Again
	Later []Later
	// Committed are the changes that were published: their records' links may
	// have changed too (R14).
	Committed []Change
}

// OlderWait is how long to wait before the read that Cause Older asks for, so
// that a replica of HubSpot's that was behind has caught up (R1).
const OlderWait = 10 * time.Second
