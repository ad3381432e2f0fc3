// Package hubspottest is a HubSpot portal in memory: an http.Handler for the
// demo and a RoundTripper for tests, both with HubSpot's habits.
//
// It follows docs/hubspot.md, HubSpot's OpenAPI files and recorded answers, and
// knows nothing of the client in pkg/hubspot: the two must not share a mistake
// about HubSpot. Where the facts are ambiguous, the portal takes the less
// friendly reading, because a client that copes with it copes with HubSpot. What
// always makes HubSpot hard is on by default (the search index lags, limits are
// in force). What happens only at times is an option, a fault or a call; Harsh
// turns on everything that may stay on.
//
// The portal has one clock, time.Now plus Options.ClockOffset, and starts no
// goroutines: it does what is due when a caller asks. So it works unchanged in a
// testing/synctest bubble. Its randomness comes from Options.Seed.
//
// Some methods act as HubSpot's users would (Create, Update, Archive, Merge …),
// others tell a test the truth (Records, History). They panic if the caller
// names an object type or a property that the portal does not have.
package hubspottest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
	_ "time/tzdata" // the daily limit resets at midnight in the account's time zone
)

// Options describe a portal. The zero value is a portal with contacts,
// companies and deals, every scope, any token, HubSpot's limits and a search
// index that lags by seconds.
type Options struct {
	PortalID    int64    // zero: 4242
	Seed        uint64   // seeds everything random
	Types       []string // standard object types by path name; nil: contacts, companies, deals
	Scopes      []string // nil: all
	Tokens      []string // accepted bearer tokens; nil without OAuth: any
	OAuth       *OAuthApp
	TimeZone    string // "": US/Eastern
	AccountType string // "": STANDARD

	ClockOffset time.Duration // HubSpot's clock minus ours
	Latency     Span          // of every answer
	WriteDelay  time.Duration // a change's updatedAt may be up to this long before reads see the change
	Limits      Limits
	Index       Index
	Journal     Journal

	MergedInArchive bool     // the archived list has the losers of a merge (docs/hubspot.md section 9: not documented)
	MergedUnknown   bool     // reads do not lead from the loser of a merge to its survivor
	MergedCopies    bool     // reads of archived records lead from the loser of a merge to its archived survivor
	NoArchivedList  []string // types whose archived list the portal refuses; nil: meetings
	LowIDs          float64  // share of new records with a lower id than earlier ones
	SortObjects     bool     // refuse sorts given as strings
	LinkPage        int      // associated records in a page of one record's associations; zero: 500
	ListPage        int      // most records in a page of a list; zero: as many as requested
	Places          Places   // what the places of lists are, and what an id is as a place
	OwnerPage       int      // most owners in a page; zero: as many as requested
	LinkErrors      int      // reads of associations list at most so many of the errors that they count; 0: all
	LinksNotFound   bool     // a record that is not live is not found, rather than without associations
	NoHistory       bool     // keep no history (for a demo that runs for days)

	// The portal calls OnRequest before it looks at its records, and OnAnswer
	// after that and before the answer leaves. Tests change records there to
	// win a race on purpose. The portal holds no locks during the calls.
	OnRequest func(Request)
	OnAnswer  func(Request)
}

// Span is a range of durations, from which the portal draws evenly.
type Span struct{ Min, Max time.Duration }

// Harsh returns options with everything on that makes HubSpot hard to follow
// without making it fail: long index delays, rows that flap, values fresher and
// older than those that matched, decreasing ids, late writes, short pages of
// associations and owners, slow answers.
func Harsh(seed uint64) Options {
	return Options{
		Seed:       seed,
		Latency:    Span{20 * time.Millisecond, 900 * time.Millisecond},
		WriteDelay: 1500 * time.Millisecond,
		LowIDs:     0.1,
		LinkPage:   3,
		OwnerPage:  3,
		Index: Index{
			Min: 500 * time.Millisecond, Max: 40 * time.Second,
			Tail: 0.02, TailMax: time.Hour,
			Flap: 0.02, Fresh: 0.2, Stale: 0.05,
		},
	}
}

// Portal is a HubSpot account. It is safe for concurrent use.
type Portal struct {
	opt  Options
	zone *time.Location

	mu        sync.Mutex    // guards everything below; never held while waiting
	rng       *rand.Rand    // for what users do: the same calls make the same portal, whoever reads it
	chaos     *rand.Rand    // for answers
	types     []*objectType // in the order in which they were added
	scopes    map[string]bool
	nextID    uint64
	seq       uint64
	custom    uint64  // number of the latest custom type
	listID    int     // number of the latest owner, pipeline or stage
	linkTypes int     // how many type ids of associations the portal has made up
	owners    []Owner // in the order in which they were added; a changed one is a new value
	tokens    map[string]bool
	oauth     oauthState
	limits    limitState
	faults    []*liveFault
	hidings   []Hiding
	given     map[string]bool // the places of lists that were given, where others do not count
	stats     Stats
	journal   journalState

	ownerHistory []ListChange[Owner]
}

// New builds a portal.
func New(opt Options) *Portal {
	if opt.PortalID == 0 {
		opt.PortalID = 4242
	}
	if opt.Types == nil {
		opt.Types = []string{"contacts", "companies", "deals"}
	}
	if opt.NoArchivedList == nil {
		opt.NoArchivedList = []string{"meetings"}
	}
	if opt.TimeZone == "" {
		opt.TimeZone = "US/Eastern"
	}
	if opt.AccountType == "" {
		opt.AccountType = "STANDARD"
	}
	if opt.LinkPage == 0 {
		opt.LinkPage = 500
	}
	opt.Limits = opt.Limits.withDefaults()
	opt.Index = opt.Index.withDefaults()
	opt.Journal = opt.Journal.withDefaults()
	zone, err := time.LoadLocation(opt.TimeZone)
	if err != nil {
		panic(fmt.Sprintf("hubspottest: Options.TimeZone: %v", err))
	}
	p := &Portal{
		opt:     opt,
		zone:    zone,
		rng:     rand.New(rand.NewPCG(opt.Seed, 0x68756273706f74)),
		chaos:   rand.New(rand.NewPCG(opt.Seed, 0x6368616f73)),
		nextID:  100,
		custom:  1000,
		given:   map[string]bool{},
		stats:   newStats(),
		journal: newJournalState(opt.Seed),
	}
	if opt.Scopes != nil {
		p.scopes = set(opt.Scopes)
	}
	if opt.Tokens != nil {
		p.tokens = set(opt.Tokens)
	}
	p.oauth.init(opt.OAuth)
	for _, name := range opt.Types {
		p.addStandard(name)
	}
	for _, name := range opt.NoArchivedList {
		if t := p.find(name); t != nil {
			t.noArchivedList = true
		}
	}
	return p
}

// Client returns an http.Client over Transport.
func (p *Portal) Client() *http.Client { return &http.Client{Transport: p.Transport()} }

// SetScopes replaces the token's scopes, as a change in HubSpot's settings does.
// Without names the token may do nothing.
func (p *Portal) SetScopes(scopes ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scopes = set(scopes)
}

// SetTokens replaces the accepted bearer tokens, as rotating or revoking a key
// does.
func (p *Portal) SetTokens(tokens ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens = set(tokens)
}

// SetPace replaces the limits and the latency.
func (p *Portal) SetPace(limits Limits, latency Span) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opt.Limits, p.opt.Latency = limits.withDefaults(), latency
}

// Now returns the time on the portal's clock.
func (p *Portal) Now() time.Time { return time.Now().Add(p.opt.ClockOffset) }

// now returns the portal's time as records keep it, in milliseconds.
func (p *Portal) now() int64 { return p.Now().UnixMilli() }

// chance returns true for a share of its calls.
func chance(rng *rand.Rand, share float64) bool { return share > 0 && rng.Float64() < share }

// draw returns a random duration from the span.
func (s Span) draw(rng *rand.Rand) time.Duration {
	if s.Max <= s.Min {
		return s.Min
	}
	return s.Min + time.Duration(rng.Int64N(int64(s.Max-s.Min)+1))
}

func set(names []string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, name := range names {
		m[name] = true
	}
	return m
}
