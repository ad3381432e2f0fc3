package main

import (
	"context"
	"log/slog"
	"sync"
)

// listener is a slog.Handler that keeps what the log says under a key.
type listener struct {
	key   string
	mu    sync.Mutex
	heard []string
}

func (l *listener) Enabled(context.Context, slog.Level) bool { return true }

func (l *listener) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == l.key {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.heard = append(l.heard, a.Value.String())
		}
		return true
	})
	return nil
}

func (l *listener) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *listener) WithGroup(string) slog.Handler      { return l }
