package offsets

import (
	"bytes"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

var toCars = cdc.Pair{From: "contacts", To: "p82918_car"}

func TestLinkKey_IsReadBack(t *testing.T) {
	for _, k := range []cdc.LinkKey{
		{From: 1, To: 2, Category: "HUBSPOT_DEFINED", TypeID: 279},
		{From: 1<<64 - 1, To: 1 << 63, Category: "USER_DEFINED", TypeID: 1<<31 - 1},
		{From: 0, To: 0, Category: "W\x00K", TypeID: -1},
	} {
		pair, got, err := parseLinkKey(LinkKey(toCars, k))
		if err != nil || string(pair) != "contacts:p82918_car" || got != k {
			t.Errorf("%+v reads back as %q %+v, %v", k, pair, got, err)
		}
	}
	whole := LinkKey(toCars, cdc.LinkKey{From: 1, To: 2, Category: "X", TypeID: 3})
	for n := range len(whole) {
		if _, k, err := parseLinkKey(whole[:n]); err == nil {
			t.Errorf("%d bytes of a key are taken for %+v", n, k)
		}
	}
}

func TestLinkRow_IsReadBack(t *testing.T) {
	for _, r := range []cdc.LinkRow{
		{Live: true, Label: 1<<64 - 1, Seq: 1<<63 - 1}, {Live: true}, {Reason: cdc.Merged, Seq: 9},
	} {
		b := AppendLinkRow(nil, r)
		if got, err := parseLinkRow(b); err != nil || got != r {
			t.Errorf("%+v reads back as %+v, %v", r, got, err)
		}
		for n := range len(b) {
			if got, err := parseLinkRow(b[:n]); err == nil {
				t.Errorf("%d bytes of a row are taken for %+v", n, got)
			}
		}
		if _, err := parseLinkRow(append(b, 0)); err == nil {
			t.Error("a row with a byte too many is taken")
		}
	}
	b := AppendLinkRow(nil, cdc.LinkRow{Live: true})
	for i, v := range map[int]byte{0: 2, 1: 4, 2: byte(cdc.Removed), 3: 2} {
		odd := bytes.Clone(b)
		odd[i] = v
		if _, err := parseLinkRow(odd); err == nil {
			t.Errorf("a row with byte %d = %d is taken", i, v)
		}
	}
}

// TestLoad_TheLatestRowOfEachLinkCounts, and Load drops old deletes
// (docs/contract.md section 4).
func TestLoad_TheLatestRowOfEachLinkCounts(t *testing.T) {
	inKafka(t, func(t *testing.T, k *kafka) {
		k.write(birth("A")...)
		old := time.Now().Add(-KeepDeleted - time.Hour)
		key := func(from, to uint64) cdc.LinkKey {
			return cdc.LinkKey{From: hubspot.ID(from), To: hubspot.ID(to), Category: "HUBSPOT_DEFINED", TypeID: 279}
		}
		put := func(key cdc.LinkKey, r cdc.LinkRow, when time.Time) *kgo.Record {
			rec := state(LinkKey(toCars, key), AppendLinkRow(nil, r))
			rec.Timestamp = when
			return rec
		}
		live, now := cdc.LinkRow{Live: true, Label: 7}, time.Now()
		dead := func(seq int64) cdc.LinkRow { return cdc.LinkRow{Reason: cdc.Removed, Seq: seq} }
		k.write(
			put(key(1, 10), live, old),
			put(key(1, 11), dead(1), old), // expired
			put(key(1, 12), dead(2), now),
			put(key(2, 10), dead(3), old), put(key(2, 10), cdc.LinkRow{Live: true, Seq: 4}, now), // came back
			put(key(3, 10), live, now), state(LinkKey(toCars, key(3, 10)), nil), // forgotten
			put(key(4, 10), dead(9), old), // the last event of all
		)
		l := k.mustLoad()
		table := l.Links[toCars]
		if table == nil || table.Live() != 2 || table.Len() != 4 || l.Seq != 9 {
			t.Fatalf("links %+v, seq %d", table, l.Seq)
		}
		if len(l.Expired) != 1 || !bytes.Equal(l.Expired[0], LinkKey(toCars, key(1, 11))) {
			t.Errorf("expired %q", l.Expired)
		}
	})
}
