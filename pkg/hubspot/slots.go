package hubspot

// Slots says which properties to read of a record and where each value goes:
// the value of Names[i] goes to Record.Values[i]. A slot with an empty name is
// not requested and stays null (a removed property whose field lives on in the
// topic's schema). Do not change Slots once they are in use.
type Slots struct {
	Names []string
	index map[string]int

	// Merged requests hs_merged_object_ids, for Record.Merged, even if no slot
	// does.
	Merged bool

	// Hashed marks slots whose values the decoder replaces by a digest under
	// HashKey. Nothing beyond the decoder ever sees the value itself. Nil marks
	// none.
	Hashed  []bool
	HashKey Secret
}

// NewSlots returns Slots for names, which it keeps.
func NewSlots(names []string) *Slots {
	index := make(map[string]int, len(names))
	for i, name := range names {
		if name != "" {
			index[name] = i
		}
	}
	return &Slots{Names: names, index: index}
}

// MergedProperty is the property in which the survivor of a merge lists the ids
// merged into it, separated by semicolons (docs/hubspot.md section 9).
const MergedProperty = "hs_merged_object_ids"

// asked lists the properties to request. It is never empty, because HubSpot
// would then choose for itself.
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

// Slot returns the index of a property's slot, or -1.
func (s *Slots) Slot(name []byte) int {
	if i, ok := s.index[string(name)]; ok {
		return i
	}
	return -1
}
