package hubspot

import (
	"slices"
	"testing"
)

// docs/contract.md section 5: a hashed property's text never leaves the
// decoder; its HMAC-SHA256 takes its place, and null stays null. The digest is
// that of test case 2 in RFC 4231.
func TestHashedSlotsHoldADigestInPlaceOfTheValue(t *testing.T) {
	slots := NewSlots([]string{"plain", "hashed", "number"})
	slots.Hashed, slots.HashKey = []bool{false, true, true}, "Jefe"
	read := func(properties string) [][]byte {
		t.Helper()
		p, err := decodePage([]byte(`{"results":[{"id":"1","updatedAt":1,"properties":`+properties+`}]}`), slots, 1, false)
		if err != nil {
			t.Fatal(err)
		}
		return p.records[0].Values
	}
	const text, digest = "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	v := read(`{"plain":"` + text + `","hashed":"` + text + `","number":5}`)
	if string(v[0]) != text || string(v[1]) != digest {
		t.Errorf("%q, want the plain text and its digest", v)
	}
	if string(v[2]) != string(read(`{"hashed":"5"}`)[1]) {
		t.Errorf("%q: a number's digest is not that of its text", v[2])
	}
	for _, properties := range []string{`{"hashed":null}`, `{"hashed":""}`, `{}`} {
		if v := read(properties); v[1] != nil {
			t.Errorf("%s: %q, want null", properties, v[1])
		}
	}
}

// R7: the decoder always reads the ids merged into a record, and returns them
// as HubSpot wrote them.
func TestMergesAreReadWithoutASlotAndWithAHashedOne(t *testing.T) {
	without, hashed := NewSlots([]string{"email"}), NewSlots([]string{"email", MergedProperty})
	without.Merged = true
	hashed.Hashed, hashed.HashKey = []bool{false, true}, "the key of the digests"
	for _, slots := range []*Slots{without, hashed} {
		if got, want := slots.asked(), []string{"email", MergedProperty}; !slices.Equal(got, want) {
			t.Errorf("asked for %q, want %q", got, want)
		}
		p, err := decodePage([]byte(`{"results":[{"id":"1","updatedAt":1,"properties":{"hs_merged_object_ids":"17;18","email":"a"}}]}`), slots, 1, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(p.records[0].Merged); got != "17;18" {
			t.Errorf("merged %q", got)
		}
		for _, v := range p.records[0].Values {
			if string(v) == "17;18" {
				t.Errorf("published: %q", p.records[0].Values)
			}
		}
	}
	if got := NewSlots([]string{"", ""}).asked(); !slices.Equal(got, []string{"hs_object_id"}) {
		t.Errorf("no property: asked for %q", got)
	}
}
