package stream

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// The types of signals that the connector understands, in Debezium's words
// (https://debezium.io/documentation/reference/stable/configuration/signalling.html).
const (
	executeSnapshot = "execute-snapshot"
	stopSnapshot    = "stop-snapshot"
	pauseSnapshot   = "pause-snapshot"
	resumeSnapshot  = "resume-snapshot"
	logMessage      = "log"
)

// Two more, of the streams of object types and pairs.
const (
	pauseStreams  = "pause"
	resumeStreams = "resume"
)

// SignalTypes are the types of signals that the connector understands.
func SignalTypes() []string {
	return []string{executeSnapshot, stopSnapshot, pauseSnapshot, resumeSnapshot, pauseStreams, resumeStreams, logMessage}
}

// signal is what an operator wrote into the signals topic.
type signal struct {
	ID          string   // the operator's name for it
	Type        string   // one of SignalTypes
	Collections []string // as written; none in a stop or a resume means all
	Message     string   // of logMessage
	// Filters are the wanted ids, by collection as written.
	Filters map[string][]hubspot.ID
}

// parseSignal reads Debezium's JSON. It refuses what it does not know where that
// would change what the signal asks for: ignoring a filter would publish a whole
// type instead of three records.
func parseSignal(text []byte) (signal, error) {
	var raw struct {
		ID   string
		Type string
		Data struct {
			Collections []string    `json:"data-collections"`
			Type        string      // of the snapshot
			Conditions  []condition `json:"additional-conditions"`
			Condition   string      `json:"additional-condition"`
			Message     string
		}
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return signal{}, fmt.Errorf("this is not the JSON of a signal: %w", err)
	}
	s := signal{ID: raw.ID, Type: raw.Type, Collections: raw.Data.Collections, Message: raw.Data.Message}
	switch {
	case !slices.Contains(SignalTypes(), s.Type):
		return s, fmt.Errorf("its type is %q, none of %s", s.Type, strings.Join(SignalTypes(), ", "))
	case s.Type == logMessage && s.Message == "":
		return s, errors.New("data.message is empty")
	case s.Type == logMessage:
		return s, nil
	case len(s.Collections) > 0 && (s.Type == pauseSnapshot || s.Type == resumeSnapshot):
		return s, fmt.Errorf("%s is about all snapshots and takes no data.data-collections", s.Type)
	case raw.Data.Type != "" && !strings.EqualFold(raw.Data.Type, "incremental"):
		return s, fmt.Errorf("data.type is %q, but snapshots are always incremental", raw.Data.Type)
	case s.Type == stopSnapshot, s.Type == pauseSnapshot, s.Type == resumeSnapshot, s.Type == resumeStreams:
		return s, nil // Debezium has no conditions there
	case len(s.Collections) == 0:
		return s, errors.New(`data.data-collections names nothing; ".*" names everything`)
	case s.Type == pauseStreams:
		return s, nil
	case raw.Data.Condition != "":
		return s, errors.New("data.additional-condition is not understood; use data.additional-conditions")
	}
	s.Filters = map[string][]hubspot.ID{}
	for _, c := range raw.Data.Conditions {
		ids, err := c.ids()
		if err == nil && (c.Collection == "" || c.Collection == everything) {
			err = fmt.Errorf("nothing is published under %q", c.Collection)
		}
		if err != nil {
			return s, fmt.Errorf("data.additional-conditions: %w", err)
		}
		s.Filters[c.Collection] = append(s.Filters[c.Collection], ids...)
	}
	return s, nil
}

type condition struct {
	Collection string `json:"data-collection"`
	Filter     string `json:"filter"`
}

// ids parses a filter such as "1,2,3".
func (c *condition) ids() ([]hubspot.ID, error) {
	var out []hubspot.ID
	for text := range strings.SplitSeq(c.Filter, ",") {
		id, err := hubspot.ParseID(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("the filter of %q is not a list of ids such as 1,2,3", c.Collection)
		}
		out = append(out, id)
	}
	return out, nil
}

// everything is the only pattern that the connector understands. Debezium takes
// each entry as a regular expression that matches a whole name.
const everything = ".*"

// names reports whether an entry of a signal means a collection. The entry may
// escape dots, as Debezium's users do.
func names(entry string, c collection) bool {
	entry = strings.ReplaceAll(entry, `\.`, ".")
	return entry == everything || entry == c.name() || entry == c.topic()
}

// work is what a signal asks for of one collection.
type work struct {
	of   collection
	ids  []hubspot.ID // ascending; none means all
	over bool         // done, stopped or given up
}

// plan returns what a signal asks for, in the order in which it is done, and the
// names that mean nothing here. A condition that would have no effect is an error.
func (s *signal) plan(all []collection) (out []*work, unknown []string, err error) {
	filters := map[string][]hubspot.ID{}
	for entry, ids := range s.Filters {
		i := slices.IndexFunc(all, func(c collection) bool { return names(entry, c) })
		if i < 0 {
			return nil, nil, fmt.Errorf("data.additional-conditions: nothing is published under %q", entry)
		}
		filters[all[i].name()] = append(filters[all[i].name()], ids...)
	}
	for _, entry := range s.Collections {
		if entry != everything && !slices.ContainsFunc(all, func(c collection) bool { return names(entry, c) }) {
			unknown = append(unknown, entry)
		}
	}
	for _, c := range all {
		if !slices.ContainsFunc(s.Collections, func(entry string) bool { return names(entry, c) }) {
			continue
		}
		ids := filters[c.name()]
		slices.Sort(ids)
		out = append(out, &work{of: c, ids: slices.Compact(ids)})
		delete(filters, c.name())
	}
	for name := range filters {
		return nil, nil, fmt.Errorf("data.additional-conditions: %q is not among data.data-collections", name)
	}
	slices.SortFunc(out, func(a, b *work) int { return inOrder(a.of.name(), b.of.name()) })
	return out, unknown, nil
}

// inOrder compares the names of collections by the order in which they are read:
// object types and reference lists by name, then pairs. Because the order is fixed,
// a place in the middle tells what is done.
func inOrder(a, b string) int {
	if x, y := strings.Contains(a, ":"), strings.Contains(b, ":"); x != y {
		if x {
			return 1
		}
		return -1
	}
	return strings.Compare(a, b)
}

// errListsNotPaused says that a pause names lists alone.
var errListsNotPaused = errors.New("lists are read as a whole and cannot be paused")

// CheckSignal says why the connector would pass over a signal or over a name in it,
// whatever it follows.
func CheckSignal(text []byte) error {
	s, err := parseSignal(text)
	isList := func(entry string) bool { // by its name or its topic
		return slices.Contains(References(), entry[strings.LastIndex(entry, ".")+1:])
	}
	switch {
	case err != nil:
		return err
	case slices.Contains(s.Collections, ""):
		return &unknownError{[]string{`""`}}
	case s.Type == pauseStreams && slices.ContainsFunc(s.Collections, isList):
		return errListsNotPaused
	}
	return nil
}
