package schema

import (
	"fmt"
	"maps"
	"slices"
)

// SameFields says whether two Avro schemas, as JSON, have the same records
// with the same fields in the same order, of the same types and with the same
// defaults. Doc and props (the labels of properties) do not count: by
// themselves they never make a new version of a topic's schema. Spaces, and
// how a registry writes references to a record, do not count either.
func SameFields(a, b []byte) (bool, error) {
	first, err := parseSchema(a)
	if err != nil {
		return false, fmt.Errorf("compare schemas: first: %w", err)
	}
	second, err := parseSchema(b)
	if err != nil {
		return false, fmt.Errorf("compare schemas: second: %w", err)
	}
	return typeWord(first) == typeWord(second) &&
		maps.EqualFunc(layouts(first), layouts(second), slices.Equal), nil
}
