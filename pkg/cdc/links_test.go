package cdc

import (
	"cmp"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

func compareKeys(a, b LinkKey) int {
	return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), strings.Compare(a.Category, b.Category), cmp.Compare(a.TypeID, b.TypeID))
}

// TestLinkTable_IsAMapInOrder compares the table with a map under random puts and
// removes, with blocks that split and vanish.
func TestLinkTable_IsAMapInOrder(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 0))
		table, model := NewLinkTable(), map[LinkKey]LinkRow{}
		ids := hubspot.ID(5 + rng.IntN(60))
		for range 4000 {
			k := LinkKey{
				From: 1 + hubspot.ID(rng.Uint64N(uint64(ids))), To: 1<<40 + hubspot.ID(rng.Uint64N(uint64(ids))),
				Category: []string{"HUBSPOT_DEFINED", "USER_DEFINED"}[rng.IntN(2)], TypeID: rng.IntN(3) - 1,
			}
			if rng.IntN(4) == 0 {
				table.Remove(k)
				delete(model, k)
				continue
			}
			row := LinkRow{Live: true, Label: rng.Uint64N(3)}
			if rng.IntN(3) == 0 {
				row = LinkRow{Reason: Removed}
			}
			table.Put(k, row)
			model[k] = row
			if rng.IntN(500) == 0 { // from now on it keeps the way back up to date
				_ = table.holders(k.To)
			}
		}
		var want []LinkKey
		live := 0
		linking, holders := map[hubspot.ID]bool{}, map[hubspot.ID]map[hubspot.ID]bool{}
		for k, row := range model {
			want = append(want, k)
			if row.Live {
				live++
				linking[k.From] = true
			}
			if holders[k.To] == nil {
				holders[k.To] = map[hubspot.ID]bool{}
			}
			holders[k.To][k.From] = true
		}
		slices.SortFunc(want, compareKeys)
		var got []LinkKey
		for from := hubspot.ID(0); from <= ids; from++ {
			for k, f := range table.of(from) {
				got = append(got, k)
				if row := model[k]; f.label != row.Label || f.reason != row.Reason {
					t.Fatalf("seed %d: %v is %+v, want %+v", seed, k, f, row)
				}
			}
		}
		if !slices.Equal(got, want) || table.Live() != live || table.Len() != len(model) {
			t.Fatalf("seed %d: %d links of which %d live, want %d and %d", seed, len(got), table.Live(), len(want), live)
		}
		after := hubspot.ID(rng.Uint64N(uint64(ids)))
		var wantFroms []hubspot.ID
		for id := range linking {
			if id > after {
				wantFroms = append(wantFroms, id)
			}
		}
		slices.Sort(wantFroms)
		if gotFroms := slices.Collect(table.linking(after)); !slices.Equal(gotFroms, wantFroms) {
			t.Fatalf("seed %d: linking after %d: %v, want %v", seed, after, gotFroms, wantFroms)
		}
		for to := range ids {
			gotHolders := slices.Collect(table.holders(1<<40 + to))
			if len(gotHolders) != len(holders[1<<40+to]) || !slices.IsSorted(gotHolders) {
				t.Fatalf("seed %d: holders of %d: %v, want %v", seed, to, gotHolders, holders[1<<40+to])
			}
		}
	}
}

// TestLinkTable_OfAnEmptyOne: an empty table yields nothing.
func TestLinkTable_OfAnEmptyOne(t *testing.T) {
	table := NewLinkTable()
	for range table.of(1) {
		t.Error("it yields a link")
	}
	for range table.linking(0) {
		t.Error("it yields a record")
	}
	for range table.linking(1<<64 - 1) {
		t.Error("it yields a record above the highest id")
	}
	table.Remove(LinkKey{From: 1, To: 2, Category: "X", TypeID: 3})
	if table.Len() != 0 {
		t.Errorf("%d links", table.Len())
	}
}

// TestLinkTable_TwelveBytesALink: a million links, each to another record, as a start
// loads them from the state topic and as a first sweep brings them. Without the way
// back, which is made when somebody asks for it, they take half of that.
func TestLinkTable_TwelveBytesALink(t *testing.T) {
	if testing.Short() {
		t.Skip("too long for -short, which is for the race detector: this is one goroutine")
	}
	const links = 1_000_000
	rng := rand.New(rand.NewPCG(1, 1))
	keys := make([]LinkKey, links)
	for i := range keys {
		keys[i] = LinkKey{From: hubspot.ID(i/2*37) + 1<<34, To: hubspot.ID(rng.IntN(200_000))*41 + 1<<35, Category: "HUBSPOT_DEFINED", TypeID: 279}
	}
	for name, in := range map[string]func(){
		"from the sweep, in the order of ids": func() {},
		"from the state topic, in any order":  func() { rng.Shuffle(links, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] }) },
	} {
		in()
		before := heap()
		table := NewLinkTable()
		for _, k := range keys {
			table.Put(k, LinkRow{Live: true, Label: LabelHash("Primary")})
		}
		table.Len() // it merges what is pending
		without := float64(heap()-before) / float64(table.Len())
		if n := len(slices.Collect(table.holders(keys[0].To))); n == 0 {
			t.Errorf("nobody holds a link to %d", keys[0].To)
		}
		perLink := float64(heap()-before) / float64(table.Len())
		t.Logf("%d links %s: %.1f bytes a link, %.1f with the way back", table.Len(), name, without, perLink)
		if perLink > 12 {
			t.Errorf("more than twelve bytes a link")
		}
		runtime.KeepAlive(table)
	}
	runtime.KeepAlive(keys)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
