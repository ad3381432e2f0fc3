package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/connector/verify"
)

// These end the command with exit code 1, after the report.
var (
	errInterrupted = errors.New("connector verify: interrupted; the same command begins again. To go on after an interruption, give --resume FILE from the start")
	errDifferent   = errors.New("connector verify: HubSpot and the topics differ")
	errUnfinished  = errors.New("connector verify: not everything could be compared")
)

// verifyCommand compares HubSpot with the topics.
func verifyCommand() *cobra.Command {
	v := &verification{}
	c := &cobra.Command{
		Use: "verify", Short: "compare what HubSpot has with what a consumer of the topics has, key by key", Args: cobra.NoArgs,
		Long: `It compares every record, association and entry of a list. It may run beside the
connector, or without it: it only reads. The environment is that of connector run.

What differs is looked at again on both sides, until it has stood for as long as a
change may be under way: a few seconds if no connector runs, else up to ten minutes.
Standard error names each topic that is finished. If interrupted, it writes the table of
these; with --resume FILE, the same command goes on with the others.

Exit code: 0 equal, 1 different, or not compared to the end, 2 the configuration is
wrong.
`,
		RunE: func(c *cobra.Command, _ []string) error {
			boundMemory()
			s, err := load()
			if err != nil {
				return err
			}
			if s.log.Level == usualLog.Level { // what is away is said, and what goes well is not
				s.log.Level = "warn"
			}
			setup, err := connector.Prepare(s.connector, connector.Options{Logger: s.log.logger(c.ErrOrStderr()), Version: version()})
			if err != nil {
				return err
			}
			return v.run(c.Context(), setup, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	listFlag(c, "object", "only the object type `NAME`, a pair (contacts:companies) or owners, pipelines, pipeline_stages; may be repeated", &v.options.Objects)
	c.Flags().BoolVar(&v.fix, "fix", false, "ask the running connector, by signals, to publish what differs again")
	c.Flags().StringVar(&v.notes, "resume", "", "note finished topics in `FILE`, and skip those that an interrupted run has noted there")
	c.Flags().BoolVar(&v.json, "json", false, "write one JSON object instead of a table")
	return c
}

// verification is what the flags of connector verify say.
type verification struct {
	options   verify.Options
	fix, json bool
	notes     string
}

func (v *verification) run(ctx context.Context, setup *connector.Setup, stdout, stderr io.Writer) (err error) {
	if v.notes != "" {
		if v.options.Notes, err = verify.OpenNotes(v.notes); err != nil {
			return fmt.Errorf("connector verify: %w", err)
		}
	}
	// What a comparison keeps is little beside what the pages that it reads leave behind.
	defer debug.SetGCPercent(debug.SetGCPercent(25))
	line := &progress{out: stderr, terminal: terminal(stderr)}
	v.options.Progress = line.show
	report, err := verify.Run(ctx, setup, v.options)
	line.clear()
	interrupted := err != nil && ctx.Err() != nil
	if err != nil && !interrupted {
		return fmt.Errorf("connector verify: %w", err)
	}
	if v.json {
		err = report.WriteJSON(stdout)
		fmt.Fprint(stderr, report.Notes())
	} else {
		err = report.WriteTable(stdout, v.fix)
	}
	switch {
	case err != nil || report.Equal:
		return err
	case interrupted && v.notes != "":
		return fmt.Errorf("connector verify: interrupted; the same command, with --resume %s, goes on with the rest", v.notes)
	case interrupted:
		return errInterrupted
	}
	if v.fix {
		sent, byHand, err := report.Fix(ctx, setup)
		if err != nil {
			return fmt.Errorf("connector verify --fix: %w", err)
		}
		if sent > 0 {
			fmt.Fprintf(stderr, "asked the connector to publish these keys again, or to delete what it has published and HubSpot does not have (signals sent: %d); compare again when it has\n", sent)
		} else {
			fmt.Fprintln(stderr, "asked the connector for nothing: no key that a signal can name is known to differ")
		}
		if len(byHand) > 0 {
			fmt.Fprintln(stderr, "no signal can name these keys; each needs a tombstone of yours (docs/operations.md#verify):")
		}
		for _, key := range byHand {
			fmt.Fprintln(stderr, " ", visible(key))
		}
	}
	if report.Failed() {
		return errUnfinished
	}
	return errDifferent
}

// progress is what standard error shows before the report: on a terminal a line that is
// written over again and again, else a line when a topic is finished, and one when its
// suspects are looked at again.
type progress struct {
	out      io.Writer
	terminal bool
	last     time.Time // when the terminal's line was written
	again    string    // the topic whose suspects are known to be looked at again
}

func (l *progress) show(p verify.Progress) {
	usual := p.Suspects == 0 && p.End == ""
	switch {
	case l.terminal && usual && time.Since(l.last) < 200*time.Millisecond:
	case l.terminal:
		l.last = time.Now()
		fmt.Fprintf(l.out, "\r\x1b[K%s", p)
	case p.End != "":
		fmt.Fprintln(l.out, p)
	case p.Suspects > 0 && p.Topic != l.again:
		l.again = p.Topic
		fmt.Fprintln(l.out, p)
	}
}

func (l *progress) clear() {
	if !l.last.IsZero() {
		fmt.Fprint(l.out, "\r\x1b[K")
	}
}
