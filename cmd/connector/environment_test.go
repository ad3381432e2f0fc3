package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/connector/check"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// environment sets variables for a test, and unsets all others of ours.
func environment(t *testing.T, variables ...string) {
	t.Helper()
	unset := func(name string) {
		if _, set := os.LookupEnv(name); set {
			t.Setenv(name, "") // restores it after the test
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for v := range defaults().variables() {
		unset(v.name)
	}
	for _, one := range unknown() {
		unset(one.name)
	}
	for _, text := range variables {
		name, value, _ := strings.Cut(text, "=")
		t.Setenv(name, value)
	}
}

var enough = []string{"HUBSPOT_ACCESS_TOKEN=x", "KAFKA_BROKERS=a:1", "SCHEMA_REGISTRY_URL=http://r"}

// TestConfigurationReportsEveryProblemAtOnce, and exits with 2.
func TestConfigurationReportsEveryProblemAtOnce(t *testing.T) {
	environment(t,
		"SYNC_ARCHIVE_INTERVAL=often", "HUBSPOT_RATE_SHARE=2", "KAFKA_PARTITIONS=many", "SYNC_TRAILING_LAG=5m,soon",
		"HUBSPOT_CLIENT_ID=abc", "EVENT_BEFORE=all", "SCHEMA_REGISTRY_URL=registry:8081", "HUBSPOT_VOLATILE=days_since",
		"LOG_LEVEL=loud",
		// These have no default.
		"SYNC_LEADING_INTERVAL=abc", "SYNC_ASSOCIATIONS_INTERVAL=abc", "HUBSPOT_RATE_10S=abc", "HUBSPOT_RATE_SEARCH=abc",
		"KAFKA_TLS_ENABLED=abc", "EVENT_SKIP_UNCHANGED=abc", "HUBSPOT_RATE_DAILY=9223372036854775807",
	)
	_, err := load()
	var config *connector.ConfigError
	if !errors.As(err, &config) || connector.ExitCode(err) != connector.ExitConfig {
		t.Fatalf("got %v, exit %d", err, connector.ExitCode(err))
	}
	for _, name := range []string{
		"SYNC_ARCHIVE_INTERVAL", "HUBSPOT_RATE_SHARE", "KAFKA_PARTITIONS", "SYNC_TRAILING_LAG", "HUBSPOT_REFRESH_TOKEN",
		"EVENT_BEFORE", "SCHEMA_REGISTRY_URL", "HUBSPOT_VOLATILE", "KAFKA_BROKERS", "LOG_LEVEL",
		"SYNC_LEADING_INTERVAL", "SYNC_ASSOCIATIONS_INTERVAL", "HUBSPOT_RATE_10S", "HUBSPOT_RATE_SEARCH", "KAFKA_TLS_ENABLED", "EVENT_SKIP_UNCHANGED",
		"HUBSPOT_RATE_DAILY",
	} {
		if n := strings.Count(err.Error(), name); n != 1 {
			t.Errorf("%s is reported %d times in\n%v", name, n, err)
		}
	}
	environment(t)
	_, err = load()
	for _, name := range []string{"HUBSPOT_ACCESS_TOKEN", "KAFKA_BROKERS", "SCHEMA_REGISTRY_URL"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s missing is not reported in %v", name, err)
		}
	}
}

// TestConfiguration_EmptyIsUnset: an empty or blank variable counts as unset;
// blanks around a value are not part of it.
func TestConfiguration_EmptyIsUnset(t *testing.T) {
	environment(t, append(slices.Clone(enough),
		"SYNC_ARCHIVE_INTERVAL=", "KAFKA_PARTITIONS=  ", "KAFKA_TOPIC_PREFIX=", "HUBSPOT_VOLATILE=", "TOMBSTONES_ON_DELETE=",
		"SYNC_RECONCILE_INTERVAL= 36h\n", "KAFKA_BROKERS= a:1 , b:2 ", "KAFKA_REPLICATION=3",
	)...)
	s, err := load()
	if err != nil {
		t.Fatal(err)
	}
	want := connector.DefaultConfig()
	want.HubSpot.AccessToken, want.Registry.URL = "x", "http://r"
	want.Kafka.Brokers, want.Kafka.Replication = []string{"a:1", "b:2"}, 3
	want.Sync.ReconcileInterval = 36 * 3600e9
	if got := fmt.Sprintf("%#v", s.connector); got != fmt.Sprintf("%#v", want) {
		t.Errorf("got  %s\nwant %#v", got, want)
	}
}

// TestConfiguration_AnEmptyMemberIsAProblem: a template that expands to nothing
// must not choose everything.
func TestConfiguration_AnEmptyMemberIsAProblem(t *testing.T) {
	for _, text := range []string{
		"HUBSPOT_PROPERTIES_INCLUDE=,", "HUBSPOT_PROPERTIES_EXCLUDE=, ,", "HUBSPOT_OBJECTS=contacts,, companies", "HUBSPOT_ASSOCIATIONS=,",
		"HUBSPOT_VOLATILE=,", "SYNC_TRAILING_LAG=5m,,1h", "KAFKA_BROKERS=a:1,",
	} {
		name, _, _ := strings.Cut(text, "=")
		environment(t, append(slices.Clone(enough), text)...)
		if _, err := load(); connector.ExitCode(err) != connector.ExitConfig || !strings.Contains(err.Error(), name+": has an empty member") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestConfiguration_AShareIsANumber: envconfig takes NaN for one, and no limit holds it.
func TestConfiguration_AShareIsANumber(t *testing.T) {
	for _, name := range []string{"HUBSPOT_RATE_SHARE", "HUBSPOT_DAILY_RESERVE", "HUBSPOT_IDLE_SHARE"} {
		for _, value := range []string{"NaN", "Inf", "-Inf", "-0.1", "1.1"} {
			environment(t, append(slices.Clone(enough), name+"="+value)...)
			if _, err := load(); connector.ExitCode(err) != connector.ExitConfig || !strings.Contains(err.Error(), name+": ") {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
	}
}

// TestConfiguration_AnEmptyTokenFileIsNoToken: OAuth beside it counts.
func TestConfiguration_AnEmptyTokenFileIsNoToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(" \n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	oauth := []string{"HUBSPOT_CLIENT_ID=a", "HUBSPOT_CLIENT_SECRET=b", "HUBSPOT_REFRESH_TOKEN=c"}
	environment(t, append(append(oauth, enough[1:]...), "HUBSPOT_ACCESS_TOKEN_FILE="+file)...)
	if s, err := load(); err != nil || !s.connector.HubSpot.OAuth() {
		t.Errorf("OAuth beside an empty token file: %v", err)
	}
	environment(t, append(slices.Clone(enough[1:]), "HUBSPOT_ACCESS_TOKEN_FILE="+file)...)
	if _, err := load(); err == nil || !strings.Contains(err.Error(), "HUBSPOT_ACCESS_TOKEN: is required") {
		t.Errorf("an empty token file alone: %v", err)
	}
}

// TestConfiguration_NamesOfGroupsAreNoPrefix: a variable is read only by its own
// name.
func TestConfiguration_NamesOfGroupsAreNoPrefix(t *testing.T) {
	environment(t, append(slices.Clone(enough), "KAFKA_KAFKA_TOPIC_PREFIX=wrong", "TOPIC_PREFIX=wrong", "BROKERS=wrong:1")...)
	s, err := load()
	if err != nil || s.connector.Kafka.TopicPrefix != "hubspot" || s.connector.Kafka.Brokers[0] != "a:1" {
		t.Errorf("%v, %+v", err, s)
	}
}

// TestVariablesThatAreNotKnown: a mistyped name is reported, with what it is taken
// for; one that may choose personal data is refused. Others' variables are theirs.
func TestVariablesThatAreNotKnown(t *testing.T) {
	environment(t, "SYNC_LEADING_INTERVALL=1s", "SYNC_LEADING_INTERVAL=1s", "HUBSPOT_ACCESS_TOKEN_FILE=/no/such/file", "KAFKA_OPTS=-Xmx1g",
		"KAFKA_HEAP_OPTS=-Xmx1g", "KAFKA_PORT=tcp://10.0.0.1:9092", "KAFKA_SERVICE_HOST=10.0.0.1", "KAFKA_LOG4J_OPTS=x", "SCHEMA_REGISTRY_PORT=tcp://10.0.0.2:8081",
		"SCHEMA_REGISTRY_SERVICE_PORT=8081", "SCHEMA_REGISTRY_HOST_NAME=x", "HTTP_PROXY=http://proxy", "HTTP_PORT=80", "LOG_DIR=/tmp", "LOG_FILE=x", "EVENTS=x",
		"HUBSPOT_TOKEN=x", "HUBSPOT_COLOUR=blue", "KAFKA_BROKER=a:1", "KAFKA_SASL_PASWORD=x", "SCHEMA_REGISTRY_ULR=http://r", "TOMBSTONE_ON_DELETE=false",
		"LOG_LVEL=debug", "HTTP_ADRR=:1", "EVENT_BEFOR=key",
		"HUBPSOT_OBJECTS=x", "KAFAK_BROKERS=a:1", "SYCN_LEADING_INTERVAL=1s", "LOGLEVEL=debug", "AWSREGION=x", "Kafka_Brokers=a:1", "ASYNC_INTERVAL=x", "HTTP_ADDRESS=:1", "KAFKA_BROKERS_PORT=9092")
	got := fmt.Sprint(unknown())
	want := "[AWSREGION (did you mean AWS_REGION?) EVENT_BEFOR (did you mean EVENT_BEFORE?) HTTP_ADDRESS (did you mean HTTP_ADDR?) HTTP_ADRR (did you mean HTTP_ADDR?)" +
		" HUBPSOT_OBJECTS (did you mean HUBSPOT_OBJECTS?) HUBSPOT_COLOUR" +
		" HUBSPOT_TOKEN (did you mean HUBSPOT_ACCESS_TOKEN?)" +
		" KAFAK_BROKERS (did you mean KAFKA_BROKERS?) KAFKA_BROKER (did you mean KAFKA_BROKERS?)" +
		" KAFKA_SASL_PASWORD (did you mean KAFKA_SASL_PASSWORD?) Kafka_Brokers (did you mean KAFKA_BROKERS?)" +
		" LOGLEVEL (did you mean LOG_LEVEL?) LOG_LVEL (did you mean LOG_LEVEL?)" +
		" SCHEMA_REGISTRY_ULR (did you mean SCHEMA_REGISTRY_URL?)" +
		" SYCN_LEADING_INTERVAL (did you mean SYNC_LEADING_INTERVAL?) SYNC_LEADING_INTERVALL (did you mean SYNC_LEADING_INTERVAL?)" +
		" TOMBSTONE_ON_DELETE (did you mean TOMBSTONES_ON_DELETE?)]"
	if got != want {
		t.Errorf("unknown\n%s, want\n%s", got, want)
	}
	environment(t, append(slices.Clone(enough), "HUBSPOT_PROPERTIES_EXCLUDES=contacts.email")...)
	_, err := load()
	if connector.ExitCode(err) != connector.ExitConfig || !strings.Contains(fmt.Sprint(err), "HUBSPOT_PROPERTIES_EXCLUDES") {
		t.Errorf("got %v", err)
	}
}

// TestVariablesThatAreNotKnown_NoneThatMayHidePersonalDataIsIgnored: however it is
// misspelt, by a run, a fleet and the check of a fleet.
func TestVariablesThatAreNotKnown_NoneThatMayHidePersonalDataIsIgnored(t *testing.T) {
	h, _ := simulatedAccounts(map[string]int64{"one.test": 1})
	ended, end := context.WithCancel(t.Context())
	end()
	for _, name := range []string{
		"HUBSPOT_PROPERTY_EXCLUDE", "hubspot_properties_exclude", "HUBSPOT_PROPRTIES_EXCLUDE", "HUBSPOT_PROEPRTIES_EXCLDUE", "hubspot_property_exclude",
		"HUBSPOT_HAHS_KEY", "HUBSPOT_SENSITVE",
	} {
		environment(t, append(slices.Clone(enough), name+"=contacts.email")...)
		fleetOf(t, map[string]string{"acme.env": "HUBSPOT_ACCESS_TOKEN=x\nHUBSPOT_BASE_URL=https://one.test\n"})
		_, run := load()
		_, check := h.checked(t, false)
		for who, err := range map[string]error{"run": run, "fleet": runFleet(ended, io.Discard), "fleet check": check} {
			if connector.ExitCode(err) != connector.ExitConfig || !strings.Contains(fmt.Sprint(err), name) || !strings.Contains(fmt.Sprint(err), "may choose the properties to publish") {
				t.Errorf("%s with %s: %v", who, name, err)
			}
		}
	}
}

// TestAMissingVariableThatIsMistyped: the problem names what is set instead.
func TestAMissingVariableThatIsMistyped(t *testing.T) {
	environment(t, "HUBSPOT_ACCES_TOKEN=x", "KAFKA_BROKER=a:1", "SCHEMA_REGISTRI_URL=http://r", "SCHEMA_REGISTRY_PASSWORD=x", "SCHEMA_REGISTRY_USER_NAME=x", "LOG_LVEL=debug")
	_, err := load()
	for _, want := range []string{
		"; HUBSPOT_ACCES_TOKEN is set: did you mean HUBSPOT_ACCESS_TOKEN?", "; KAFKA_BROKER is set: did you mean KAFKA_BROKERS?",
		"; SCHEMA_REGISTRI_URL is set: did you mean SCHEMA_REGISTRY_URL?", "; SCHEMA_REGISTRY_USER_NAME is set: did you mean SCHEMA_REGISTRY_USERNAME?",
	} {
		if n := strings.Count(fmt.Sprint(err), want); n != 1 {
			t.Errorf("%q is there %d times in\n%v", want, n, err)
		}
	}
	if strings.Count(fmt.Sprint(err), "did you mean") != 4 {
		t.Errorf("questions without a missing variable:\n%v", err)
	}
}

// TestSecretsComeFromFiles: NAME_FILE stands for NAME, and overrides it.
func TestSecretsComeFromFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(" "+canary+" \r\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	environment(t, append(slices.Clone(enough), "HUBSPOT_ACCESS_TOKEN_FILE="+file)...)
	s, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.connector.HubSpot.Token(); err != nil || got.Reveal() != canary {
		t.Errorf("token %q, %v", got.Reveal(), err)
	}
	environment(t, "HUBSPOT_ACCESS_TOKEN_FILE=/no/such/file")
	if _, err := load(); err == nil || !strings.Contains(err.Error(), "HUBSPOT_ACCESS_TOKEN_FILE: open /no/such/file") || strings.Contains(err.Error(), "is required (or") {
		t.Errorf("a file that does not exist: %v", err)
	}
}

// TestCheckCommand: a mistyped variable is a finding of connector check, and a
// wrong configuration ends the check as it ends a run.
func TestCheckCommand(t *testing.T) {
	inWorld(t, hubspottest.Options{Seed: 5}, nil, func(w *world) {
		o := w.Options(w.Portal.Transport(), w.Brokers)
		o.Logger = slog.New(slog.DiscardHandler)
		variables := []string{
			"HUBSPOT_ACCESS_TOKEN=" + canary, "HUBSPOT_BASE_URL=https://hubspot.test",
			"KAFKA_BROKERS=" + w.Kafka.ListenAddrs()[0], "SCHEMA_REGISTRY_URL=http://registry.test",
		}
		environment(t, append(variables, "HUBSPOT_OBJEKTS=contacts")...)
		var text bytes.Buffer
		if err := runCheck(w.T.Context(), o, check.Journal{}, true, &text); err != nil {
			t.Error(err)
		}
		var report check.Report
		if err := json.Unmarshal(text.Bytes(), &report); err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(report.Findings, func(f check.Finding) bool {
			return f.Check == "environment" && f.Subject == "HUBSPOT_OBJEKTS" && f.Status == check.Warn
		}) {
			t.Errorf("%+v", report.Findings)
		}
		environment(t, append(variables, "HUBSPOT_OBJECTS=contacts,butterflies")...)
		err := runCheck(w.T.Context(), o, check.Journal{}, false, io.Discard)
		var checked *checkError
		if !errors.As(err, &checked) || checked.code != connector.ExitConfig {
			t.Errorf("a type that does not exist: %v", err)
		}
		environment(t, append(variables, "KAFKA_PARTITIONS=0")...)
		if err := runCheck(w.T.Context(), o, check.Journal{}, false, io.Discard); connector.ExitCode(err) != connector.ExitConfig {
			t.Errorf("KAFKA_PARTITIONS=0: %v", err)
		}
	})
}

// TestCheckCommand_Interrupted: a check that is ended says so, and gives no report.
func TestCheckCommand_Interrupted(t *testing.T) {
	inWorld(t, hubspottest.Options{Seed: 5}, nil, func(w *world) {
		o := w.Options(w.Portal.Transport(), w.Brokers)
		o.Logger = slog.New(slog.DiscardHandler)
		environment(t, "HUBSPOT_ACCESS_TOKEN="+canary, "HUBSPOT_BASE_URL=https://hubspot.test",
			"KAFKA_BROKERS="+w.Kafka.ListenAddrs()[0], "SCHEMA_REGISTRY_URL=http://registry.test")
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultSlow, Latency: time.Hour})
		ctx, cancel := context.WithCancel(w.T.Context())
		time.AfterFunc(time.Second, cancel)
		var text bytes.Buffer
		err := runCheck(ctx, o, check.Journal{}, false, &text)
		if connector.ExitCode(err) != connector.ExitFailed || !strings.Contains(fmt.Sprint(err), "interrupted") || text.Len() > 0 {
			t.Errorf("%v\n%s", err, text.String())
		}
	})
}
