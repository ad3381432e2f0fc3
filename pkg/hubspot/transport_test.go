package hubspot

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// The portals of a process that ask at the same moment, and again a little later, connect
// once each where the host speaks HTTP/1.1.
func TestTransport_ThoseWhoAskTogetherKeepTheirConnections(t *testing.T) {
	const together = 300
	var connected atomic.Int64
	arrived := make(chan struct{}, together)
	answer := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-answer
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connected.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	transport := NewTransport()
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport}

	for round := range 3 {
		var all sync.WaitGroup
		for range together {
			all.Go(func() {
				res, err := client.Get(server.URL)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			})
		}
		for range together {
			<-arrived
		}
		for range together {
			answer <- struct{}{}
		}
		all.Wait()
		if n := connected.Load(); n > together {
			t.Fatalf("%d connections for %d who ask together, in round %d", n, together, round+1)
		}
	}
}
