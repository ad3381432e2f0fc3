// Package offsets answers: where were we?
//
// It owns the format of the two topics that are the connector's memory
// (docs/contract.md section 4), and reads them back at the start of a run:
//
//   - <prefix>.offsets holds cursors. Key and value are one line of JSON each,
//     for people too: an operator moves a stream by producing a record.
//   - <prefix>.state holds what is published, binary and small: a row per
//     record, link and entry, and a few records about the topics themselves.
//
// This package writes nothing to Kafka. Only pkg/sink does, in the transaction
// that also holds the events. The caller of [Load] must fence its predecessor
// first, or a transaction may still be added behind the reader's back.
package offsets
