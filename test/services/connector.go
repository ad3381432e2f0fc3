package services

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// Connector is the program under test, ready to be started any number of times.
type Connector struct {
	Environ []string
	binary  string
}

// Build builds the connector for a portal, with a topic prefix whose topics are
// deleted when the test ends. more has environment variables besides the
// addresses. HubSpot's limits are set so high that they do not matter.
func (s *Services) Build(t testing.TB, portal, prefix string, more ...string) *Connector {
	t.Helper()
	c := &Connector{binary: filepath.Join(t.TempDir(), "connector")}
	build := exec.Command("go", "build", "-o", c.binary, "./cmd/connector")
	build.Dir = filepath.Join("..", "..")
	Output(t, build)
	c.Environ = append([]string{
		"HUBSPOT_ACCESS_TOKEN=pat-test", "HUBSPOT_BASE_URL=" + portal,
		"HUBSPOT_RATE_10S=100000", "HUBSPOT_RATE_SEARCH=1000", "HUBSPOT_RATE_DAILY=10000000",
		"KAFKA_BROKERS=" + s.Brokers, "KAFKA_TOPIC_PREFIX=" + prefix, "KAFKA_PARTITIONS=3", "SCHEMA_REGISTRY_URL=" + s.Registry,
		"HTTP_ADDR=127.0.0.1:0", "LOG_LEVEL=info", "LOG_FORMAT=text",
	}, more...)
	s.Forget(t, prefix)
	return c
}

// Start starts it for one portal.
func (c *Connector) Start(t testing.TB) *Process {
	t.Helper()
	return c.StartAs(t, []string{"run"})
}

// StartAs starts one of its commands. more has environment variables besides its own.
func (c *Connector) StartAs(t testing.TB, args []string, more ...string) *Process {
	t.Helper()
	cmd := exec.Command(c.binary, args...)
	cmd.Env = slices.Concat(c.Environ, more)
	return Run(t, "the connector", cmd)
}
