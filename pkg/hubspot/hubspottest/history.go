package hubspottest

import "slices"

// Op is a kind of change.
type Op string

// What can happen to records, links and entries of reference lists.
const (
	OpCreate          Op = "create"
	OpUpdate          Op = "update"
	OpCalculated      Op = "calculated" // values changed, updatedAt did not
	OpTouch           Op = "touch"      // updatedAt moved, values did not
	OpArchive         Op = "archive"
	OpRestore         Op = "restore"
	OpPurge           Op = "purge"
	OpMerge           Op = "merge"       // the survivor's new state
	OpMergedAway      Op = "merged_away" // the loser is gone
	OpPropertyRemoved Op = "property_removed"

	// Changes of links. The others change links too, through the record at one
	// end.
	OpAssociate   Op = "associate"
	OpDissociate  Op = "dissociate"
	OpRelabel     Op = "relabel"      // the label of the link's type was renamed
	OpTypeRemoved Op = "type_removed" // the record's custom type, or that of a link's end, is gone
)

// State is a record as it was at some time. Times are milliseconds since
// 1970-01-01T00:00:00Z on the portal's clock.
type State struct {
	ID         uint64
	Properties map[string]string // as answers carry them; "" if cleared, absent for null
	CreatedAt  int64
	UpdatedAt  int64
	Archived   bool
	ArchivedAt int64
	Gone       bool   // purged or merged: no endpoint knows the record
	MergedInto uint64 // the survivor, for the loser of a merge
}

// Live reports whether reads could see the record as a live one.
func (s State) Live() bool { return !s.Gone && !s.Archived }

// Change is one step of a record's life.
type Change struct {
	At    int64 // when reads first saw it: milliseconds on the portal's clock, not an updatedAt
	Op    Op
	State State // after the change
	// Indexed is when search could first show it, if no later change was there
	// before; 0 for never.
	Indexed int64
}

type change struct {
	at      int64
	op      Op
	state   *state
	indexed int64
}

// Records returns a type's live records in order of id, with sensitive values:
// the truth that a consumer should end up with. A removed custom type has none.
func (p *Portal) Records(object string) []State {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.known(object)
	if t.removed {
		return nil
	}
	return t.public(t.live)
}

// Archived returns a type's records in the recycle bin, in order of id.
func (p *Portal) Archived(object string) []State {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.must(object)
	return t.public(t.archived)
}

// IDs returns the ids of a type's live records, ascending.
func (p *Portal) IDs(object string) []uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.must(object).live)
}

// Record returns a live or archived record.
func (p *Portal) Record(object string, id uint64) (State, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.must(object)
	st := t.records[id]
	if st == nil {
		return State{}, false
	}
	return t.publicState(st), true
}

// History returns every change of a type's records, in the order in which they
// happened. If several types have had the name, it returns theirs one type
// after the other.
func (p *Portal) History(object string) []Change {
	return p.historyOf(object, func(uint64) bool { return true })
}

// RecordHistory returns the changes of one record.
func (p *Portal) RecordHistory(object string, id uint64) []Change {
	return p.historyOf(object, func(other uint64) bool { return other == id })
}

func (p *Portal) historyOf(object string, want func(uint64) bool) []Change {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := p.known(object).name
	var changes []Change
	for _, t := range p.types {
		for _, c := range t.history {
			if t.name == name && want(c.state.id) {
				changes = append(changes, Change{At: c.at, Op: c.op, State: t.publicState(c.state), Indexed: c.indexed})
			}
		}
	}
	return changes
}

func (t *objectType) public(ids []uint64) []State {
	states := make([]State, 0, len(ids))
	for _, id := range ids {
		states = append(states, t.publicState(t.records[id]))
	}
	return states
}

// publicState returns every value of the record, including those that HubSpot
// derives. A past state may hold properties whose definitions have been removed
// since.
func (t *objectType) publicState(st *state) State {
	properties := make(map[string]string, len(st.values)+4)
	for _, e := range st.values {
		properties[e.name] = e.text
	}
	for name := range t.defs {
		if t.derived(name) {
			properties[name], _ = st.value(&t.standard, name)
		}
	}
	return State{
		ID: st.id, Properties: properties, CreatedAt: st.created, UpdatedAt: st.updated,
		Archived: st.archived, ArchivedAt: st.archivedAt, Gone: st.gone, MergedInto: st.mergedInto,
	}
}
