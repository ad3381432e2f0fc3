// Package check finds out what a run would find. It asks HubSpot, the brokers and
// the schema registry what a run asks them, changes nothing (but see [Journal]), and says what an
// operator can do about each problem. Its plan of topics, backfill and calls
// comes from the functions that the streams themselves decide by.
//
// The caller prepares the configuration ([connector.Prepare]) and writes the
// report, as a table or as JSON. A check may run beside a connector.
package check

import (
	"context"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// Status says what a finding means for a run.
type Status string

// The statuses, from good to bad.
const (
	OK   Status = "ok"
	Note Status = "note" // worth knowing; a run works
	Warn Status = "warn" // a run works, but not as well as it could
	Fail Status = "fail" // a run does not work
)

// Finding is one line of the table. Area, Check and Subject are stable names.
type Finding struct {
	Area    string   `json:"area"` // hubspot, scopes, kafka, access, topics, registry
	Check   string   `json:"check"`
	Subject string   `json:"subject,omitempty"`
	Status  Status   `json:"status"`
	Found   string   `json:"found"`
	Todo    []string `json:"todo,omitempty"`
	Scopes  []string `json:"scopes,omitempty"` // that the token needs
	// Code is the exit code with which a run ends because of the finding; 0: the
	// run does not end, or not by itself.
	Code int `json:"exit_code,omitempty"`
}

// trouble makes the finding say what is wrong.
func (f *Finding) trouble(d connector.Diagnosis) {
	f.Status, f.Found, f.Todo = Fail, d.Found, []string{d.Cure}
}

// Report is everything that a check found.
type Report struct {
	Version  string    `json:"version"`
	OK       bool      `json:"ok"`
	Code     int       `json:"exit_code"` // with which a run would end
	Portal   int64     `json:"portal,omitempty"`
	Prefix   string    `json:"topic_prefix"`
	Findings []Finding `json:"checks"`
	Plan     *Plan     `json:"plan"` // null where HubSpot could not be asked
}

// Failed counts the findings that keep a run from working.
func (r *Report) Failed() (n int) {
	for _, f := range r.Findings {
		if f.Status == Fail {
			n++
		}
	}
	return n
}

// Run checks everything that a run needs. journal says how closely to look there. more are the caller's own findings,
// which take their place in the report. It takes about a minute at most, and about
// ten seconds if everything is away. Beside a running instance, or with a small
// HUBSPOT_RATE_SHARE, it takes some minutes: as long as its questions have to wait.
func Run(ctx context.Context, setup *connector.Setup, journal Journal, more ...Finding) *Report {
	k := &checker{setup: setup, journal: journal}
	for _, f := range more {
		k.add(f)
	}
	return k.look(ctx)
}

// How long the parts of a check may take. What is away must not hold up the other
// answers.
const (
	reachPatience = 5 * time.Second  // to reach HubSpot, the brokers, the registry
	askPatience   = 15 * time.Second // for the answers to all questions of one kind
	// Beside a running instance, which has the share of HUBSPOT_RATE_SHARE, a check
	// takes a tenth of HubSpot's limits, and more time.
	besideShare    = 0.1
	besidePatience = time.Minute
	// The questions of one kind wait for their turn no longer than this.
	turnPatience = 3 * time.Minute
)

// checker collects what the parts of a check find. They run side by side.
type checker struct {
	setup   *connector.Setup
	journal Journal

	mu       sync.Mutex
	findings []Finding

	account *hubspot.Account // nil: HubSpot could not be asked
	answer  time.Duration    // how long HubSpot took for one
	portal  portalSeen

	brokersUp, registryUp bool        // they can be reached
	probe                 *sink.Probe // nil: the brokers cannot
	loaded                *offsets.Loaded
	internal, topics      []*sink.TopicFinding
	signals               []*sink.TopicFinding // one, or none if it cannot be examined
	frontiers             []*sink.TopicFinding // likewise
	notifications         []*sink.TopicFinding // likewise
	denied                []string             // topics that this user may not describe or create
	commands              []string             // which create them
	ofCluster             []string             // warnings about the cluster that are reported
	running               bool                 // an instance runs, or stands by
	rushed                bool                 // more questions of a kind than there are turns in turnPatience
	noRules               bool                 // the registry takes any schema
}

// portalSeen is what HubSpot showed of the portal.
type portalSeen struct {
	found    []stream.Found // the types that a run would follow
	records  map[string]int
	ids      map[string][]hubspot.ID // some of each type
	archived map[string]binSeen
	page     time.Duration        // how long a page of the backfill takes
	refused  int                  // calls that each read of the schemas wastes on refused types
	hidden   []hubspot.ObjectType // refused types that a run would follow
	custom   bool                 // the custom types were listed
	ends     []stream.Ends
	links    map[stream.Ends]bool // whether a pair has any

	owners, withPipelines int // pages of owners, and types that have pipelines
}

// binSeen is a recycle bin.
type binSeen struct {
	records int
	more    bool // there are more than that
	none    bool // HubSpot does not list it
}

func (k *checker) add(f Finding) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f.Code == 0 && f.Status == Fail {
		f.Code = connector.ExitFailed
	}
	k.findings = append(k.findings, f)
}

// look runs the parts: first whether HubSpot, Kafka and the registry can be
// reached at all, then what each of them says, then what follows from all of
// them.
func (k *checker) look(ctx context.Context) *Report {
	together(
		func() { k.checkToken(ctx) },
		func() { k.checkBrokers(ctx) },
		func() { k.checkRegistry(ctx) },
	)
	k.checkState(ctx)
	if k.probe != nil {
		defer k.probe.Close()
	}
	k.checkPortal(ctx)
	k.checkJournal(ctx)
	k.checkTopics(ctx)
	k.checkAccess(ctx)
	k.checkSubjects(ctx)
	r := &Report{Version: k.setup.Version, Prefix: k.setup.Config.Kafka.TopicPrefix, Plan: k.plan()}
	k.checkDay(r.Plan)
	if k.account != nil {
		r.Portal = k.account.PortalID
	}
	r.Findings = inOrder(k.findings)
	for _, f := range r.Findings {
		switch {
		case f.Code == connector.ExitRefused, r.Code == connector.ExitOK:
			r.Code = f.Code
		case f.Code == connector.ExitConfig && r.Code != connector.ExitRefused:
			r.Code = f.Code
		}
	}
	r.OK = r.Code == connector.ExitOK
	return r
}

func together(parts ...func()) {
	var wg sync.WaitGroup
	for _, part := range parts {
		wg.Go(part)
	}
	wg.Wait()
}
