package main

import (
	"context"
	"log/slog"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/connector"
)

func runCommand() *subcommand {
	return &subcommand{
		name: "run", brief: "follow the portal that the environment names, until it is told to stop",
		usage: []string{""}, help: "Environment:\n" + variablesHelp(), logs: true, run: run,
	}
}

func run(ctx context.Context, in call) error {
	boundMemory()
	s, err := load()
	if err != nil {
		return err
	}
	log := s.log.logger(in.stderr)
	slog.SetDefault(log) // for Go's own packages: their lines would be of another form
	if all := unknown(); len(all) > 0 {
		names := make([]string, len(all))
		for i, one := range all {
			names[i] = one.String()
		}
		log.Warn("this version does not know these variables and ignores them; see connector run -h", "variables", strings.Join(names, ", "))
	}
	c, err := connector.New(s.connector, connector.Options{Logger: log, Version: version()})
	if err != nil {
		return err
	}
	return c.Run(ctx)
}
