package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/connector/check"
)

// checkError ends the command with an exit code of its own, after the report.
type checkError struct{ code, problems int }

func (e *checkError) Error() string {
	if e.code == connector.ExitRefused {
		return fmt.Sprintf("connector check: a run would refuse to start; problems: %d", e.problems)
	}
	return fmt.Sprintf("connector check: problems: %d", e.problems)
}

func checkCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(stderr)
	asJSON := flags.Bool("json", false, "write one JSON object instead of a table")
	var journal check.Journal
	flags.BoolVar(&journal.Probe, "journal", false, "look at the webhooks journal closely")
	flags.BoolVar(&journal.Subscribe, "subscribe", false, "with --journal, make the subscriptions that are missing")
	flags.Usage = func() {
		fmt.Fprint(stdout, `usage: connector check [--json] [--journal [--subscribe]]

Looks at everything that connector run needs, says what to do about what is
wrong, and plans topics, backfill and calls. It reads only. The environment is
that of connector run.

--journal looks at the webhooks journal closely: the app's subscriptions, as they
are and as a run would make them, the newest entry with its age, and its file.
--subscribe makes the subscriptions that are missing; nothing else changes anything.

Exit code: 0 a run would work, 1 something is wrong, 2 the configuration is
wrong, 3 a run would refuse to start.
`)
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil || flags.NArg() > 0 || journal.Subscribe && !journal.Probe {
		return misused("usage: connector check [--json] [--journal [--subscribe]]")
	}
	return runCheck(ctx, connector.Options{Logger: slog.New(slog.DiscardHandler), Version: version()}, journal, *asJSON, stdout)
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
		f := check.Finding{Area: areaOf(one.name), Check: "environment", Subject: one.name, Status: check.Warn,
			Found: "this version does not know the variable", Todo: []string{"check the spelling: connector run -h lists the variables"}}
		if one.meant != "" {
			f.Todo = []string{"did you mean " + one.meant + "?"}
		}
		more = append(more, f)
	}
	report := check.Run(ctx, setup, journal, more...)
	if asJSON {
		err = report.WriteJSON(stdout)
	} else {
		err = report.WriteTable(stdout, colours(stdout))
	}
	if err == nil && !report.OK {
		err = &checkError{report.Code, report.Failed()}
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
