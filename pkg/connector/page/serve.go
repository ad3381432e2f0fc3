package page

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Serve answers operators at an address, and returns a function that stops doing so
// within a second. Its error is that of listening.
func Serve(addr string, handler http.Handler, log *slog.Logger) (stop func(), err error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	log.Info("http listening", "addr", listener.Addr().String())
	done := make(chan struct{})
	go func() { // ends with Shutdown, below
		defer close(done)
		_ = server.Serve(listener)
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
		<-done
	}, nil
}
