package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/hubspot-cdc/connector/pkg/connector"
)

// logging is what the environment says about the log.
type logging struct {
	Level  string `envconfig:"LOG_LEVEL" help:"debug, info, warn or error"`
	Format string `envconfig:"LOG_FORMAT" help:"text or json (default text on a terminal, else json)"`
}

// usualLog is that of an empty environment.
var usualLog = logging{Level: "info"}

func (l *logging) validate() (problems []string) {
	for _, one := range []struct {
		name, value string
		allowed     []string
	}{
		{"LOG_LEVEL", l.Level, []string{"debug", "info", "warn", "error"}},
		{"LOG_FORMAT", l.Format, []string{"", "text", "json"}},
	} {
		if !slices.Contains(one.allowed, one.value) {
			problems = append(problems, fmt.Sprintf("%s: %q is none of %s", one.name, one.value, strings.Join(one.allowed, ", ")))
		}
	}
	return problems
}

// json reports whether lines for w are JSON.
func (l *logging) json(w io.Writer) bool {
	f, isFile := w.(*os.File)
	terminal := isFile && term.IsTerminal(int(f.Fd()))
	return l.Format != "text" && (l.Format != "" || !terminal)
}

// logger makes the logger that the operator wants, writing to w.
func (l *logging) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(l.Level)) // validate has checked it
	opts := &slog.HandlerOptions{Level: level}
	if l.json(w) {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// complain writes the error that ends a command whose log is on w: where the log is
// JSON, whatever reads it can read the error too.
func complain(w io.Writer, err error) {
	tidy(defaults()) // the error may be older than load
	l := usualLog
	_ = fill("", &l) // texts can always be filled
	if !l.json(w) {
		fmt.Fprintln(w, err)
		return
	}
	log, code := l.logger(w), connector.ExitCode(err)
	var wrong *connector.ConfigError
	if !errors.As(err, &wrong) {
		log.Error("the command failed", "err", err, "exit_code", code)
		return
	}
	for _, problem := range wrong.Problems {
		log.Error("the configuration is wrong", "err", problem, "exit_code", code)
	}
}
