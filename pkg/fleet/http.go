package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/connector/page"
	"github.com/hubspot-cdc/connector/pkg/group"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// Handler answers /, /status, /healthz, /readyz and /metrics, and below
// /portals/NAME/ what a portal's connector answers, whichever instance runs it.
func (f *Fleet) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", f.page)
	mux.HandleFunc("GET /status", f.statusz)
	mux.HandleFunc("GET /healthz", f.healthz)
	mux.HandleFunc("GET /readyz", f.readyz)
	mux.Handle("GET /metrics", f.metrics())
	mux.HandleFunc("GET /portals/{name}/", f.portal)
	return mux
}

// serve listens and returns a function that stops the server.
func (f *Fleet) serve() (stop func(), err error) {
	if stop, err = page.Serve(f.cfg.Addr, f.Handler(), f.cfg.Log); err != nil {
		return nil, &connector.ConfigError{Problems: []string{fmt.Sprintf("HTTP_ADDR: %v", err)}}
	}
	return stop, nil
}

func (f *Fleet) page(w http.ResponseWriter, r *http.Request) {
	status := f.whole(r.Context())
	body, err := status.HTML()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	page.Headers(w.Header())
	_, _ = w.Write(body)
}

// statusz answers with everything, or with ?of=instance with what this instance knows
// without asking the others.
func (f *Fleet) statusz(w http.ResponseWriter, r *http.Request) {
	var s Status
	if r.URL.Query().Get("of") == "instance" {
		s = f.own()
	} else {
		s = f.whole(r.Context())
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(s)
}

// healthz fails only when the committer of a portal hangs, which a restart would cure.
func (f *Fleet) healthz(w http.ResponseWriter, _ *http.Request) {
	for name, c := range f.connectors() {
		if c.Hanging() {
			http.Error(w, "a Kafka transaction of "+name+" has been under way for minutes", http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "ok")
}

// Readiness is the body of /readyz: the problems of this instance, and those portals of
// its own that are neither loading nor streaming.
type Readiness struct {
	Ready    bool             `json:"ready"`
	Portals  int              `json:"portals"`
	Problems []stream.Problem `json:"problems"`
	Failing  []Portal         `json:"failing"`
}

func (f *Fleet) readyz(w http.ResponseWriter, _ *http.Request) {
	s := f.own()
	failing := []Portal{}
	for _, p := range s.Portals {
		if p.State != StateStreaming && p.State != StateLoading {
			failing = append(failing, p)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if !s.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(Readiness{s.Ready, len(s.Portals), s.Problems, failing})
}

// connectors are those of the portals that run here.
func (f *Fleet) connectors() map[string]*connector.Connector {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]*connector.Connector{}
	for name, r := range f.running {
		if c, _, _ := r.now(); c != nil {
			out[name] = c
		}
	}
	return out
}

// passedOn marks a request that another instance has passed on, so that none goes in
// circles while a portal moves.
const passedOn = "X-Fleet-Passed-On"

// portal answers what the portal's connector answers. If another instance runs it, that
// one is asked.
func (f *Fleet) portal(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if c := f.connectors()[name]; c != nil {
		http.StripPrefix("/portals/"+name, c.Handler()).ServeHTTP(w, r)
		return
	}
	owner, err := f.owner(r.Context(), name)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case owner == nil || r.Header.Get(passedOn) != "":
		http.Error(w, f.notRunning(name), http.StatusNotFound)
	case owner.Address == "":
		http.Error(w, fmt.Sprintf("the instance on %s has %s, and %v", strings.TrimPrefix(owner.Host, "/"), name, errNowhere), http.StatusBadGateway)
	default:
		r.Header.Set(passedOn, "true")
		to := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: owner.Address})
		to.Transport = f.cfg.Others
		to.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, fmt.Sprintf("%s has %s, and does not answer: %v", owner.Address, name, err), http.StatusBadGateway)
		}
		to.ServeHTTP(w, r)
	}
}

// notRunning says why nobody can be asked about a portal.
func (f *Fleet) notRunning(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.files[name]
	switch {
	case one == nil:
		return "the folder of portals has no file for " + name
	case len(one.Problems) > 0:
		wrong := one.problems()[0]
		return name + " does not run: " + wrong.Problem + "; " + wrong.Action
	}
	return "no connector runs for " + name + " now; see the list of portals"
}

// owner is the instance that has a portal; nil: no other has. An error says why nobody
// knows.
func (f *Fleet) owner(ctx context.Context, name string) (*group.Other, error) {
	f.mu.Lock()
	m, parts := f.member, f.parts
	_, known := f.files[name]
	in := f.in
	f.mu.Unlock()
	switch {
	case !known:
		return nil, nil
	case m == nil || !in:
		return nil, fmt.Errorf("%w, and does not know who has %s", errOutside, name)
	}
	ctx, cancel := context.WithTimeout(ctx, othersPatience)
	defer cancel()
	others, err := m.Others(ctx)
	partition := sink.PartitionOf([]byte(name), parts)
	for i := range others {
		one := &others[i]
		if one.ID != m.ID() && slices.Contains(one.Partitions[Name(f.cfg.Topic.Prefix)], partition) {
			return one, nil
		}
	}
	return nil, err
}
