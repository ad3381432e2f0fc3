package testkit

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// Log keeps what is logged. Any number of goroutines may write to it while others
// read.
type Log struct {
	Level   slog.Level // the lowest that Logger keeps; zero is Info
	Without string     // a message that Logger leaves out

	mu      sync.Mutex
	b       bytes.Buffer
	counted map[string]counted
}

// counted is how often a text stands in the first bytes of a log. Tests ask until it does.
type counted struct{ bytes, times int }

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is everything logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Logger logs as text, into the log and to others. It leaves out what Without says.
func (l *Log) Logger(others ...io.Writer) *slog.Logger {
	to := io.MultiWriter(append(others, l)...)
	text := slog.NewTextHandler(to, &slog.HandlerOptions{Level: l.Level})
	if l.Without == "" {
		return slog.New(text)
	}
	return slog.New(without{text, l.Without})
}

// without leaves a message out of a log.
type without struct {
	slog.Handler
	message string
}

func (w without) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == w.message {
		return nil
	}
	return w.Handler.Handle(ctx, r)
}

func (w without) WithAttrs(attrs []slog.Attr) slog.Handler {
	return without{w.Handler.WithAttrs(attrs), w.message}
}

func (w without) WithGroup(name string) slog.Handler {
	return without{w.Handler.WithGroup(name), w.message}
}

// Has reports whether a text was logged.
func (l *Log) Has(text string) bool { return l.Count(text) > 0 }

// Count is how many times a text was logged.
func (l *Log) Count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counted == nil {
		l.counted = map[string]counted{}
	}
	c := l.counted[text]
	for all := l.b.Bytes(); ; c.times++ {
		at := bytes.Index(all[c.bytes:], []byte(text))
		if at < 0 {
			// the end may have its beginning
			c.bytes = max(c.bytes, len(all)-len(text)+1)
			break
		}
		c.bytes += at + len(text)
	}
	l.counted[text] = c
	return c.times
}

// Tail is the last lines, without those below Info.
func (l *Log) Tail(lines int) string {
	all := slices.DeleteFunc(strings.Split(l.String(), "\n"), func(line string) bool { return strings.Contains(line, "level=DEBUG") })
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
