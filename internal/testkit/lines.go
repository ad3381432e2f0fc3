package testkit

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

var errCut = errors.New("connection refused")

// Line carries HTTP requests, and counts them.
type Line struct {
	Requests atomic.Int64

	mu    sync.Mutex
	to    http.RoundTripper
	isCut bool
}

// NewLine makes a line to a transport.
func NewLine(to http.RoundTripper) *Line { return &Line{to: to} }

// Cut stops all requests until Mend.
func (l *Line) Cut() { l.set(true) }

// Mend undoes Cut.
func (l *Line) Mend() { l.set(false) }

func (l *Line) set(isCut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = isCut
}

// Turn connects the line to another transport, and returns the previous one.
func (l *Line) Turn(to http.RoundTripper) (before http.RoundTripper) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, l.to = l.to, to
	return before
}

// RoundTrip implements http.RoundTripper.
func (l *Line) RoundTrip(r *http.Request) (*http.Response, error) {
	l.Requests.Add(1)
	l.mu.Lock()
	to, isCut := l.to, l.isCut
	l.mu.Unlock()
	if isCut {
		return nil, errCut
	}
	return to.RoundTrip(r)
}

// Cable carries connections to brokers, and counts how many were dialled.
type Cable struct {
	Dials atomic.Int64

	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	mu    sync.Mutex
	isCut bool
	conns []net.Conn
}

// NewCable makes a cable to the brokers that dial reaches.
func NewCable(dial func(ctx context.Context, network, address string) (net.Conn, error)) *Cable {
	return &Cable{dial: dial}
}

// DialContext is for kgo.Dialer.
func (c *Cable) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c.Dials.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isCut {
		return nil, errCut
	}
	conn, err := c.dial(ctx, network, address)
	if err == nil {
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

// Cut breaks all connections abruptly, as kill -9 does, and refuses new ones
// until Mend.
func (c *Cable) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = true
	for _, conn := range c.conns {
		_ = conn.Close() // it is gone either way
	}
	c.conns = nil
}

// Mend undoes Cut.
func (c *Cable) Mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = false
}
