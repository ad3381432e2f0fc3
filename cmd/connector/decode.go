package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// decoder reads records as a consumer does: with the schema that the registry has
// under the id in front of them. It uses another Avro library than the encoder,
// because the encoder's library has a decoder that must not be trusted with
// foreign bytes (docs/decisions/0002).
type decoder struct {
	schemas map[int]*avro.Schema
}

// avro reads the Confluent wire format: a zero byte, the schema's id, the Avro
// body.
func (d *decoder) avro(ctx context.Context, registry *sr.Client, value []byte) (map[string]any, *avro.Schema, error) {
	var header sr.ConfluentHeader
	id, body, err := header.DecodeID(value)
	if err != nil {
		return nil, nil, err
	}
	schema := d.schemas[id]
	if schema == nil {
		text, err := registry.SchemaByID(ctx, id)
		if answer, ok := errors.AsType[*sr.ResponseError](err); ok && answer.ErrorCode == sr.ErrSchemaNotFound.Code {
			return nil, nil, fmt.Errorf("the registry has no schema %d", id)
		}
		if err != nil {
			return nil, nil, &registryError{fmt.Errorf("fetch schema %d: %w", id, err)}
		}
		if schema, err = avro.Parse(text.Schema); err != nil {
			return nil, nil, fmt.Errorf("parse schema %d: %w", id, err)
		}
		d.schemas[id] = schema
	}
	var event map[string]any
	rest, err := schema.Decode(body, &event)
	if err == nil && len(rest) > 0 {
		err = errors.New("bytes are left after the event")
	}
	return event, schema, err
}

// registryError says that the registry did not answer: the record is not to blame.
type registryError struct{ error }

// Unwrap returns the registry's error.
func (e *registryError) Unwrap() error { return e.error }

// record is a decoded record of any of the connector's topics.
type record struct {
	Topic     string          `json:"topic"`
	Partition int32           `json:"partition"`
	Offset    int64           `json:"offset"`
	Key       json.RawMessage `json:"key"`
	Value     json.RawMessage `json:"value"` // null: a tombstone
	Timestamp int64           `json:"timestamp"`
	Error     string          `json:"error,omitempty"` // why it cannot be decoded; key and value are then texts

	key   string         // as with string keys, else JSON
	event map[string]any // the envelope, if the value is one
}

// record decodes a record according to its topic. Times are numbers, as in Avro:
// dates in days and times in milliseconds since 1970.
func (d *decoder) record(ctx context.Context, registry *sr.Client, prefix string, r *kgo.Record) (*record, error) {
	out := &record{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(),
		Key: asJSON(r.Key), Value: json.RawMessage("null"), key: string(r.Key),
	}
	var err error
	switch r.Topic {
	case offsets.CursorTopic(prefix), offsets.FrontierTopic(prefix):
		if r.Value != nil {
			out.Value = asJSON(r.Value)
		}
		return out, nil
	case offsets.StateTopic(prefix):
		var about, remembers map[string]any
		if about, remembers, err = offsets.ShowState(r.Key, r.Value); err == nil {
			out.Key, out.Value, err = marshal(about, remembers)
			out.key = string(out.Key)
		}
		return out, wrong(r, err)
	}
	out.Key = asText(r.Key)
	if framed(r.Key) {
		key, schema, err := d.avro(ctx, registry, r.Key)
		if err != nil {
			return nil, wrong(r, err)
		}
		if out.Key, err = schema.EncodeJSON(key); err != nil {
			return nil, wrong(r, err)
		}
		out.key = joined(schema, key)
	}
	switch {
	case r.Value == nil:
	case framed(r.Value):
		event, schema, err := d.avro(ctx, registry, r.Value)
		if err != nil {
			return nil, wrong(r, err)
		}
		out.event = event
		if out.Value, err = schema.EncodeJSON(event); err != nil {
			return nil, wrong(r, err)
		}
		spellDates(schema, event)
	default: // signals, or nothing of ours
		out.Value = asJSON(r.Value)
	}
	return out, nil
}

// undecodable is a record that cannot be decoded, because somebody else wrote it, or the
// registry lost its schema.
func undecodable(r *kgo.Record, err error) *record {
	out := &record{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(),
		Key: asText(r.Key), Value: json.RawMessage("null"), Error: err.Error(), key: string(r.Key),
	}
	if r.Value != nil {
		out.Value = asText(r.Value)
	}
	return out
}

// spellDates writes the dates of an event's properties as days: decoded they are
// moments, like times.
func spellDates(schema *avro.Schema, event map[string]any) {
	after, _ := event["after"].(map[string]any)
	properties, _ := after["properties"].(map[string]any)
	for _, name := range dateFields(schema.Root()) {
		if day, ok := properties[name].(time.Time); ok {
			properties[name] = day.Format(time.DateOnly)
		}
	}
}

// dateFields lists the properties that are dates.
func dateFields(node *avro.SchemaNode) (names []string) {
	for i := range node.Branches {
		names = append(names, dateFields(&node.Branches[i])...)
	}
	for i := range node.Fields {
		field := &node.Fields[i]
		if node.Name == "Properties" && slices.ContainsFunc(field.Type.Branches, func(b avro.SchemaNode) bool { return b.LogicalType == "date" }) {
			names = append(names, field.Name)
		}
		names = append(names, dateFields(&field.Type)...)
	}
	return names
}

func marshal(about, remembers map[string]any) (key, value json.RawMessage, err error) {
	if key, err = json.Marshal(about); err == nil {
		value, err = json.Marshal(remembers)
	}
	return key, value, err
}

func wrong(r *kgo.Record, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("decode %s[%d]@%d: %w", r.Topic, r.Partition, r.Offset, err)
}

// framed reports whether b is Avro in the Confluent wire format: text does not
// begin with a zero byte.
func framed(b []byte) bool { return len(b) > 5 && b[0] == 0 }

// joined gives an Avro key as the string key would be.
func joined(schema *avro.Schema, key map[string]any) string {
	var parts []string
	for _, f := range schema.Root().Fields {
		parts = append(parts, fmt.Sprint(key[f.Name]))
	}
	return strings.Join(parts, ":")
}
