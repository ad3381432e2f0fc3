package cdcmodel

import (
	"context"
	"encoding/binary"
	"reflect"
	"slices"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// memory is what a finder has learnt since it last held nothing. A finder is a
// function that runs from one pause to the next: what it was told before decides
// where it stands and what its variables hold. So two finders of one name with the
// same memory are the same finder, and exhaustive search need not look further into
// them (key_test.go).
//
// So everything that a finder is told goes through here: the answers of HubSpot
// (ask), those of the lanes (heardLane, heardLinks), and the little that it takes
// from the process or from the clock (hear).
type memory struct {
	on    bool // a random history needs none
	heard []byte
	// stamps are kept apart: only how they compare with later decisions matters,
	// not their numbers.
	stamps, linkStamps []uint64
}

// hear notes what the finder was told. For a stamp in it, hear notes its place
// among the stamps that it keeps.
func (m *memory) hear(what ...any) {
	if !m.on {
		return
	}
	for _, v := range what {
		m.heard = spelled(m.heard, reflect.ValueOf(v), m)
	}
}

// heardIs replaces all that was heard since before with what a protocol holds.
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

// forget says that the finder holds nothing: what it does next follows from the
// place where it is and from what the process keeps (its cursors).
func (m *memory) forget() {
	m.heard, m.stamps, m.linkStamps = m.heard[:0], m.stamps[:0], m.linkStamps[:0]
}

// heardLane is the records' lane as a finder sees it.
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

// Fence tells its caller nothing.
func (l heardLane) Fence(ctx context.Context) error { return l.lane.Fence(ctx) }

// Controls sorts the ids: the lane takes them in the order of a map if it has read
// nothing yet.
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

func (l heardLane) GoneBefore(ctx context.Context, ids []hubspot.ID) ([]hubspot.ID, error) {
	out, err := l.lane.GoneBefore(ctx, ids)
	return l.told(out), err
}

func (m *memory) told(ids []hubspot.ID) []hubspot.ID {
	m.hear(ids)
	return ids
}

// heardLinks is the links' lane as a finder sees it.
type heardLinks struct {
	lane *cdc.LinkLane // nil in a world without links
	*memory
}

func (l heardLinks) Now() uint64 {
	stamp := l.lane.Now()
	l.linkStamps = append(l.linkStamps, stamp)
	return stamp
}

func (l heardLinks) Publish(ctx context.Context, p cdc.LinkPage) (cdc.LinkLeft, error) {
	left, err := l.lane.Publish(ctx, p)
	l.hear(left)
	return left, err
}

func (l heardLinks) Fence(ctx context.Context) error { return l.lane.Fence(ctx) }

func (l heardLinks) Controls(ctx context.Context, except []hubspot.ID) ([]hubspot.ID, error) {
	ids, err := l.lane.Controls(ctx, except)
	return l.told(ids), err
}

func (l heardLinks) Next(ctx context.Context, after hubspot.ID, n int) ([]hubspot.ID, error) {
	ids, err := l.lane.Next(ctx, after, n)
	return l.told(ids), err
}

func (l heardLinks) Holders(ctx context.Context, of []hubspot.ID) ([]hubspot.ID, error) {
	ids, err := l.lane.Holders(ctx, of)
	return l.told(ids), err
}
