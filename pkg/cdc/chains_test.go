package cdc

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestR11_TheRangesOfASweepCoverWhatIsNotCommitted: whatever readers do with the
// chains of a sweep, in whatever order, each cursor covers every id that was not read
// and committed before, all ids are read in the end, and each counts once.
func TestR11_TheRangesOfASweepCoverWhatIsNotCommitted(t *testing.T) {
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var ids []hubspot.ID
		for id := hubspot.ID(0); len(ids) < 1+rng.IntN(60); {
			id += 1 + hubspot.ID(rng.IntN(1+rng.IntN(40)))
			ids = append(ids, id)
		}
		size := 1 + rng.IntN(5)
		done := map[hubspot.ID]bool{} // committed
		chains := NewChains(Chain{})
		under := map[*Chain]ChainPage{} // read, not committed
		var held []*Chain               // those of readers without a page
		wanted := map[*Chain]Range{}    // of these pages
		slow := seed%4 == 2             // chains are divided while HubSpot answers
		divide := func() {}
		read := func(c *Chain) {
			_, wanted[c], _ = chains.Next(c)
			page := pageOf(chains, c, ids, size)
			if slow {
				divide()
			}
			under[c] = page
			chains.Read(page)
		}
		counted := 0
		var long *Chain // to be divided
		divide = func() {
			if long == nil {
				long = chains.Longest(1)
			}
			if long == nil || rng.IntN(2) == 0 {
				return
			}
			c := long
			long = nil
			at := c.Last + hubspot.ID(rng.IntN(200))
			upper := chains.Divide(c, at, Unknown, Unknown)
			chains.Keep(c, false)
			if upper == nil {
				return
			}
			if upper.In.After != at || c.In.UpTo != at {
				t.Fatalf("seed %d: divided at %s: %+v and %+v", seed, at, c.In, upper.In)
			}
			read(upper)
		}
		for step := 0; !chains.Done(); step++ {
			if step > 10_000 {
				t.Fatalf("seed %d: no end", seed)
			}
			var c *Chain
			if n := len(held); n > 0 && rng.IntN(3) > 0 {
				c, held = held[n-1], held[:n-1]
			} else {
				c = chains.Claim()
			}
			switch {
			case c == nil: // some pages are committed together
				var pages []ChainPage
				for c, p := range under {
					if rng.IntN(2) == 0 {
						pages = append(pages, p)
						delete(under, c)
					}
				}
				left := chains.After(pages)
				of := map[*Chain][]hubspot.ID{}
				for _, p := range pages {
					for _, id := range ids {
						if wanted[p.Chain].Contains(id) && (id <= p.Last || p.Place == "") {
							done[id] = true
							of[p.Chain] = append(of[p.Chain], id)
						}
					}
				}
				covers(t, seed, left, ids, done, seed%2 == 0 && !slow)
				if rng.IntN(20) == 0 { // a kill before the chains have moved
					chains, under, held, long = NewChains(left...), map[*Chain]ChainPage{}, nil, nil
					counted = 0
					for _, id := range ids {
						if !slices.ContainsFunc(left, func(c Chain) bool { return c.rest().Contains(id) }) {
							counted++
						}
					}
					break
				}
				divide()
				chains.Move(pages)
				for c, ids := range of {
					counted += chains.Own(c, ids)
				}
				if chains.Done() != (len(left) == 0) {
					t.Fatalf("seed %d: the cursor has %+v, and done is %v", seed, left, chains.Done())
				}
				for _, p := range pages {
					if !chains.Ended(p) && !chains.Release(p.Chain) {
						held = append(held, p.Chain)
					}
				}
			case seed%2 == 1 && rng.IntN(4) == 0: // HubSpot refuses the place
				before := c.Last
				if chains.Restart(c) && c.Last != c.In.After || c.Last > before {
					t.Fatalf("seed %d: a restart moves %s to %s", seed, before, c.Last)
				}
				held = append(held, c)
			default: // a reader reads a page
				read(c)
			}
			divide()
		}
		for _, id := range ids {
			if !done[id] {
				t.Fatalf("seed %d: %s of %v was never read", seed, id, ids)
			}
		}
		if seed%2 == 0 && counted != len(ids) { // after a restart of a chain, its pages count again
			t.Fatalf("seed %d: %d of %d records count as read", seed, counted, len(ids))
		}
	}
}

// pageOf is the next page of a chain, as a list with these ids has it.
func pageOf(chains *Chains, c *Chain, ids []hubspot.ID, size int) ChainPage {
	_, rest, _ := chains.Next(c)
	i, found := slices.BinarySearch(ids, rest.After)
	if found {
		i++
	}
	page := ids[i:min(len(ids), i+size)]
	p := ChainPage{Chain: c, IDs: len(page), Step: 1}
	if len(page) > 0 {
		p.Last = page[len(page)-1]
	}
	if i+size < len(ids) {
		p.Place = strconv.FormatUint(uint64(p.Last+1), 10)
	}
	return p
}

// covers checks that what is left has every id that is not done and, if exact, none
// that is.
func covers(t *testing.T, seed uint64, left []Chain, ids []hubspot.ID, done map[hubspot.ID]bool, exact bool) {
	t.Helper()
	for _, id := range ids {
		has := slices.ContainsFunc(left, func(c Chain) bool { return c.rest().Contains(id) })
		if !done[id] && !has {
			t.Fatalf("seed %d: %s is not done, and no range has it: %+v", seed, id, left)
		}
		if exact && done[id] && has {
			t.Fatalf("seed %d: %s is done, and a range has it: %+v", seed, id, left)
		}
	}
	for i := range len(left) - 1 {
		if left[i].In.UpTo == 0 || left[i].In.UpTo > left[i+1].In.After {
			t.Fatalf("seed %d: ranges overlap: %+v", seed, left)
		}
	}
}

// TestR11_AMiddleHasAQuarterOnEachSide, whatever gaps the ids have, and costs few
// searches.
func TestR11_AMiddleHasAQuarterOnEachSide(t *testing.T) {
	const n = 10_000
	for name, c := range map[string]struct {
		id    func(i int) hubspot.ID
		tries int
	}{
		"even":                  {func(i int) hubspot.ID { return hubspot.ID(500 + 3*i) }, 1},
		"far up, even":          {func(i int) hubspot.ID { return hubspot.ID(26_256_445_664 + 1000*i) }, 1},
		"squares":               {func(i int) hubspot.ID { return hubspot.ID(1 + i*i) }, 8},
		"a few old ids":         {func(i int) hubspot.ID { return hubspot.ID(1 + i + i/200*26_000_000_000) }, 14},
		"old ids, then far up":  {func(i int) hubspot.ID { return hubspot.ID(1 + i + i/5000*26_000_000_000) }, 14},
		"most ids at the start": {func(i int) hubspot.ID { return hubspot.ID(1 + i + i/9000*i*i*1000) }, 20},
	} {
		t.Run(name, func(t *testing.T) {
			var ids []hubspot.ID
			for i := range n {
				ids = append(ids, c.id(i))
			}
			above := func(id hubspot.ID) int {
				i, found := slices.BinarySearch(ids, id)
				if found {
					i++
				}
				return len(ids) - i
			}
			in := Range{After: ids[99]}
			left := above(in.After)
			m, tries := NewMiddle(in, left, float64(ids[99]-ids[0])/99, 0), 0
			for at, more := m.Next(); more; at, more = m.Next() {
				m.Take(above(at))
				tries++
			}
			at, lower, upper, ok := m.Found()
			if !ok || min(lower, upper) < left/4 || above(at) != upper || lower+upper != left {
				t.Errorf("%s divides %d into %d and %d (%v)", at, left, lower, upper, ok)
			}
			if tries > c.tries {
				t.Errorf("%d searches, want at most %d", tries, c.tries)
			}
		})
	}
}

// TestR11_WhatHasNoMiddle: a search may find no record in a range, or one.
func TestR11_WhatHasNoMiddle(t *testing.T) {
	for _, n := range []int{0, 1} {
		m := NewMiddle(Range{After: 100}, n, 1, 0)
		if at, more := m.Next(); more {
			t.Errorf("%d records: asks at %s", n, at)
		}
		if at, _, _, ok := m.Found(); ok {
			t.Errorf("%d records: found %s", n, at)
		}
	}
	m := NewMiddle(Range{After: 100, UpTo: 200}, 50, 1, 0)
	for at, more := m.Next(); more; at, more = m.Next() {
		if at <= 100 || at >= 200 {
			t.Fatalf("asks at %s", at)
		}
		m.Take(0) // what was there is gone
	}
	if at, _, _, ok := m.Found(); ok {
		t.Errorf("found %s among records that are gone", at)
	}
}
