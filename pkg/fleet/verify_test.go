package fleet_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/connector/verify"
	"github.com/hubspot-cdc/connector/pkg/fleet"
)

// A comparison knows that a fleet has the portal: what is under way is no difference.
func TestVerify_NoFalseAlarmBesideAFleet(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.add(10, "acme")
		w.write("acme", "HUBSPOT_ACCESS_TOKEN=pat-acme\nSYNC_LEADING_INTERVAL=1m")
		a := w.start()
		w.until(2*time.Minute, a.stream)
		time.Sleep(90 * time.Second)
		w.change("acme", 1)
		cfg := w.configure(&fleet.File{Name: "acme", Lines: []fleet.Line{{Variable: "HUBSPOT_ACCESS_TOKEN", Value: "pat-acme"}}})
		setup, err := connector.Prepare(cfg, connector.Options{
			Version: "test", HubSpot: w, Registry: w.registry, Logger: slog.New(slog.DiscardHandler),
			Kafka: []kgo.Opt{kgo.Dialer(testkit.NewCable(w.kafka.Network.DialContext).DialContext)},
		})
		if err != nil {
			t.Fatal(err)
		}
		r, err := verify.Run(w.Context(), setup, verify.Options{Objects: []string{"contacts"}})
		if err != nil || !r.Equal || r.Topics[0].Equal != 11 {
			t.Errorf("found %+v: %v", r, err)
		}
		a.stop()
	})
}
