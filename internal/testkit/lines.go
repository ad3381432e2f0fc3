package testkit

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
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
	hangs bool
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
	if c.hangs {
		c.mu.Unlock()
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		<-ctx.Done()
		c.mu.Lock()
		return nil, &net.OpError{Op: "dial", Net: network, Err: ctx.Err()}
	}
	conn, err := c.dial(ctx, network, address)
	if err == nil {
		conn = silent{conn, c}
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

// Cut breaks all connections abruptly, as kill -9 does, and refuses new ones
// until Mend.
func (c *Cable) Cut() {
	c.mu.Lock()
	c.isCut = true
	c.mu.Unlock()
	c.Break()
}

// Break breaks all connections abruptly, and lets new ones be made.
func (c *Cable) Break() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close() // it is gone either way
	}
	c.conns = nil
}

// dialTimeout is franz-go's.
const dialTimeout = 10 * time.Second

// Hang loses what is sent, and lets nobody connect, until Mend: as a network does that
// drops packets.
func (c *Cable) Hang() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hangs = true
}

// Mend undoes Cut and Hang. What hung stays broken.
func (c *Cable) Mend() {
	c.mu.Lock()
	hung := c.hangs
	c.isCut, c.hangs = false, false
	c.mu.Unlock()
	if hung {
		c.Break()
	}
}

// silent is a connection that loses what it sends while its cable hangs.
type silent struct {
	net.Conn
	of *Cable
}

func (s silent) Write(b []byte) (int, error) {
	s.of.mu.Lock()
	hangs := s.of.hangs
	s.of.mu.Unlock()
	if hangs {
		return len(b), nil
	}
	return s.Conn.Write(b)
}
