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

// Reason says why an event is a delete, or a create of a key that had been
// deleted. The numbers are part of the state format and never change.
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

// String gives the word that stands in source.reason; "" for NoReason.
func (r Reason) String() string { return reasons[r] }

// Row is what the table remembers of a key: its last published event. It is
// stored in the state topic and rebuilt from there at every start.
type Row struct {
	Version hubspot.Millis // updatedAt of the published reading; of a delete, the last one before it
	Hash    uint64         // of the content (R10); 0 on a delete
	Seq     int64          // source.seq of the event
	Live    bool           // false: a delete was published, for Reason
	Settled bool           // the published reading cannot be followed by another of the same version (R4)
	Reason  Reason         // of the delete
}

// Event is a decision that is to be published. The sink adds what is the same
// for all events of a topic, and the sequence number.
type Event struct {
	Op       Op
	Reason   Reason
	Record   *hubspot.Record // the state after the change; nil for Delete
	Into     hubspot.ID      // source.mergedInto; 0 unless Reason is Merged
	SourceMs hubspot.Millis  // source.ts_ms: when HubSpot had the change
	Stream   string          // source.stream: the finder that named the id
	// Incremental: this Read is part of a snapshot that an operator asked for,
	// and may repeat what is published (Page.Snapshot).
	Incremental bool
}

// Change is one key's new row, with its event unless only the row changed.
// The committer sets Row.Seq of a change that has an event.
type Change struct {
	ID    hubspot.ID
	Row   Row
	Event *Event
}

// Cursor is a stream's place, as it is to stand in the offsets topic.
type Cursor struct {
	Object string // "" for a cursor of the whole portal
	Stream string
	Value  []byte // one line of JSON; nil forgets the cursor
}

// Batch is what one publish asks to be committed: all of it in one Kafka
// transaction, or nothing.
type Batch struct {
	Object  string // the pair's name, where it is one
	Changes []Change
	// Pair and Links are set instead of Changes by a pair's lane.
	Pair  Pair
	Links []LinkChange
	// Entries are set instead by a list's lane.
	Entries []ReferenceChange
	Cursors []Cursor
	// Set is the object's property set, as it is to stand in the state topic
	// from this transaction on; nil leaves it as it is (R13).
	Set []byte
	// Sync commits a batch without changes at once. Otherwise such a batch
	// only moves cursors of idle passes, which wait (at most ten seconds) for
	// the next transaction.
	Sync bool
}

// Committer makes a batch durable. Commit returns when the transaction that
// holds the batch is committed, or, for a batch without changes that is not
// Sync, when its cursors are noted. Batches are committed in the order of the
// calls. A *RefusedError means that nothing of the batch was written; any other
// error that the outcome is unknown and that the run is over.
type Committer interface {
	Commit(ctx context.Context, b *Batch) error
}

// RefusedError says that a topic cannot be written for now, because the schema
// registry does not accept its schema. It concerns this topic alone.
type RefusedError struct {
	Subject string // in the registry
	Reason  string // in the registry's words
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the schema registry does not accept the schema of subject %s: %s", e.Subject, e.Reason)
}
