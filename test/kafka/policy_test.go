//go:build integration

package kafka

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/test/services"
)

// startStrict starts a broker whose platform team has a policy about topics
// (policy/Refuses.java), and whose log.cleaner.max.compaction.lag.ms of a day is
// below what the connector wants.
func startStrict(t *testing.T, s *services.Services) *services.Services {
	t.Helper()
	if _, err := exec.LookPath("javac"); err != nil {
		t.Skip("the policy has to be compiled: ", err)
	}
	if s.Bin == "" {
		t.Skip("kafka.sh has not started the broker, so its jars are not known")
	}
	classes := t.TempDir()
	services.Output(t, exec.Command("javac", "-cp", filepath.Join(filepath.Dir(s.Bin), "lib", "*"), "-d", classes, filepath.Join("policy", "Refuses.java")))
	return startOwn(t, s, services.FreePorts(t, 2), classes,
		"create.topic.policy.class.name=Refuses$Create", "alter.config.policy.class.name=Refuses$Alter", "log.cleaner.max.compaction.lag.ms=86400000")
}

// startOwn starts a broker for this test alone, with more properties and classes.
func startOwn(t *testing.T, s *services.Services, port int, classes string, properties ...string) *services.Services {
	t.Helper()
	file := filepath.Join(t.TempDir(), "more.properties")
	if err := os.WriteFile(file, []byte(strings.Join(properties, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	script := func(word string) string {
		cmd := exec.Command("./kafka.sh", word)
		cmd.Env = append(os.Environ(), fmt.Sprint("KAFKA_TEST_PORT=", port), "KAFKA_TEST_PROPERTIES="+file, "KAFKA_TEST_CLASSPATH="+classes)
		return services.Output(t, cmd)
	}
	t.Cleanup(func() { script("wipe") })
	script("start")
	own := *s
	own.Brokers = fmt.Sprint("127.0.0.1:", port)
	own.Admin = kadm.NewClient(testkit.Client(t, own.Options()...))
	return &own
}

// TestPolicy_OfARealCluster: whatever a cluster's policy and its broker-wide
// limits refuse, the connector is ready within 30 s, publishes everything and
// says each refusal once at each start, in the broker's words (docs/contract.md
// section 9). At a restart retention.ms counts only in topics that Kafka deletes
// from.
func TestPolicy_OfARealCluster(t *testing.T) {
	strict := startStrict(t, services.Start(t))
	wanted := []string{"delete.retention.ms", "max.message.bytes", "min.compaction.lag.ms", "retention.ms", "segment.bytes", "segment.ms"}
	for name, refused := range map[string][]string{
		"two":        {"max.message.bytes", "min.compaction.lag.ms", "segment.bytes"},
		"serverless": {"delete.retention.ms", "min.compaction.lag.ms", "segment.bytes", "segment.ms"},
		"all":        wanted,
	} {
		t.Run(name, func(t *testing.T) {
			p := &place{T: t, Services: strict, prefix: fmt.Sprintf("%s-%d", name, time.Now().UnixMilli())}
			portal := hubspottest.New(hubspottest.Options{
				Seed: 5, Types: []string{"contacts"}, Index: hubspottest.Index{Immediate: true}, Limits: hubspottest.Limits{SearchPerSecond: 1000, TenSecondly: 100_000, Daily: 10_000_000},
			})
			ids := portal.Seed("contacts", 200)
			server := httptest.NewServer(portal)
			defer server.Close()
			address := fmt.Sprint("127.0.0.1:", services.FreePort(t))
			connector := strict.Build(t, server.URL, p.prefix, "HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_LEADING_INTERVAL=200ms", "HTTP_ADDR="+address)
			for _, start := range []string{"first", "second"} {
				running := connector.Start(t)
				services.Eventually(t, 30*time.Second, "the connector is ready", func() error {
					running.Lives(t)
					answer, err := http.Get("http://" + address + "/readyz")
					if err != nil {
						return err
					}
					defer answer.Body.Close()
					if answer.StatusCode != http.StatusOK {
						return fmt.Errorf("%s", answer.Status)
					}
					return nil
				})
				if start == "second" {
					ids = append(ids, portal.Create("contacts", map[string]string{"firstname": "Meanwhile"}))
				}
				services.Eventually(t, 30*time.Second, "everything is published", func() error {
					if n := len(testkit.Latest(p.committed(p.topic("contacts")))); n != len(ids) {
						return fmt.Errorf("%d of %d contacts", n, len(ids))
					}
					return nil
				})
				for _, setting := range wanted {
					message, want := fmt.Sprintf("Setting %s belongs to the platform team.", setting), 0
					if slices.Contains(refused, setting) && (start == "first" || setting != "retention.ms") {
						want = 1
					}
					if setting == "min.compaction.lag.ms" { // the broker compares before it asks the policy
						message = "conflict topic config setting min.compaction.lag.ms (604800000) > max.compaction.lag.ms (86400000)"
					}
					if n := running.Count(t, message); n != want {
						t.Errorf("%s start: %q is in the log %d times, want %d", start, message, n, want)
					}
				}
				if running.Has(t, "the run ended") {
					t.Errorf("%s start: a run ended", start)
				}
				running.Terminate(t)
			}
		})
	}
	t.Run("forbidden", func(t *testing.T) {
		prefix := fmt.Sprintf("forbidden-%d", time.Now().UnixMilli())
		portal := httptest.NewServer(hubspottest.New(hubspottest.Options{Seed: 5, Types: []string{"contacts"}}))
		defer portal.Close()
		running := strict.Build(t, portal.URL, prefix, "HUBSPOT_OBJECTS=contacts").Start(t)
		running.Says(t, 30*time.Second, "Ask the platform team for topic "+prefix+".offsets.")
		running.Says(t, time.Second, "kafka-topics --bootstrap-server "+strict.Brokers+" --create --topic "+prefix+".offsets --partitions 1 --config cleanup.policy=compact")
		running.Terminate(t)
	})
}
