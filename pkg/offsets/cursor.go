package offsets

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Tier is the cursor of a search tier, leading or trailing (R2, R3).
type Tier struct {
	At      hubspot.Millis // the start: the walk asks for modified ≥ At
	Walking bool           // inside a walk: T0 and ID count
	T0      hubspot.Millis // HubSpot's Date of the walk's first answer; 0 = none
	ID      hubspot.ID     // the last id that is done
}

// Bytes writes the cursor: t0 and id only inside a walk.
func (t Tier) Bytes() []byte {
	if t.Walking {
		return object("at", t.At.String(), "t0", t.T0, "id", t.ID)
	}
	return object("at", t.At.String())
}

// ParseTier reads what Bytes wrote or an operator typed.
func ParseTier(text []byte) (t Tier, err error) {
	m, err := parseMembers(text)
	if err != nil {
		return Tier{}, err
	}
	if t.At, err = m.millis("at"); err != nil {
		return Tier{}, err
	}
	if !m.has("t0") {
		if m.has("id") {
			return Tier{}, errors.New(`"id" is a place inside a walk and needs "t0"`)
		}
		return t, nil
	}
	t.Walking = true
	if t.T0, err = m.millis("t0"); err != nil {
		return Tier{}, err
	}
	if t.ID, err = m.id("id"); err != nil {
		return Tier{}, err
	}
	return t, nil
}

// Range is a part of a sweep: the ids above From, up to and including To ("" = no
// end).
type Range struct {
	From  string `json:"from"`
	To    string `json:"to"`
	After string `json:"after"` // HubSpot's paging token for the next page
	ID    string `json:"id"`    // the last id read: a in R11
}

// Sweep is the cursor of backfill and reconcile.
type Sweep struct {
	Ranges    []Range
	Started   hubspot.Millis // 0 = null
	Completed hubspot.Millis // 0 = null
	Done      bool
	// Waits says that something of what was read was not decided when the cursor moved
	// past it. A run that goes on there does not know whether it was decided since, so
	// the sweep verifies nothing (R17). Nor does one that says so for another reason.
	Waits bool
	// Short says that HubSpot's list lacked a record that HubSpot shows when asked for it.
	// It may have lacked others, which were never published: until another sweep has shown
	// everything, nothing is claimed of the type (R17).
	Short bool
	// Asked says that the reconcile under way was asked for, and makes no pauses.
	Asked bool
}

// Bytes writes the cursor: waits, short and asked only where they are so.
func (s Sweep) Bytes() []byte {
	ranges := s.Ranges
	if ranges == nil {
		ranges = []Range{}
	}
	members := []any{"ranges", ranges, "started", s.Started, "completed", s.Completed, "done", s.Done}
	if s.Waits {
		members = append(members, "waits", true)
	}
	if s.Short {
		members = append(members, "short", true)
	}
	if s.Asked {
		members = append(members, "asked", true)
	}
	return object(members...)
}

// ParseSweep reads what Bytes wrote or an operator typed.
func ParseSweep(text []byte) (s Sweep, err error) {
	m, err := parseMembers(text)
	if err != nil {
		return Sweep{}, err
	}
	if s.Done, err = m.flag("done"); err != nil {
		return Sweep{}, err
	}
	if s.Waits, err = m.flag("waits"); err != nil {
		return Sweep{}, err
	}
	if s.Short, err = m.flag("short"); err != nil {
		return Sweep{}, err
	}
	if s.Asked, err = m.flag("asked"); err != nil {
		return Sweep{}, err
	}
	if !s.Done || m.has("ranges") {
		var list []json.RawMessage
		if err := m.read("ranges", "a list", &list); err != nil {
			return Sweep{}, err
		}
		for _, raw := range list {
			r, err := parseRange(raw)
			if err != nil {
				return Sweep{}, fmt.Errorf(`"ranges": %w`, err)
			}
			s.Ranges = append(s.Ranges, r)
		}
	}
	if s.Started, err = m.optionalMillis("started"); err != nil {
		return Sweep{}, err
	}
	if s.Completed, err = m.optionalMillis("completed"); err != nil {
		return Sweep{}, err
	}
	return s, nil
}

func parseRange(text []byte) (Range, error) {
	m, err := parseMembers(text)
	if err != nil {
		return Range{}, err
	}
	var r Range
	for name, into := range map[string]*string{"from": &r.From, "to": &r.To, "after": &r.After, "id": &r.ID} {
		if *into, err = m.optionalText(name); err != nil {
			return Range{}, err
		}
		if name == "after" { // HubSpot's token: any text
			continue
		}
		if _, err := m.id(name); err != nil {
			return Range{}, err
		}
	}
	return r, nil
}

// Archive is the cursor of the sweep over the list of archived records.
type Archive struct {
	After     string // HubSpot's paging token; "" = at the first page
	Started   hubspot.Millis
	Completed hubspot.Millis
}

// Bytes writes the cursor.
func (a Archive) Bytes() []byte {
	return object("after", a.After, "started", a.Started, "completed", a.Completed)
}

// ParseArchive reads what Bytes wrote or an operator typed.
func ParseArchive(text []byte) (a Archive, err error) {
	m, err := parseMembers(text)
	if err != nil {
		return Archive{}, err
	}
	if a.After, err = m.text("after"); err != nil {
		return Archive{}, err
	}
	if a.Started, err = m.optionalMillis("started"); err != nil {
		return Archive{}, err
	}
	if a.Completed, err = m.optionalMillis("completed"); err != nil {
		return Archive{}, err
	}
	return a, nil
}

// Associations is the cursor of a pair's association sweep.
type Associations struct {
	ID        hubspot.ID // the last from-id that is done
	Started   hubspot.Millis
	Completed hubspot.Millis
}

// Bytes writes the cursor.
func (a Associations) Bytes() []byte {
	return object("id", a.ID, "started", a.Started, "completed", a.Completed)
}

// ParseAssociations reads what Bytes wrote or an operator typed.
func ParseAssociations(text []byte) (a Associations, err error) {
	m, err := parseMembers(text)
	if err != nil {
		return Associations{}, err
	}
	if !m.has("id") {
		return Associations{}, errors.New(`"id" is missing`)
	}
	if a.ID, err = m.id("id"); err != nil {
		return Associations{}, err
	}
	if a.Started, err = m.optionalMillis("started"); err != nil {
		return Associations{}, err
	}
	if a.Completed, err = m.optionalMillis("completed"); err != nil {
		return Associations{}, err
	}
	return a, nil
}

// Reference is the cursor of a reference list: when the last complete reading
// began and ended.
type Reference struct {
	Started   hubspot.Millis
	Completed hubspot.Millis // 0: never yet
}

// Bytes writes the cursor.
func (l Reference) Bytes() []byte {
	return object("started", l.Started, "completed", l.Completed)
}

// ParseReference reads what Bytes wrote or an operator typed.
func ParseReference(text []byte) (l Reference, err error) {
	m, err := parseMembers(text)
	if err != nil {
		return Reference{}, err
	}
	if l.Started, err = m.optionalMillis("started"); err != nil {
		return Reference{}, err
	}
	if l.Completed, err = m.optionalMillis("completed"); err != nil {
		return Reference{}, err
	}
	return l, nil
}

// Refill is the cursor of the stream that reads the holders of changed properties
// again (R13).
type Refill struct {
	Properties []string
	After      hubspot.ID // the last id that is done
	Round      int        // 1: at once, 2: after the longest lag
}

// Bytes writes the cursor.
func (r Refill) Bytes() []byte {
	return object("properties", r.Properties, "after", r.After, "round", r.Round)
}

// ParseRefill reads what Bytes wrote or an operator typed.
func ParseRefill(text []byte) (r Refill, err error) {
	m, err := parseMembers(text)
	if err != nil {
		return Refill{}, err
	}
	if err = m.read("properties", "a list of names", &r.Properties); err != nil {
		return Refill{}, err
	}
	if len(r.Properties) == 0 {
		return Refill{}, errors.New(`"properties" is empty`)
	}
	if r.After, err = m.id("after"); err != nil {
		return Refill{}, err
	}
	round, err := m.integer("round")
	if err != nil {
		return Refill{}, err
	}
	if round < 1 || round > 2 {
		return Refill{}, fmt.Errorf(`"round" is %d, not 1 or 2`, round)
	}
	r.Round = int(round)
	return r, nil
}

// Stuck are the records that HubSpot does not answer about (R18).
type Stuck struct{ IDs []hubspot.ID }

// Bytes writes the cursor.
func (s Stuck) Bytes() []byte {
	texts := make([]string, len(s.IDs))
	for i, id := range s.IDs {
		texts[i] = id.String()
	}
	return object("ids", texts)
}

// ParseStuck reads what Bytes wrote or an operator typed.
func ParseStuck(text []byte) (s Stuck, err error) {
	m, err := parseMembers(text)
	if err != nil {
		return Stuck{}, err
	}
	var ids []json.RawMessage
	if err := m.read("ids", "a list of ids", &ids); err != nil {
		return Stuck{}, err
	}
	for _, text := range ids {
		id, err := hubspot.ParseID(strings.Trim(string(text), `"`))
		if err != nil {
			return Stuck{}, fmt.Errorf(`"ids": %w`, err)
		}
		s.IDs = append(s.IDs, id)
	}
	return s, nil
}

// Signals is the place in the signals topic, and in the snapshot under way.
type Signals struct {
	Offset int64 // of the earliest signal that is not done
	// Object is the object type, pair or reference list whose snapshot is under
	// way, as that signal asked; "" before its first page. The rest counts only
	// with it.
	Object  string
	After   string     // HubSpot's paging token for the next page
	ID      hubspot.ID // the last id that is done
	Records int64      // of Object, so far
}

// Bytes writes the cursor: Object and what follows only inside a snapshot.
func (s Signals) Bytes() []byte {
	if s.Object != "" {
		return object("offset", s.Offset, "object", s.Object, "after", s.After, "id", s.ID, "records", s.Records)
	}
	return object("offset", s.Offset)
}

// ParseSignals reads what Bytes wrote or an operator typed.
func ParseSignals(text []byte) (s Signals, err error) {
	m, err := parseMembers(text)
	if err != nil {
		return Signals{}, err
	}
	if s.Offset, err = m.integer("offset"); err != nil {
		return Signals{}, err
	}
	if s.Offset < 0 {
		return Signals{}, fmt.Errorf(`"offset" is %d`, s.Offset)
	}
	if s.Object, err = m.optionalText("object"); err != nil {
		return Signals{}, err
	}
	if s.Object == "" {
		if m.has("after") || m.has("id") {
			return Signals{}, errors.New(`"after" and "id" are a place inside a snapshot and need "object"`)
		}
		return s, nil
	}
	if s.After, err = m.optionalText("after"); err != nil {
		return Signals{}, err
	}
	if s.ID, err = m.id("id"); err != nil {
		return Signals{}, err
	}
	if m.has("records") {
		s.Records, err = m.integer("records")
	}
	return s, err
}

// Birth ties the two topics together: one transaction began both with the same
// id.
type Birth struct {
	ID string
}

// Bytes writes the cursor.
func (b Birth) Bytes() []byte { return object("id", b.ID) }

// parseBirth reads what Bytes wrote.
func parseBirth(text []byte) (b Birth, err error) {
	m, err := parseMembers(text)
	if err != nil {
		return Birth{}, err
	}
	if b.ID, err = m.text("id"); err != nil {
		return Birth{}, err
	}
	if b.ID == "" {
		return Birth{}, errors.New(`"id" is empty`)
	}
	return b, nil
}

// checkValue reports why a stream would not understand a cursor; nil if it would.
// The cursor of an unknown stream (another version's, or one that is no longer
// configured) only has to be JSON.
func checkValue(stream string, value []byte) error {
	switch {
	case isTier(stream):
		_, err := ParseTier(value)
		return err
	case stream == BackfillStream || stream == ReconcileStream:
		_, err := ParseSweep(value)
		return err
	case stream == ArchiveStream:
		_, err := ParseArchive(value)
		return err
	case stream == AssociationsStream:
		_, err := ParseAssociations(value)
		return err
	case stream == ReferenceStream:
		_, err := ParseReference(value)
		return err
	case stream == RefillStream:
		_, err := ParseRefill(value)
		return err
	case stream == RepublishStream:
		_, err := ParseRepublish(value)
		return err
	case stream == StuckStream:
		_, err := ParseStuck(value)
		return err
	case stream == SignalsStream:
		_, err := ParseSignals(value)
		return err
	case stream == PausedStream:
		_, err := ParsePaused(value)
		return err
	case stream == JournalStream:
		_, err := ParseJournal(value)
		return err
	case stream == BirthStream:
		_, err := parseBirth(value)
		return err
	case !json.Valid(value):
		return errors.New("not JSON")
	}
	return nil
}
