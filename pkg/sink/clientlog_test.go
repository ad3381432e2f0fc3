package sink

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/hubspot-cdc/connector/internal/testkit"
)

// TestClientLog_SpeaksAtDebugAlone: while a broker is away, clients warn of every
// dial.
func TestClientLog_SpeaksAtDebugAlone(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelDebug} {
		synctest.Test(t, func(t *testing.T) {
			log := testkit.Log{Level: level}
			opts := []kgo.Opt{
				kgo.SeedBrokers("broker:9092"), ClientLog(log.Logger()),
				kgo.Dialer(func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("connection refused") }),
			}
			member, err := kgo.NewClient(append(opts, kgo.ConsumerGroup("hubspot.owner"), kgo.ConsumeTopics("hubspot.offsets"))...)
			if err != nil {
				t.Fatal(err)
			}
			defer member.CloseAllowingRebalance()
			other := testkit.Client(t, opts...)
			for range 30 {
				_ = other.Ping(t.Context())
				time.Sleep(time.Second)
			}
			lines := log.String()
			if level == slog.LevelInfo && lines != "" {
				t.Errorf("at Info:\n%s", lines)
			}
			if level == slog.LevelDebug && (!strings.Contains(lines, `level=DEBUG msg="kafka client: unable to open connection to broker"`) || !strings.Contains(lines, "metadata update triggered")) {
				t.Errorf("at Debug:\n%s", lines)
			}
			if strings.Contains(lines, "level=WARN") || strings.Contains(lines, "level=ERROR") {
				t.Errorf("above Debug:\n%s", lines)
			}
		})
	}
}

// TestClientLog_HoldsNoPasswordAndNoRecord at any level.
func TestClientLog_HoldsNoPasswordAndNoRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const canary = "canary-5f0c2a9e"
		log := testkit.Log{Level: slog.LevelDebug}
		broker := testkit.NewBroker(t, kfake.SeedTopics(1, "some"), kfake.EnableSASL(), kfake.Superuser("PLAIN", "cdc", canary))
		cl := broker.Client(kgo.SASL(plain.Auth{User: "cdc", Pass: canary}.AsMechanism()), ClientLog(log.Logger()))
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "some", Key: []byte(canary), Value: []byte(canary)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		cl.Close()
		if lines := log.String(); !strings.Contains(lines, "producing to a new topic") || strings.Contains(lines, canary) {
			t.Errorf("log:\n%s", lines)
		}
	})
}
