package verify

import (
	"encoding/binary"
	"iter"
	"slices"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// idSet holds the ids that HubSpot has of a type, while the type's pairs are compared:
// each as the difference to the one before, in a byte or two.
type idSet struct {
	chunks    [][]byte
	last      hubspot.ID
	n         int
	unordered bool
}

const idChunk = 4 << 10

func (s *idSet) add(id hubspot.ID) {
	s.unordered = s.unordered || s.n > 0 && id <= s.last
	if k := len(s.chunks); k == 0 || len(s.chunks[k-1]) > idChunk-binary.MaxVarintLen64 {
		s.chunks = append(s.chunks, make([]byte, 0, idChunk))
	}
	end := &s.chunks[len(s.chunks)-1]
	*end = binary.AppendUvarint(*end, uint64(id-s.last))
	s.last, s.n = id, s.n+1
}

// all yields the ids as they were added.
func (s *idSet) all() iter.Seq[hubspot.ID] {
	return func(yield func(hubspot.ID) bool) {
		var id hubspot.ID
		for _, rest := range s.chunks {
			for len(rest) > 0 {
				delta, n := binary.Uvarint(rest)
				if id, rest = id+hubspot.ID(delta), rest[n:]; !yield(id) {
					return
				}
			}
		}
	}
}

// sort puts the ids in order, each once.
func (s *idSet) sort() {
	if !s.unordered {
		return
	}
	ids := slices.Sorted(s.all())
	*s = idSet{}
	for _, id := range slices.Compact(ids) {
		s.add(id)
	}
}
