package cdc

import (
	"testing"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestReasons_NumbersAreFrozen: rows in the state topic hold them.
func TestReasons_NumbersAreFrozen(t *testing.T) {
	for number, word := range []string{"", "archived", "merged", "purged", "object_type_removed", "removed", "restored"} {
		if got := Reason(number).String(); got != word {
			t.Errorf("reason %d is %q, was %q in rows that exist", number, got, word)
		}
	}
}

// TestHashes_AreFrozen: another hash under the same number would make every
// record, link and entry look changed (R10).
func TestHashes_AreFrozen(t *testing.T) {
	content := NewContent([]string{"lastname", "", "firstname", "email"})
	r := &hubspot.Record{Values: [][]byte{[]byte("Lovelace"), []byte("left out"), []byte("Ada"), nil}}
	for what, hash := range map[string][2]uint64{
		"content": {content.Hash(r), 0x6f9f9263aa1f47d4},
		"label":   {LabelHash("Decision maker"), 0x84d430b38f4f8e7},
		"entry":   {EntryHash(map[string]any{"id": "7", "displayOrder": int32(2), "archived": false}), 0xd925d480b8cf6906},
	} {
		if hash[0] != hash[1] {
			t.Errorf("the hash of a %s is %#x, was %#x under algorithm %d", what, hash[0], hash[1], HashAlgorithm)
		}
	}
	if HashAlgorithm != 1 || LabelAlgorithm != 1 {
		t.Errorf("algorithms %d and %d: add their hashes here, and keep those of 1 for the reader", HashAlgorithm, LabelAlgorithm)
	}
}
