package stream

// Streams without a cursor; package offsets names those with one. A stream's name
// appears in source.stream, in metrics, in /readyz and in the log.
const (
	// CensusStream counts a type by search.
	CensusStream = "census"
	// SchemaStream reads the object types and their properties, and names what
	// is deleted with a removed type.
	SchemaStream = "schema"

	// No finders: another stream has named what they read.
	changedStream = "associations-changed"
	recheckStream = "recheck"
)

// Parts of a type's work whose problems /readyz shows beside those of its streams.
const (
	brakePart     = "brake"
	answersPart   = "answers"
	leftOutPart   = "left-out"
	sensitivePart = "sensitive"
	// PropertiesPart is the list of a type's properties, where it lacks some that
	// are published.
	PropertiesPart = "properties"
)
