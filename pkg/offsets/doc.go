// Package offsets answers: where were we?
//
// It owns the format of the two topics in which the connector remembers
// (docs/contract.md section 4) and reads them back at the start of a run:
//
//   - <prefix>.offsets holds cursors. Key and value are one line of JSON each,
//     made for people too: an operator moves a stream by producing a record.
//   - <prefix>.state holds what is published, binary and small: a row per
//     object, and a few records about the topics themselves.
//
// Nothing is written here: pkg/sink is the only writer, in the transaction
// that also holds the events. The caller of [Load] must have fenced its
// predecessor first, otherwise a transaction may still be added behind the
// reader's back.
package offsets
