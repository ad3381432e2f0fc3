package main

import (
	"context"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/fleet"
)

// fleetPortalCommand is connector fleet portal.
func fleetPortalCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "portal NAME COMMAND [ARGUMENT]...", Short: "run another command for one portal of a fleet",
		Long: `COMMAND is any other command of connector. It gets the variables of the file NAME.env in FLEET_DIR,
over those of the environment, and the portal's prefix. For example:

  connector fleet portal acme check
  connector fleet portal acme verify --json
  connector fleet portal acme snapshot contacts

Exit code: that of COMMAND; 2 if there is no such file, or it is wrong.
`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return miscalled("the name of a portal and a command are needed")
			}
			return runForPortal(c.Context(), args[0], args[1:], c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().SetInterspersed(false) // those after NAME are of COMMAND
	return c
}

// runForPortal runs a command with the environment of a portal. The process keeps it.
func runForPortal(ctx context.Context, name string, args []string, stdout, stderr io.Writer) error {
	if args[0] == "fleet" { // all others would be below this one's prefix, and have its variables
		return misused("fleet is about all portals, and no command for one")
	}
	files, err := folder()
	if err != nil {
		return err
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	i := slices.Index(names, name)
	if i < 0 {
		return misused("FLEET_DIR has no portal %q%s", name, didYouMean(name, names, ""))
	}
	f := &files[i]
	if err := enter(f, portal(f)); err != nil {
		return err
	}
	if args, err = statusOf(name, args); err != nil {
		return err
	}
	if code := command(ctx, args, stdout, stderr); code != connector.ExitOK {
		return &exited{code}
	}
	return nil
}

// statusOf adds to connector status where the portal's page is, unless it says where to
// ask: HTTP_ADDR is that of the instance.
func statusOf(name string, args []string) ([]string, error) {
	if args[0] != "status" || slices.ContainsFunc(args[1:], func(arg string) bool { return !strings.HasPrefix(arg, "-") }) {
		return args, nil
	}
	instance, err := statusURL(nil)
	return append(slices.Clone(args), strings.TrimSuffix(instance, "/status")+"/portals/"+name), err
}

// enter makes the environment that of a portal.
func enter(f *fleet.File, cfg connector.Config) error {
	if len(f.Problems) > 0 {
		wrong := &connector.ConfigError{}
		for _, p := range f.Problems {
			wrong.Problems = append(wrong.Problems, f.Where(p))
		}
		return wrong
	}
	for _, name := range overruled(f) {
		if err := os.Unsetenv(name); err != nil {
			return err
		}
	}
	for _, line := range append(slices.Clone(f.Lines), fleet.Line{Variable: "KAFKA_TOPIC_PREFIX", Value: cfg.Kafka.TopicPrefix}) {
		if line.Value == "" {
			continue
		}
		if err := os.Setenv(line.Variable, line.Value); err != nil {
			return err
		}
	}
	return nil
}

// exited is the exit code of a command that has said itself why.
type exited struct{ code int }

func (*exited) Error() string { return "the command failed" }
