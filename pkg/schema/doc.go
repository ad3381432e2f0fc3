// Package schema answers one question: how is it written?
//
// It turns what HubSpot says about an object type into Avro: a property into
// a field whose name and type never change (names.go, types.go, evolve.go),
// the fields into the schema of the topic (envelope.go), a value's text into
// a typed value (values.go), and a record into the bytes of an event
// (encoder.go). All of it is computation on what the caller hands in: nothing
// here calls HubSpot, Kafka or the registry, or reads a clock.
//
// Left to others: which properties there are and whether one is really gone
// (pkg/stream), what an event says and its place in order (pkg/cdc), the
// registry's question of compatibility, the schema id in front of the body,
// and what is left out of an event that is too large (pkg/sink), and keeping
// a Set between runs (pkg/offsets).
//
// The caller keeps the Set: the names and the order of its fields are decided
// once and then only read back. A Set that is lost and made anew from the
// same properties may write other schemas than before.
package schema
