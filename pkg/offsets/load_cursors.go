package offsets

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
)

// cursorLog is the cursor topic as it is read: the latest record per key, as
// spelt. resolve interprets it only at the end, so that a broken record does no
// harm once it is tombstoned.
type cursorLog struct {
	topic  string
	latest map[string]cursorRecord
}

type cursorRecord struct {
	raw       []byte
	value     []byte // nil: a tombstone
	partition int32
	offset    int64
}

func (c *cursorLog) add(r *kgo.Record) error {
	c.latest[string(r.Key)] = cursorRecord{r.Key, r.Value, r.Partition, r.Offset}
	return nil
}

// resolve returns each stream's cursor: the latest record of all spellings of its
// key, which must be one that the stream understands.
func (c *cursorLog) resolve(portal int64) (map[Key][]byte, []OddKey, error) {
	records := make([]cursorRecord, 0, len(c.latest))
	for _, r := range c.latest {
		records = append(records, r)
	}
	slices.SortFunc(records, func(a, b cursorRecord) int { return cmp.Compare(a.offset, b.offset) })

	type spellings struct {
		winner    cursorRecord
		usual     bool // the usual spelling has a value
		odd, dead [][]byte
	}
	streams := map[Key]*spellings{}
	for _, r := range records {
		key, err := ParseKey(r.raw)
		if err != nil {
			if r.value == nil {
				continue
			}
			return nil, nil, c.refuse("key", r, err)
		}
		if key.Portal != portal {
			if r.value == nil {
				continue
			}
			return nil, nil, otherPortal(fmt.Sprintf("%s (partition %d, offset %d, key %s)", c.topic, r.partition, r.offset, r.raw), key.Portal, portal)
		}
		s := streams[key]
		if s == nil {
			s = &spellings{}
			streams[key] = s
		}
		s.winner = r
		switch {
		case bytes.Equal(r.raw, key.Bytes()):
			s.usual = r.value != nil
		case r.value != nil:
			s.odd = append(s.odd, r.raw)
		default:
			s.dead = append(s.dead, r.raw)
		}
	}

	cursors := map[Key][]byte{}
	var odd []OddKey
	for key, s := range streams {
		if s.winner.value != nil {
			if err := checkValue(key.Stream, s.winner.value); err != nil {
				return nil, nil, c.refuse("cursor", s.winner, err)
			}
			cursors[key] = s.winner.value
		}
		if s.winner.value == nil && s.usual {
			// Forgotten under another spelling: the usual one still has its value.
			s.odd = append(s.odd, s.dead...)
		}
		for _, raw := range s.odd {
			odd = append(odd, OddKey{raw, key})
		}
	}
	slices.SortFunc(odd, func(a, b OddKey) int { return bytes.Compare(a.Raw, b.Raw) })
	return cursors, odd, nil
}

func (c *cursorLog) refuse(what string, r cursorRecord, err error) error {
	return &Refusal{
		What: fmt.Sprintf("topic %s, partition %d, offset %d: the %s under key %s cannot be understood: %v",
			c.topic, r.partition, r.offset, what, r.raw, err),
		Cure: "set a correct one with connector offsets set, or produce one, or a null value under this exact key to forget it",
	}
}
