package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// health answers /healthz, /readyz and /metrics. It outlives runs: between two of
// them it reports what ended the last one.
type health struct {
	process *prometheus.Registry

	mu      sync.Mutex
	sink    *sink.Sink
	status  *stream.Status
	metrics *prometheus.Registry
	err     error
	standby bool // another instance is the owner
}

func newHealth(process *prometheus.Registry) *health {
	h := &health{process: process}
	process.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hubspot_cdc_role",
		Help: "1 while this process is the owner and streams, 0 while it starts or stands by.",
	}, func() float64 {
		if s, _, _, _ := h.now(); s != nil {
			return 1
		}
		return 0
	}))
	return h
}

func (h *health) running(s *sink.Sink, status *stream.Status, metrics *prometheus.Registry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sink, h.status, h.metrics, h.err = s, status, metrics, nil
}

func (h *health) ended() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sink, h.status, h.metrics = nil, nil, nil
}

// failed notes what ended the last run, or what keeps this process from taking
// part.
func (h *health) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err, h.standby = err, false
}

// starting notes that this process has become the owner.
func (h *health) starting() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err, h.standby = nil, false
}

// standingBy notes that all is well and another process is the owner.
func (h *health) standingBy() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err, h.standby = nil, true
}

func (h *health) now() (*sink.Sink, *stream.Status, *prometheus.Registry, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sink, h.status, h.metrics, h.err
}

func (h *health) isStandby() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.standby
}

func (h *health) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", h.healthz)
	mux.HandleFunc("GET /readyz", h.readyz)
	mux.HandleFunc("GET /metrics", h.metricsz)
	return mux
}

// serve listens and returns a function that stops the server.
func (h *health) serve(addr string, log *slog.Logger) (stop func(), err error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, &ConfigError{[]string{fmt.Sprintf("HTTP_ADDR: %v", err)}}
	}
	server := &http.Server{Handler: h.handler(), ReadHeaderTimeout: 5 * time.Second}
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

// metricsz shows the process's metrics and those of the run under way.
func (h *health) metricsz(w http.ResponseWriter, r *http.Request) {
	promhttp.HandlerFor(prometheus.GathererFunc(h.gather), promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

func (h *health) gather() ([]*dto.MetricFamily, error) {
	all := prometheus.Gatherers{h.process}
	if _, _, metrics, _ := h.now(); metrics != nil {
		all = append(all, metrics)
	}
	return all.Gather()
}

// healthz fails only when the committer hangs, which a restart would cure.
func (h *health) healthz(w http.ResponseWriter, _ *http.Request) {
	if s, _, _, _ := h.now(); s != nil && s.Hanging() {
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
	Problems []stream.Problem  `json:"problems"`
}

func (h *health) readyz(w http.ResponseWriter, r *http.Request) {
	s, status, _, err := h.now()
	body := Readiness{Role: "starting", Backfill: map[string]string{}, Problems: []stream.Problem{}}
	if err != nil {
		body.Problems = append(body.Problems, stream.Problem{Problem: err.Error(), Action: runAction(err)})
	}
	if h.isStandby() {
		body.Role, body.Ready = "standby", true
	}
	if s != nil {
		body.Role = "owner"
		body.Backfill, body.Snapshot = status.Backfills(), status.SnapshotRunning()
		body.Problems = append(body.Problems, status.Problems()...)
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		reachable := s.Ping(ctx)
		if reachable != nil {
			body.Problems = append(body.Problems, stream.Problem{
				Problem: "Kafka does not answer: " + reachable.Error(), Action: "check the brokers, and the network between",
			})
		}
		body.Ready = reachable == nil && status.Running()
	}
	w.Header().Set("Content-Type", "application/json")
	if !body.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(body)
}

func runAction(err error) string {
	if hubspot.Unauthorized(err) {
		return "HubSpot refuses the token: replace it (a token file is read again)"
	}
	if permanent(err) {
		return "do what the problem says, then start the connector again"
	}
	if errors.Is(err, errStopped) {
		return "start it again"
	}
	return "the next run begins by itself; see the log"
}
