package sink

import (
	"log/slog"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kslog"
)

// ClientLog makes Kafka clients log to logger at Debug, whatever they call
// warnings and errors: they speak of their own inner life, for every dial and
// every attempt to join a group. What matters to an operator comes up as an error
// or in a [Reach], and the connector logs it in its own words. They log no record and no password.
func ClientLog(logger *slog.Logger) kgo.Opt {
	return kgo.WithLogger(&clientLog{kslog.New(logger)})
}

type clientLog struct{ *kslog.Logger }

// Level implements kgo.Logger. It never asks for what clients call debug, which
// is a line for each request.
func (l *clientLog) Level() kgo.LogLevel {
	if l.Logger.Level() < kgo.LogLevelDebug {
		return kgo.LogLevelNone
	}
	return kgo.LogLevelInfo
}

// Log implements kgo.Logger.
func (l *clientLog) Log(_ kgo.LogLevel, msg string, keyvals ...any) {
	l.Logger.Log(kgo.LogLevelDebug, "kafka client: "+msg, keyvals...)
}
