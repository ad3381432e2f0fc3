package sink

import (
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kslog"
)

// clientRepeats is the shortest time between two warnings of the same kind.
const clientRepeats = 10 * time.Minute

// ClientLog makes Kafka clients log to logger: their warnings and errors, and
// where the logger takes Debug also what they call information. They log no
// record and no password.
//
// While brokers are away, a client warns of every dial and every attempt to join
// a group: 2,200 lines an hour. So each message appears once per clientRepeats
// and broker, and at Debug in between. Clients that share the Opt share the
// count.
func ClientLog(logger *slog.Logger) kgo.Opt {
	return kgo.WithLogger(&clientLog{Logger: kslog.New(logger), said: map[string]time.Time{}})
}

type clientLog struct {
	*kslog.Logger

	mu   sync.Mutex
	said map[string]time.Time // by message and broker: when last above Debug
}

// Level implements kgo.Logger. It never asks for what clients call debug, which
// is a line for each request.
func (l *clientLog) Level() kgo.LogLevel {
	if level := l.Logger.Level(); level != kgo.LogLevelDebug {
		return min(level, kgo.LogLevelWarn)
	}
	return kgo.LogLevelInfo
}

// Log implements kgo.Logger.
func (l *clientLog) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	if level == kgo.LogLevelInfo || l.repeats(msg, keyvals) {
		level = kgo.LogLevelDebug
	}
	l.Logger.Log(level, "kafka client: "+msg, keyvals...)
}

func (l *clientLog) repeats(msg string, keyvals []any) bool {
	for i := 0; i+1 < len(keyvals); i += 2 {
		if addr, ok := keyvals[i+1].(string); ok && keyvals[i] == "addr" {
			msg += addr
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if last, ok := l.said[msg]; ok && time.Since(last) < clientRepeats {
		return true
	}
	l.said[msg] = time.Now()
	return false
}
