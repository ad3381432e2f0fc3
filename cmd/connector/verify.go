package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/connector/verify"
)

// These end the command with exit code 1, after the report.
var (
	errDifferent  = errors.New("connector verify: HubSpot and the topics differ")
	errUnfinished = errors.New("connector verify: not everything could be compared")
)

// verifyCommand compares HubSpot with the topics.
func verifyCommand() *subcommand {
	v := &verification{}
	c := &subcommand{
		name: "verify", brief: "compare what HubSpot has with what a consumer of the topics has, key by key",
		usage: []string{"[--object NAME ...] [--fix] [--json] [--resume FILE]"},
		help: `It compares every record, association and entry of a list. It may run beside the
connector, or without it: it only reads. The environment is that of connector run.

What differs is looked at again on both sides, until it has stood for as long as a
change may be under way: a few seconds if no connector runs, else up to ten minutes.

Exit code: 0 equal, 1 different, or not compared to the end, 2 the configuration is
wrong.
`,
		run: func(ctx context.Context, in call) error {
			boundMemory()
			s, err := load()
			if err != nil {
				return err
			}
			if s.log.Level == usualLog.Level { // what is away is said, and what goes well is not
				s.log.Level = "warn"
			}
			setup, err := connector.Prepare(s.connector, connector.Options{Logger: s.log.logger(in.stderr), Version: version()})
			if err != nil {
				return err
			}
			return v.run(ctx, setup, in)
		},
	}
	c.flags.Func("object", "only the object type `NAME`, a pair (contacts:companies) or owners, pipelines, pipeline_stages; may be repeated", func(text string) error {
		v.options.Objects = append(v.options.Objects, strings.Split(text, ",")...)
		return nil
	})
	c.flags.BoolVar(&v.fix, "fix", false, "ask the running connector, by signals, to publish what differs again")
	c.flags.StringVar(&v.notes, "resume", "", "note finished topics in `FILE`, and skip those that an interrupted run has noted there")
	c.flags.BoolVar(&v.json, "json", false, "write one JSON object instead of a table")
	return c
}

// verification is what the flags of connector verify say.
type verification struct {
	options   verify.Options
	fix, json bool
	notes     string
}

func (v *verification) run(ctx context.Context, setup *connector.Setup, in call) (err error) {
	if v.notes != "" {
		if v.options.Notes, err = verify.OpenNotes(v.notes); err != nil {
			return fmt.Errorf("connector verify: %w", err)
		}
	}
	// What a comparison keeps is little beside what the pages that it reads leave behind.
	defer debug.SetGCPercent(debug.SetGCPercent(25))
	line := &progressLine{out: in.stderr}
	if terminal(in.stderr) {
		v.options.Progress = line.show
	}
	report, err := verify.Run(ctx, setup, v.options)
	line.clear()
	if err != nil {
		return fmt.Errorf("connector verify: %w", err)
	}
	if v.json {
		err = report.WriteJSON(in.stdout)
		fmt.Fprint(in.stderr, report.Notes())
	} else {
		err = report.WriteTable(in.stdout)
	}
	if err != nil || report.Equal {
		return err
	}
	if v.fix {
		sent, err := report.Fix(ctx, setup)
		if err != nil {
			return fmt.Errorf("connector verify --fix: %w", err)
		}
		fmt.Fprintf(in.stderr, "asked the connector, by %d signals, to publish these keys again; compare again when it has\n", sent)
	}
	if report.Failed() {
		return errUnfinished
	}
	return errDifferent
}

// progressLine is a line on a terminal that is written over again and again.
type progressLine struct {
	out  io.Writer
	last time.Time
}

func (l *progressLine) show(p verify.Progress) {
	if time.Since(l.last) < 200*time.Millisecond && p.Suspects == 0 {
		return
	}
	l.last = time.Now()
	text := fmt.Sprintf("%s: %d of about %d compared", p.Topic, p.Done, max(p.Done, p.Of))
	if p.Suspects > 0 {
		text = fmt.Sprintf("%s: looking again at %d keys that differ", p.Topic, p.Suspects)
	}
	fmt.Fprintf(l.out, "\r\x1b[K%s", text)
}

func (l *progressLine) clear() {
	if !l.last.IsZero() {
		fmt.Fprint(l.out, "\r\x1b[K")
	}
}
