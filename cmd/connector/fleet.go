package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/fleet"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// fleetCommand is connector fleet.
func fleetCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "fleet", Short: "many portals: a folder with a file for each",
		Long: `FLEET_DIR names the folder. The portal NAME has the file NAME.env (small letters, digits and -),
with lines VARIABLE=value: the variables of connector run, over those of the environment. Give
secrets as files (HUBSPOT_ACCESS_TOKEN_FILE). Empty lines, and lines that begin with #, say nothing.
A value is neither quoted nor expanded. The portal's topics begin with KAFKA_TOPIC_PREFIX.NAME.
`,
	}
	c.AddCommand(fleetCheckCommand())
	return c
}

func fleetCheckCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "check", Short: "check every portal's file and token", Args: cobra.NoArgs,
		Long: `It asks HubSpot once for each portal, and nobody else. For everything that a run of one portal needs,
run connector check with the variables of its file.

Exit code: 0 all is well, 1 HubSpot refuses a token or does not answer, 2 a file is wrong, or two
portals are the same HubSpot account.
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

// folder reads the fleet's folder.
func folder() ([]fleet.File, error) {
	const variable = "FLEET_DIR"
	tidy(defaults())
	dir := strings.TrimSpace(os.Getenv(variable))
	if dir == "" {
		return nil, &connector.ConfigError{Problems: []string{variable + ": is not set; it names the folder with the portals' files"}}
	}
	files, err := fleet.Read(dir)
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there is no NAME.env in %s", dir)
	}
	if err != nil {
		return nil, &connector.ConfigError{Problems: []string{variable + ": " + err.Error()}}
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
