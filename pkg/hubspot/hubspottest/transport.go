package hubspottest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
)

// Transport returns a RoundTripper that reaches the portal without a socket,
// whatever host the request names. Everything runs in the caller's goroutine, so
// it works in a testing/synctest bubble and leaks nothing.
func (p *Portal) Transport() http.RoundTripper { return transport{p} }

type transport struct{ portal *Portal }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		if closeErr := r.Body.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return nil, fmt.Errorf("read the request's body: %w", err)
		}
	}
	ctx := r.Context()
	a, err := t.portal.respond(ctx, r, body)
	switch {
	case err != nil:
		return nil, err
	case a.reset:
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	reader := &bodyReader{ctx: ctx, end: io.EOF}
	reader.rest.Reset(a.body)
	if a.cut || a.large {
		reader.rest.Reset(a.body[:len(a.body)/2])
		reader.end = io.ErrUnexpectedEOF
	}
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)),
		StatusCode:    a.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        a.header,
		Body:          reader,
		ContentLength: int64(a.length()),
		Request:       r,
	}, nil
}

// bodyReader returns an answer's body and then its end, good or bad. Like a body
// from a connection, it fails once the request's context has ended.
type bodyReader struct {
	ctx  context.Context
	rest bytes.Reader
	end  error
}

func (b *bodyReader) Read(to []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.rest.Read(to)
	if errors.Is(err, io.EOF) {
		err = b.end
	}
	return n, err
}

func (b *bodyReader) Close() error { return nil }
