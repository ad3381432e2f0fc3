package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// status is how a finding stands to a run.
type status string

const (
	isOK    status = "ok"
	isNote  status = "note" // worth knowing; a run works
	isWarn  status = "warn" // a run works, but not as well as it could
	isWrong status = "fail" // a run does not work
)

// finding is one line of the table. Check and Subject are stable names.
type finding struct {
	Area    string   `json:"area"` // hubspot, scopes, kafka, access, topics, registry
	Check   string   `json:"check"`
	Subject string   `json:"subject,omitempty"`
	Status  status   `json:"status"`
	Found   string   `json:"found"`
	Todo    []string `json:"todo,omitempty"`
	Scopes  []string `json:"scopes,omitempty"` // to be given to the token
	// Code is the exit code with which a run ends because of it; 0: it does not
	// end, or not by itself.
	Code int `json:"exit_code,omitempty"`
}

// report is everything that a check has found.
type report struct {
	Version  string    `json:"version"`
	OK       bool      `json:"ok"`
	Code     int       `json:"exit_code"`
	Portal   int64     `json:"portal,omitempty"`
	Prefix   string    `json:"topic_prefix"`
	Findings []finding `json:"checks"`
	Plan     *plan     `json:"plan"` // null where HubSpot could not be asked
}

// checkError ends the command with a code of its own, after the report.
type checkError struct{ code, problems int }

func (e *checkError) Error() string {
	if e.code == exitRefused {
		return fmt.Sprintf("connector check: a run would refuse to start; problems: %d", e.problems)
	}
	return fmt.Sprintf("connector check: problems: %d", e.problems)
}

func checkCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(stderr)
	asJSON := flags.Bool("json", false, "write one JSON object instead of a table")
	flags.Usage = func() {
		fmt.Fprint(stdout, `usage: connector check [--json]

Looks at everything that connector run needs, says what to do about what is
wrong, and plans topics, backfill and calls. It reads only. The environment is
that of connector run.

Exit code: 0 a run would work, 1 something is wrong, 2 the configuration is
wrong, 3 a run would refuse to start.
`)
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil || flags.NArg() > 0 {
		return &configError{[]string{"usage: connector check [--json]"}}
	}
	return check(ctx, os.Environ(), network{}, *asJSON, stdout)
}

// check looks, writes the report, and returns an error if not all is well.
func check(ctx context.Context, environ []string, net network, asJSON bool, stdout io.Writer) error {
	cfg, files, err := loadConfig(environ)
	if err != nil {
		return err
	}
	c, err := newConnector(cfg, files, slog.New(slog.DiscardHandler), net)
	if err != nil {
		return err
	}
	k := &checker{connector: c}
	for _, name := range newEnvironment(environ).unknown() {
		k.add(finding{Area: "hubspot", Check: "environment", Subject: name, Status: isWarn,
			Found: "this version does not know the variable", Todo: []string{"look for a slip of the pen: connector run -h lists the variables"}})
	}
	r := k.look(ctx)
	if asJSON {
		err = r.writeJSON(stdout)
	} else {
		err = r.writeTable(stdout, colours(stdout))
	}
	if err != nil {
		return err
	}
	if r.Code != exitOK {
		problems := 0
		for _, f := range r.Findings {
			if f.Status == isWrong {
				problems++
			}
		}
		return &checkError{r.Code, problems}
	}
	return nil
}

// How long the parts of a check may take. What is away must not keep the other
// answers back: with everything away it is over in about ten seconds.
const (
	reachPatience = 5 * time.Second  // to reach HubSpot, the brokers, the registry
	askPatience   = 15 * time.Second // for all questions of one kind
)

// checker collects what is found. The parts of a check run side by side.
type checker struct {
	*connector

	mu       sync.Mutex
	findings []finding

	account *hubspot.Account // nil: HubSpot could not be asked
	answer  time.Duration    // how long HubSpot took for one
	portal  portalSeen

	brokersUp, registryUp bool        // they can be reached
	probe                 *sink.Probe // nil: the brokers cannot
	loaded                *offsets.Loaded
	internal, topics      []*sink.TopicFinding
	signals               []*sink.TopicFinding // one, or none where it cannot be looked at
	denied                []string             // topics that the brokers do not let this user look at, or create
	running               bool                 // an instance runs, or stands by
	noRules               bool                 // the registry takes any schema
}

// portalSeen is what HubSpot told of the portal.
type portalSeen struct {
	found    []stream.Found // of the types that a run follows
	records  map[string]int
	ids      map[string][]hubspot.ID // some of each
	archived map[string]binSeen
	page     time.Duration        // how long a page of the backfill takes
	refused  int                  // types that are asked for again and again, in vain
	hidden   []hubspot.ObjectType // those that would be followed
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

func (k *checker) add(f finding) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f.Code == 0 && f.Status == isWrong {
		f.Code = exitFailed
	}
	k.findings = append(k.findings, f)
}

// look runs the parts: first whether the three can be reached at all, then what
// each of them says, then what follows from all of them.
func (k *checker) look(ctx context.Context) *report {
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
	k.checkTopics(ctx)
	k.checkAccess(ctx)
	k.checkSubjects(ctx)
	r := &report{Version: version(), Prefix: k.cfg.Kafka.TopicPrefix, Plan: k.plan()}
	if k.account != nil {
		r.Portal = k.account.PortalID
	}
	r.Findings = inOrder(k.findings)
	for _, f := range r.Findings {
		switch {
		case f.Code == exitRefused, r.Code == exitOK:
			r.Code = f.Code
		case f.Code == exitConfig && r.Code != exitRefused:
			r.Code = f.Code
		}
	}
	r.OK = r.Code == exitOK
	return r
}

func together(parts ...func()) {
	var wg sync.WaitGroup
	for _, part := range parts {
		wg.Go(part)
	}
	wg.Wait()
}

// codeOf is the exit code of a run that ends with an error.
func codeOf(err error) int {
	var unknown *stream.UnknownObjectError
	var pair *stream.PairError
	if errors.As(err, &unknown) || errors.As(err, &pair) {
		return exitConfig
	}
	return exitCode(err)
}
