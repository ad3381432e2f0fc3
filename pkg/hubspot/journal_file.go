package hubspot

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// JournalFile is a file of the journal. Its events may be late, doubled or out of
// order.
type JournalFile struct {
	Offset    string
	Published Millis // 0 if the file does not say
	Events    []JournalEvent
	// Odd is how many events were left out because a member that is needed cannot be
	// understood.
	Odd int
}

// JournalKind is what an event of the journal is about.
type JournalKind uint8

// The kinds of events.
const (
	OtherEvent JournalKind = iota // an app's installation, or something unknown
	ObjectEvent
	AssociationEvent
)

// JournalEvent is what the journal says of a record, or of an association. The
// properties' values in it are left out: what is published is read from the object
// store (R16).
type JournalEvent struct {
	Kind     JournalKind
	Action   string // CREATE, UPDATE, DELETE, MERGE, RESTORE, GDPR_DELETE, ASSOCIATION_ADDED, ASSOCIATION_REMOVED and others
	Portal   int64  // 0 if the event does not say
	Occurred Millis // 0 if the event does not say
	// TypeID and ID are the record, or the from side of an association.
	TypeID   string
	ID       ID
	Merged   []ID   // the losers of a merge
	ToTypeID string // of an association
	ToID     ID
	// Category and AssociationType are the association's as the from side has it, ""
	// and 0 if the event does not say. Primary says that it is a primary one.
	Category        string
	AssociationType int
	Primary         bool
}

// Actions that say more than that something changed.
const (
	ActionDelete  = "DELETE"
	ActionPurge   = "GDPR_DELETE"
	ActionRestore = "RESTORE"
	ActionMerge   = "MERGE"
	ActionRemoved = "ASSOCIATION_REMOVED"
)

// flexibleID is an id that HubSpot writes as a number or as a text; 0 if it is
// neither.
type flexibleID ID

func (f *flexibleID) UnmarshalJSON(text []byte) error {
	id, err := ParseID(strings.Trim(string(text), `"`))
	if err != nil {
		id = 0
	}
	*f = flexibleID(id)
	return nil
}

type journalEvent struct {
	Type       string          `json:"type"`
	PortalID   flexibleID      `json:"portalId"`
	OccurredAt json.RawMessage `json:"occurredAt"`
	Action     string          `json:"action"`

	ObjectTypeID string       `json:"objectTypeId"`
	ObjectID     flexibleID   `json:"objectId"`
	Merged       []flexibleID `json:"mergedObjectIds"`

	FromTypeID string     `json:"fromObjectTypeId"`
	FromID     flexibleID `json:"fromObjectId"`
	ToTypeID   string     `json:"toObjectTypeId"`
	ToID       flexibleID `json:"toObjectId"`
	Category   string     `json:"associationCategory"`
	LinkType   flexibleID `json:"associationTypeId"`
	Primary    bool       `json:"isPrimary"`
}

// readJournalFile reads a file. Where one event cannot be understood, the others
// are read (R18).
func readJournalFile(text []byte) (*JournalFile, error) {
	var raw struct {
		Offset      string            `json:"offset"`
		PublishedAt json.RawMessage   `json:"publishedAt"`
		Events      []json.RawMessage `json:"journalEvents"`
	}
	if !readable(text, &raw) || raw.Events == nil {
		return nil, errNotTheJSON
	}
	f := &JournalFile{Offset: raw.Offset, Published: max(0, journalTime(raw.PublishedAt)), Events: make([]JournalEvent, 0, len(raw.Events))}
	for _, one := range raw.Events {
		if e, ok := readJournalEvent(one); ok {
			f.Events = append(f.Events, e)
		} else {
			f.Odd++
		}
	}
	return f, nil
}

// readable reads a JSON object. A member of another type than v's stays empty.
func readable(text []byte, v any) bool {
	err := json.Unmarshal(text, v)
	_, other := errors.AsType[*json.UnmarshalTypeError](err)
	return (err == nil || other) && bytes.HasPrefix(bytes.TrimSpace(text), []byte("{"))
}

// readJournalEvent tells an event by the members that it has: HubSpot names new
// types without notice.
func readJournalEvent(text []byte) (JournalEvent, bool) {
	var raw journalEvent
	if !readable(text, &raw) {
		return JournalEvent{}, false
	}
	e := JournalEvent{Action: strings.ToUpper(raw.Action), Portal: int64(raw.PortalID), Occurred: max(0, journalTime(raw.OccurredAt))}
	switch {
	case raw.FromTypeID != "" || raw.ToTypeID != "":
		e.Kind, e.TypeID, e.ID, e.ToTypeID, e.ToID = AssociationEvent, raw.FromTypeID, ID(raw.FromID), raw.ToTypeID, ID(raw.ToID)
		e.Category, e.AssociationType, e.Primary = strings.ToUpper(raw.Category), int(raw.LinkType), raw.Primary
		return e, e.TypeID != "" && e.ID != 0 && e.ToTypeID != "" && e.ToID != 0
	case raw.ObjectTypeID != "":
		e.Kind, e.TypeID, e.ID = ObjectEvent, raw.ObjectTypeID, ID(raw.ObjectID)
		if kind := strings.ToUpper(raw.Type); strings.Contains(kind, "GDPR") || strings.Contains(kind, "PRIVACY") {
			e.Action = ActionPurge // a privacy deletion has no other action
		}
		for _, id := range raw.Merged {
			if id != 0 {
				e.Merged = append(e.Merged, ID(id))
			}
		}
		return e, e.ID != 0
	}
	return e, true
}

// journalTime reads a time, which the journal's pages show as ISO 8601; NoTime if it
// is none.
func journalTime(text []byte) Millis {
	unquoted := strings.Trim(string(text), `"`)
	if t, err := time.Parse(time.RFC3339Nano, unquoted); err == nil {
		return MillisOf(t)
	}
	if n, err := strconv.ParseInt(unquoted, 10, 64); err == nil {
		return Millis(n)
	}
	return NoTime
}
