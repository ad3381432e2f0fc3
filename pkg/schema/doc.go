// Package schema answers: how is it written?
//
// It turns what HubSpot says about an object type into Avro: a property into a
// field whose name and type never change (names.go, types.go, evolve.go), the
// fields into the schema of the topic (envelope.go), a value's text into a typed
// value (values.go), and a record into the bytes of an event (encoder.go). All of
// it is computed from what the caller passes in: nothing here calls HubSpot,
// Kafka or the registry, or reads a clock.
//
// Others decide the rest: which properties exist and whether one is really gone
// (pkg/stream); what an event says and its place in order (pkg/cdc); whether the
// registry takes a schema, the schema id before the body, and what to leave out
// of an event that is too large (pkg/sink). pkg/offsets keeps a Set between runs.
//
// The caller must keep the Set: the names and the order of its fields are decided
// once, and from then on only read back. A Set that is lost and made again from
// the same properties may write other schemas than before.
package schema
