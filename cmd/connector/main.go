// Command connector publishes every change of a HubSpot portal into Kafka.
//
// It decides who starts and stops what: commands, configuration, signals, the
// HTTP server, and the loop that begins a run anew after a failure. What a run
// does is in pkg/stream, pkg/cdc and pkg/sink.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Exit codes, on which service managers rely (DESIGN section 7).
const (
	exitOK      = 0
	exitFailed  = 1
	exitConfig  = 2
	exitRefused = 3
)

const usage = `connector publishes every change of a HubSpot portal into Kafka.

Usage:

	connector run        follow the portal that the environment names
	connector check      look at everything that run needs, and say what to do about it
	connector demo       show it all with a simulated portal and an embedded Kafka; with --portal ADDRESS, the portal alone
	connector offsets    show the cursors, move them, forget them
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
		return exitConfig
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
	case "tail":
		err = tailCommand(ctx, args[1:], stdout, stderr)
	case "version":
		_, err = fmt.Fprintln(stdout, "connector", version())
	case "help", "-h", "--help":
		_, err = fmt.Fprint(stdout, usage)
	default:
		err = &configError{problems: []string{fmt.Sprintf("there is no command %q; see connector help", args[0])}}
	}
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, err)
	return exitCode(err)
}

func exitCode(err error) int {
	var config *configError
	var refusal *offsets.Refusal
	var checked *checkError
	switch {
	case errors.As(err, &checked):
		return checked.code
	case errors.As(err, &config):
		return exitConfig
	case errors.As(err, &refusal):
		return exitRefused
	default:
		return exitFailed
	}
}
