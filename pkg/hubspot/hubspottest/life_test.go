package hubspottest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func live(t testing.TB, rate float64, life Life, reads bool) (*Portal, string) {
	t.Helper()
	var p *Portal
	var story strings.Builder
	synctest.Test(t.(*testing.T), func(t *testing.T) {
		p = New(Harsh(7))
		p.AddCustomType("car", Property{Name: "doors", Type: "number"})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		if reads {
			wg.Go(func() {
				for ctx.Err() == nil {
					list(t, p, "?limit=20")
					time.Sleep(5 * time.Second)
				}
			})
		}
		p.Live(ctx, rate, life)
		wg.Wait()
		for _, object := range []string{"contacts", "companies", "deals", "p4242_car"} {
			for _, c := range p.History(object) {
				fmt.Fprintln(&story, object, c.At, c.Op, c.State.ID, c.State.UpdatedAt, c.State.Properties)
			}
		}
	})
	return p, story.String()
}

func TestLifeIsSteadyAndTheSameForASeed(t *testing.T) {
	p, story := live(t, 5, Life{Seed: 1}, false)
	ops := map[Op]int{}
	n := 0
	for _, object := range []string{"contacts", "companies", "deals", "p4242_car"} {
		for _, c := range p.History(object) {
			ops[c.Op]++
			n++
		}
	}
	if n < 1350 || n > 1650 { // 5 a second for 300 seconds
		t.Errorf("got %d changes, want about 1500", n)
	}
	for _, op := range []Op{OpCreate, OpUpdate, OpCalculated, OpTouch, OpArchive} {
		if ops[op] == 0 {
			t.Errorf("no %s in %v", op, ops)
		}
	}
	if ops[OpRestore]+ops[OpMerge]+ops[OpPurge] > 0 {
		t.Errorf("got %v, want only what Life asks for", ops)
	}
	// Reading the portal does not change what its users do.
	if _, again := live(t, 5, Life{Seed: 1}, true); again != story {
		t.Error("the same seed made other changes")
	}
	if _, other := live(t, 5, Life{Seed: 2}, false); other == story {
		t.Error("another seed made the same changes")
	}
}

func TestLifeOfEverything(t *testing.T) {
	p, _ := live(t, 5, Life{Create: 10, Update: 10, Calculated: 2, Touch: 2, Archive: 4, Restore: 2, Merge: 2, Purge: 1, Types: []string{"contacts"}}, true)
	ops := map[Op]int{}
	for _, c := range p.History("contacts") {
		ops[c.Op]++
	}
	for _, op := range []Op{OpCreate, OpUpdate, OpCalculated, OpTouch, OpArchive, OpRestore, OpMerge, OpMergedAway, OpPurge} {
		if ops[op] == 0 {
			t.Errorf("no %s in %v", op, ops)
		}
	}
	// The last states in the history equal the records.
	last := map[uint64]State{}
	for _, c := range p.History("contacts") {
		last[c.State.ID] = c.State
	}
	var ids []uint64
	for id, st := range last {
		if st.Live() {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	wantIDs(t, p.IDs("contacts"), ids...)
}

// TestHarshPortalTellsTheTruthInTheEnd: after a quiet hour, search, list and the
// records agree.
func TestHarshPortalTellsTheTruthInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Harsh(3))
		p.Seed("contacts", 300)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		p.Live(ctx, 10, Life{Seed: 5, Types: []string{"contacts"}, Create: 3, Update: 5, Archive: 2, Restore: 1, Merge: 1, Purge: 1})
		time.Sleep(time.Hour + time.Minute)
		want := p.IDs("contacts")
		if got := search(t, p, 1).Total; got != len(want) {
			t.Errorf("the index holds %d, want %d", got, len(want))
		}
		var got []uint64
		after := ""
		for {
			pg := list(t, p, "?limit=100"+after)
			got = append(got, pg.ids()...)
			if pg.Paging.Next.After == "" {
				break
			}
			after = "&after=" + pg.Paging.Next.After
		}
		wantIDs(t, got, want...)
	})
}
