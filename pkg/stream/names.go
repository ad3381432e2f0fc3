package stream

// Streams with a cursor are named in package offsets; these have none. A stream's
// name stands in source.stream, in metrics, in /readyz and in the log.
const (
	// CensusStream counts a type by search.
	CensusStream = "census"
	// SchemaStream looks at the object types and their properties, and names
	// what goes when a type is removed.
	SchemaStream = "schema"

	// Not finders: what they read, another stream has named.
	changedStream = "associations-changed"
	recheckStream = "recheck"
)

// Parts of a type's work whose problems /readyz shows beside those of streams.
const (
	brakePart     = "brake"
	sensitivePart = "sensitive"
)
