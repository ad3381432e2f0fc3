// Package services starts what the tests in the folders beside it need: the Kafka
// and the schema registry of test/kafka, the connector, and any other process.
package services

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/internal/testkit"
)

// Services are a Kafka and a schema registry on this machine.
type Services struct {
	Brokers  string
	Registry string
	Bin      string // Kafka's command line tools; "" if the scripts did not start it

	Admin   *kadm.Client
	Schemas *sr.Client
}

// Start uses the services that KAFKA_BROKERS and SCHEMA_REGISTRY_URL name, or
// else starts both with the scripts of test/kafka. They keep running, because the
// next test package needs them too. A machine that cannot run them skips the
// test.
func Start(t testing.TB) *Services {
	t.Helper()
	s := &Services{Brokers: os.Getenv("KAFKA_BROKERS"), Registry: os.Getenv("SCHEMA_REGISTRY_URL")}
	if s.Brokers == "" {
		started := script(t, "kafka.sh")
		s.Brokers, s.Bin = started["KAFKA_BROKERS"], started["KAFKA_BIN"]
	}
	if s.Registry == "" {
		s.Registry = script(t, "registry.sh")["SCHEMA_REGISTRY_URL"]
	}
	s.Admin = kadm.NewClient(testkit.Client(t, s.Options()...))
	var err error
	if s.Schemas, err = sr.NewClient(sr.URLs(s.Registry)); err != nil {
		t.Fatal(err)
	}
	return s
}

// Options connect a client to the brokers.
func (s *Services) Options(more ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{kgo.SeedBrokers(s.Brokers)}, more...)
}

// Forget deletes the topics of a prefix when the test ends.
func (s *Services) Forget(t testing.TB, prefix string) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		topics, err := s.Admin.ListTopics(ctx)
		var names []string
		for _, name := range topics.Names() {
			if strings.HasPrefix(name, prefix+".") {
				names = append(names, name)
			}
		}
		if err == nil {
			_, err = s.Admin.DeleteTopics(ctx, names...)
		}
		if err != nil {
			t.Logf("topics of %s are left: %v", prefix, err)
		}
	})
}

// script starts a service and gives the NAME=VALUE lines that say where it is.
func script(t testing.TB, name string) map[string]string {
	t.Helper()
	for _, tool := range []string{"java", "mvn", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s needs %s: %v", name, tool, err)
		}
	}
	cmd := exec.Command(filepath.Join("..", "kafka", name), "start")
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[key] = value
		}
	}
	return values
}
