package hubspottest

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"
)

// Life says what happens in a portal in use. The weights are relative to each
// other. With none set, users create, update, recalculate, touch and archive
// records, as 25 : 55 : 10 : 3 : 7. Relabel renames the label of a link type.
// Owner changes the portal's owners, Pipeline the type's pipelines and stages.
type Life struct {
	Seed  uint64
	Types []string // nil: every type of the portal

	Create, Update, Calculated, Touch, Archive int
	Restore, Merge, Purge                      int
	Associate, Dissociate, Relabel             int
	Owner, Pipeline                            int

	// Pairs are the pairs whose links change, by the names of their types; nil:
	// every pair among Types.
	Pairs [][2]string
}

// Live plays users who change the portal's records until ctx ends, at random
// moments, rate changes a second on average. The same seed on the same portal
// makes the same changes.
func (p *Portal) Live(ctx context.Context, rate float64, life Life) {
	rng := rand.New(rand.NewPCG(life.Seed, 0x6c696665))
	pause := func() time.Duration { return time.Duration(rng.ExpFloat64() / rate * float64(time.Second)) }
	for rate > 0 && wait(ctx, pause()) == nil {
		p.Step(rng, life)
	}
	<-ctx.Done() // at rate 0 nothing happens
}

// Step makes one change that Live might make, chosen by rng.
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
		if t := p.find(name); t != nil { // the type may have been removed by now
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
		{life.Associate, func(st *state) { p.associateSome(rng, p.livePair(rng, life, t), st.id) }},
		{life.Dissociate, func(*state) { p.dissociateSome(rng, p.livePair(rng, life, t)) }},
		{life.Relabel, func(*state) { p.relabelSome(rng, p.livePair(rng, life, t)) }},
		{life.Owner, func(*state) { p.ownerStep(rng) }},
		{life.Pipeline, func(*state) { p.pipelineStep(rng, t) }},
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

// livePair picks a pair of the type whose links Life may change, or nil.
func (p *Portal) livePair(rng *rand.Rand, life Life, t *objectType) *pair {
	var pairs []*pair
	for _, pr := range t.pairs {
		wanted := life.Types == nil
		for _, name := range life.Types {
			wanted = wanted || pr.to.names(name)
		}
		if life.Pairs != nil {
			wanted = false
			for _, names := range life.Pairs {
				wanted = wanted || pr.from.names(names[0]) && pr.to.names(names[1]) || pr.from.names(names[1]) && pr.to.names(names[0])
			}
		}
		if wanted && !pr.to.removed && len(pr.types) > 0 {
			pairs = append(pairs, pr)
		}
	}
	if pairs == nil {
		return nil
	}
	return pairs[rng.IntN(len(pairs))]
}

func (p *Portal) associateSome(rng *rand.Rand, pr *pair, from uint64) {
	if pr == nil || len(pr.to.live) == 0 {
		return
	}
	p.associate(pr.types[rng.IntN(len(pr.types))], from, pr.to.live[rng.IntN(len(pr.to.live))])
}

// dissociateSome removes a link of the first record with one, starting at a
// random record.
func (p *Portal) dissociateSome(rng *rand.Rand, pr *pair) {
	if pr == nil || len(pr.from.live) == 0 {
		return
	}
	start := rng.IntN(len(pr.from.live))
	for i := range pr.from.live {
		id := pr.from.live[(start+i)%len(pr.from.live)]
		if links := pr.visible(id); len(links) > 0 {
			l := links[rng.IntN(len(links))]
			p.dissociate(l.typ, id, l.to)
			return
		}
	}
}

// relabelSome renames a user-defined label, or defines one if the pair has
// none.
func (p *Portal) relabelSome(rng *rand.Rand, pr *pair) {
	if pr == nil {
		return
	}
	label := pick(rng, jobs) + " " + strconv.Itoa(rng.IntN(1000))
	for _, i := range rng.Perm(len(pr.types)) {
		if lt := pr.types[i]; lt.category == userDefined {
			p.rename(lt, label)
			return
		}
	}
	p.addLabel(pr, label, "")
}

// seedPast is how far back in time seeded records go.
const seedPast = 3 * 365 * 24 * time.Hour

// Seed makes n records of the past, already indexed, and returns their ids.
// Their times of creation and of the last change spread over three years. Some
// share a millisecond, as imported records do.
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
			t.history = append(t.history, change{now, OpCreate, st, now})
		}
		ids = append(ids, st.id)
		states = append(states, st)
	}
	t.index.load(states)
	return ids
}
