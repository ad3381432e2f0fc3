// Package hubspottest is a HubSpot portal in memory: an http.Handler for the
// demo and a RoundTripper for tests, both with HubSpot's habits.
//
// It is written from docs/hubspot.md, HubSpot's OpenAPI files and recorded
// answers, and knows nothing of the client in pkg/hubspot: a mistake about
// HubSpot must not be made on both sides at once. Where the facts leave room
// the portal takes the less friendly reading, because a client that copes
// with it copes with HubSpot. What makes HubSpot hard is on by default (the
// search index lags, limits are in force); what only happens at times is an
// option, a fault or a call (Harsh turns on all that may be on for good).
//
// The portal has one clock, time.Now plus Options.ClockOffset, and no
// goroutines of its own: what is due is done when somebody asks. So it works
// as it is in a testing/synctest bubble. Randomness comes from Options.Seed.
//
// Methods act as HubSpot's users would (Create, Update, Archive, Merge …),
// and tell the truth to a test (Records, History). They panic when the caller
// names an object type or a property that the portal does not have.
package hubspottest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
	_ "time/tzdata" // the day of the daily limit begins at midnight in the account's time zone
)

// Options describe a portal. The zero value is a portal with contacts,
// companies and deals, every scope, any token, HubSpot's limits and a search
// index that lags by seconds.
type Options struct {
	PortalID    int64    // zero: 4242
	Seed        uint64   // of everything random
	Types       []string // standard object types by path name; nil: contacts, companies, deals
	Scopes      []string // nil: all
	Tokens      []string // the accepted bearer tokens; nil (and no OAuth): any
	OAuth       *OAuthApp
	TimeZone    string // "": US/Eastern
	AccountType string // "": STANDARD

	ClockOffset time.Duration // HubSpot's clock minus ours
	Latency     Span          // of every answer
	WriteDelay  time.Duration // a change may carry an updatedAt up to this long before it can be read
	Limits      Limits
	Index       Index

	MergedInArchive bool     // the losers of a merge stand in the archived list (docs/hubspot.md section 9: not documented)
	NoArchivedList  []string // types whose archived list is refused; nil: meetings
	LowIDs          float64  // share of new records whose id is lower than earlier ones
	SortObjects     bool     // sorts given as strings are refused
	LinkPage        int      // associated records in a page of one record's associations; zero: 500
	OwnerPage       int      // most owners in a page; zero: what is asked for
	LinksNotFound   bool     // the associations of a record that is not live are not found, instead of none
	NoHistory       bool     // keep no history (a demo that runs for days)

	// OnRequest is called before the portal looks at its records, OnAnswer
	// after it has and before the answer leaves. A test changes records there
	// to win a race on purpose. Both are called without locks held.
	OnRequest func(Request)
	OnAnswer  func(Request)
}

// Span is a range of durations; the portal draws evenly from it.
type Span struct{ Min, Max time.Duration }

// Harsh returns the options with everything on that makes HubSpot hard to
// follow without making it fail: long index delays, rows that flap, values
// fresher and older than what matched, ids that go down, late writes, short
// pages of associations and owners, slow answers.
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

	mu        sync.Mutex    // over everything below; never held while waiting
	rng       *rand.Rand    // for what users do: the same calls make the same portal, whoever reads it
	chaos     *rand.Rand    // for answers
	types     []*objectType // in the order in which the portal got them
	scopes    map[string]bool
	nextID    uint64
	seq       uint64
	custom    uint64  // number of the last custom type
	listID    int     // number of the last owner, pipeline or stage
	linkTypes int     // how many types of association have made up ids
	owners    []Owner // in the order in which they came; a changed one is a new value
	tokens    map[string]bool
	oauth     oauthState
	limits    limitState
	faults    []*liveFault
	stats     Stats

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
	zone, err := time.LoadLocation(opt.TimeZone)
	if err != nil {
		panic(fmt.Sprintf("hubspottest: Options.TimeZone: %v", err))
	}
	p := &Portal{
		opt:    opt,
		zone:   zone,
		rng:    rand.New(rand.NewPCG(opt.Seed, 0x68756273706f74)),
		chaos:  rand.New(rand.NewPCG(opt.Seed, 0x6368616f73)),
		nextID: 100,
		custom: 1000,
		stats:  newStats(),
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

// SetScopes replaces what the token may do, as a change in HubSpot's settings
// does. Without names nothing is allowed.
func (p *Portal) SetScopes(scopes ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scopes = set(scopes)
}

// SetTokens replaces the accepted bearer tokens: a rotated or revoked key.
func (p *Portal) SetTokens(tokens ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens = set(tokens)
}

// Now is the portal's clock.
func (p *Portal) Now() time.Time { return time.Now().Add(p.opt.ClockOffset) }

// now is the portal's clock as records keep it.
func (p *Portal) now() int64 { return p.Now().UnixMilli() }

// chance says true for a share of its calls.
func chance(rng *rand.Rand, share float64) bool { return share > 0 && rng.Float64() < share }

// draw takes a duration from the span.
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
