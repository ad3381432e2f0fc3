package cdctest

import (
	"maps"
	"reflect"
	"slices"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Event is a record of a data topic as a read_committed consumer saw it.
type Event struct {
	Key       Key
	Partition int32
	Offset    int64
	Tombstone bool // a null value; nothing below is set

	Op       string
	Snapshot string
	Reason   string
	Into     string // mergedInto
	Stream   string
	SourceMs hubspot.Millis
	Seq      int64

	Created  hubspot.Millis
	Version  hubspot.Millis    // after.updatedAt
	Values   map[string]any    // after.properties without the nulls, by HubSpot's names
	Fields   map[string]string // the field that holds each of the values
	Unparsed map[string]string // raw texts that did not fit their field
}

// isDelete reports whether the event ends the record's life.
func (e *Event) isDelete() bool { return e.Op == "d" }

// repeats reports whether the event tells nothing that the one before it did not.
func (e *Event) repeats(before *Event) bool {
	if e.isDelete() || before.isDelete() {
		return e.isDelete() && before.isDelete()
	}
	return e.Version == before.Version && reflect.DeepEqual(e.Values, before.Values) &&
		maps.Equal(e.Fields, before.Fields) && maps.Equal(e.Unparsed, before.Unparsed)
}

// shows reports whether the event is a true account of the state.
func (e *Event) shows(s *State) bool {
	if e.isDelete() {
		return !s.Live && (e.Reason != "archived" || e.SourceMs == s.ArchivedAt) &&
			(e.Reason != "merged" || slices.Contains(s.Survivors, e.Into))
	}
	if !s.Live || e.Version != s.Version || e.Created != s.Created {
		return false
	}
	return len(e.differences(s)) == 0
}

// differences returns the properties whose value is not the state's.
func (e *Event) differences(s *State) []string {
	var names []string
	for name, raw := range s.Values {
		if !sameValue(raw, e.Values[name], e.Unparsed[name]) {
			names = append(names, name)
		}
	}
	for name := range e.Values {
		if _, ok := s.Values[name]; !ok {
			names = append(names, name)
		}
	}
	return names
}
