package verify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/schema"
)

// counts says whether a field is part of what is compared.
type counts func(schema.ReadField) bool

// digester makes of an event what is compared of it. Both sides go through it: the
// events of the topic, and those that would be written of what HubSpot answers. So
// equal values have equal bytes.
type digester struct {
	reader            *schema.Reader
	content           *cdc.Content
	names             []string // of what is compared: a property, or a field that is none; "" for what is not
	updated, unparsed int
	teams             int                        // of an owner: HubSpot promises no order of them
	raw               func(property string) bool // its raw text counts
}

func newDigester(text []byte, of counts, raw func(property string) bool) (*digester, error) {
	r, err := schema.NewReader(text)
	if err != nil {
		return nil, err
	}
	d := &digester{reader: r, updated: r.Field("updatedAt"), unparsed: r.Field("unparsed"), teams: r.Field("teams"), raw: raw}
	d.names = make([]string, len(r.Fields))
	names := make([]string, len(r.Fields))
	for i, f := range r.Fields {
		if of(f) || i == d.unparsed {
			names[i] = f.Property + "\x00" + f.Name // no property is called like a field of ours
			d.names[i] = cmp.Or(f.Property, f.Name)
		}
	}
	d.content = cdc.NewContent(names)
	return d, nil
}

// state is what is compared of a key that is live on a side.
type state struct {
	version hubspot.Millis
	hash    uint64
}

func (d *digester) state(f *schema.Fact) (s state) {
	s.version = hubspot.NoTime
	if d.updated >= 0 {
		s.version = schema.Time(f.Values[d.updated])
	}
	if d.unparsed >= 0 && f.Values[d.unparsed] != nil {
		f.Values[d.unparsed] = d.rawTexts(f.Values[d.unparsed])
	}
	if d.teams >= 0 && f.Values[d.teams] != nil {
		f.Values[d.teams] = inOrder(f.Values[d.teams])
	}
	s.hash = d.content.Hash(&hubspot.Record{Values: f.Values})
	return s
}

// rawTexts leaves out the raw texts of what does not count.
func (d *digester) rawTexts(value []byte) []byte {
	var texts map[string]json.RawMessage
	if json.Unmarshal([]byte(schema.Text(value)), &texts) != nil {
		return value
	}
	var out []byte
	for _, name := range sortedKeys(texts) {
		if d.raw(name) {
			out = append(append(append(out, name...), 0), texts[name]...)
		}
	}
	return out
}

// inOrder sorts the elements of a JSON array by their texts.
func inOrder(value []byte) []byte {
	var elements []json.RawMessage
	if json.Unmarshal([]byte(schema.Text(value)), &elements) != nil {
		return value
	}
	slices.SortFunc(elements, func(a, b json.RawMessage) int { return bytes.Compare(a, b) })
	out := []byte{}
	for _, e := range elements {
		out = append(append(out, e...), 0)
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// digesters are those of the schemas of a topic, by the registry's id.
type digesters struct {
	registry *sr.Client
	portal   string
	counts   counts
	raw      func(property string) bool
	byID     map[int]*digester // nil: not of events of the connector
}

// frame is the length of the registry's header.
const frame = 5

// read reads an event of the topic. Its error is schema.ErrForeign for one that is
// not the connector's, or that nobody can read.
func (ds *digesters) read(ctx context.Context, value []byte) (d *digester, f schema.Fact, err error) {
	if len(value) <= frame || value[0] != 0 {
		return nil, f, schema.ErrForeign
	}
	id := int(binary.BigEndian.Uint32(value[1:]))
	d, known := ds.byID[id]
	if !known {
		if d, err = ds.ask(ctx, id); err != nil {
			return nil, f, err
		}
		ds.byID[id] = d
	}
	if d == nil {
		return nil, f, schema.ErrForeign
	}
	if f, err = d.reader.Read(value[frame:]); err == nil && f.DB != ds.portal {
		err = schema.ErrForeign
	}
	return d, f, err
}

func (ds *digesters) ask(ctx context.Context, id int) (*digester, error) {
	answer, err := ds.registry.SchemaByID(ctx, id)
	var refused *sr.ResponseError
	switch {
	case errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("ask registry for schema %d: %w", id, err)
	}
	d, err := newDigester([]byte(answer.Schema), ds.counts, ds.raw)
	if errors.Is(err, schema.ErrForeign) {
		return nil, nil
	}
	return d, err
}
