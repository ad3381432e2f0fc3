package hubspot

// Slots says which properties a record is read with and where each value
// goes: the value of Names[i] stands in Record.Values[i]. An empty name is a
// slot that is not asked for and stays null (a property that was removed, but
// whose field lives on in the topic's schema). Slots are immutable once they
// are in use.
type Slots struct {
	Names []string
	index map[string]int

	// Merged has Record.Merged read where no slot asks for it.
	Merged bool

	// Hashed are slots whose values are replaced, on their way in, by a digest
	// under HashKey: nothing beyond the decoder ever sees the value itself.
	// Nil stands for none.
	Hashed  []bool
	HashKey Secret
}

// NewSlots builds the index over names, which it keeps.
func NewSlots(names []string) *Slots {
	index := make(map[string]int, len(names))
	for i, name := range names {
		if name != "" {
			index[name] = i
		}
	}
	return &Slots{Names: names, index: index}
}

// MergedProperty names, on the survivor of a merge, the records that were
// merged into it, separated by semicolons (docs/hubspot.md section 9).
const MergedProperty = "hs_merged_object_ids"

// asked lists the properties that HubSpot is asked for. None would give it the
// choice.
func (s *Slots) asked() []string {
	if s == nil {
		return []string{"hs_object_id"}
	}
	names := make([]string, 0, len(s.Names)+1)
	for _, name := range s.Names {
		if name != "" {
			names = append(names, name)
		}
	}
	if s.Merged && s.Slot([]byte(MergedProperty)) < 0 {
		names = append(names, MergedProperty)
	}
	if len(names) == 0 {
		names = append(names, "hs_object_id")
	}
	return names
}

// Slot returns the position of a property, or -1.
func (s *Slots) Slot(name []byte) int {
	if i, ok := s.index[string(name)]; ok {
		return i
	}
	return -1
}
