package cdc

import (
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Outcome is what HubSpot said about a key.
type Outcome uint8

// Outcomes of a direct read of the object store.
const (
	// IsLive: HubSpot answered the record, with its content.
	IsLive Outcome = iota
	// IsArchived: HubSpot answered no live record, and the recycle bin has a copy.
	IsArchived
	// IsMerged: another record answers for the id.
	IsMerged
	// IsGone: HubSpot, which answered others, has neither a live record nor an
	// archived copy.
	IsGone
	// IsRemoved: the portal no longer has the object type (R9).
	IsRemoved
)

// deletes is the reason of a delete by the outcome that showed it.
var deletes = [...]Reason{IsArchived: Archived, IsMerged: Merged, IsGone: Purged, IsRemoved: ObjectTypeRemoved}

// Reading is one answer of HubSpot's object store about one key (R1). Search
// rows are not readings: they only name ids.
type Reading struct {
	ID      hubspot.ID
	Outcome Outcome
	// Record is the live record or the archived copy, else nil.
	Record *hubspot.Record
	// Into is the record that answers for one that was merged.
	Into hubspot.ID
	// Slots is the property set that the request asked for: its identity is
	// the generation of R13.
	Slots *hubspot.Slots
	// Stamp is Lane.Now at the moment the request's last attempt was sent; for a
	// confirm, the first of its reads.
	Stamp uint64
	// SentAt is a time that HubSpot's clock had passed when the request was sent.
	SentAt hubspot.Millis
	// Date is HubSpot's Date of the answer.
	Date hubspot.Millis
	// Doubtful marks an absence that was found while HubSpot also failed to answer
	// a record that it should have answered (see absences).
	Doubtful bool
	// Second marks the read that R1 asks for if a record seems to have gone back to
	// an older version.
	Second bool
}

// settledAfter is how far in the past a version must be before a reading is known
// to show its last content: several changes can share one millisecond, and
// HubSpot's servers do not share one clock to the millisecond (R4).
const settledAfter = 2 * time.Second

func (r *Reading) settled() bool {
	return !r.incomplete() && r.SentAt > r.Record.Updated.Add(settledAfter)
}

// incomplete reports that HubSpot did not tell one of the record's times (R18). Where
// such a reading is published, the row's hash is another one, so that the whole
// record is news later; where nothing else differs, it is no news.
func (r *Reading) incomplete() bool {
	return r.Record.Created == hubspot.NoTime || r.Record.Updated == hubspot.NoTime
}

const incompleteHash = 0x9e3779b97f4a7c15

// Cause says why an id must be read again.
type Cause uint8

// Causes of a re-read, as in rereads_total{cause}.
const (
	// Stale: the key was decided after the request was sent (R1).
	Stale Cause = iota
	// Older: the record has an older version than the published one (R1).
	Older
	// Generation: the reading was asked with another property set (R13).
	Generation
	// Paged: a set of links that took several calls lacks published ones (R14).
	Paged
)

func (c Cause) String() string { return [...]string{"stale", "older", "generation", "paged"}[c] }

// Again is an id to be read again before its page is finished.
type Again struct {
	ID    hubspot.ID
	Cause Cause
}

// Later is an id that stays as it is for now and must be confirmed again. Its page
// does not wait for it (R6, R9).
type Later struct {
	ID    hubspot.ID
	After time.Duration
	// From is HubSpot's time from which After counts; 0: from now on.
	From hubspot.Millis
	// Held says that the brake holds the delete, beyond the second confirm that
	// every purge needs.
	Held bool
}

// Left is what a publish leaves to do.
type Left struct {
	Again []Again
	Later []Later
	// Committed are the committed changes of records: their links may have changed
	// too (R14).
	Committed []Change
}

// OlderWait is how long to wait before the read that Cause Older asks for, so that
// a lagging replica of HubSpot's has caught up (R1).
const OlderWait = 10 * time.Second
