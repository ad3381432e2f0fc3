package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/connector/check"
)

// checkError ends the command with an exit code of its own, after the report.
type checkError struct {
	code int
	text string
}

func (e *checkError) Error() string { return e.text }

func checkCommand() *cobra.Command {
	var asJSON bool
	var journal check.Journal
	c := &cobra.Command{
		Use: "check", Short: "check everything that run needs, and say what to do about problems", Args: cobra.NoArgs,
		Long: `It plans topics, backfill and calls too. It reads only. The environment is that
of connector run.

--journal shows the app's subscriptions, as they are and as a run would make
them, the newest entry with its age, and its file. Only --subscribe changes
anything.

Exit code: 0 a run would work, 1 something is wrong, 2 the configuration is
wrong, 3 a run would refuse to start.
`,
		RunE: func(c *cobra.Command, _ []string) error {
			if journal.Subscribe && !journal.Probe {
				return miscalled("--subscribe needs --journal")
			}
			return runCheck(c.Context(), connector.Options{Logger: slog.New(slog.DiscardHandler), Version: version()}, journal, asJSON, c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "write one JSON object instead of a table")
	c.Flags().BoolVar(&journal.Probe, "journal", false, "look at the webhooks journal closely")
	c.Flags().BoolVar(&journal.Subscribe, "subscribe", false, "with --journal, make the subscriptions that are missing")
	return c
}

// runCheck checks, writes the report, and returns an error if a run would not
// work.
func runCheck(ctx context.Context, o connector.Options, journal check.Journal, asJSON bool, stdout io.Writer) error {
	s, err := load()
	if err != nil {
		return err
	}
	setup, err := connector.Prepare(s.connector, o)
	if err != nil {
		return err
	}
	var more []check.Finding
	for _, one := range unknown() {
		f := check.Finding{Area: areaOf(cmp.Or(one.meant, one.name)), Check: "environment", Subject: one.name, Status: check.Warn,
			Found: "this version does not know the variable", Todo: []string{"check the spelling: connector run -h lists the variables"}}
		if one.meant != "" {
			f.Todo = []string{"did you mean " + one.meant + "?"}
		}
		more = append(more, f)
	}
	report := check.Run(ctx, setup, journal, more...)
	if ctx.Err() != nil { // what was not answered by then is no problem
		return errors.New("connector check: interrupted, so nothing is known; run it again")
	}
	if asJSON {
		err = report.WriteJSON(stdout)
	} else {
		err = report.WriteTable(stdout, colours(stdout))
	}
	if err == nil && !report.OK {
		text := fmt.Sprintf("connector check: problems: %d", report.Failed())
		if report.Code == connector.ExitRefused {
			text = fmt.Sprintf("connector check: a run would refuse to start; problems: %d", report.Failed())
		}
		err = &checkError{report.Code, text}
	}
	return err
}

// areaOf is the part of a check's table for a variable.
func areaOf(variable string) string {
	switch {
	case strings.HasPrefix(variable, "KAFKA_"):
		return "kafka"
	case strings.HasPrefix(variable, "SCHEMA_REGISTRY_"):
		return "registry"
	}
	return "hubspot"
}
