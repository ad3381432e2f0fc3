// Command connector publishes every change of a HubSpot portal into Kafka.
//
// The command reads the arguments and the environment. What a run decides and
// does is in pkg/connector and below.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hubspot-cdc/connector/pkg/connector"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// A second signal kills a command that does not heed the first. One that comes at once
	// is the same: timeout(1) sends two.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// command runs the command that the arguments name, and gives the exit code.
// Standard output has what was asked for, standard error has what went wrong.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root, called := commands(stdout, stderr), false
	// An error before this is one of flags or arguments: cobra's have no type of their own.
	root.PersistentPreRun = func(*cobra.Command, []string) { called = true }
	root.SetArgs(append([]string{}, args...)) // nil would be those of the process
	c, err := root.ExecuteContextC(ctx)
	var wrong *misuse
	if err != nil && !called || errors.As(err, &wrong) && wrong.calling {
		if c.Name() == "help" { // of a command that does not exist
			c = root
		}
		err = misused("%s: %v\nsee %s", c.CommandPath(), err, strings.Replace(c.CommandPath(), root.Name(), root.Name()+" help", 1))
	}
	var nested *exited
	switch {
	case err == nil:
	case errors.As(err, &nested):
		return nested.code
	case c.Name() == "run", c.Name() == "fleet": // those with a log
		complain(stderr, err)
	default:
		fmt.Fprintln(stderr, err)
	}
	var checked *checkError
	if errors.As(err, &checked) {
		return checked.code
	}
	return connector.ExitCode(err)
}

// commands are all commands, below the one that leads to them. Each call makes new
// ones, because a command is bound to the values of its flags.
func commands(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use: "connector", Short: "publish every change of a HubSpot portal into Kafka", Version: thisBuild().String(),
		Long:         `"connector help run" lists the environment variables.`,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetHelpTemplate("{{.CommandPath}}: {{.Short}}\n\n{{.UsageString}}{{with .Long}}\n{{. | trimTrailingWhitespaces}}\n{{end}}")
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(mistyped)
	root.AddCommand(runCommand(), checkCommand(), demoCommand(), statusCommand(), verifyCommand(), offsetsCommand(),
		signalCommand(), snapshotCommand(), journalCommand(), tailCommand(), fleetCommand(), versionCommand())
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, c := range append([]*cobra.Command{root}, root.Commands()...) {
		switch {
		case c.HasSubCommands() && !c.Runnable():
			c.Args, c.RunE = cobra.ArbitraryArgs, lead
		case c.Name() == "help": // cobra's own answers a wrong name with the list, and exit code 0
			c.Args = func(_ *cobra.Command, args []string) error {
				c, rest, err := root.Find(args)
				if err == nil && c.HasSubCommands() && len(rest) > 0 {
					err = lead(c, rest)
				}
				return err
			}
		}
	}
	return root
}

// lead is what a command does that only leads to others.
func lead(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return miscalled("a command is needed\n\n%s", c.UsageString())
	}
	if args[0] == "help" {
		return pflag.ErrHelp
	}
	var names []string
	for _, one := range c.Commands() {
		names = append(names, one.Name())
	}
	return miscalled("there is no command %q%s", args[0], didYouMean(args[0], names, ""))
}

// mistyped adds to the error of an unknown flag which one may be meant.
func mistyped(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	switch {
	case !errors.As(err, &unknown):
		return err
	case c.HasSubCommands() && c.Flags().NArg() > 0: // it may be one of a mistyped command
		return lead(c, c.Flags().Args())
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return fmt.Errorf("%w%s", err, didYouMean(cmp.Or(unknown.GetSpecifiedShortnames(), unknown.GetSpecifiedName()), names, "--"))
}

// misuse is a call of a command that does not make sense.
type misuse struct {
	text    string
	calling bool // the message has to say where the call is explained
}

func (m *misuse) Error() string { return m.text }

// Unwrap makes its exit code that of a wrong configuration.
func (m *misuse) Unwrap() error { return &connector.ConfigError{Problems: []string{m.text}} }

// misused is the error of a command that asks for what is not there.
func misused(format string, args ...any) error {
	return &misuse{text: fmt.Sprintf(format, args...)}
}

// miscalled is the error of a command with arguments that it does not take.
func miscalled(format string, args ...any) error {
	return &misuse{fmt.Sprintf(format, args...), true}
}
