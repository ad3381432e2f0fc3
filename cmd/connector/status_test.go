package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	depl "github.com/hubspot-cdc/connector/internal/world"
	statuspage "github.com/hubspot-cdc/connector/pkg/connector/page"
	"github.com/hubspot-cdc/connector/pkg/fleet"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestStatus_SaysWhyItIsRefused: an instance of a fleet says so of a portal that it cannot
// show.
func TestStatus_SaysWhyItIsRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "acme does not run: acme.env:1: is not of the form VARIABLE=value", http.StatusNotFound)
	}))
	defer server.Close()
	var out, stderr bytes.Buffer
	want := server.URL + "/portals/acme/status answers 404 Not Found: acme does not run: acme.env:1: is not of the form VARIABLE=value\n"
	if code := command(t.Context(), []string{"status", server.URL + "/portals/acme"}, &out, &stderr); code != 1 || stderr.String() != want {
		t.Errorf("%d %q, want %q", code, stderr.String(), want)
	}
}

// TestStatus_PrintsWhatTheConnectorSays, as text or as JSON; the exit code says whether
// it is ready.
func TestStatus_PrintsWhatTheConnectorSays(t *testing.T) {
	var answers []string // of /status: streaming, and with Kafka away
	depl.In(t, hubspottest.Options{Seed: 4, Types: []string{"contacts"}}, nil, func(w *depl.World) {
		w.Portal.Seed("contacts", 1200)
		p := w.Start()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts", "contacts:contacts") && p.Ready().Ready })
		answers = append(answers, p.Get("/status").Body.String())
		p.Brokers.Cut()
		w.SleepUntil(time.Minute, func() bool { return strings.Contains(p.Get("/status").Body.String(), `"ready":false`) })
		answers = append(answers, p.Get("/status").Body.String())
		p.Stop()
	})
	now := answers[0]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(now))
	}))
	defer server.Close()
	addr := server.Listener.Addr().String()
	t.Setenv("HTTP_ADDR", addr)
	run := func(args ...string) (code int, stdout, stderr string) {
		var out, err bytes.Buffer
		code = command(t.Context(), append([]string{"status"}, args...), &out, &err)
		return code, out.String(), err.String()
	}
	for _, args := range [][]string{{}, {addr}, {server.URL}, {server.URL + "/"}, {server.URL + "/status"}} {
		code, stdout, stderr := run(args...)
		if code != 0 || stderr != "" || !strings.Contains(stdout, "Up to date. All streams run. Nothing to do.\nowner for ") || !strings.Contains(stdout, "\ncontacts           1,200        0  ") {
			t.Errorf("%v: %d %q\n%s", args, code, stderr, stdout)
		}
	}
	if code, stdout, _ := run("--json"); code != 0 || stdout != now {
		t.Errorf("%d %s", code, stdout)
	}
	now = answers[1]
	code, stdout, stderr := run()
	if code != 1 || stderr != "the connector is not ready\n" || !strings.Contains(stdout, "! Kafka") || !strings.Contains(stdout, "  what to do: check KAFKA_BROKERS") {
		t.Errorf("%d %q\n%s", code, stderr, stdout)
	}
	now = strings.Replace(now, `"v":1`, `"v":2`, 1)
	if code, stdout, stderr := run(); code != 1 || stdout != "" || !strings.Contains(stderr, "version 2") {
		t.Errorf("%d %q %q", code, stdout, stderr)
	}
}

// TestStatus_OfNobody: the error says where nobody answers, and repeats no
// password.
func TestStatus_OfNobody(t *testing.T) {
	const addr = "127.0.0.1:1" // nobody listens there, nor gets the port of it
	for args, want := range map[string]string{
		addr:                                "no connector answers at http://" + addr + "/status",
		"ftp://a":                           "is no address",
		"--watc":                            "did you mean --watch?",
		"a:1 b:1":                           "at most 1 arg",
		"http://[x":                         "is no address",
		"http://u:" + canary + "@" + addr:   "no connector answers at http://u:xxxxx@" + addr + "/status",
		"http://u:a/" + canary + "@" + addr: "is no address",
	} {
		var out, stderr bytes.Buffer
		if code := command(t.Context(), append([]string{"status"}, strings.Fields(args)...), &out, &stderr); code == 0 || !strings.Contains(stderr.String(), want) || strings.Contains(stderr.String(), canary) {
			t.Errorf("%s: %d %s", args, code, stderr.String())
		}
	}
}

// TestStatus_DefaultAddress: an address of all interfaces is asked on this machine.
// TestStatus_OfAFleet: its status is another one; it says how to see it, and asks the
// instance about the portal where a fleet's portal is named.
func TestStatus_OfAFleet(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		_ = json.NewEncoder(w).Encode(fleet.Status{V: fleet.StatusVersion, Ready: true, Group: "hubspot.fleet"})
	}))
	defer server.Close()
	addr, dir := server.Listener.Addr().String(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "acme.env"), []byte("HUBSPOT_ACCESS_TOKEN=token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"HTTP_ADDR=" + addr, "FLEET_DIR=" + dir, "KAFKA_BROKERS=kafka:9092", "SCHEMA_REGISTRY_URL=http://registry:8081"} {
		name, value, _ := strings.Cut(line, "=")
		t.Setenv(name, value)
	}
	for _, name := range []string{"HUBSPOT_ACCESS_TOKEN", "KAFKA_TOPIC_PREFIX"} { // fleet portal sets them
		t.Setenv(name, "")
	}
	for _, args := range [][]string{{"status"}, {"status", "--json"}, {"fleet", "portal", "acme", "status"}} {
		var out, stderr bytes.Buffer
		if code := command(t.Context(), args, &out, &stderr); code != 1 || out.Len() > 0 || !strings.Contains(stderr.String(), "connector fleet status http://"+addr) {
			t.Errorf("%v: %d %q\n%s", args, code, stderr.String(), out.String())
		}
	}
	if want := []string{"/status", "/status", "/portals/acme/status"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %v, want %v", asked, want)
	}
}

func TestStatus_DefaultAddress(t *testing.T) {
	for addr, want := range map[string]string{
		"": "http://127.0.0.1:8080/status", ":9": "http://127.0.0.1:9/status", "0.0.0.0:9": "http://127.0.0.1:9/status",
		"[::]:9": "http://127.0.0.1:9/status", "10.1.2.3:9": "http://10.1.2.3:9/status",
	} {
		t.Setenv("HTTP_ADDR", addr)
		if got, err := statusURL(nil); err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", addr, got, err, want)
		}
	}
}

// TestStatus_WatchesUntilItIsTold, through a time without a connector.
func TestStatus_WatchesUntilItIsTold(t *testing.T) {
	body, err := json.Marshal(statuspage.Status{V: statuspage.Version, Role: "standby", Ready: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch asked++; asked {
		case 1:
			http.Error(w, "no", http.StatusBadGateway)
		case 2:
			_, _ = w.Write(body)
		default:
			cancel()
		}
	}))
	defer server.Close()
	var out, stderr bytes.Buffer
	s := statusReader{server.URL, false, time.Millisecond, &out}
	if err := s.watch(ctx, &stderr); err != nil {
		t.Error(err)
	}
	if !strings.Contains(stderr.String(), "502") || strings.Count(out.String(), "Standing by") != 1 {
		t.Errorf("%s\n%s", stderr.String(), out.String())
	}
}
