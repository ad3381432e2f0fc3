package testkit

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
)

// Registry is a schema registry in the test's own process. Intercept makes it
// answer differently.
type Registry struct {
	*srfake.Registry
	*Decoder // decodes with the registry's schemas

	client *sr.Client
}

// NewRegistry makes an empty registry.
func NewRegistry(tb testing.TB, opts ...srfake.Option) *Registry {
	tb.Helper()
	r := &Registry{Registry: srfake.NewRegistry(opts...)}
	var err error
	r.client, err = sr.NewClient(sr.URLs("http://registry.test"), sr.HTTPClient(&http.Client{Transport: r.Transport()}))
	if err != nil {
		tb.Fatal(err)
	}
	r.Decoder = NewDecoder(tb, r.client)
	return r
}

// Client is a client of the registry.
func (r *Registry) Client() *sr.Client { return r.client }

// Transport carries any request to the registry.
func (r *Registry) Transport() http.RoundTripper { return InProcess{r.Handler()} }

// InProcess answers requests by calling a handler, without sockets.
type InProcess struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (p InProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	p.ServeHTTP(answer, r)
	return answer.Result(), nil
}
