package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/fleet"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// hosts are simulated portals, each at a host of its own.
type hosts map[string]http.RoundTripper

// RoundTrip implements http.RoundTripper.
func (h hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	return h[r.URL.Host].RoundTrip(r)
}

// simulatedAccounts are accounts of HubSpot's, by host.
func simulatedAccounts(ids map[string]int64) (hosts, map[string]*hubspottest.Portal) {
	h, portals := hosts{}, map[string]*hubspottest.Portal{}
	for host, id := range ids {
		portals[host] = hubspottest.New(hubspottest.Options{Seed: uint64(id), PortalID: id})
		h[host] = portals[host].Transport()
	}
	return h, portals
}

// fleetOf makes a folder, and an environment that all portals share.
func fleetOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"FLEET_DIR": dir, "KAFKA_BROKERS": "localhost:9092", "SCHEMA_REGISTRY_URL": "http://localhost:8081", "HUBSPOT_RATE_SHARE": "0.5", "HTTP_ADDR": ":8080",
	} {
		t.Setenv(name, value)
	}
	return dir
}

func (h hosts) checked(t *testing.T, asJSON bool) (string, error) {
	t.Helper()
	files, err := folder()
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = checkFleet(t.Context(), files, connector.Options{Logger: slog.New(slog.DiscardHandler), HubSpot: h}, asJSON, &out)
	return out.String(), err
}

// TestFleetCheck_NamesEachPortalsProblem, with file and line, and nobody else's.
func TestFleetCheck_NamesEachPortalsProblem(t *testing.T) {
	h, portals := simulatedAccounts(map[string]int64{"one.test": 1, "two.test": 2, "three.test": 3})
	portals["three.test"].Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: http.StatusUnauthorized})
	const at = "HUBSPOT_ACCESS_TOKEN=pat-canary\nHUBSPOT_BASE_URL=https://"
	fleetOf(t, map[string]string{
		"acme.env": at + "one.test\n", "globex.env": at + "two.test\n", "again.env": at + "two.test\nHUBSPOT_RATE_SHARE=\n", "refused.env": at + "three.test",
		"wrong.env": at + "one.test\nHUBSPOT_RATE_SHARE=2\nHUBSPOT_OBJECT=contacts\nSYNC_LEADING_INTERVAL=soon\nHTTP_ADDR=:80\npat-canary\n", "empty.env": "",
		"quoted.env": "HUBSPOT_ACCESS_TOKEN=\"pat-canary\"\n",
	})
	text, err := h.checked(t, false)
	if err == nil || connectorCode(err) != connector.ExitConfig || err.Error() != "connector fleet check: something is wrong with 6 of 7 portals" {
		t.Errorf("%v", err)
	}
	lines := regexp.MustCompile(` {2,}`).ReplaceAllString(text, "  ")
	for _, want := range []string{
		"PORTAL  ACCOUNT  RESULT\n", "acme  1  ok\n",
		"again  2  its token is of the same HubSpot account as that of globex\n", "globex  2  its token is of the same HubSpot account as that of again\n",
		"refused  -  HubSpot refuses the token", "empty  -  empty.env: HUBSPOT_ACCESS_TOKEN",
		"wrong.env:3: HUBSPOT_RATE_SHARE: ", "wrong.env:4: HUBSPOT_OBJECT: connector run has no such variable; did you mean HUBSPOT_OBJECTS?\n",
		"wrong.env:5: SYNC_LEADING_INTERVAL: \"soon\" is not a duration", "wrong.env:6: HTTP_ADDR: is one for the whole fleet", "wrong.env:7: is not of the form VARIABLE=value\n",
		"quoted.env:1: HUBSPOT_ACCESS_TOKEN: is in quotes",
	} {
		if !strings.Contains(lines, want) {
			t.Errorf("no %q in\n%s", want, lines)
		}
	}
	if strings.Contains(lines, "quoted.env: HUBSPOT_ACCESS_TOKEN: is required") {
		t.Errorf("a line that is there counts as missing in\n%s", lines)
	}
	if strings.Contains(text, "canary") {
		t.Errorf("a token shows:\n%s", text)
	}
	for _, name := range os.Environ() {
		if strings.HasPrefix(name, "PORTAL:") {
			t.Errorf("the environment keeps %s", name)
		}
	}
}

func connectorCode(err error) int {
	if checked, ok := errors.AsType[*checkError](err); ok {
		return checked.code
	}
	return connector.ExitCode(err)
}

// TestFleetCheck_JSON: the portals that are well are there too.
func TestFleetCheck_JSON(t *testing.T) {
	h, portals := simulatedAccounts(map[string]int64{"one.test": 1, "two.test": 2})
	portals["two.test"].Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: http.StatusUnauthorized})
	fleetOf(t, map[string]string{
		"a.env": "HUBSPOT_ACCESS_TOKEN=a\nHUBSPOT_BASE_URL=https://one.test\n", "b.env": "HUBSPOT_ACCESS_TOKEN=b\nHUBSPOT_BASE_URL=https://two.test\n",
	})
	text, err := h.checked(t, true)
	if connectorCode(err) != connector.ExitFailed {
		t.Errorf("%v", err)
	}
	var got []portalCheck
	if err := json.Unmarshal([]byte(text), &got); err != nil || len(got) != 2 || !got[0].OK || got[0].Portal != 1 || got[1].OK || len(got[1].Problems) != 1 || got[1].Todo == "" {
		t.Errorf("%v in\n%s", err, text)
	}
	if err := os.Remove(filepath.Join(os.Getenv("FLEET_DIR"), "b.env")); err != nil {
		t.Fatal(err)
	}
	if _, err := h.checked(t, false); err != nil {
		t.Error(err)
	}
}

// TestFleetCheck_NeedsAFolder with a file in it.
func TestFleetCheck_NeedsAFolder(t *testing.T) {
	dir := fleetOf(t, nil)
	for value, want := range map[string]string{
		"": "FLEET_DIR: is not set", dir: "there is no NAME.env in " + dir, filepath.Join(dir, "nowhere"): "no such file or directory",
	} {
		t.Setenv("FLEET_DIR", value)
		var out bytes.Buffer
		if code := command(context.Background(), []string{"fleet", "check"}, &out, &out); code != connector.ExitConfig || !strings.Contains(out.String(), want) {
			t.Errorf("FLEET_DIR=%s: exit %d, want %q in\n%s", value, code, want, out.String())
		}
	}
}

// TestFleetCheck_FindsWhatKeepsAnInstanceFromStarting: the files may give what the process
// needs itself, or it may be wrong where no file looks.
func TestFleetCheck_FindsWhatKeepsAnInstanceFromStarting(t *testing.T) {
	h, _ := simulatedAccounts(map[string]int64{"one.test": 1})
	for variable, want := range map[string]string{
		"KAFKA_BROKERS=": "KAFKA_BROKERS: is required", "FLEET_METRICS=all": `FLEET_METRICS: "all" is none of`, "FLEET_PARTITIONS=many": `FLEET_PARTITIONS: "many" is not a number`,
		"LOG_LEVEL=loud": `LOG_LEVEL: "loud" is none of`, "SYNC_LEADING_INTERVAL=soon": "", "HUBSPOT_RATE_SHARE=9": "",
	} {
		t.Run(variable, func(t *testing.T) {
			fleetOf(t, map[string]string{"acme.env": "HUBSPOT_ACCESS_TOKEN=a\nHUBSPOT_BASE_URL=https://one.test\nKAFKA_BROKERS=localhost:9092\nSYNC_LEADING_INTERVAL=5s\nHUBSPOT_RATE_SHARE=0.5\n"})
			name, value, _ := strings.Cut(variable, "=")
			t.Setenv(name, value)
			_, err := h.checked(t, false)
			if want == "" && err != nil || want != "" && (connectorCode(err) != connector.ExitConfig || !strings.Contains(err.Error(), want)) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}

// TestFleetPortal_RunsACommand with the portal's variables and prefix, and ends with its
// exit code.
func TestFleetPortal_RunsACommand(t *testing.T) {
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"acme signal resume --id again", connector.ExitFailed, "KAFKA_TOPIC_PREFIX=hubspot.acme"},
		{"acme signal lug", connector.ExitConfig, `"lug"`},
		{"acme signal --help", connector.ExitOK, "connector signal"},
		{"akme check", connector.ExitConfig, `FLEET_DIR has no portal "akme"; did you mean acme?`},
		{"wrong check", connector.ExitConfig, "wrong.env:1: HUBSPOT_TOKEN: connector run has no such variable"},
		{"acme", connector.ExitConfig, "the name of a portal and a command are needed\nsee connector help fleet portal"},
		{"acme fleet portal other signal resume", connector.ExitConfig, "fleet is about all portals"}, // it would have acme's token
	} {
		t.Run(c.args, func(t *testing.T) {
			environment(t, "HUBSPOT_ACCESS_TOKEN=", "KAFKA_TOPIC_PREFIX=hubspot") // the command sets them; this restores them
			fleetOf(t, map[string]string{"acme.env": "HUBSPOT_ACCESS_TOKEN=a\nKAFKA_BROKERS=" + kafka.ListenAddrs()[0] + "\n", "wrong.env": "HUBSPOT_TOKEN=a\n", "other.env": ""})
			var out bytes.Buffer
			if code := command(t.Context(), append([]string{"fleet", "portal"}, strings.Fields(c.args)...), &out, &out); code != c.code || !strings.Contains(out.String(), c.want) {
				t.Errorf("exit %d, want %d and %q in\n%s", code, c.code, c.want, out.String())
			}
		})
	}
}

// TestPortal_ItsFileIsOverTheEnvironment, and its topics are its own.
func TestPortal_ItsFileIsOverTheEnvironment(t *testing.T) {
	fleetOf(t, map[string]string{"acme.env": "HUBSPOT_ACCESS_TOKEN=t\nHUBSPOT_OBJECTS=contacts, deals\nSYNC_LEADING_INTERVAL=5s\n", "b.env": "HUBSPOT_ACCESS_TOKEN=u\nKAFKA_BROKERS=other:9092"})
	t.Setenv("KAFKA_TOPIC_PREFIX", "crm")
	files, err := folder()
	if err != nil {
		t.Fatal(err)
	}
	acme, b := portal(&files[0]), portal(&files[1])
	if len(files[0].Problems)+len(files[1].Problems) > 0 {
		t.Errorf("%v %v", files[0].Problems, files[1].Problems)
	}
	if acme.Kafka.TopicPrefix != "crm.acme" || acme.HubSpot.RateShare != 0.5 || strings.Join(acme.HubSpot.Objects, "|") != "contacts|deals" || acme.HTTP.Addr != "" || acme.Sync.LeadingInterval.Seconds() != 5 {
		t.Errorf("%+v", acme)
	}
	if b.Kafka.TopicPrefix != "crm.b" || b.Kafka.Brokers[0] != "other:9092" || acme.Kafka.Brokers[0] != "localhost:9092" || b.Sync.LeadingInterval != 0 {
		t.Errorf("%+v", b)
	}
}

// TestPortal_ItsOwnSecretCounts: a file that the environment names for all portals does
// not replace the secret that a portal's file gives.
func TestPortal_ItsOwnSecretCounts(t *testing.T) {
	own, shared := "pat-of-acme", filepath.Join(t.TempDir(), "shared")
	if err := os.WriteFile(shared, []byte("pat-of-all"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "own")
	if err := os.WriteFile(file, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"HUBSPOT_ACCESS_TOKEN=" + own + "\n":                                        own,
		"HUBSPOT_ACCESS_TOKEN_FILE=" + file + "\n":                                  own,
		"HUBSPOT_ACCESS_TOKEN_FILE=" + file + "\nHUBSPOT_ACCESS_TOKEN=overridden\n": own,
		"HUBSPOT_ACCESS_TOKEN=\n":                                                   "pat-of-all",
		"":                                                                          "pat-of-all",
	} {
		environment(t, "HUBSPOT_ACCESS_TOKEN=", "HUBSPOT_ACCESS_TOKEN_FILE="+shared, "KAFKA_TOPIC_PREFIX=hubspot") // enter changes them; this restores them
		fleetOf(t, map[string]string{"acme.env": text})
		files, err := folder()
		if err != nil {
			t.Fatal(err)
		}
		cfg := portal(&files[0])
		if got, err := cfg.HubSpot.Token(); err != nil || got.Reveal() != want || len(files[0].Problems) > 0 {
			t.Errorf("%q: a fleet sends %q, want %q; %v %v", text, got.Reveal(), want, err, files[0].Problems)
		}
		if err := enter(&files[0], cfg); err != nil {
			t.Fatal(err)
		}
		s, err := load()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.connector.HubSpot.Token(); err != nil || got.Reveal() != want {
			t.Errorf("%q: a command for the portal sends %q, want %q; %v", text, got.Reveal(), want, err)
		}
	}
}

// TestPortal_AWrongEnvironmentIsTheProblemOfWhoeverUsesIt: each time, and not of a portal
// whose file gives the variable.
func TestPortal_AWrongEnvironmentIsTheProblemOfWhoeverUsesIt(t *testing.T) {
	fleetOf(t, map[string]string{"acme.env": "HUBSPOT_ACCESS_TOKEN=t\nSYNC_LEADING_INTERVAL=5s\n", "b.env": "HUBSPOT_ACCESS_TOKEN=u"})
	t.Setenv("SYNC_LEADING_INTERVAL", "soon")
	t.Setenv("HUBSPOT_RATE_SHARE", "half")
	for range 2 {
		if _, err := load(ofTheFleet...); err != nil {
			t.Fatal(err)
		}
		files, err := folder()
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{
			`acme.env: HUBSPOT_RATE_SHARE: "half" is not a number that fits`,
			`b.env: HUBSPOT_RATE_SHARE: "half" is not a number that fits|b.env: SYNC_LEADING_INTERVAL: "soon" is not a duration such as 30s or 5m`,
		} {
			portal(&files[i])
			var got []string
			for _, p := range files[i].Problems {
				got = append(got, files[i].Where(p))
			}
			if strings.Join(got, "|") != want {
				t.Errorf("%q, want %s", got, want)
			}
		}
	}
}

// TestFleetStatus_NamesTheInstancesProblem: one without brokers knows of no portals.
func TestFleetStatus_NamesTheInstancesProblem(t *testing.T) {
	s := fleet.Status{V: fleet.StatusVersion, Group: "hubspot.fleet", Problems: []stream.Problem{{Area: "kafka", Problem: "Kafka cannot be used"}}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(s) }))
	defer server.Close()
	for _, want := range []string{"the instance has a problem: Kafka cannot be used", "the instance has a problem: Kafka cannot be used; something is wrong with 1 of 1 portals"} {
		if err := printFleet(t.Context(), server.URL, false, io.Discard); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
		s.Portals = []fleet.Portal{{Name: "acme", State: fleet.StateStopped}}
	}
}
