package cdc

import (
	"cmp"
	"slices"
	"strconv"
	"sync"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Chain is a range of ids that a sweep has yet to read, page after page.
type Chain struct {
	In    Range
	Place string     // HubSpot's place of the next page; "" for the beginning of the list
	Last  hubspot.ID // the last id read; In.After before the first page
	Begun bool       // a page was read
	// Entered says that Place is an id of ours, not a place that HubSpot gave.
	Entered bool
	// Restarted says that HubSpot refused an earlier place of this chain.
	Restarted bool

	read     hubspot.ID // the last id of the page that is being published
	left     int        // records that are left; Unknown: not counted
	guessed  bool       // left is no count, but follows from step
	step     float64    // from one id to the next, on the latest page
	reading  bool
	dividing bool
	whole    bool // it cannot be divided
}

// Unknown is the number of records that nobody has counted.
const Unknown = -1

// Rest is what a chain has yet to read.
func (c *Chain) rest() Range { return Range{After: c.Last, UpTo: c.In.UpTo} }

// ended reports whether a chain has nothing to read after a page that ends at last
// and is followed by place.
func (c *Chain) ended(place string, last hubspot.ID) bool {
	return place == "" || c.In.UpTo != 0 && last >= c.In.UpTo
}

// Chains are what a sweep has yet to read. Together they cover every id that is not
// read and committed: a chain is divided and shortened only above the page that it
// publishes. They are safe for concurrent use. Only one reader at a time has a
// chain, from Claim or Divide until its pages end or Release; that reader may read
// the fields of its chain.
type Chains struct {
	mu      sync.Mutex
	chains  []*Chain // in ascending order
	divided bool
	top     hubspot.ID // an id with no record above it; 0: not known
	leap    int        // records that the next leap passes over
}

// NewChains begins with what a cursor has left.
func NewChains(left ...Chain) *Chains {
	cs := new(Chains)
	for _, c := range left {
		c = Chain{In: c.In, Place: c.Place, Last: c.Last, Begun: c.Begun, Entered: c.Entered, Restarted: c.Restarted}
		c.left, c.read = Unknown, c.Last
		cs.divided = cs.divided || c.In != Range{}
		cs.chains = append(cs.chains, &c)
	}
	return cs
}

// Done reports whether everything is read.
func (cs *Chains) Done() bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.chains) == 0
}

// Divided reports whether the sweep reads its list in more than one range.
func (cs *Chains) Divided() bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.divided
}

// Claim gives a chain that nobody reads to a reader; nil if there is none.
func (cs *Chains) Claim() *Chain {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, c := range cs.chains {
		if !c.reading {
			c.reading = true
			return c
		}
	}
	return nil
}

// Unclaimed reports whether Claim would give a chain.
func (cs *Chains) Unclaimed() bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return slices.ContainsFunc(cs.chains, func(c *Chain) bool { return !c.reading })
}

// Release takes a chain back from its reader, unless no other reader is left.
func (cs *Chains) Release(c *Chain) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, other := range cs.chains {
		if other != c && other.reading {
			c.reading = false
			return true
		}
	}
	return false
}

// Next is the place of a chain's next page, and what the chain has yet to read.
func (cs *Chains) Next(c *Chain) (place string, rest Range, entered bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return c.Place, c.rest(), c.Entered
}

// Restart begins a chain once more, where HubSpot refuses its place: at its first
// id, by that id, or at the beginning of the list. ok is false if that is what
// HubSpot refuses.
func (cs *Chains) Restart(c *Chain) (ok bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c.Restarted || c.Place == "" || c.Entered && c.In.After != 0 {
		return false
	}
	c.Place, c.Last, c.Begun, c.Restarted, c.Entered = "", c.In.After, false, true, c.In.After != 0
	if c.Entered {
		c.Place = c.In.After.String()
	}
	return true
}

// ChainPage is what a page moves a chain by.
type ChainPage struct {
	Chain *Chain
	Place string     // HubSpot's place of the page after it; "" on the last one
	Last  hubspot.ID // the last id of the page; 0: it has none
	IDs   int
	Step  float64 // from one id to the next
}

// Read notes that a page was read, before it is published: from now on nothing up to
// its end is given to another chain.
func (cs *Chains) Read(p ChainPage) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	p.Chain.read = max(p.Chain.read, p.Last)
	if p.Place == "" {
		p.Chain.whole = true
	}
}

// Own counts those of a page's ids that are the chain's. Another chain may have got what
// was above since the page was asked for, and reads it too.
func (cs *Chains) Own(c *Chain, ids []hubspot.ID) (n int) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, id := range ids {
		if c.In.Contains(id) {
			n++
		}
	}
	return n
}

// After is what is left after some pages of different chains: a cursor that is
// committed together with them.
func (cs *Chains) After(pages []ChainPage) []Chain {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	var out []Chain
	for _, c := range cs.chains {
		after := *c
		i := slices.IndexFunc(pages, func(p ChainPage) bool { return p.Chain == c })
		if i >= 0 && !after.move(pages[i], cs.top) {
			continue
		}
		out = append(out, after)
	}
	return out
}

// Move moves the chains behind pages that are committed, and drops those that have
// ended.
func (cs *Chains) Move(pages []ChainPage) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, p := range pages {
		if !p.Chain.move(p, cs.top) {
			cs.chains = slices.DeleteFunc(cs.chains, func(c *Chain) bool { return c == p.Chain })
		}
	}
}

// move reports whether anything is left.
func (c *Chain) move(p ChainPage, top hubspot.ID) bool {
	c.Place, c.Begun, c.Entered = p.Place, true, false
	c.Last = max(c.Last, p.Last)
	if c.left != Unknown {
		c.left = max(0, c.left-p.IDs)
	}
	if p.Step > 0 {
		c.step = p.Step
	}
	if c.guessed {
		c.guess(top)
	}
	return !c.ended(p.Place, c.Last)
}

// guess takes the ids that are left for as far from each other as on the latest page.
func (c *Chain) guess(top hubspot.ID) {
	c.left, c.guessed = 0, true
	if end := cmp.Or(c.In.UpTo, top); end > c.Last && c.step > 0 {
		c.left = int(min(float64(end-c.Last)/c.step, 1e15))
	}
}

// Ended reports whether a page was the last one of its chain.
func (cs *Chains) Ended(p ChainPage) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return !slices.Contains(cs.chains, p.Chain)
}

// Longest gives the chain with the most records left to whoever divides it; nil if
// none has at least so many. One that nobody has counted yet comes first. Keep gives
// it back.
func (cs *Chains) Longest(least int) *Chain {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.longest(least)
	if c != nil {
		c.dividing = true
	}
	return c
}

// Divisible reports whether Longest would give a chain.
func (cs *Chains) Divisible(least int) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.longest(least) != nil
}

func (cs *Chains) longest(least int) (longest *Chain) {
	for _, c := range cs.chains {
		switch {
		case c.whole, c.dividing, !c.Begun, c.left != Unknown && c.left < least:
		case c.left == Unknown:
			return c
		case longest == nil || c.left > longest.left:
			longest = c
		}
	}
	return longest
}

// Leap is an id far above what a chain has read, with about so many records in
// between, if ids go on as on its latest page. It tries ever longer ones, until it
// has passed the last record (Overleapt): so the upper end of a long list is found
// with a few pages, which can all be used, and without a search.
func (cs *Chains) Leap(c *Chain, least int) (at hubspot.ID, over int, ok bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c.In.UpTo != 0 || c.left != Unknown || cs.top != 0 || c.step <= 0 {
		return 0, 0, false
	}
	if cs.leap = 4 * cs.leap; cs.leap == 0 {
		cs.leap = 2 * least
	}
	far := float64(c.read) + c.step*float64(cs.leap)
	return hubspot.ID(far), cs.leap, far < float64(farID)
}

// Overleapt notes that a chain has no record above an id.
func (cs *Chains) Overleapt(c *Chain, at hubspot.ID) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.top = at
	c.guess(at)
}

// Half is the middle of what a chain has left, if its ids go on as on its latest
// page. ok is false if its records are counted, or if there is no reason to guess.
func (cs *Chains) Half(c *Chain) (at hubspot.ID, left, right int, ok bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	end := cmp.Or(c.In.UpTo, cs.top)
	if !c.guessed || end < c.read+2 {
		return 0, 0, 0, false
	}
	return c.read + (end-c.read)/2, c.left / 2, c.left - c.left/2, true
}

// Rest is what a chain has left, and the records in it by the latest count; ok is
// false if there was none.
func (cs *Chains) Rest(c *Chain) (in Range, left int, ok bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return c.rest(), c.left, c.left != Unknown && !c.guessed
}

// Count notes how many records a chain has left.
func (cs *Chains) Count(c *Chain, left int) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c.left, c.guessed = left, false
}

// Middle looks for the middle of a range of n records that a chain has left.
func (cs *Chains) Middle(c *Chain, in Range, n int) *Middle {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return NewMiddle(in, n, c.step, cs.top)
}

// Top takes what a Middle has learnt of how high the ids go.
func (cs *Chains) Top(m *Middle) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.top = m.Top
}

// Keep ends an attempt to divide a chain. whole says that there is no use in
// another one.
func (cs *Chains) Keep(c *Chain, whole bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c.dividing, c.whole = false, c.whole || whole
}

// Divide gives what a chain has above an id to a new one, with right of its records.
// It returns nil if the chain has come too near meanwhile. right may be Unknown: then
// left is no count either, as of a chain that nobody has counted.
func (cs *Chains) Divide(c *Chain, at hubspot.ID, left, right int) *Chain {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	i := slices.Index(cs.chains, c)
	if i < 0 || c.whole || at <= c.read || c.In.UpTo != 0 && at >= c.In.UpTo {
		return nil
	}
	upper := &Chain{
		In: Range{After: at, UpTo: c.In.UpTo}, Place: at.String(), Entered: true, Last: at, read: at,
		left: right, step: c.step, reading: true,
	}
	upper.guessed = c.guessed && right != Unknown
	c.In.UpTo, c.left, c.guessed, cs.divided = at, left, c.guessed || right == Unknown, true
	cs.chains = slices.Insert(cs.chains, i+1, upper)
	return upper
}

// AtIDs reports whether the place that HubSpot gave for a chain's next page is the
// last id, or the one after it. Where its places are something else, an id is no
// place.
func (cs *Chains) AtIDs(c *Chain) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	place, err := strconv.ParseUint(c.Place, 10, 64)
	return err == nil && (hubspot.ID(place) == c.Last || hubspot.ID(place) == c.Last+1)
}
