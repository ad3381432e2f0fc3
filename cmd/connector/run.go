package main

import (
	"context"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hubspot-cdc/connector/pkg/connector"
)

func runCommand() *cobra.Command {
	return &cobra.Command{
		Use: "run", Short: "follow the portal that the environment names, until it is told to stop",
		Long: "Environment:\n" + variablesHelp(), Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return run(c.Context(), c.ErrOrStderr()) },
	}
}

func run(ctx context.Context, stderr io.Writer) error {
	boundMemory()
	s, err := load()
	if err != nil {
		return err
	}
	log := s.log.logger(stderr)
	slog.SetDefault(log) // for Go's own packages: their lines would be of another form
	sayUnknown(log)
	c, err := connector.New(s.connector, connector.Options{Logger: log, Version: version(), Loaded: boundProcessors})
	if err != nil {
		return err
	}
	return c.Run(ctx)
}

// sayUnknown warns of variables that seem to be meant for this program.
func sayUnknown(log *slog.Logger) {
	all := unknown()
	if len(all) == 0 {
		return
	}
	names := make([]string, len(all))
	for i, one := range all {
		names[i] = one.String()
	}
	log.Warn("this version does not know these variables and ignores them; see connector run -h", "variables", strings.Join(names, ", "))
}
