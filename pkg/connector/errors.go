package connector

import (
	"errors"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// ConfigError lists everything that is wrong with a configuration. Each problem
// begins with the name of the variable that it concerns.
type ConfigError struct{ Problems []string }

func (e *ConfigError) Error() string {
	return "configuration:\n  " + strings.Join(e.Problems, "\n  ")
}

// Exit codes of a process that runs a connector. Service managers rely on them
// (docs/contract.md section 7).
const (
	ExitOK      = 0
	ExitFailed  = 1
	ExitConfig  = 2 // another configuration is needed
	ExitRefused = 3 // the connector refuses to start until an operator has acted
)

// ExitCode is the exit code for the error of [New] or [Connector.Run].
func ExitCode(err error) int {
	switch {
	case err == nil:
		return ExitOK
	case isConfigError(err):
		return ExitConfig
	case isRefusal(err):
		return ExitRefused
	}
	return ExitFailed
}

// permanent reports whether another try cannot help: an operator has to act.
func permanent(err error) bool { return isConfigError(err) || isRefusal(err) }

func isConfigError(err error) bool {
	var config *ConfigError
	var object *stream.UnknownObjectError
	var pair *stream.PairError
	return errors.As(err, &config) || errors.As(err, &object) || errors.As(err, &pair)
}

func isRefusal(err error) bool {
	var refusal *offsets.Refusal
	return errors.As(err, &refusal)
}
