package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// subcommand is a word that may follow "connector". The help, the completion and
// the guesses at mistyped words are made from it, so a new command needs only its
// line in subcommands.
type subcommand struct {
	name  string
	brief string   // what it does, in the list of commands
	usage []string // what may follow the name, a line each; not needed where verbs are
	verbs []verb   // one of them has to follow the name
	most  int      // how many arguments it takes, besides flags and a verb; -1: any number
	flags flag.FlagSet
	help  string // after usage and flags
	logs  bool   // its errors go where its log goes, in the same form
	run   func(context.Context, call) error
}

// verb is what a command with several actions does.
type verb struct {
	name  string
	usage string // what may follow it
	brief string
	most  int // how many arguments it takes
}

// call is what a command is run with.
type call struct {
	args           []string // without the flags; a verb comes first
	stdin          io.Reader
	stdout, stderr io.Writer
}

// subcommands are all commands, in the order of the help. Each call makes new
// ones, because a command is bound to the values of its flags.
func subcommands() []*subcommand {
	return []*subcommand{
		runCommand(), checkCommand(), demoCommand(), statusCommand(), verifyCommand(), offsetsCommand(),
		signalCommand(), snapshotCommand(), journalCommand(), tailCommand(),
		completionCommand(), versionCommand(), helpCommand(),
	}
}

// find gives the command of a name, or the error that guesses at it.
func find(name string) (*subcommand, error) {
	all := subcommands()
	var names []string
	for _, c := range all {
		if c.name == name {
			return c, nil
		}
		names = append(names, c.name)
	}
	return nil, misused("there is no command %q%s; connector help lists them", name, didYouMean(name, names, ""))
}

// start parses the arguments and runs the command.
func (c *subcommand) start(ctx context.Context, in call) error {
	args, err := c.parse(in.args)
	if errors.Is(err, flag.ErrHelp) {
		return c.explain(in.stdout)
	}
	if err == nil {
		in.args = args
		err = c.run(ctx, in)
	}
	var wrong *misuse
	if errors.As(err, &wrong) && wrong.calling {
		return misused("connector %s: %s\n%s", c.name, wrong.text, c.synopsis())
	}
	return err
}

// parse reads flags, which may stand anywhere, and checks the other arguments.
func (c *subcommand) parse(args []string) (rest []string, err error) {
	c.flags.SetOutput(io.Discard)
	c.flags.Usage = func() {}
	for {
		if err := c.flags.Parse(args); err != nil {
			return nil, c.mistyped(err)
		}
		if args = c.flags.Args(); len(args) == 0 {
			break
		}
		rest, args = append(rest, args[0]), args[1:]
	}
	most, words := c.most, rest
	if len(c.verbs) > 0 {
		v, err := c.verb(rest)
		if err != nil {
			return nil, err
		}
		most, words = v.most, rest[1:]
	}
	if most >= 0 && len(words) > most {
		return nil, miscalled("%q is one argument too many", words[most])
	}
	return rest, nil
}

// verb finds the verb that an argument names.
func (c *subcommand) verb(args []string) (verb, error) {
	var names []string
	for _, v := range c.verbs {
		if len(args) > 0 && v.name == args[0] {
			return v, nil
		}
		names = append(names, v.name)
	}
	switch {
	case len(args) == 0:
		return verb{}, miscalled("it needs one of %s", strings.Join(names, ", "))
	case args[0] == "help":
		return verb{}, flag.ErrHelp
	}
	return verb{}, miscalled("there is no %q%s", args[0], didYouMean(args[0], names, ""))
}

// mistyped adds to the error of an unknown flag which one may be meant.
func (c *subcommand) mistyped(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return miscalled("%v", err)
	}
	name = strings.TrimLeft(name, "-")
	var names []string
	c.flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return miscalled("there is no flag --%s%s", name, didYouMean(name, names, "--"))
}

// didYouMean is the guess at a mistyped word, as the end of a message.
func didYouMean(word string, known []string, before string) string {
	const enough = 3 // letters of a beginning
	for _, k := range known {
		if len(word) >= enough && strings.HasPrefix(k, word) {
			return fmt.Sprintf("; did you mean %s%s?", before, k)
		}
	}
	if near := nearest(word, slices.DeleteFunc(slices.Clone(known), func(k string) bool { return len(k) < enough })); near != "" {
		return fmt.Sprintf("; did you mean %s%s?", before, near)
	}
	return ""
}
