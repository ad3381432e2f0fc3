package hubspottest

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Journal says how the portal plays the webhooks journal (docs/hubspot.md section
// 6). Shares are from 0 to 1. With the zero value no app may read a journal; with
// an app and nothing else the journal tells everything that it is subscribed to, in
// order, one to three seconds late. It never tells what an account changes without
// an edit of a property: calculated values, a moved updatedAt, a renamed label.
type Journal struct {
	App *JournalApp // nil: none

	Delay      Span          // from a change to its file; zero: 1 to 3 s
	FileEvents int           // most events in a file; zero: 10,000
	Retention  time.Duration // zero: 3 days
	AddressFor time.Duration // how long the address of a file works; zero: 10 min

	Lost     float64 // share of events that are never told
	Doubled  float64 // share of events that a second file tells too
	Late     float64 // share of events that are late by LateBy
	LateBy   Span    // zero: 1 to 10 min
	Disorder float64 // share of events that come up to 10 s after later ones; the order inside a file is then random
	Garbage  float64 // share of files that are no JSON
	Unknown  float64 // share of events after which one of an unknown type comes
	Foreign  float64 // share of events after which one of another account comes
	TextIDs  float64 // share of events whose ids are texts

	Labels      bool // tells labels that are put on a link or taken off while the link stays
	RecordLinks bool // tells links that come and go with the record at an end (archive, restore, purge, merge)

	Conflict     bool           // 409 to a subscription that exists, rather than replacing it
	EmptyIsNone  bool           // a subscription's empty list of properties stands for none, rather than for all
	Refuse       JournalRefusal // "": nothing
	DownStatus   int            // status of every journal call and file; zero: the journal is up
	OtherScopes  []string       // scopes that the app has, rather than all of the journal's
	NotInstalled bool           // the app is not installed: nothing of the account is told, and it cannot subscribe
	NoReads      bool           // while it is not installed, 403 to every journal call
	Forgets      bool           // when it is not installed any more, the account's subscriptions go
}

// JournalApp is the app that reads the journal, with a token of its own.
type JournalApp struct{ ClientID, ClientSecret string }

// JournalRefusal is what HubSpot refuses to the app.
type JournalRefusal string

// The refusals.
const (
	RefuseToken  JournalRefusal = "token"  // no token for the app, and 401 to those that it has
	RefuseScopes JournalRefusal = "scopes" // 403 MISSING_SCOPES to every journal call
)

// foreignPortal is the other account whose events the app's journal has.
const foreignPortal = 990099

func (j Journal) withDefaults() Journal {
	if j.Delay == (Span{}) {
		j.Delay = Span{time.Second, 3 * time.Second}
	}
	if j.LateBy == (Span{}) {
		j.LateBy = Span{time.Minute, 10 * time.Minute}
	}
	if j.FileEvents == 0 {
		j.FileEvents = 10_000
	}
	if j.Retention == 0 {
		j.Retention = 3 * 24 * time.Hour
	}
	if j.AddressFor == 0 {
		j.AddressFor = 10 * time.Minute
	}
	return j
}

// SetJournal sets how the journal behaves from now on. What is written stays.
func (p *Portal) SetJournal(j Journal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opt.Journal = j.withDefaults()
	if j.NotInstalled && j.Forgets {
		p.journal.subscriptions = nil
	}
}

// ForeignEvent has the app's journal tell a change in another account, of a type by its
// id.
func (p *Portal) ForeignEvent(typeID string, id uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := journalEvent{
		Type: "crmObject", PortalID: foreignPortal, OccurredAt: isoTime(p.now()), Action: "UPDATE", ObjectTypeID: typeID, ObjectID: id,
	}
	p.journalize(journalLine{portal: foreignPortal, text: encode(e)})
}

// JournalCounts tell what became of the changes that a subscription is for. The
// maps have a type's name ("contacts") or those of a link's ends, the one whose
// side tells it first ("contacts/companies").
type JournalCounts struct {
	Written map[string]int // events in files, those of files still to come too; a doubled one counts once
	Lost    map[string]int // by Journal.Lost
	Garbled map[string]int // in files that are garbage
	Absent  map[string]int // changes that the journal does not tell by its nature
	Losses  []JournalLoss  // each one of Lost
}

// JournalLoss is an event that the journal lost.
type JournalLoss struct {
	At         int64 // of the change
	Action     string
	Object, To string // To is "" unless the event is about a link
	ID, ToID   uint64
}

// JournalCounts returns a copy of the counters.
func (p *Portal) JournalCounts() JournalCounts {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &p.journal.counts
	return JournalCounts{maps.Clone(c.Written), maps.Clone(c.Lost), maps.Clone(c.Garbled), maps.Clone(c.Absent), slices.Clone(c.Losses)}
}

type journalState struct {
	rng           *rand.Rand // of its own: a portal with a journal makes the same changes as one without
	counts        JournalCounts
	access        map[string]journalToken
	issued        int
	subscriptions []*subscription
	lastID        int64
	losers        []uint64 // of the merge whose survivor put has not seen yet
	pending       []*journalFile
	open          *journalFile   // the one of pending that events join now
	files         []*journalFile // published, oldest first
	lastMade      int64          // the millisecond of the latest offset
	sameMade      int            // how many offsets that millisecond has
	secret        []byte         // signs addresses
}

func newJournalState(seed uint64) journalState {
	s := journalState{
		rng:    rand.New(rand.NewPCG(seed, 0x6a6f75726e616c)),
		access: map[string]journalToken{},
		counts: JournalCounts{Written: map[string]int{}, Lost: map[string]int{}, Garbled: map[string]int{}, Absent: map[string]int{}},
	}
	s.secret = make([]byte, 16)
	for i := range s.secret {
		s.secret[i] = byte(s.rng.UintN(256))
	}
	return s
}

// journalEvent is one event of a file.
type journalEvent struct {
	Type       string `json:"type"`
	PortalID   int64  `json:"portalId"`
	OccurredAt string `json:"occurredAt"`
	Action     string `json:"action"`

	ObjectTypeID string             `json:"objectTypeId,omitempty"`
	ObjectID     any                `json:"objectId,omitempty"`
	Changes      map[string]*string `json:"propertyChanges,omitempty"`
	Merged       []any              `json:"mergedObjectIds,omitempty"`

	FromTypeID string `json:"fromObjectTypeId,omitempty"`
	FromID     any    `json:"fromObjectId,omitempty"`
	ToTypeID   string `json:"toObjectTypeId,omitempty"`
	ToID       any    `json:"toObjectId,omitempty"`
	LinkTypeID int    `json:"associationTypeId,omitempty"`
	Category   string `json:"associationCategory,omitempty"`
	Primary    *bool  `json:"isPrimary,omitempty"`
}

// journalActions are the actions by which the journal tells changes of records.
var journalActions = map[Op]string{
	OpCreate: "CREATE", OpUpdate: "UPDATE", OpArchive: "DELETE", OpRestore: "RESTORE", OpMerge: "MERGE", OpPurge: "GDPR_DELETE",
}

// tell writes a change of a record into the journal. put calls it for every
// change.
func (p *Portal) tell(t *objectType, op Op, old, next *state) {
	j := &p.journal
	if op == OpMergedAway {
		j.losers = append(j.losers, next.id)
		return
	}
	losers := j.losers
	j.losers = nil
	if len(j.subscriptions) == 0 {
		return
	}
	id, kind := p.journalID(), "OBJECT"
	e := journalEvent{Type: "crmObject", Action: journalActions[op], ObjectTypeID: t.typeID, ObjectID: id(next.id)}
	switch op {
	case OpPurge:
		if old.archived && old.archivedAt <= p.now()-binLife.Milliseconds() {
			return // the bin is emptied without a word
		}
		kind = "GDPR_PRIVACY_DELETION"
	case OpMerge:
		for _, loser := range losers {
			e.Merged = append(e.Merged, id(loser))
		}
	case OpUpdate:
		if e.Changes = changedValues(old.values, next.values); len(e.Changes) == 0 {
			e.Action = ""
		}
	}
	if e.Action == "" {
		if p.subscribed(kind, t, nil, next.id, "UPDATE", nil) {
			j.counts.Absent[t.name]++
		}
		return
	}
	if p.subscribed(kind, t, nil, next.id, e.Action, e.Changes) {
		p.write(t.name, JournalLoss{p.now(), e.Action, t.name, "", next.id, 0}, e)
	}
}

// changedValues returns what an update changed; nil stands for a cleared value.
func changedValues(old, next values) map[string]*string {
	changes := map[string]*string{}
	for _, v := range next {
		if before, _ := old.get(v.name); before != v.text {
			if changes[v.name] = nil; v.text != "" {
				changes[v.name] = &v.text
			}
		}
	}
	return changes
}

// tellLink writes a change of a link into the journal, as seen from one end.
// noteBoth calls it for every change that reads see.
func (p *Portal) tellLink(op Op, lt *linkType, from, to uint64, live bool) {
	action := "ASSOCIATION_REMOVED"
	if live {
		action = "ASSOCIATION_ADDED"
	}
	pr := lt.pair
	if !p.subscribed("ASSOCIATION", pr.from, pr.to, from, action, nil) {
		return
	}
	key := pr.from.name + "/" + pr.to.name
	whole, ends := lt == pr.types[0], op != OpAssociate && op != OpDissociate
	if !whole && !p.opt.Journal.Labels || ends && !p.opt.Journal.RecordLinks {
		p.journal.counts.Absent[key]++
		return
	}
	id := p.journalID()
	p.write(key, JournalLoss{p.now(), action, pr.from.name, pr.to.name, from, to}, journalEvent{
		Type: "association", Action: action,
		FromTypeID: pr.from.typeID, FromID: id(from), ToTypeID: pr.to.typeID, ToID: id(to),
		LinkTypeID: lt.id, Category: lt.category, Primary: &lt.single,
	})
}

// journalID returns how the ids of the next event are written.
func (p *Portal) journalID() func(uint64) any {
	if chance(p.journal.rng, p.opt.Journal.TextIDs) {
		return func(id uint64) any { return strconv.FormatUint(id, 10) }
	}
	return func(id uint64) any { return id }
}

// write puts an event into the files that come next, or loses it.
func (p *Portal) write(key string, about JournalLoss, e journalEvent) {
	j, s := &p.journal, &p.opt.Journal
	e.PortalID, e.OccurredAt = p.opt.PortalID, isoTime(about.At)
	if chance(j.rng, s.Lost) {
		j.counts.Lost[key]++
		j.counts.Losses = append(j.counts.Losses, about)
		return
	}
	j.counts.Written[key]++
	line := journalLine{key: key, portal: e.PortalID, text: encode(e)}
	p.journalize(line)
	if chance(j.rng, s.Doubled) {
		line.again = true
		p.lineAt(line, j.rng.Int64N(10_000)+s.Delay.Max.Milliseconds())
	}
	if chance(j.rng, s.Unknown) {
		p.journalize(journalLine{portal: e.PortalID, text: encode(map[string]any{
			"type": "weather_event", "portalId": e.PortalID, "occurredAt": e.OccurredAt, "action": "RAINED", "where": []string{"outside"},
		})})
	}
	if chance(j.rng, s.Foreign) {
		e.PortalID = foreignPortal
		p.journalize(journalLine{portal: e.PortalID, text: encode(e)})
	}
}

// subscription is what the app wants to be told.
type subscription struct {
	ID         int64    `json:"id"`
	AppID      int64    `json:"appId"`
	Kind       string   `json:"subscriptionType"`
	PortalID   int64    `json:"portalId,omitempty"`
	TypeID     string   `json:"objectTypeId"`
	Actions    []string `json:"actions"`
	Properties []string `json:"properties,omitempty"`
	ToTypeIDs  []string `json:"associatedObjectTypeIds,omitempty"`
	ObjectIDs  []int64  `json:"objectIds,omitempty"`
	ListIDs    []int64  `json:"listIds,omitempty"`
	CreatedAt  string   `json:"createdAt"`
	UpdatedAt  string   `json:"updatedAt"`
}

// subscribed reports whether the app wants to be told of a change. To is nil unless
// the change is one of a link, changes unless it is one of properties.
func (p *Portal) subscribed(kind string, t, to *objectType, id uint64, action string, changes map[string]*string) bool {
	return !p.opt.Journal.NotInstalled && slices.ContainsFunc(p.journal.subscriptions, func(s *subscription) bool {
		named := len(s.Properties) == 0 && !p.opt.Journal.EmptyIsNone || changes == nil
		for _, name := range s.Properties {
			_, changed := changes[strings.ToLower(name)]
			named = named || changed
		}
		return s.Kind == kind && s.PortalID == p.opt.PortalID && s.TypeID == t.typeID && slices.Contains(s.Actions, action) && named &&
			(len(s.ObjectIDs) == 0 || slices.Contains(s.ObjectIDs, int64(id))) &&
			(to == nil || len(s.ToTypeIDs) == 0 || slices.Contains(s.ToTypeIDs, to.typeID))
	})
}
