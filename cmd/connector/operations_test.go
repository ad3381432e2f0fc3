package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/connector"
)

// blocks are the lines that a text sets as blocks of code.
func blocks(text string) (lines []string) {
	for i, part := range strings.Split(text, "```") {
		if i%2 == 1 {
			for line := range strings.Lines(strings.ReplaceAll(part, "\\\n", " ")) {
				lines = append(lines, strings.TrimRight(line, "\n"))
			}
		}
	}
	return lines
}

// typed is a command on a page: variables, the program, its arguments.
var typed = regexp.MustCompile(`^\s*(?:\$ )?((?:[A-Z_]+=\S+ )*)(?:\./)?connector((?: [^#|>]*)?)`)

// understood is the error of a command with its flags and arguments, which it does not
// run. The name of one that leads to others is understood.
func understood(args []string) error {
	c, rest, err := commands(io.Discard, io.Discard).Find(args)
	if err != nil {
		return err
	}
	c.InitDefaultHelpFlag()
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	if c.HasSubCommands() && c.Flags().NArg() > 0 {
		return fmt.Errorf("%s has no command %s", c.CommandPath(), c.Flags().Arg(0))
	}
	return c.ValidateArgs(c.Flags().Args())
}

// TestPages_NameCommandsThatThereAre: what an operator copies from the pages is
// understood, with its flags.
func TestPages_NameCommandsThatThereAre(t *testing.T) {
	n := 0
	for _, name := range []string{"../../README.md", operationsPage, "../../docs/containers.md", "../../SECURITY.md"} {
		text := page(t, name)
		commands := blocks(text)
		for line := range strings.Lines(text) {
			commands = append(commands, spans(line)...)
		}
		for _, one := range commands {
			match := typed.FindStringSubmatch(one)
			if match == nil || strings.ContainsAny(match[2], "[…") {
				continue
			}
			args := strings.Fields(match[2])
			if len(args) == 0 || !regexp.MustCompile(`^[a-z-]+$`).MatchString(args[0]) || one == "connector starts" {
				continue // the program, a sentence, a line of the log
			}
			n++
			if err := understood(args); err != nil {
				t.Errorf("%s: %q: %v", name, one, err)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d commands were found", n)
	}
}

// TestOperations_ExitCodes: the page shows what a wrong environment is answered with.
func TestOperations_ExitCodes(t *testing.T) {
	lines := blocks(section(t, "Exit codes"))
	at := slices.IndexFunc(lines, func(line string) bool { return strings.HasSuffix(line, "connector run") })
	if at < 0 {
		t.Fatal("the page shows no connector run")
	}
	match := typed.FindStringSubmatch(lines[at])
	environment(t, strings.Fields(match[1])...)
	code, stdout, stderr := said(t, "run")
	if want := strings.Join(lines[at+1:], "\n") + "\n"; code != connector.ExitConfig || stdout != "" || strings.TrimSpace(stderr) != strings.TrimSpace(want) {
		t.Errorf("exit code %d, the page has\n%s\nit says\n%s", code, want, stderr)
	}
}
