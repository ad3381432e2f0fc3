package offsets

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// stateLog is the state topic as it is read. There may be tens of millions of
// rows, so each goes straight into its table.
type stateLog struct {
	topic       string
	dropDeleted time.Time // the rows of deletes before it have expired

	birth  string
	portal int64
	rows   map[string]*cdc.Table
	sets   map[string][]byte
	topics map[string]TopicMeta
	floor  int64
	seq    int64
	old    map[oldRow]int64 // deleted rows that have expired → their seq
	last   struct {         // the last row's: rows come in runs of one object
		object string
		table  *cdc.Table
	}

	links    map[cdc.Pair]*cdc.LinkTable
	oldLinks map[oldLink]int64 // deleted ones that have expired → their seq
	lists    map[string]map[cdc.EntryKey]cdc.Row
	oldLists map[oldEntry]int64 // deleted ones that have expired → their seq
	lastPair struct {           // the last link's: links come in runs of one pair
		name  string
		pair  cdc.Pair
		table *cdc.LinkTable
	}

	identities map[string]Identity // by topic
	ends       map[string]Ends     // by topic
	schemas    []Schema
}

type oldRow struct {
	Object string
	ID     hubspot.ID
}

type oldLink struct {
	pair cdc.Pair
	key  cdc.LinkKey
}

type oldEntry struct {
	list string
	key  cdc.EntryKey
}

func newStateLog(topic string, dropDeleted time.Time) *stateLog {
	return &stateLog{
		topic: topic, dropDeleted: dropDeleted,
		rows: map[string]*cdc.Table{}, sets: map[string][]byte{},
		topics: map[string]TopicMeta{}, old: map[oldRow]int64{},
		links: map[cdc.Pair]*cdc.LinkTable{}, oldLinks: map[oldLink]int64{},
		lists: map[string]map[cdc.EntryKey]cdc.Row{}, oldLists: map[oldEntry]int64{},
		identities: map[string]Identity{}, ends: map[string]Ends{},
	}
}

func (s *stateLog) add(r *kgo.Record) error {
	if len(r.Key) == 0 {
		return s.refuse(r, fmt.Errorf("a record without a key"))
	}
	name := r.Key[1:]
	var err error
	switch r.Key[0] {
	case kindRow:
		err = s.addRow(r)
	case kindLink:
		err = s.addLink(r)
	case kindEntry:
		err = s.addEntry(r)
	case kindBirth:
		s.birth, s.portal = "", 0
		if r.Value != nil {
			s.birth, s.portal, err = parseStateBirth(r.Value)
		}
	case kindSet:
		s.sets[string(name)] = r.Value
		if r.Value == nil {
			delete(s.sets, string(name))
		}
	case kindTopic:
		delete(s.topics, string(name))
		if r.Value != nil {
			s.topics[string(name)], err = parseTopicMeta(r.Value)
		}
	case kindSeq:
		if r.Value != nil {
			s.floor, err = parseSeq(r.Value)
			s.seq = max(s.seq, s.floor)
		}
	case kindIdentity, kindEnds, kindSchema:
		err = s.addPublished(r.Key, r.Value)
	default:
		err = fmt.Errorf("an unknown kind of record (%q)", r.Key[0])
	}
	if err != nil && r.Value != nil { // a tombstone of somebody else's takes back what is not there
		return s.refuse(r, err)
	}
	return nil
}

func (s *stateLog) addRow(r *kgo.Record) error {
	object, id, err := parseRowKey(r.Key)
	if err != nil {
		return err
	}
	if s.last.table == nil || s.last.object != string(object) {
		s.last.object = string(object)
		s.last.table = s.rows[s.last.object]
		if s.last.table == nil {
			s.last.table = cdc.NewTable()
			s.rows[s.last.object] = s.last.table
		}
	}
	if len(s.old) > 0 {
		delete(s.old, oldRow{s.last.object, id})
	}
	if r.Value == nil {
		s.last.table.Remove(id)
		return nil
	}
	row, err := parseRow(r.Value)
	if err != nil {
		return err
	}
	s.last.table.Put(id, row)
	s.seq = max(s.seq, row.Seq)
	if !row.Live && r.Timestamp.Before(s.dropDeleted) {
		s.old[oldRow{s.last.object, id}] = row.Seq
	}
	return nil
}

func (s *stateLog) addLink(r *kgo.Record) error {
	name, key, err := parseLinkKey(r.Key)
	if err != nil {
		return err
	}
	last := &s.lastPair
	if last.table == nil || last.name != string(name) {
		pair, err := parsePair(name)
		if err != nil {
			return err
		}
		last.name, last.pair = string(name), pair
		if last.table = s.links[last.pair]; last.table == nil {
			last.table = cdc.NewLinkTable()
			s.links[last.pair] = last.table
		}
	}
	if len(s.oldLinks) > 0 {
		delete(s.oldLinks, oldLink{last.pair, key})
	}
	if r.Value == nil {
		last.table.Remove(key)
		return nil
	}
	row, err := parseLinkRow(r.Value)
	if err != nil {
		return err
	}
	last.table.Put(key, row)
	s.seq = max(s.seq, row.Seq)
	if !row.Live && r.Timestamp.Before(s.dropDeleted) {
		s.oldLinks[oldLink{last.pair, key}] = row.Seq
	}
	return nil
}

func (s *stateLog) addEntry(r *kgo.Record) error {
	list, key, err := parseEntryRowKey(r.Key)
	if err != nil {
		return err
	}
	if s.lists[list] == nil {
		s.lists[list] = map[cdc.EntryKey]cdc.Row{}
	}
	delete(s.oldLists, oldEntry{list, key})
	if r.Value == nil {
		delete(s.lists[list], key)
		return nil
	}
	row, err := parseRow(r.Value)
	if err != nil {
		return err
	}
	s.lists[list][key] = row
	s.seq = max(s.seq, row.Seq)
	if !row.Live && r.Timestamp.Before(s.dropDeleted) {
		s.oldLists[oldEntry{list, key}] = row.Seq
	}
	return nil
}

// dropExpired takes the expired rows out of the tables and returns their keys. It
// keeps the row with the last seq: no sequence number is assigned twice.
func (s *stateLog) dropExpired() [][]byte {
	var gone [][]byte
	for row, seq := range s.old {
		if seq == s.seq {
			continue
		}
		s.rows[row.Object].Remove(row.ID)
		gone = append(gone, RowKey(row.Object, row.ID))
	}
	for l, seq := range s.oldLinks {
		if seq == s.seq {
			continue
		}
		s.links[l.pair].Remove(l.key)
		gone = append(gone, LinkKey(l.pair, l.key))
	}
	for e, seq := range s.oldLists {
		if seq == s.seq {
			continue
		}
		delete(s.lists[e.list], e.key)
		gone = append(gone, EntryRowKey(e.list, e.key))
	}
	return gone
}

// empty reports whether the state topic says nothing.
func (s *stateLog) empty() bool {
	for _, table := range s.rows {
		if table.Len() > 0 {
			return false
		}
	}
	for _, table := range s.links {
		if table.Len() > 0 {
			return false
		}
	}
	for _, table := range s.lists {
		if len(table) > 0 {
			return false
		}
	}
	return s.seq == 0 && len(s.sets) == 0 && len(s.topics) == 0
}

func (s *stateLog) refuse(r *kgo.Record, err error) error {
	return &Refusal{
		What: fmt.Sprintf("topic %s, partition %d, offset %d: the record under key %q cannot be understood: %v",
			s.topic, r.Partition, r.Offset, r.Key, err),
		Cure: "run the version of the connector that wrote it, or a newer one",
	}
}
