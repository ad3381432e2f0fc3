package cdc

import (
	"encoding/binary"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestTable_IsAMapInOrder compares the table with a map under random puts and removes,
// with blocks that split and vanish, and looks at random moments.
func TestTable_IsAMapInOrder(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 0))
		table, model := NewTable(), map[hubspot.ID]Row{}
		ids := []uint64{10, 300, 20_000}[seed%3]
		id := func() hubspot.ID {
			n := rng.Uint64N(ids)
			if n%7 == 0 {
				n = math.MaxUint64 - n // HubSpot's ids are not so large; the table does not care
			}
			return hubspot.ID(n)
		}
		most := []int{100, 40_000}[seed%2] // edits between two looks
		for range []int{200, 4}[seed%2] {
			for range rng.IntN(most) {
				k := id()
				if rng.IntN(4) == 0 {
					table.Remove(k)
					delete(model, k)
					continue
				}
				row := randomRow(rng)
				table.Put(k, row)
				model[k] = row
			}
			compareTable(t, table, model, id())
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		for k := range model {
			table.Remove(k)
		}
		compareTable(t, table, map[hubspot.ID]Row{}, id())
	}
}

func randomRow(rng *rand.Rand) Row {
	row := Row{Version: hubspot.Millis(rng.Int64() >> rng.IntN(64)), Seq: rng.Int64() >> rng.IntN(63), Live: rng.IntN(3) > 0, Settled: rng.IntN(2) == 0}
	if rng.IntN(9) == 0 {
		row.Version = hubspot.NoTime
	}
	if row.Live {
		row.Hash = rng.Uint64()
	} else {
		row.Reason = Reason(rng.IntN(int(Restored) + 1))
	}
	return row
}

func compareTable(t *testing.T, table *Table, model map[hubspot.ID]Row, some hubspot.ID) {
	t.Helper()
	row, known := table.Get(some)
	if want, there := model[some]; known != there || row != want {
		t.Errorf("%d is %+v, %v, want %+v, %v", some, row, known, want, there)
	}
	keys := slices.Sorted(maps.Keys(model))
	var live, above []hubspot.ID
	for _, id := range keys {
		if model[id].Live {
			if live = append(live, id); id > some {
				above = append(above, id)
			}
		}
	}
	var all []hubspot.ID
	for id, row := range table.All() {
		if all = append(all, id); row != model[id] {
			t.Errorf("%d is %+v, want %+v", id, row, model[id])
		}
	}
	if !slices.Equal(all, keys) || table.Len() != len(keys) || table.Live() != len(live) {
		t.Errorf("%d keys of %d, %d live, want %d and %d", len(all), table.Len(), table.Live(), len(keys), len(live))
	}
	if got := slices.Collect(table.liveAfter(some)); !slices.Equal(got, above) {
		t.Errorf("%d are live above %d, want %d", len(got), some, len(above))
	}
	if got, want := table.rank(some), len(live)-len(above); got != want {
		t.Errorf("%d are live up to %d, want %d", got, some, want)
	}
	for n := 0; n < len(live); n += 1 + len(live)/50 {
		if got := table.nth(n); got != live[n] {
			t.Errorf("live id %d is %d, want %d", n, got, live[n])
		}
	}
	if got, ok := table.rows.nth(len(live)); ok {
		t.Errorf("there is a live id behind the last one: %d", got.id)
	}
}

// FuzzCoders: whatever follows whatever, what is read back is what was written.
func FuzzCoders(f *testing.F) {
	f.Add([]byte("a"), uint64(0), uint64(math.MaxUint64))
	f.Add(binary.BigEndian.AppendUint64(nil, 1<<63), uint64(1<<63), uint64(1))
	f.Fuzz(func(t *testing.T, raw []byte, seed, id uint64) {
		rng := rand.New(rand.NewPCG(seed, id))
		for _, b := range raw {
			id += uint64(b) << rng.IntN(64)
		}
		prev := keyedRow{hubspot.ID(rng.Uint64()), randomRow(rng)}
		row := keyedRow{hubspot.ID(id), randomRow(rng)}
		got := prev
		if rest := (rowCoder{}).next(append(rowCoder{}.append(nil, &prev, &row), "rest"...), &got); got != row || string(rest) != "rest" {
			t.Errorf("%+v after %+v is read as %+v, with %q left", row, prev, got, rest)
		}
		before := link{hubspot.ID(rng.Uint64() >> rng.IntN(64)), hubspot.ID(rng.Uint64() >> rng.IntN(64)), rng.Uint32N(3)}
		next := link{before.from + hubspot.ID(id%3), hubspot.ID(id), rng.Uint32N(3) << rng.IntN(30)}
		read := before
		if rest := (linkCoder{}).next(append(linkCoder{}.append(nil, &before, &next), "rest"...), &read); read != next || string(rest) != "rest" {
			t.Errorf("%+v after %+v is read as %+v, with %q left", next, before, read, rest)
		}
	})
}

// TestTable_TwentyBytesARow: a million rows, as a start loads them from the state
// topic.
func TestTable_TwentyBytesARow(t *testing.T) {
	if testing.Short() {
		t.Skip("too long for -short, which is for the race detector: this is one goroutine")
	}
	const rows = 1_000_000
	rng := rand.New(rand.NewPCG(1, 1))
	before := heap()
	table := NewTable()
	for i := range rows {
		table.Put(hubspot.ID(20_000_000_000+i*97), Row{
			Version: hubspot.Millis(1_600_000_000_000 + rng.Int64N(180_000_000_000)), Hash: rng.Uint64(), Seq: int64(i), Live: true, Settled: true,
		})
	}
	table.Len() // it merges what is pending
	perRow := float64(heap()-before) / rows
	t.Logf("%.1f bytes a row", perRow)
	if perRow > 20 {
		t.Error("more than twenty bytes a row")
	}
	if table.Live() != rows {
		t.Errorf("%d are live", table.Live())
	}
}
