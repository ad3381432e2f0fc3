package offsets

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// linkFixed is the size in bytes of what stands between the pair and the category
// in a link's key: both ids and the type id.
const linkFixed = 8 + 8 + 4

// LinkKey is the key of a link's row. The ids have a fixed width: see RowKey.
func LinkKey(pair cdc.Pair, k cdc.LinkKey) []byte {
	name := pair.String()
	key := make([]byte, 0, 2+len(name)+linkFixed+len(k.Category))
	key = append(key, kindLink)
	key = append(key, name...)
	key = append(key, 0)
	key = binary.BigEndian.AppendUint64(key, uint64(k.From))
	key = binary.BigEndian.AppendUint64(key, uint64(k.To))
	key = binary.BigEndian.AppendUint32(key, uint32(int32(k.TypeID)))
	return append(key, k.Category...)
}

// parseLinkKey reverses LinkKey; pair is a part of key, not a copy.
func parseLinkKey(key []byte) (pair []byte, k cdc.LinkKey, err error) {
	zero := bytes.IndexByte(key, 0)
	if zero < 2 || len(key) <= zero+1+linkFixed {
		return nil, k, errors.New("not the key of a link")
	}
	rest := key[zero+1:]
	k.From = hubspot.ID(binary.BigEndian.Uint64(rest))
	k.To = hubspot.ID(binary.BigEndian.Uint64(rest[8:]))
	k.TypeID = int(int32(binary.BigEndian.Uint32(rest[16:])))
	k.Category = category(rest[linkFixed:])
	return key[1:zero], k, nil
}

// category is b as a string. Millions of links share these three.
func category(b []byte) string {
	switch string(b) {
	case "HUBSPOT_DEFINED":
		return "HUBSPOT_DEFINED"
	case "USER_DEFINED":
		return "USER_DEFINED"
	case "INTEGRATOR_DEFINED":
		return "INTEGRATOR_DEFINED"
	}
	return string(b)
}

func parsePair(name []byte) (cdc.Pair, error) {
	from, to, ok := strings.Cut(string(name), ":")
	if !ok || from == "" || to == "" {
		return cdc.Pair{}, fmt.Errorf("%q is not a pair of object types", name)
	}
	return cdc.Pair{From: from, To: to}, nil
}

const (
	linkRowVersion = 1
	linkRowHead    = 4 // version, flags, reason, label hash version
)

// AppendLinkRow writes a link's row: version, flags, reason and label hash
// version (a byte each), the label's hash in eight bytes, seq as a uvarint.
func AppendLinkRow(dst []byte, r cdc.LinkRow) []byte {
	var flags byte
	if r.Live {
		flags |= flagLive
	}
	dst = append(dst, linkRowVersion, flags, byte(r.Reason), cdc.LabelAlgorithm)
	dst = binary.BigEndian.AppendUint64(dst, r.Label)
	return binary.AppendUvarint(dst, uint64(r.Seq))
}

// parseLinkRow reverses AppendLinkRow.
func parseLinkRow(b []byte) (cdc.LinkRow, error) {
	if len(b) < linkRowHead+8 {
		return cdc.LinkRow{}, errors.New("a link's row is cut off")
	}
	if b[0] != linkRowVersion || b[3] != cdc.LabelAlgorithm || b[1]&^flagLive != 0 || b[2] > byte(cdc.Restored) {
		return cdc.LinkRow{}, fmt.Errorf("a link's row of an unknown version (% x)", b[:linkRowHead])
	}
	r := cdc.LinkRow{Live: b[1]&flagLive != 0, Reason: cdc.Reason(b[2]), Label: binary.BigEndian.Uint64(b[linkRowHead:])}
	if r.Live != (r.Reason == cdc.NoReason) {
		return cdc.LinkRow{}, errors.New("a link's row is neither live nor deleted for a reason")
	}
	seq, n := binary.Uvarint(b[linkRowHead+8:])
	if n <= 0 || linkRowHead+8+n != len(b) || int64(seq) < 0 {
		return cdc.LinkRow{}, errors.New("a link's row is cut off or has extra bytes")
	}
	r.Seq = int64(seq)
	return r, nil
}
