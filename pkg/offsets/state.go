package offsets

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// The first byte of a state record's key is its kind. Any other letter is a
// newer version's, and the connector refuses to start.
const (
	kindBirth = 'B' // the birth id and the portal
	kindSet   = 'P' // + object: its property set
	kindTopic = 'T' // + topic: its TopicMeta
	kindSeq   = 'S' // a floor of the sequence number
	kindRow   = 'O' // + object, 0x00, id: a cdc.Row
	kindLink  = 'L' // + pair, 0x00, from, to, type id, category: a cdc.LinkRow
	kindEntry = 'E' // + list, 0x00, the parts of the key with 0x00 between: a cdc.Row

	kindIdentity = 'I' // + topic: its Identity
	kindEnds     = 'Z' // + topic: its Ends
	kindSchema   = 'A' // + subject, 0x00, id: a Schema
)

// BirthKey is the key of the birth id.
func BirthKey() []byte { return []byte{kindBirth} }

// SeqKey is the key of the sequence floor.
func SeqKey() []byte { return []byte{kindSeq} }

// SetKey is the key of an object's property set.
func SetKey(object string) []byte { return append([]byte{kindSet}, object...) }

// TopicKey is the key of a topic's meta.
func TopicKey(topic string) []byte { return append([]byte{kindTopic}, topic...) }

// RowKey is the key of an object's row. The id has a fixed width, so that the
// keys of a type share all but eight bytes and compress well.
func RowKey(object string, id hubspot.ID) []byte {
	key := make([]byte, 0, len(object)+10)
	key = append(key, kindRow)
	key = append(key, object...)
	key = append(key, 0)
	return binary.BigEndian.AppendUint64(key, uint64(id))
}

// parseRowKey reverses RowKey; object is a part of key, not a copy.
func parseRowKey(key []byte) (object []byte, id hubspot.ID, err error) {
	zero := len(key) - 9
	if zero < 2 || key[zero] != 0 {
		return nil, 0, errors.New("not the key of a row")
	}
	return key[1:zero], hubspot.ID(binary.BigEndian.Uint64(key[zero+1:])), nil
}

const (
	rowVersion   = 1
	flagLive     = 1
	flagSettled  = 2
	rowFixedHead = 4 // version, flags, reason, hash algorithm
)

// AppendRow writes a row: version, flags, reason and hash algorithm (a byte
// each), the object's version as a varint, the hash in eight bytes, seq as a
// uvarint.
func AppendRow(dst []byte, r cdc.Row) []byte {
	var flags byte
	if r.Live {
		flags |= flagLive
	}
	if r.Settled {
		flags |= flagSettled
	}
	dst = append(dst, rowVersion, flags, byte(r.Reason), cdc.HashAlgorithm)
	dst = binary.AppendVarint(dst, int64(r.Version))
	dst = binary.BigEndian.AppendUint64(dst, r.Hash)
	return binary.AppendUvarint(dst, uint64(r.Seq))
}

// parseRow reverses AppendRow. It refuses a hash of another algorithm, which
// would make every record look changed.
func parseRow(b []byte) (cdc.Row, error) {
	if len(b) < rowFixedHead {
		return cdc.Row{}, errors.New("row is cut off")
	}
	if b[0] == rowVersion && b[3] != cdc.HashAlgorithm {
		return cdc.Row{}, fmt.Errorf("row with a hash of algorithm %d; this version knows only %d", b[3], cdc.HashAlgorithm)
	}
	if b[0] != rowVersion || b[1]&^(flagLive|flagSettled) != 0 || b[2] > byte(cdc.Restored) {
		return cdc.Row{}, fmt.Errorf("row of an unknown version (% x)", b[:rowFixedHead])
	}
	r := cdc.Row{Live: b[1]&flagLive != 0, Settled: b[1]&flagSettled != 0, Reason: cdc.Reason(b[2])}
	b = b[rowFixedHead:]
	version, n := binary.Varint(b)
	if n <= 0 || len(b) < n+8 {
		return cdc.Row{}, errors.New("row is cut off")
	}
	r.Version, r.Hash = hubspot.Millis(version), binary.BigEndian.Uint64(b[n:])
	seq, m := binary.Uvarint(b[n+8:])
	if m <= 0 || n+8+m != len(b) || int64(seq) < 0 {
		return cdc.Row{}, errors.New("row is cut off or has extra bytes")
	}
	r.Seq = int64(seq)
	return r, nil
}

// TopicMeta is what must not change about a data topic: consumers and the
// order per key rely on it.
type TopicMeta struct {
	Partitions int32  `json:"partitions"`
	KeyFormat  string `json:"keyFormat"`
	KeySchema  int    `json:"keySchema,omitempty"` // the registry's id, part of every Avro key
	V          int    `json:"v"`
}

// Bytes writes the meta.
func (t TopicMeta) Bytes() []byte {
	t.V = 1
	b, err := json.Marshal(t)
	if err != nil {
		panic(err) // numbers and a string
	}
	return b
}

func parseTopicMeta(b []byte) (TopicMeta, error) {
	var t TopicMeta
	if err := json.Unmarshal(b, &t); err != nil {
		return TopicMeta{}, err
	}
	if t.V != 1 || t.Partitions < 1 || t.KeyFormat == "" {
		return TopicMeta{}, errors.New("topic meta of an unknown version")
	}
	return t, nil
}

// BirthBytes writes the state topic's half of the birth.
func BirthBytes(id string, portal int64) []byte {
	return object("id", id, "portal", portal)
}

func parseStateBirth(b []byte) (id string, portal int64, err error) {
	m, err := parseMembers(b)
	if err != nil {
		return "", 0, err
	}
	if id, err = m.text("id"); err != nil {
		return "", 0, err
	}
	if portal, err = m.integer("portal"); err != nil {
		return "", 0, err
	}
	return id, portal, nil
}

// SeqBytes writes the sequence floor: every later event has a higher seq, even if
// the row that had it is gone.
func SeqBytes(seq int64) []byte { return object("seq", seq) }

func parseSeq(b []byte) (int64, error) {
	m, err := parseMembers(b)
	if err != nil {
		return 0, err
	}
	seq, err := m.integer("seq")
	if err == nil && seq < 0 {
		err = errors.New(`"seq" is negative`)
	}
	return seq, err
}
