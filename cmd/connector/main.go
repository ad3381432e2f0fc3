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

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// command runs the command that the arguments name, and gives the exit code.
// Standard output has what was asked for, standard error has what went wrong.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	in := call{stdin: os.Stdin, stdout: stdout, stderr: stderr}
	if len(args) == 0 {
		_ = overview(stderr) // there is nowhere to say that this failed
		return connector.ExitConfig
	}
	name := args[0]
	switch name {
	case "-h", "-help", "--help":
		name = "help"
	case "-version", "--version":
		name = "version"
	}
	c, err := find(name)
	if err == nil {
		in.args = args[1:]
		err = c.start(ctx, in)
	}
	switch {
	case err == nil:
	case c != nil && c.logs:
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

// misuse is a call of a command that does not make sense.
type misuse struct {
	text    string
	calling bool // the way to call it has to be shown
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
