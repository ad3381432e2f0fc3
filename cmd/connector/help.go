package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

const about = "connector publishes every change of a HubSpot portal into Kafka.\n"

// helpCommand explains a command, or lists all of them.
func helpCommand() *subcommand {
	return &subcommand{
		name: "help", brief: "list the commands, or explain one", usage: []string{"[COMMAND]"}, most: -1,
		run: func(_ context.Context, in call) error {
			if len(in.args) == 0 {
				return overview(in.stdout)
			}
			c, err := find(in.args[0])
			if err != nil {
				return err
			}
			return c.explain(in.stdout)
		},
	}
}

// overview lists the commands.
func overview(w io.Writer) error {
	fmt.Fprintf(w, "%s\nUsage:\n\n", about)
	t := tabwriter.NewWriter(w, 0, 8, 4, ' ', 0)
	for _, c := range subcommands() {
		fmt.Fprintf(t, "\tconnector %s\t%s\n", c.name, c.brief)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprint(w, "\n\"connector help COMMAND\" explains a command, \"connector help run\" lists the environment variables.\n")
	return err
}

// lines are the ways to call a command, each with what that does if the command
// has several.
func (c *subcommand) lines() (lines []string) {
	for _, v := range c.verbs {
		lines = append(lines, strings.TrimRight("connector "+c.name+" "+v.name+" "+v.usage, " ")+"\t"+v.brief)
	}
	for _, u := range c.usage {
		lines = append(lines, strings.TrimRight("connector "+c.name+" "+u, " "))
	}
	return lines
}

// synopsis is what stands below the message of a call that was wrong.
func (c *subcommand) synopsis() string {
	var ways []string
	for _, line := range c.lines() {
		way, _, _ := strings.Cut(line, "\t")
		ways = append(ways, way)
	}
	return "usage: " + strings.Join(ways, "\n       ") + "\nconnector help " + c.name + " says more"
}

// dashed is a flag as people write it.
func dashed(f *flag.Flag) string {
	if len(f.Name) == 1 {
		return "-" + f.Name
	}
	return "--" + f.Name
}

// explain writes the help of one command.
func (c *subcommand) explain(w io.Writer) error {
	fmt.Fprintf(w, "connector %s: %s\n\nUsage:\n\n", c.name, c.brief)
	t := tabwriter.NewWriter(w, 0, 8, 4, ' ', 0)
	for _, line := range c.lines() {
		fmt.Fprintf(t, "\t%s\n", line)
	}
	first := true
	c.flags.VisitAll(func(f *flag.Flag) {
		if first {
			fmt.Fprint(t, "\nFlags:\n\n")
		}
		first = false
		value, text := flag.UnquoteUsage(f)
		fmt.Fprintf(t, "\t%s\t%s\n", strings.TrimSpace(dashed(f)+" "+value), text)
	})
	if err := t.Flush(); err != nil {
		return err
	}
	if c.help == "" {
		return nil
	}
	_, err := fmt.Fprintf(w, "\n%s", c.help)
	return err
}
