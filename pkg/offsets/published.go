package offsets

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

// The state remembers of each data topic how to recognise it and how far it was
// written, and of each schema what consumers need to read the events (R20).

// Identity is the topic that was written to, as it was found.
type Identity struct {
	// ID is the cluster's id of the topic, in hexadecimal digits; "" if the
	// brokers did not tell.
	ID string
	// Starts are the first offsets of its partitions.
	Starts []int64
}

// IdentityKey is the key of a topic's Identity.
func IdentityKey(topic string) []byte { return append([]byte{kindIdentity}, topic...) }

// Bytes writes the identity.
func (i Identity) Bytes() []byte { return object("id", i.ID, "starts", i.Starts) }

// TopicID writes the cluster's id of a topic; "" for one that is zero, which
// means that the brokers know no ids.
func TopicID(id [16]byte) string {
	if id == [16]byte{} {
		return ""
	}
	return hex.EncodeToString(id[:])
}

func parseIdentity(b []byte) (i Identity, err error) {
	m, err := parseMembers(b)
	if err != nil {
		return Identity{}, err
	}
	if i.ID, err = m.text("id"); err != nil {
		return Identity{}, err
	}
	return i, m.read("starts", "a list of offsets", &i.Starts)
}

// Ends says up to where a topic was written.
type Ends struct {
	// After is by partition the offset after our last record; 0: there is none.
	After []int64
	// Cut says that the transaction which wrote this found the topic shorter than
	// the one before had left it.
	Cut bool
}

// At is the end of a partition.
func (e Ends) At(partition int) int64 {
	if partition < len(e.After) {
		return e.After[partition]
	}
	return 0
}

const (
	endsVersion = 1
	flagCut     = 1
)

// EndsKey is the key of a topic's Ends.
func EndsKey(topic string) []byte { return append([]byte{kindEnds}, topic...) }

// Bytes writes the ends: version and flags (a byte each), then a uvarint for each
// partition. Every transaction writes it.
func (e Ends) Bytes() []byte {
	b := []byte{endsVersion, 0}
	if e.Cut {
		b[1] = flagCut
	}
	for _, end := range e.After {
		b = binary.AppendUvarint(b, uint64(end))
	}
	return b
}

func parseEnds(b []byte) (e Ends, err error) {
	if len(b) < 2 || b[0] != endsVersion || b[1]&^flagCut != 0 {
		return e, errors.New("ends of an unknown version")
	}
	e.Cut = b[1]&flagCut != 0
	for b = b[2:]; len(b) > 0; {
		end, n := binary.Uvarint(b)
		if n <= 0 || int64(end) < 0 {
			return e, errors.New("ends are cut off")
		}
		e.After, b = append(e.After, int64(end)), b[n:]
	}
	return e, nil
}

// Schema is a schema of a subject that events or keys were written with. It keeps
// its text compressed, because there may be thousands of long ones.
type Schema struct {
	Subject string
	ID      int
	packed  []byte
}

const schemaVersion = 1

// packers compress schemas. One takes 800 kB, and a process of a thousand portals makes
// ten thousand schemas as they begin.
var packers = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.DefaultCompression)
	if err != nil {
		panic(err) // the level is one of the package
	}
	return w
}}

// NewSchema makes a Schema of a text exactly as it was registered.
func NewSchema(subject string, id int, text string) Schema {
	var b bytes.Buffer
	w := packers.Get().(*flate.Writer)
	defer packers.Put(w)
	w.Reset(&b)
	_, err := io.WriteString(w, text)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // a buffer takes everything
	}
	return Schema{subject, id, bytes.Clone(b.Bytes())}
}

// Text is the schema as it was registered.
func (s Schema) Text() (string, error) {
	text, err := io.ReadAll(flate.NewReader(bytes.NewReader(s.packed)))
	if err != nil {
		return "", fmt.Errorf("schema %d of %s: %w", s.ID, s.Subject, err)
	}
	return string(text), nil
}

// Key is the key of the schema's record.
func (s Schema) Key() []byte {
	key := append([]byte{kindSchema}, s.Subject...)
	key = append(key, 0)
	return binary.BigEndian.AppendUint32(key, uint32(s.ID))
}

// Bytes writes a version and the text, compressed by DEFLATE.
func (s Schema) Bytes() []byte { return append([]byte{schemaVersion}, s.packed...) }

func parseSchemaKey(key []byte) (s Schema, err error) {
	zero := len(key) - 5
	if zero < 2 || key[zero] != 0 {
		return s, errors.New("not the key of a schema")
	}
	return Schema{Subject: string(key[1:zero]), ID: int(binary.BigEndian.Uint32(key[zero+1:]))}, nil
}

func parseSchema(key, value []byte) (s Schema, err error) {
	if s, err = parseSchemaKey(key); err != nil {
		return s, err
	}
	if len(value) < 2 || value[0] != schemaVersion {
		return s, errors.New("a schema of an unknown version")
	}
	s.packed = value[1:]
	_, err = s.Text()
	return s, err
}

// showPublished describes these records for ShowState.
func showPublished(key, value []byte) (about, remembers map[string]any, err error) {
	name := string(key[1:])
	switch key[0] {
	case kindIdentity:
		about = map[string]any{"kind": "identity", "topic": name}
		if value != nil {
			var i Identity
			i, err = parseIdentity(value)
			remembers = map[string]any{"id": i.ID, "starts": i.Starts}
		}
	case kindEnds:
		about = map[string]any{"kind": "ends", "topic": name}
		if value != nil {
			var e Ends
			e, err = parseEnds(value)
			remembers = map[string]any{"after": e.After, "cut": e.Cut}
		}
	default:
		s, err := parseSchemaKey(key)
		if err != nil {
			return nil, nil, err
		}
		about = map[string]any{"kind": "schema", "subject": s.Subject, "id": s.ID}
		if value == nil {
			return about, nil, nil
		}
		if s, err = parseSchema(key, value); err != nil {
			return about, nil, err
		}
		text, err := s.Text()
		var schema any = text
		if json.Valid([]byte(text)) {
			schema = json.RawMessage(text)
		}
		return about, map[string]any{"schema": schema}, err
	}
	return about, remembers, err
}

// addPublished takes one of these records of the state topic.
func (s *stateLog) addPublished(key, value []byte) (err error) {
	name := string(key[1:])
	switch key[0] {
	case kindIdentity:
		delete(s.identities, name)
		if value != nil {
			s.identities[name], err = parseIdentity(value)
		}
	case kindEnds:
		delete(s.ends, name)
		if value != nil {
			s.ends[name], err = parseEnds(value)
		}
	default:
		was, err := parseSchemaKey(key)
		if err != nil {
			return err
		}
		s.schemas = slices.DeleteFunc(s.schemas, func(other Schema) bool { return other.Subject == was.Subject && other.ID == was.ID })
		if value == nil {
			return nil
		}
		now, err := parseSchema(key, value)
		if err != nil {
			return err
		}
		s.schemas = append(s.schemas, now)
	}
	return err
}
