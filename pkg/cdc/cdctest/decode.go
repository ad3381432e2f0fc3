package cdctest

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Decoder reads records of data topics as a consumer does.
type Decoder struct {
	// Avro decodes the fields of a value, and returns the schema that it was
	// written with.
	Avro func(value []byte) (fields map[string]any, schema string, err error)

	properties map[string]map[string]string // by schema: HubSpot's name by field
}

// Decode reads one record of object's topic.
func (d *Decoder) Decode(object string, key, value []byte) (Event, error) {
	e := Event{Key: Key{object, string(key)}, Tombstone: value == nil}
	if e.Tombstone {
		return e, nil
	}
	envelope, schema, err := d.Avro(value)
	var properties map[string]string
	if err == nil {
		properties, err = d.propertiesOf(schema)
	}
	if err == nil {
		err = e.take(envelope, properties)
	}
	if err != nil {
		return e, fmt.Errorf("decode an event of %s: %w", e.Key, err)
	}
	return e, nil
}

func (d *Decoder) propertiesOf(schema string) (map[string]string, error) {
	if names, known := d.properties[schema]; known {
		return names, nil
	}
	names := map[string]string{}
	if err := propertyNames(json.RawMessage(schema), names); err != nil {
		return nil, fmt.Errorf("find the properties in the schema: %w", err)
	}
	if d.properties == nil {
		d.properties = map[string]map[string]string{}
	}
	d.properties[schema] = names
	return names, nil
}

// propertyNames collects the prop hubspot.name of every field in a schema.
func propertyNames(schema json.RawMessage, names map[string]string) error {
	switch schema[0] {
	case '[':
		var branches []json.RawMessage
		if err := json.Unmarshal(schema, &branches); err != nil {
			return err
		}
		for _, branch := range branches {
			if err := propertyNames(branch, names); err != nil {
				return err
			}
		}
	case '{':
		var record struct {
			Fields []struct {
				Name     string          `json:"name"`
				Type     json.RawMessage `json:"type"`
				Property string          `json:"hubspot.name"`
			} `json:"fields"`
		}
		if err := json.Unmarshal(schema, &record); err != nil {
			return err
		}
		for _, f := range record.Fields {
			if f.Property != "" {
				names[f.Name] = f.Property
			} else if err := propertyNames(f.Type, names); err != nil {
				return err
			}
		}
	}
	return nil
}

// take fills the event from a decoded envelope.
func (e *Event) take(envelope map[string]any, properties map[string]string) error {
	f := fields{from: envelope, at: "envelope"}
	e.Op = get[string](&f, "op")
	source := fields{from: get[map[string]any](&f, "source"), at: "source"}
	e.SourceMs = hubspot.Millis(get[int64](&source, "ts_ms"))
	e.Snapshot = get[string](&source, "snapshot")
	e.Stream = get[string](&source, "stream")
	e.Seq = get[int64](&source, "seq")
	e.Reason = getNullable[string](&source, "reason")
	e.Into = getNullable[string](&source, "mergedInto")
	if table := get[string](&source, "table"); f.err == nil && source.err == nil && table != e.Key.Object {
		return fmt.Errorf("source.table is %q", table)
	}
	side := "after"
	if e.isDelete() {
		side = "before"
	}
	image := fields{from: get[map[string]any](&f, side), at: side}
	if id := get[string](&image, "id"); image.err == nil && id != e.Key.ID {
		return fmt.Errorf("%s.id is %q", side, id)
	}
	if !e.isDelete() {
		e.Created = hubspot.MillisOf(getNullable[time.Time](&image, "createdAt"))
		e.Version = hubspot.MillisOf(getNullable[time.Time](&image, "updatedAt"))
		e.Values, e.Fields = make(map[string]any), make(map[string]string)
		for field, v := range get[map[string]any](&image, "properties") {
			if v == nil {
				continue
			}
			name, known := properties[field]
			if !known {
				return fmt.Errorf("the schema does not name the property of field %s", field)
			}
			e.Values[name], e.Fields[name] = v, field
		}
		if raw := getNullable[string](&image, "unparsed"); raw != "" {
			if err := json.Unmarshal([]byte(raw), &e.Unparsed); err != nil {
				return fmt.Errorf("after.unparsed: %w", err)
			}
		}
	}
	return errors.Join(f.err, source.err, image.err)
}

// fields reads members of a decoded record, and keeps the error of the first that
// is not as it should be.
type fields struct {
	from map[string]any
	at   string
	err  error
}

func get[T any](f *fields, name string) T {
	v, ok := f.from[name].(T)
	if !ok && f.err == nil {
		f.err = fmt.Errorf("%s.%s is %T, not %T", f.at, name, f.from[name], v)
	}
	return v
}

func getNullable[T any](f *fields, name string) (v T) {
	if f.from[name] == nil {
		return v
	}
	return get[T](f, name)
}
