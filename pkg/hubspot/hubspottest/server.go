package hubspottest

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
)

// maxBody, in bytes, is more than a batch of 100 ids and a thousand properties
// needs.
const maxBody = 4 << 20

// ServeHTTP serves the portal on a real connection. A reset closes the
// connection with RST where it can. A cut answer announces its whole length and
// ends in the middle.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler) // the client broke off the request and expects no answer
	}
	a, err := p.respond(r.Context(), r, body)
	if err != nil || a.reset {
		hangUp(w)
	}
	header := w.Header()
	for name, values := range a.header {
		header[name] = values
	}
	if a.header.Get("Date") == "" {
		header["Date"] = nil // net/http would write its own
	}
	if !a.cut && !a.large && len(a.body) >= gzipFrom && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		a.body = zipped(a.body)
		header.Set("Content-Encoding", "gzip")
		header.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	if a.cut || a.large {
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = io.Copy(w, bytes.NewReader(a.body))
}

// Portals are portals at one address, by token. A request is for the portal whose token
// it carries, as at HubSpot.
type Portals map[string]*Portal

// ServeHTTP serves the portals as [Portal.ServeHTTP] does one.
func (m Portals) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := m[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	if p == nil {
		http.Error(w, `{"status":"error","message":"Authentication credentials not found","category":"INVALID_AUTHENTICATION"}`, http.StatusUnauthorized)
		return
	}
	p.ServeHTTP(w, r)
}

// gzipFrom is the number of bytes from which an answer is compressed, for a
// caller that accepts it.
const gzipFrom = 1 << 10

var gzipWriters = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails only for a level that does not exist
	return w
}}

func zipped(body []byte) []byte {
	w := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(w)
	var b bytes.Buffer
	w.Reset(&b)
	_, _ = w.Write(body) // into memory: cannot fail
	_ = w.Close()
	return b.Bytes()
}

// Serve serves the portal on an address of this machine until stop is called.
func (p *Portal) Serve(addr string) (url string, stop func(), err error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: p, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() { // ends with Close, below
		defer close(done)
		_ = server.Serve(listener)
	}()
	return "http://" + listener.Addr().String(), func() {
		_ = server.Close()
		<-done
	}, nil
}

// hangUp ends the connection without an answer, with RST if the server hands us
// the connection (HTTP/1).
func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
	panic(http.ErrAbortHandler)
}
