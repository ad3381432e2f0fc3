package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/connector"
)

func runCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stdout, "connector run follows a HubSpot portal until it is told to stop. Environment:")
		_ = printVariables(stdout)
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil || flags.NArg() > 0 {
		return misused("connector run takes no arguments; it is configured by the environment, see connector run -h")
	}
	boundMemory()
	s, err := load()
	if err != nil {
		return err
	}
	log := s.log.logger(stderr)
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
