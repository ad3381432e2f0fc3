package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hubspot-cdc/connector/pkg/connector/page"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// health knows how the connector is, and answers /healthz, /readyz and /metrics, and
// what pages.go shows.
// It outlives runs.
type health struct {
	setup   *Setup
	status  *stream.Status
	started time.Time
	list    string                      // Options.List
	asking  func() *prometheus.Registry // what is asked for at each scrape, the brokers too

	mu      sync.Mutex
	state   state
	err     error     // what ended the last run, or keeps this process from taking part
	failing time.Time // since when no run has streamed, nor another process been the owner, because of errors
	standby bool      // another instance is the owner

	registry struct { // as the latest question found it
		since time.Time // zero: it answers
		err   error
	}
	registryBack chan struct{} // one slot: the registry answers again
}

// state is what answers to operators begin with. They take it once, so that its members
// fit together.
type state struct {
	sink   *sink.Sink // of the run that streams; nil: none does
	step   step       // what this process does until one does
	role   string     // as of the last change
	since  time.Time  // of the role
	portal int64      // 0: no run has learnt it yet
}

// step is a part of the way to streaming.
type step struct {
	what, wait string
	area       string
	runbook    string
	since      time.Time
}

func newHealth(setup *Setup) *health {
	h := &health{setup: setup, status: stream.NewStatus(setup.HubSpot.Now), started: time.Now(), registryBack: make(chan struct{}, 1)}
	h.begin("begins", "wait")
	setup.Metrics.MustRegister(h.status)
	h.asking = sync.OnceValue(func() *prometheus.Registry {
		r := prometheus.NewRegistry()
		r.MustRegister(gauges{h, true}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		return r
	})
	return h
}

// change changes what is known, and notes the moment if that changes the role.
func (h *health) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	role := roleStarting
	switch {
	case h.state.sink != nil:
		role = roleOwner
	case h.standby:
		role = roleStandby
	}
	if role != h.state.role {
		h.state.role, h.state.since = role, time.Now()
	}
}

// begin notes the next step on the way to streaming, and what an operator can do
// if it takes long.
func (h *health) begin(what, wait string) {
	h.change(func() { h.state.step = step{what, wait, areaLoading, runbookLoading, time.Now()} })
}

// held notes that the next step on the way to streaming needs its operator, and since
// when: a caller may tell the same again, in other words.
func (h *health) held(area, what, cure, runbook string) {
	h.change(func() {
		since := time.Now()
		if was := h.state.step; was.runbook == runbook {
			since = was.since
		}
		h.state.step = step{what, cure, area, runbook, since}
	})
}

// of notes which portal a run follows.
func (h *health) of(portal int64) { h.change(func() { h.state.portal = portal }) }

// running notes that a run streams. What kept the last one from committing is over only
// once this one has committed something: brokers may answer everything else.
func (h *health) running(s *sink.Sink) {
	h.status.Commits(s.Stalled)
	h.begin("starts its streams", "wait: a stream has started once its first pass is over")
	h.change(func() {
		h.state.sink = s
		if _, uncommitted := errors.AsType[*sink.CommitError](h.err); !uncommitted || !ofKafka(h.err) {
			h.err, h.failing = nil, time.Time{}
		}
	})
}

// proven notes that what the last run could not commit this one could. Its caller holds mu.
func (h *health) proven() {
	if h.state.sink != nil && h.state.sink.Proven() {
		h.err, h.failing = nil, time.Time{}
	}
}

func (h *health) ended() {
	h.status.Between()
	h.change(func() {
		h.proven()
		h.state.sink = nil
	})
}

// failed notes what ended the last run, or what keeps this process from taking
// part.
func (h *health) failed(err error) {
	h.change(func() {
		h.err, h.standby = err, false
		if !h.failing.IsZero() {
			return
		}
		h.failing = time.Now()
		if uncommitted, ok := errors.AsType[*sink.CommitError](err); ok {
			h.failing = uncommitted.Since
		}
		if open, ok := errors.AsType[*offsets.OpenTransactionError](err); ok {
			h.failing = open.Since
		}
	})
}

// goesOn notes that what failed last does not fail any more.
func (h *health) goesOn() {
	h.change(func() { h.err = nil })
}

// starting notes that this process has become the owner.
func (h *health) starting() {
	h.change(func() { h.err, h.standby = nil, false })
}

// standingBy notes that all is well and another process is the owner.
func (h *health) standingBy() {
	h.status.Reset()
	h.change(func() { h.err, h.failing, h.standby = nil, time.Time{}, true })
}

// owner is the sink of the run that streams, nil if none does.
func (h *health) owner() *sink.Sink { return h.now().sink }

func (h *health) now() state {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state
}

func (h *health) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.page)
	mux.HandleFunc("GET /status", h.statusz)
	mux.HandleFunc("GET /healthz", h.healthz)
	mux.HandleFunc("GET /readyz", h.readyz)
	mux.HandleFunc("GET /metrics", h.metricsz)
	return mux
}

// serve listens and returns a function that stops the server.
func (h *health) serve(addr string, log *slog.Logger) (stop func(), err error) {
	if stop, err = page.Serve(addr, h.handler(), log); err != nil {
		return nil, &ConfigError{[]string{fmt.Sprintf("HTTP_ADDR: %v", err)}}
	}
	return stop, nil
}

func (h *health) metricsz(w http.ResponseWriter, r *http.Request) {
	promhttp.HandlerFor(prometheus.Gatherers{h.setup.Metrics, h.asking()}, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// healthz fails only when the committer hangs, which a restart would cure.
func (h *health) healthz(w http.ResponseWriter, _ *http.Request) {
	if s := h.owner(); s != nil && s.Hanging() {
		http.Error(w, "a Kafka transaction has been under way for minutes", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// Readiness is the body of /readyz. Role is starting, standby or owner.
type Readiness struct {
	Ready    bool              `json:"ready"`
	Role     string            `json:"role"`
	Backfill map[string]string `json:"backfill"`
	Snapshot *stream.Snapshot  `json:"snapshot"` // the one that a signal asked for, while it runs; else null
	Problems []stream.Problem  `json:"problems"` // never empty unless it is ready
}

// The roles of a process.
const (
	roleStarting = "starting"
	roleStandby  = "standby"
	roleOwner    = "owner"
)

// readiness says how the connector is. It waits for the brokers' answer, for two
// seconds at most.
func (h *health) readiness(ctx context.Context) Readiness {
	is := h.now()
	var unreachable error
	if is.sink != nil {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		unreachable = is.sink.Ping(ctx)
	}
	return h.known(&is, unreachable)
}

// known is what is known without asking anybody. unreachable is what the brokers have
// answered to somebody who did.
func (h *health) known(is *state, unreachable error) Readiness {
	body := Readiness{Role: is.role, Backfill: map[string]string{}, Problems: []stream.Problem{}}
	switch is.role {
	case roleOwner:
		body.Backfill, body.Snapshot = h.status.Backfills(), h.status.SnapshotRunning()
		body.Ready = unreachable == nil && h.status.Running()
	case roleStandby:
		body.Ready = true
	}
	body.Problems = append(body.Problems, h.dependencies()...)
	if unreachable != nil && !has(body.Problems, areaKafka) {
		since, _ := h.setup.reach.Silent()
		if since.IsZero() {
			since = time.Now()
		}
		body.Problems = append(body.Problems, h.setup.silentKafka(since, unreachable))
	}
	if is.role == roleOwner {
		body.Ready = body.Ready && !has(body.Problems, areaKafka)
		body.Problems = append(body.Problems, h.status.Problems()...)
	}
	if !body.Ready && len(body.Problems) == 0 {
		body.Problems = append(body.Problems, h.loading(is.step))
	}
	for i := range body.Problems {
		body.Problems[i].Since = moment(body.Problems[i].Since)
	}
	return body
}

// unasked is known for those who ask nobody: whether the brokers answer, the problems say.
func (h *health) unasked(is *state) Readiness {
	body := h.known(is, nil)
	body.Ready = body.Ready && !has(body.Problems, areaKafka)
	return body
}

func (h *health) readyz(w http.ResponseWriter, r *http.Request) {
	body := h.readiness(r.Context())
	w.Header().Set("Content-Type", "application/json")
	if !body.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(body)
}

const notReady = "not ready yet: the connector "

// loading says what this process waits for where nothing else is wrong.
func (h *health) loading(on step) stream.Problem {
	p := stream.Problem{Area: on.area, Problem: notReady + on.what, Action: on.wait, Runbook: on.runbook, Since: on.since}
	if waiting := h.status.Waiting(); len(waiting) > 0 {
		const most = 5
		if more := len(waiting) - most; more > 0 {
			waiting = append(waiting[:most], fmt.Sprintf("and %d more", more))
		}
		p.Problem += " (" + strings.Join(waiting, ", ") + ")"
	}
	return p
}

func has(problems []stream.Problem, area string) bool {
	return slices.ContainsFunc(problems, func(p stream.Problem) bool { return p.Area == area })
}
