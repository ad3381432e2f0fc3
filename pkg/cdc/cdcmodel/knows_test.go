package cdcmodel

import (
	"context"
	"encoding/binary"
	"reflect"
	"slices"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// memory is what a finder has learnt since it last had nothing in its hands. A
// finder is a function that runs from one pause to the next: where it stands,
// and all its variables, come of what it was told before. So two finders of one
// name with the same memory are the same finder, and the search of every way
// needs to look no further into them (key_test.go).
//
// Everything a finder is told therefore goes through here: the answers of
// HubSpot (ask), those of the lanes (heardLane, heardLinks), and the little that
// it takes from the process or from the clock (hear).
type memory struct {
	on    bool // a random history needs none
	heard []byte
	// stamps are kept apart: only how they compare with what was decided since
	// matters, not their numbers.
	stamps, linkStamps []uint64
}

// hear notes what the finder was told. Of a stamp in it, its place among those
// that are kept is noted.
func (m *memory) hear(what ...any) {
	if !m.on {
		return
	}
	for _, v := range what {
		m.heard = spelled(m.heard, reflect.ValueOf(v), m)
	}
}

// heardIs puts what a protocol holds in the place of all that was heard since.
func (m *memory) heardIs(before memory, p any) {
	m.heard = m.heard[:len(before.heard)]
	m.stamps, m.linkStamps = m.stamps[:len(before.stamps)], m.linkStamps[:len(before.linkStamps)]
	m.hear(p)
}

// place notes the stamps of a struct that has any.
func (m *memory) place(b []byte, v reflect.Value) []byte {
	if t := v.Type(); t == readingType || t == sentType {
		b = placeAmong(b, &m.stamps, v.FieldByName("Stamp").Uint())
	}
	switch v.Type() {
	case linkReadingType:
		b = placeAmong(b, &m.linkStamps, v.FieldByName("Stamp").Uint())
	case sentType:
		b = placeAmong(b, &m.linkStamps, v.FieldByName("LinkStamp").Uint())
	}
	return b
}

func placeAmong(b []byte, kept *[]uint64, stamp uint64) []byte {
	at := slices.Index(*kept, stamp)
	if at < 0 {
		at, *kept = len(*kept), append(*kept, stamp)
	}
	return binary.AppendUvarint(b, uint64(at))
}

var (
	readingType     = reflect.TypeFor[cdc.Reading]()
	linkReadingType = reflect.TypeFor[cdc.LinkReading]()
	sentType        = reflect.TypeFor[cdc.Sent]()
)

// forget says that the finder has nothing in its hands: what it does next comes
// of the place where it is, and of what the process keeps (its cursors).
func (m *memory) forget() {
	m.heard, m.stamps, m.linkStamps = m.heard[:0], m.stamps[:0], m.linkStamps[:0]
}

// heardLane is the lane of the records as a finder sees it.
type heardLane struct {
	lane *cdc.Lane
	*memory
}

func (l heardLane) Now() uint64 {
	stamp := l.lane.Now()
	l.stamps = append(l.stamps, stamp)
	return stamp
}

func (l heardLane) Publish(ctx context.Context, p cdc.Page) (cdc.Left, error) {
	left, err := l.lane.Publish(ctx, p)
	for i := range left.Again {
		l.hear(left.Again[i])
	}
	for i := range left.Later {
		l.hear(left.Later[i])
	}
	return left, err
}

// Controls come in the order of a map where nothing was read yet.
func (l heardLane) Controls(ctx context.Context, except []hubspot.ID) ([]hubspot.ID, error) {
	ids, err := l.lane.Controls(ctx, except)
	slices.Sort(ids)
	return l.told(ids), err
}

func (l heardLane) LiveAmong(ctx context.Context, ids []hubspot.ID) ([]hubspot.ID, error) {
	out, err := l.lane.LiveAmong(ctx, ids)
	return l.told(out), err
}

func (l heardLane) Lacking(ctx context.Context, after, upTo hubspot.ID, present []hubspot.ID, stamp uint64) ([]hubspot.ID, error) {
	out, err := l.lane.Lacking(ctx, after, upTo, present, stamp)
	return l.told(out), err
}

func (l heardLane) Unskipped(ctx context.Context, rows []hubspot.SearchRow, start hubspot.Millis) ([]hubspot.ID, error) {
	out, err := l.lane.Unskipped(ctx, rows, start)
	return l.told(out), err
}

func (l heardLane) DeletedBefore(ctx context.Context, ids []hubspot.ID, stamp uint64) ([]hubspot.ID, error) {
	out, err := l.lane.DeletedBefore(ctx, ids, stamp)
	return l.told(out), err
}

func (m *memory) told(ids []hubspot.ID) []hubspot.ID {
	m.hear(ids)
	return ids
}

// heardLinks is the lane of the links as a finder sees it.
type heardLinks struct {
	lane *cdc.LinkLane // nil in a world without links
	*memory
}

func (l heardLinks) Now() uint64 {
	stamp := l.lane.Now()
	l.linkStamps = append(l.linkStamps, stamp)
	return stamp
}

func (l heardLinks) Publish(ctx context.Context, p cdc.LinkPage) ([]cdc.LinkAgain, error) {
	again, err := l.lane.Publish(ctx, p)
	l.hear(again)
	return again, err
}

func (l heardLinks) Next(ctx context.Context, after hubspot.ID, n int) ([]hubspot.ID, error) {
	ids, err := l.lane.Next(ctx, after, n)
	return l.told(ids), err
}

func (l heardLinks) Holders(ctx context.Context, of []hubspot.ID) ([]hubspot.ID, error) {
	ids, err := l.lane.Holders(ctx, of)
	return l.told(ids), err
}
