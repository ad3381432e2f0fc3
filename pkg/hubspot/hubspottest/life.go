package hubspottest

import (
	"context"
	"math/rand/v2"
	"time"
)

// Life says what happens in a portal that is in use. The weights are relative
// to each other; with none set, records are created, updated, recalculated,
// touched and archived, as 25 : 55 : 10 : 3 : 7.
type Life struct {
	Seed  uint64
	Types []string // nil: every type of the portal

	Create, Update, Calculated, Touch, Archive int
	Restore, Merge, Purge                      int
}

// Live lets users work on the portal's records, rate changes a second on
// average at random moments, until ctx ends. The same seed on the same portal
// does the same things.
func (p *Portal) Live(ctx context.Context, rate float64, life Life) {
	rng := rand.New(rand.NewPCG(life.Seed, 0x6c696665))
	pause := func() time.Duration { return time.Duration(rng.ExpFloat64() / rate * float64(time.Second)) }
	for rate > 0 && wait(ctx, pause()) == nil {
		p.Step(rng, life)
	}
	<-ctx.Done() // without a rate nothing happens
}

// Step does one thing that Live would do, chosen by rng.
func (p *Portal) Step(rng *rand.Rand, life Life) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var types []*objectType
	for _, t := range p.types {
		if !t.removed && life.Types == nil {
			types = append(types, t)
		}
	}
	for _, name := range life.Types {
		if t := p.find(name); t != nil { // it may have been removed meanwhile
			types = append(types, t)
		}
	}
	if len(types) > 0 {
		p.step(rng, life, types[rng.IntN(len(types))])
	}
}

func (p *Portal) step(rng *rand.Rand, life Life, t *objectType) {
	deeds := []struct {
		weight int
		do     func(*state)
	}{
		{life.Create, func(*state) {
			now := p.writeTime()
			p.create(t, now, now, t.invent(rng, int(p.seq)))
		}},
		{life.Update, func(st *state) {
			p.edit(t, st, OpUpdate, t.inventChange(rng, false), true, p.writeTime())
		}},
		{life.Calculated, func(st *state) {
			p.edit(t, st, OpCalculated, t.inventChange(rng, true), false, 0)
		}},
		{life.Touch, func(st *state) { p.edit(t, st, OpTouch, nil, true, p.writeTime()) }},
		{life.Archive, func(st *state) { p.archive(t, st) }},
		{life.Restore, func(*state) {
			if n := len(t.archived); n > 0 {
				p.restore(t, t.archived[rng.IntN(n)], rng.IntN(2) == 0)
			}
		}},
		{life.Merge, func(st *state) {
			if other := t.records[t.live[rng.IntN(len(t.live))]]; other != st {
				p.merge(t, st, other)
			}
		}},
		{life.Purge, func(st *state) { p.purge(t, st) }},
	}
	sum := 0
	for _, d := range deeds {
		sum += d.weight
	}
	if sum == 0 {
		for i, weight := range []int{25, 55, 10, 3, 7} {
			deeds[i].weight = weight
		}
		sum = 100
	}
	pick := rng.IntN(sum)
	for _, d := range deeds {
		if pick -= d.weight; pick >= 0 {
			continue
		}
		if len(t.live) == 0 {
			deeds[0].do(nil)
			return
		}
		d.do(t.records[t.live[rng.IntN(len(t.live))]])
		return
	}
}

// seedPast is how far back seeded records go.
const seedPast = 3 * 365 * 24 * time.Hour

// Seed makes n records of the past, indexed already, and returns their ids.
// They were created and last changed over three years; some share a
// millisecond, as imports do.
func (p *Portal) Seed(object string, n int) []uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.must(object)
	ids := make([]uint64, 0, n)
	states := make([]*state, 0, n)
	now := p.now()
	at := now - seedPast.Milliseconds()
	gap := (seedPast - 24*time.Hour).Milliseconds() / int64(n+1)
	updated := at
	for i := range n {
		at += gap
		if i%50 != 0 {
			updated = at + p.rng.Int64N(now-time.Hour.Milliseconds()-at)
		}
		updated = max(updated, at)
		p.nextID += 1 + p.rng.Uint64N(50)
		p.seq++
		st := &state{id: p.nextID, seq: p.seq, created: at, updated: updated, values: t.invent(p.rng, i)}
		t.records[st.id] = st
		t.live = append(t.live, st.id)
		if !p.opt.NoHistory {
			t.history = append(t.history, change{at: now, op: OpCreate, state: st})
		}
		ids = append(ids, st.id)
		states = append(states, st)
	}
	t.index.load(states)
	return ids
}
