//go:build consumers

package consumers

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/test/services"
)

// kafka is the Kafka and the schema registry of the test.
type kafka struct {
	services.Services
	admin  *kadm.Client
	schema *sr.Client
}

func startServices(t *testing.T) *kafka {
	t.Helper()
	k := &kafka{Services: services.Start(t)}
	cl, err := kgo.NewClient(kgo.SeedBrokers(k.Brokers))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	k.admin = kadm.NewClient(cl)
	if k.schema, err = sr.NewClient(sr.URLs(k.Registry)); err != nil {
		t.Fatal(err)
	}
	return k
}

// forget deletes the topics of a prefix at the end.
func (k *kafka) forget(t *testing.T, prefix string) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		topics, err := k.admin.ListTopics(ctx)
		var names []string
		for _, name := range topics.Names() {
			if strings.HasPrefix(name, prefix+".") {
				names = append(names, name)
			}
		}
		if err == nil {
			_, err = k.admin.DeleteTopics(ctx, names...)
		}
		if err != nil {
			t.Logf("topics of %s are left: %v", prefix, err)
		}
	})
}

// waitForTopic waits until there is a topic with a schema.
func (k *kafka) waitForTopic(t *testing.T, name string) {
	t.Helper()
	services.Eventually(t, startup, "topic "+name, func() error {
		topics, err := k.admin.ListTopics(t.Context(), name)
		if err == nil {
			err = topics.Error()
		}
		if err == nil {
			_, err = k.schema.SchemaByVersion(t.Context(), name+"-value", -1)
		}
		return err
	})
}

// latest is the number of a subject's latest version.
func (k *kafka) latest(t *testing.T, subject string) int {
	t.Helper()
	s, err := k.schema.SchemaByVersion(t.Context(), subject, -1)
	if err != nil {
		t.Fatal(err)
	}
	return s.Version
}

// connector is the program under test.
type connector struct {
	binary  string
	environ []string
	*services.Process
}

func newConnector(t *testing.T, k *kafka, portal, prefix string) *connector {
	t.Helper()
	c := &connector{binary: filepath.Join(t.TempDir(), "connector")}
	build := exec.Command("go", "build", "-o", c.binary, "./cmd/connector")
	build.Dir = filepath.Join("..", "..")
	services.Output(t, build)
	c.environ = []string{
		"HUBSPOT_ACCESS_TOKEN=pat-consumers", "HUBSPOT_BASE_URL=" + portal,
		"HUBSPOT_OBJECTS=" + strings.Join(deeds.Types, ","),
		"HUBSPOT_RATE_10S=100000", "HUBSPOT_RATE_SEARCH=1000", "HUBSPOT_RATE_DAILY=10000000",
		// No property's change is passed over: every value is compared.
		"HUBSPOT_VOLATILE=none.none",
		"KAFKA_BROKERS=" + k.Brokers, "KAFKA_TOPIC_PREFIX=" + prefix, "KAFKA_PARTITIONS=3", "SCHEMA_REGISTRY_URL=" + k.Registry,
		"SYNC_LEADING_INTERVAL=500ms", "SYNC_TRAILING_LAG=15s", "SYNC_TRAILING_INTERVAL=3s", "SYNC_ARCHIVE_INTERVAL=2s",
		"SYNC_CENSUS_INTERVAL=3s", "SYNC_ASSOCIATIONS_INTERVAL=4s", "SYNC_RECONCILE_INTERVAL=10s", "SYNC_SCHEMA_INTERVAL=3s",
		"HTTP_ADDR=127.0.0.1:0", "LOG_FORMAT=text",
	}
	k.forget(t, prefix)
	return c
}

func (c *connector) start(t *testing.T) {
	t.Helper()
	cmd := exec.Command(c.binary, "run")
	cmd.Env = c.environ
	c.Process = services.Run(t, "the connector", cmd)
}

// stop is what service managers do.
func (c *connector) stop(t *testing.T) {
	t.Helper()
	c.Lives(t)
	c.End(syscall.SIGTERM)
	if code := c.Cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("exit code %d after SIGTERM: %v", code, c.Cmd.ProcessState)
	}
}
