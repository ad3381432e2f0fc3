//go:build consumers

package consumers

import (
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/test/services"
)

// startConnector starts the program under test.
func startConnector(t *testing.T, k *services.Services, portal, prefix string) *services.Process {
	t.Helper()
	return k.Build(t, portal, prefix, "HUBSPOT_OBJECTS="+strings.Join(deeds.Types, ","),
		// Every property counts, because the test compares every value.
		"HUBSPOT_VOLATILE=none.none",
		"SYNC_LEADING_INTERVAL=500ms", "SYNC_TRAILING_LAG=15s", "SYNC_TRAILING_INTERVAL=3s", "SYNC_ARCHIVE_INTERVAL=2s",
		"SYNC_CENSUS_INTERVAL=3s", "SYNC_ASSOCIATIONS_INTERVAL=4s", "SYNC_RECONCILE_INTERVAL=10s", "SYNC_SCHEMA_INTERVAL=3s",
	).Start(t)
}

// waitForTopic waits until there is a topic with a schema.
func waitForTopic(t *testing.T, k *services.Services, name string) {
	t.Helper()
	services.Eventually(t, startup, "topic "+name, func() error {
		topics, err := k.Admin.ListTopics(t.Context(), name)
		if err == nil {
			err = topics.Error()
		}
		if err == nil {
			_, err = k.Schemas.SchemaByVersion(t.Context(), name+"-value", -1)
		}
		return err
	})
}

// latest is the number of a subject's latest version.
func latest(t *testing.T, k *services.Services, subject string) int {
	t.Helper()
	s, err := k.Schemas.SchemaByVersion(t.Context(), subject, -1)
	if err != nil {
		t.Fatal(err)
	}
	return s.Version
}
