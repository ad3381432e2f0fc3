// Command connector publishes every change of a HubSpot portal into Kafka.
//
// The command reads the arguments and the environment. What a run decides and
// does is in pkg/connector and below.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/hubspot-cdc/connector/pkg/connector"
)

const usage = `connector publishes every change of a HubSpot portal into Kafka.

Usage:

	connector run        follow the portal that the environment names
	connector check      check everything that run needs, and say what to do about problems
	connector demo       show it all with a simulated portal and an embedded Kafka; with --portal ADDRESS, only the portal
	connector offsets    show the cursors, move them, forget them
	connector journal    show what HubSpot writes into the app's webhooks journal, remove it
	connector tail       print the records of the topics, decoded
	connector version    print the version

"connector run -h" lists the environment variables.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return connector.ExitConfig
	}
	var err error
	switch args[0] {
	case "run":
		err = runCommand(ctx, args[1:], stdout, stderr)
	case "check":
		err = checkCommand(ctx, args[1:], stdout, stderr)
	case "demo":
		err = demoCommand(ctx, args[1:], stdout, stderr)
	case "offsets":
		err = offsetsCommand(ctx, args[1:], os.Stdin, stdout, stderr)
	case "journal":
		err = journalCommand(ctx, args[1:], connector.Options{}, stdout, stderr)
	case "tail":
		err = tailCommand(ctx, args[1:], stdout)
	case "version":
		_, err = fmt.Fprintln(stdout, "connector", version())
	case "help", "-h", "--help":
		_, err = fmt.Fprint(stdout, usage)
	default:
		err = misused("there is no command %q; see connector help", args[0])
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
	}
	var checked *checkError
	if errors.As(err, &checked) {
		return checked.code
	}
	return connector.ExitCode(err)
}

// misused is the error of a command that was called in a way it does not know.
func misused(format string, args ...any) error {
	return &connector.ConfigError{Problems: []string{fmt.Sprintf(format, args...)}}
}
