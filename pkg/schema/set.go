package schema

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Field is one field of the record Properties. Once written to a topic, Name,
// Property and Type never change.
type Field struct {
	Name     string // in Avro
	Property string // in HubSpot
	Type     Type

	// What HubSpot last said about the property. It travels in the field's doc
	// and props, and does not change the structure.
	HubSpotType string
	FieldType   string
	Label       string
	// Sensitivity is HubSpot's dataSensitivity, "" for ordinary properties.
	Sensitivity string

	// InForce says that values go here. A removed property has no field in
	// force; a retyped one has only the field of its present type in force.
	InForce bool

	// Withheld says that the field is out of force for as long as the token may
	// not read the property. What was published of it stays.
	Withheld bool

	// Hashed is a digest of the key under which values are hashed (Selection);
	// "" for values as they are.
	Hashed string
}

// Set is the fields of an object type. Their order is the order of a record's
// slots and of the Avro fields. New fields come last and none ever leaves, so
// that a slot keeps its meaning and every version of the schema can read every
// other.
type Set struct {
	Object string
	// TypeID is HubSpot's id of the object type. A custom type that is deleted
	// and created again under its old name has another one.
	TypeID string
	// Merged says that hs_merged_object_ids is read although no field takes it,
	// because the definitions do not show it or the selection leaves it out.
	// The connector finds merges by it (R7).
	Merged bool
	Fields []Field
}

// Slots returns the properties to ask for, and the slots into which they are
// read. A field that is not in force is a slot that stays null. sel is the
// selection that the set was made with: it has the key for what is hashed. Slots
// panics on another key.
func (s *Set) Slots(sel *Selection) *hubspot.Slots {
	names, hashed := make([]string, len(s.Fields)), make([]bool, len(s.Fields))
	for i, f := range s.Fields {
		if f.InForce {
			names[i], hashed[i] = f.Property, f.Hashed != ""
			if !f.keyed(sel) {
				// Its values would go out unhashed, or under the wrong key.
				panic(fmt.Sprintf("schema: field %q of %q is hashed with another key than the selection has", f.Name, s.Object))
			}
		}
	}
	slots := hubspot.NewSlots(names)
	slots.Merged = s.Merged
	if slices.Contains(hashed, true) {
		slots.Hashed, slots.HashKey = hashed, sel.Key
	}
	return slots
}

// Keyed reports whether sel has the key under which the set's values are hashed, so
// that the set may be read with it.
func (s *Set) Keyed(sel *Selection) bool {
	return !slices.ContainsFunc(s.Fields, func(f Field) bool { return f.InForce && !f.keyed(sel) })
}

func (f *Field) keyed(sel *Selection) bool {
	return f.Hashed == "" || sel != nil && f.Hashed == sel.keyDigest()
}

// Content names the fields whose change is a change of the record (R10): all in
// force, without the volatile properties and the modified time, which is the
// version. The name of any other field is "".
func (s *Set) Content(volatile Globs) []string {
	names := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		if f.InForce && Counts(s.Object, f.Property, volatile) {
			names[i] = f.Name
		}
	}
	return names
}

// Counts reports whether a property is part of a record's content (R10).
func Counts(object, property string, volatile Globs) bool {
	return property != "lastmodifieddate" && property != "hs_lastmodifieddate" && !volatile.Match(object, property)
}

// Same reports whether s and o read and write records alike and decide alike
// later on; if not, o has to be stored in place of s. Labels do not count, and
// neither do HubSpot's types as long as the field's type is the same.
func (s *Set) Same(o *Set) bool {
	if s.Object != o.Object || s.TypeID != o.TypeID || s.Merged != o.Merged || len(s.Fields) != len(o.Fields) {
		return false
	}
	for i, f := range s.Fields {
		g := o.Fields[i]
		if f.Name != g.Name || f.Property != g.Property || f.Type != g.Type || f.Sensitivity != g.Sensitivity || f.InForce != g.InForce ||
			f.Withheld != g.Withheld || f.InForce && f.Hashed != g.Hashed {
			return false
		}
	}
	return true
}

// setJSON is a Set as the state topic holds it.
type setJSON struct {
	Version int         `json:"v"`
	Object  string      `json:"object"`
	TypeID  string      `json:"typeId,omitempty"`
	Merged  bool        `json:"merged,omitempty"`
	Fields  []fieldJSON `json:"fields"`
}

type fieldJSON struct {
	Name        string `json:"name"`
	Property    string `json:"property"`
	Type        Type   `json:"type"`
	HubSpotType string `json:"hubspotType"`
	FieldType   string `json:"fieldType,omitempty"`
	Label       string `json:"label,omitempty"`
	Sensitivity string `json:"sensitivity,omitempty"`
	InForce     bool   `json:"inForce"`
	Withheld    bool   `json:"withheld,omitempty"`
	Hashed      string `json:"hashed,omitempty"`
}

const setVersion = 1

// MarshalJSON writes the set for the state topic: the same bytes for the same
// set.
func (s *Set) MarshalJSON() ([]byte, error) {
	out := setJSON{Version: setVersion, Object: s.Object, TypeID: s.TypeID, Merged: s.Merged, Fields: make([]fieldJSON, len(s.Fields))}
	for i, f := range s.Fields {
		out.Fields[i] = fieldJSON(f)
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads a set back. It refuses one that would put values into wrong
// fields.
func (s *Set) UnmarshalJSON(data []byte) error {
	var in setJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("property set: %w", err)
	}
	if in.Version != setVersion {
		return fmt.Errorf("property set of %q has version %d, this program writes %d: it was written by another release",
			in.Object, in.Version, setVersion)
	}
	fields := make([]Field, len(in.Fields))
	names := make(map[string]bool, len(in.Fields))
	inForce := make(map[string]bool, len(in.Fields))
	for i, f := range in.Fields {
		switch {
		case !isAvroName(f.Name):
			return fmt.Errorf("property set of %q: field %d: %q is not an Avro name", in.Object, i, f.Name)
		case names[f.Name]:
			return fmt.Errorf("property set of %q: field %q appears twice", in.Object, f.Name)
		case f.InForce && inForce[f.Property]:
			return fmt.Errorf("property set of %q: property %q has two fields in force", in.Object, f.Property)
		}
		names[f.Name] = true
		inForce[f.Property] = inForce[f.Property] || f.InForce
		fields[i] = Field(f)
	}
	*s = Set{Object: in.Object, TypeID: in.TypeID, Merged: in.Merged, Fields: fields}
	return nil
}

func isAvroName(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
	return name != "" && strings.Trim(name, letters+"0123456789") == "" &&
		strings.Contains(letters, name[:1])
}

// AlikeButForCase returns the fields whose names differ in case alone, in pairs.
// Sinks that write to SQL fold case, and take the two for one column.
func (s *Set) AlikeButForCase() (pairs [][2]string) {
	first := make(map[string]string)
	for i := range s.Fields {
		name := s.Fields[i].Name
		folded := strings.ToLower(name)
		if other, ok := first[folded]; ok {
			pairs = append(pairs, [2]string{other, name})
			continue
		}
		first[folded] = name
	}
	return pairs
}
