package testkit

import (
	"bytes"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// Log keeps what is logged. Any number of goroutines may write to it while others
// read.
type Log struct {
	Level slog.Level // the lowest that Logger keeps; zero is Info

	mu sync.Mutex
	b  bytes.Buffer
}

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

// Logger logs as text, into the log and to others.
func (l *Log) Logger(others ...io.Writer) *slog.Logger {
	to := io.MultiWriter(append(others, l)...)
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: l.Level}))
}

// Has reports whether a text was logged.
func (l *Log) Has(text string) bool { return l.Count(text) > 0 }

// Count is how many times a text was logged.
func (l *Log) Count(text string) int { return strings.Count(l.String(), text) }

// Tail is the last lines, without those below Info.
func (l *Log) Tail(lines int) string {
	all := slices.DeleteFunc(strings.Split(l.String(), "\n"), func(line string) bool { return strings.Contains(line, "level=DEBUG") })
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
