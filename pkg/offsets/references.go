package offsets

import (
	"bytes"
	"errors"

	"github.com/hubspot-cdc/connector/pkg/cdc"
)

// EntryRowKey is the key of the row of a reference list's entry. The value is
// that of an object's row (AppendRow), with cdc.EntryHash as the hash, under the
// same algorithm number.
func EntryRowKey(list string, k cdc.EntryKey) []byte {
	key := make([]byte, 0, 2+len(list)+len(k))
	key = append(key, kindEntry)
	key = append(key, list...)
	key = append(key, 0)
	return append(key, k...)
}

// parseEntryRowKey reverses EntryRowKey.
func parseEntryRowKey(key []byte) (list string, k cdc.EntryKey, err error) {
	zero := bytes.IndexByte(key, 0)
	if zero < 2 || zero == len(key)-1 {
		return "", "", errors.New("not the key of a reference list's entry")
	}
	return string(key[1:zero]), cdc.EntryKey(key[zero+1:]), nil
}
