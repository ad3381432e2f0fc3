package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/fleet"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// fleetCommand is connector fleet.
func fleetCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "fleet", Short: "follow many portals: a folder with a file for each, shared out among all instances",
		Long: `FLEET_DIR names the folder. The portal NAME has the file NAME.env (small letters, digits and -),
with lines VARIABLE=value: the variables of connector run, over those of the environment. Give
secrets as files (HUBSPOT_ACCESS_TOKEN_FILE). Empty lines, and lines that begin with #, say nothing.
Write values without quotes, and no comment behind one. Nothing is expanded. The portal's topics begin
with KAFKA_TOPIC_PREFIX.NAME.

Instances with one KAFKA_TOPIC_PREFIX share the portals out, by the consumer group PREFIX.fleet. A
file that comes, changes or goes starts, restarts or ends its portal within 30 seconds.

Exit code: 0 it was told to stop, 2 the environment is wrong, 3 the fleet's topic cannot be used. What
is wrong with a portal ends nothing else; see connector fleet status.
`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return lead(c, args)
		},
		RunE: func(c *cobra.Command, _ []string) error { return runFleet(c.Context(), c.ErrOrStderr()) },
	}
	c.AddCommand(fleetCheckCommand(), fleetStatusCommand(), fleetPortalCommand())
	return c
}

// fleetSettings are what the environment says of a fleet.
type fleetSettings struct {
	Dir        string `envconfig:"FLEET_DIR" help:"folder with a file NAME.env for each portal (required)"`
	Partitions int32  `envconfig:"FLEET_PARTITIONS" help:"partitions of the topic by which instances share the portals out, when it is created"`
	Metrics    string `envconfig:"FLEET_METRICS" help:"portal: a few sums for each portal; full: all that connector run shows, with the label portal_name"`
	Address    string `envconfig:"FLEET_ADDRESS" help:"host:port where other instances reach this one over HTTP (default: this machine's address towards the brokers, and the port of HTTP_ADDR)"`
}

var usualFleet = fleetSettings{Partitions: 256, Metrics: fleet.MetricsPortal}

func (f *fleetSettings) validate() (problems []string) {
	if f.Partitions < 1 {
		problems = append(problems, fmt.Sprintf("FLEET_PARTITIONS: %d is not at least 1", f.Partitions))
	}
	if f.Metrics != fleet.MetricsPortal && f.Metrics != fleet.MetricsFull {
		problems = append(problems, fmt.Sprintf("FLEET_METRICS: %q is none of portal, full", f.Metrics))
	}
	if _, _, err := net.SplitHostPort(f.Address); f.Address != "" && err != nil {
		problems = append(problems, "FLEET_ADDRESS: "+err.Error())
	}
	return problems
}

// ofTheFleet are the beginnings of the variables that the process needs itself. Others
// may be wrong or missing as long as each portal's file gives them.
var ofTheFleet = []string{"KAFKA_", "HTTP_", "LOG_", "FLEET_"}

func runFleet(ctx context.Context, stderr io.Writer) error {
	boundMemory()
	sweepOften()
	if wrong := unsafe(); len(wrong) > 0 { // no portal's file makes them right
		return &connector.ConfigError{Problems: wrong}
	}
	s, err := load(ofTheFleet...)
	if err != nil {
		return err
	}
	if s.fleet.Dir == "" {
		return &connector.ConfigError{Problems: []string{noFolder}}
	}
	if _, err := fleet.Read(s.fleet.Dir); err != nil { // it may be empty yet
		return &connector.ConfigError{Problems: []string{"FLEET_DIR: " + err.Error()}}
	}
	log := s.log.logger(stderr)
	slog.SetDefault(log) // for Go's own packages: their lines would be of another form
	sayUnknown(log)
	k := &s.connector.Kafka
	opts, err := k.Options(sink.ClientLog(log))
	if err != nil {
		return &connector.ConfigError{Problems: []string{err.Error()}}
	}
	f := fleet.New(fleet.Config{
		Read: func() ([]fleet.File, error) { return fleet.Read(s.fleet.Dir) }, Configure: portal,
		Topic: sink.Config{Opts: opts, Tools: strings.TrimSpace(k.Tool("")), Prefix: k.TopicPrefix, Replication: k.Replication, Logger: log},
		Parts: s.fleet.Partitions, Addr: s.connector.HTTP.Addr,
		Address: func() string { return cmp.Or(s.fleet.Address, reachedAt(s.connector.HTTP.Addr, k.Brokers)) },
		Metrics: s.fleet.Metrics, Version: version(), Log: log,
	})
	return f.Run(ctx)
}

// reachedAt is where others reach an instance that listens at addr: at the address that
// this machine has towards the brokers, unless addr has one.
func reachedAt(addr string, brokers []string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return addr
	}
	for _, broker := range brokers {
		conn, err := net.Dial("udp", broker) // sends nothing
		if err != nil {
			continue
		}
		defer conn.Close()
		if own, _, err := net.SplitHostPort(conn.LocalAddr().String()); err == nil {
			return net.JoinHostPort(own, port)
		}
	}
	return ""
}

func fleetStatusCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "status [URL]", Short: "show how all portals of a fleet are doing, and who runs them", Args: cobra.MaximumNArgs(1),
		Long: `URL is that of any instance's page, such as http://10.0.0.7:8080; without it, the one that
HTTP_ADDR gives on this machine.

The exit code is 0 if all portals stream or load, and none has a problem, else 1.
`,
		RunE: func(c *cobra.Command, args []string) error {
			target, err := statusURL(args)
			if err != nil {
				return err
			}
			return printFleet(c.Context(), target, asJSON, c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print what GET /status answers")
	return c
}

func printFleet(ctx context.Context, target string, asJSON bool, out io.Writer) error {
	body, err := (&statusReader{target: target}).ask(ctx)
	if err != nil {
		return err
	}
	var s fleet.Status
	if err := json.Unmarshal(body, &s); err != nil || s.Group == "" {
		return fmt.Errorf("%s does not answer as an instance of a fleet does", shown(target))
	}
	switch {
	case asJSON:
		if _, err := out.Write(body); err != nil {
			return err
		}
	case s.V != fleet.StatusVersion:
		return fmt.Errorf("the instance answers in version %d of its status, and this program prints version %d; see it with --json", s.V, fleet.StatusVersion)
	default:
		if err := s.Text(out); err != nil {
			return err
		}
	}
	var wrong []string
	for _, p := range s.Problems {
		wrong = append(wrong, "the instance has a problem: "+p.Problem)
	}
	if n := s.Wrong(); n > 0 {
		wrong = append(wrong, fmt.Sprintf("something is wrong with %d of %d portals", n, len(s.Portals)))
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "; "))
	}
	return nil
}

func fleetCheckCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "check", Short: "check every portal's file and token", Args: cobra.NoArgs,
		Long: `It asks HubSpot once for each portal, and nobody else. For everything that a run of one portal needs,
run connector fleet portal NAME check.

Exit code: 0 all is well, 1 HubSpot refuses a token or does not answer, 2 a file or the environment is
wrong, or two portals are the same HubSpot account.
`,
		RunE: func(c *cobra.Command, _ []string) error {
			files, err := folder()
			if err != nil {
				return err
			}
			return checkFleet(c.Context(), files, connector.Options{Logger: slog.New(slog.DiscardHandler), Version: version()}, asJSON, c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "write one JSON array instead of a table")
	return c
}

const noFolder = "FLEET_DIR: is not set; it names the folder with the portals' files"

// folder reads the fleet's folder.
func folder() ([]fleet.File, error) {
	s := defaults()
	tidy(s)
	_ = fill("", &s.fleet) // load tells of what is wrong with others
	dir := s.fleet.Dir
	if dir == "" {
		return nil, &connector.ConfigError{Problems: []string{noFolder}}
	}
	files, err := fleet.Read(dir)
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there is no NAME.env in %s", dir)
	}
	if err != nil {
		return nil, &connector.ConfigError{Problems: []string{"FLEET_DIR: " + err.Error()}}
	}
	return files, nil
}

// portalCheck is what a check found of a portal.
type portalCheck struct {
	Name     string   `json:"name"`
	Portal   int64    `json:"portal,omitempty"` // HubSpot's account; 0: not known
	OK       bool     `json:"ok"`
	Problems []string `json:"problems,omitempty"`
	Todo     string   `json:"todo,omitempty"`

	wrong bool // the file is
}

const (
	// checkedAtOnce is how many portals are asked at the same time. Their limits are
	// those of their accounts.
	checkedAtOnce = 16
	// checkPatience is how long HubSpot may take for each.
	checkPatience = 20 * time.Second
)

// checkFleet checks portals, writes what it found, and returns an error if something is
// wrong.
func checkFleet(ctx context.Context, files []fleet.File, o connector.Options, asJSON bool, stdout io.Writer) error {
	if wrong := unsafe(); len(wrong) > 0 {
		return &connector.ConfigError{Problems: wrong}
	}
	if _, err := load(ofTheFleet...); err != nil { // no instance would start
		return err
	}
	checks := make([]portalCheck, len(files))
	var g errgroup.Group
	g.SetLimit(checkedAtOnce)
	for i := range files {
		f, cfg := &files[i], portal(&files[i])
		g.Go(func() error {
			checks[i] = checkPortal(ctx, f, cfg, o)
			return nil
		})
	}
	_ = g.Wait() // none fails
	sameAccount(checks)
	write := writeChecks
	if asJSON {
		write = writeChecksJSON
	}
	if err := write(stdout, checks); err != nil {
		return err
	}
	code, bad := connector.ExitOK, 0
	for i := range checks {
		switch c := &checks[i]; {
		case c.OK:
			continue
		case c.wrong:
			code = connector.ExitConfig
		default:
			code = max(code, connector.ExitFailed)
		}
		bad++
	}
	if bad == 0 {
		return nil
	}
	return &checkError{code, fmt.Sprintf("connector fleet check: something is wrong with %d of %d portals", bad, len(checks))}
}

func checkPortal(ctx context.Context, f *fleet.File, cfg connector.Config, o connector.Options) portalCheck {
	c := portalCheck{Name: f.Name}
	for _, p := range f.Problems {
		c.Problems = append(c.Problems, f.Where(p))
	}
	if c.wrong = len(c.Problems) > 0; c.wrong {
		c.Todo = "correct the file, or the environment of the process"
		return c
	}
	setup, err := connector.Prepare(cfg, o)
	if err != nil {
		c.Problems, c.wrong = []string{err.Error()}, true
		return c
	}
	defer setup.HubSpot.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	account, err := setup.HubSpot.Account(ctx, hubspot.Call{Priority: hubspot.Schema})
	if err != nil {
		d := cfg.HubSpot.Diagnose(err)
		c.Problems, c.Todo = []string{d.Found}, d.Cure
		return c
	}
	c.Portal, c.OK = account.PortalID, true
	return c
}

// sameAccount finds portals that are one account of HubSpot's. Which one is meant,
// nobody can tell, so it is a problem of each.
func sameAccount(checks []portalCheck) {
	names := map[int64][]string{}
	for i := range checks {
		if c := &checks[i]; c.OK {
			names[c.Portal] = append(names[c.Portal], c.Name)
		}
	}
	for i := range checks {
		c := &checks[i]
		if same := names[c.Portal]; c.OK && len(same) > 1 {
			others := slices.DeleteFunc(slices.Clone(same), func(name string) bool { return name == c.Name })
			c.OK, c.wrong = false, true
			c.Problems = []string{"its token is of the same HubSpot account as that of " + strings.Join(others, ", ")}
			c.Todo = "give it the token of its own account, or remove one of the files"
		}
	}
}

func writeChecksJSON(w io.Writer, checks []portalCheck) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(checks)
}

// writeChecks writes a line for each portal, and its problems below it.
func writeChecks(w io.Writer, checks []portalCheck) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "PORTAL\tACCOUNT\tRESULT")
	for i := range checks {
		c := &checks[i]
		account, result := "-", "ok"
		if c.Portal != 0 {
			account = fmt.Sprint(c.Portal)
		}
		if !c.OK {
			result = cmp.Or(strings.Join(c.Problems, "\n\t\t"), "wrong")
			if c.Todo != "" {
				result += "\n\t\t-> " + c.Todo
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", c.Name, account, result)
	}
	return t.Flush()
}
