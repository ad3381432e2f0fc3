package hubspot

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubspot-cdc/connector/internal/testkit"
)

// canary is the token of every test; it must not leak anywhere.
const canary = "pat-canary-7f1c"

// wire stands in for the network: a func that answers requests.
type wire func(req *http.Request) (*http.Response, error)

func (w wire) RoundTrip(req *http.Request) (*http.Response, error) { return w(req) }

// respond makes an answer as HubSpot sends it. headers alternates names and
// values.
func respond(status int, body string, headers ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &http.Response{
		StatusCode: status, Header: h, ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// Bodies of HubSpot answers.
const (
	emptyPage   = `{"total":0,"results":[]}`
	accountBody = `{"portalId":4242,"accountType":"STANDARD","timeZone":"US/Eastern","utcOffsetMilliseconds":-14400000}`
	htmlPage    = `<html><body>404 page not found</body></html>`
)

// refusal is an error answer in HubSpot's form.
func refusal(category, message string) string {
	return `{"status":"error","message":"` + message + `","correlationId":"e06d5f4a-fcde-4985-bc2b-2b89d29568b0","category":"` + category + `"}`
}

// rig is a client with its log and its metrics.
type rig struct {
	*Client
	log *testkit.Log
	reg *prometheus.Registry
}

// newRig makes a client on the wire, with limits too high to matter unless
// change sets others.
func newRig(t testing.TB, w wire, change ...func(*Config)) *rig {
	t.Helper()
	r := &rig{log: &testkit.Log{Level: slog.LevelDebug}, reg: prometheus.NewRegistry()}
	cfg := Config{
		Auth:       AccessToken(func() (Secret, error) { return canary, nil }),
		Transport:  w,
		Governor:   NewGovernor(Limits{SearchPerSecond: 1e6, TenSeconds: 1e6}),
		Logger:     r.log.Logger(),
		Registerer: r.reg,
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if r.Client, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if r.log.Has(canary) {
			t.Errorf("the token is in the log:\n%s", r.log)
		}
	})
	return r
}

// bodyOf reads a request's body.
func bodyOf(t testing.TB, req *http.Request) string {
	t.Helper()
	if req.Body == nil {
		return ""
	}
	b, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// script answers with each step in turn, then repeats the last one. It notes
// when each request came.
type script struct {
	mu    sync.Mutex
	steps []func() (*http.Response, error)
	at    []time.Time
}

func (s *script) wire() wire {
	return func(*http.Request) (*http.Response, error) {
		s.mu.Lock()
		step := s.steps[min(len(s.at), len(s.steps)-1)]
		s.at = append(s.at, time.Now())
		s.mu.Unlock()
		return step()
	}
}

func answers(status int, body string, headers ...string) func() (*http.Response, error) {
	return func() (*http.Response, error) { return respond(status, body, headers...), nil }
}

func fails(err error) func() (*http.Response, error) {
	return func() (*http.Response, error) { return nil, err }
}

// cut answers with a body that ends too early.
func cut(body string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		res := respond(200, body)
		res.Body = io.NopCloser(io.MultiReader(strings.NewReader(body[:len(body)/2]), failingReader{}))
		return res, nil
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

var errRefused = errors.New("dial tcp 192.0.2.1:443: connect: connection refused")

// waits returns the times between the attempts.
func (s *script) waits() []time.Duration {
	var d []time.Duration
	for i := 1; i < len(s.at); i++ {
		d = append(d, s.at[i].Sub(s.at[i-1]))
	}
	return d
}

// ask makes the simplest request there is.
func (r *rig) ask(ctx context.Context) error {
	_, err := r.Account(ctx, Call{Priority: Schema})
	return err
}

// always is a wire that gives the same answer every time.
func always(status int, body string, headers ...string) wire {
	return (&script{steps: []func() (*http.Response, error){answers(status, body, headers...)}}).wire()
}
