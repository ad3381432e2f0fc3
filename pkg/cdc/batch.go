package cdc

import (
	"context"
	"fmt"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Op is Debezium's word for what happened to a key.
type Op byte

// The four ops that are published.
const (
	Create Op = 'c'
	Update Op = 'u'
	Delete Op = 'd'
	Read   Op = 'r'
)

// Reason says why an event is a delete, or that a create follows a delete. The
// numbers are part of the state format and never change.
type Reason uint8

// Reasons, in the words of source.reason.
const (
	NoReason Reason = iota
	Archived
	Merged
	Purged
	ObjectTypeRemoved
	Removed
	Restored
)

var reasons = [...]string{"", "archived", "merged", "purged", "object_type_removed", "removed", "restored"}

// String is the word in source.reason; "" for NoReason.
func (r Reason) String() string { return reasons[r] }

// Row is what the table remembers of a key: its last published event. The state
// topic stores it, and every start rebuilds it from there.
type Row struct {
	Version hubspot.Millis // updatedAt of the published reading; on a delete, of the one before
	Hash    uint64         // of the content (R10); 0 on a delete
	Seq     int64          // source.seq of the event
	Live    bool           // false: a delete was published, for Reason
	Settled bool           // the published reading shows the last content of its version (R4)
	Reason  Reason         // of the delete
}

// Event is a decision to publish. The sink adds the sequence number, and what all
// events of a topic have in common.
type Event struct {
	Op       Op
	Reason   Reason
	Record   *hubspot.Record // the state after the change; nil for Delete
	Into     hubspot.ID      // source.mergedInto; 0 unless Reason is Merged
	SourceMs hubspot.Millis  // source.ts_ms: HubSpot's time of the change
	Dated    bool            // SourceMs is HubSpot's word, not the time of the reading
	Stream   string          // source.stream: the finder that named the id
	// Incremental marks a Read of a snapshot that an operator asked for. It may
	// repeat what is published (Page.Snapshot).
	Incremental bool
}

// Change is one key's new row and its event. Event is nil if only the row changed.
// The committer sets Row.Seq of a change that has an event.
type Change struct {
	ID    hubspot.ID
	Row   Row
	Event *Event
	// Unexplained says that the modified time moved, but nothing that counts of what
	// was read: perhaps a property has a value that nobody knows yet.
	Unexplained bool

	was bool // the key was live before
}

// liveAfter is how many keys are live after changes, of which so many were before.
func liveAfter[C any](before int, changes []C, of func(*C) (was, is bool)) int {
	for i := range changes {
		switch was, is := of(&changes[i]); {
		case is && !was:
			before++
		case was && !is:
			before--
		}
	}
	return before
}

// Cursor is a stream's place, as the offsets topic is to hold it.
type Cursor struct {
	Object string // "" for a cursor of the whole portal
	Stream string
	Value  []byte // one line of JSON; nil forgets the cursor
}

// Batch is what one publish commits, in one Kafka transaction: all of it or
// nothing.
type Batch struct {
	Object  string // an object type, Pair.String, or the name of a reference list
	Changes []Change
	// A pair's lane sets Pair and Links instead of Changes.
	Pair  Pair
	Links []LinkChange
	// A reference list's lane sets Entries instead.
	Entries []ReferenceChange
	Cursors []Cursor
	// Set is the object's property set, as the state topic is to hold it from this
	// transaction on; nil keeps the one that is there (R13).
	Set []byte
	// Live is how many keys of the object are published as live once the batch is
	// committed. It counts only in a batch with changes.
	Live int
	// Sync commits a batch without changes at once. Otherwise such a batch only
	// moves cursors of idle passes, which wait up to ten seconds for the next
	// transaction.
	Sync bool
}

// Committer makes a batch durable. Commit returns once the transaction that holds
// the batch is committed. For a batch without changes that is not Sync, it returns
// once it has noted the cursors. It commits batches in the order of the calls. A
// *RefusedError means that nothing of the batch was written. After any other error
// the outcome is unknown and the run is over.
type Committer interface {
	Commit(ctx context.Context, b *Batch) error
}

// RefusedError reports that a topic cannot be written for now, because Kafka refuses
// the topic, or the schema registry its schemas. It concerns this topic alone.
type RefusedError struct {
	Subject string // in the registry; empty: Kafka refuses
	Reason  string // why the registry refuses the schema, in its words
	// What is wrong where the registry does not refuse a schema, and what to do
	// about it.
	What, Cure string
	// Denied says that the registry does not let this user see what events were written
	// with: nothing of it may be lost.
	Denied bool
}

func (e *RefusedError) Error() string {
	if e.What != "" {
		return e.What
	}
	return fmt.Sprintf("the schema registry does not accept the schema of subject %s: %s", e.Subject, e.Reason)
}
