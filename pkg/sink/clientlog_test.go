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

const cannotDial = `msg="kafka client: unable to open connection to broker" addr=broker:9092 broker=seed_0 err=`

// TestClientLog_ABrokerThatIsAwayIsSaidOnce, however many clients dial it, and
// again after clientRepeats. Debug has every line.
func TestClientLog_ABrokerThatIsAwayIsSaidOnce(t *testing.T) {
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
			if n := strings.Count(lines, "level=WARN "+cannotDial); n != 1 {
				t.Errorf("%d warnings in 30 s, want one:\n%s", n, lines)
			}
			if n := strings.Count(lines, "level=WARN") + strings.Count(lines, "level=ERROR"); n > 3 {
				t.Errorf("%d lines in 30 s:\n%s", n, lines)
			}
			if debug := strings.Contains(lines, "level=DEBUG "+cannotDial); debug != (level == slog.LevelDebug) {
				t.Errorf("at level %v, the other lines are there: %v", level, debug)
			}
			if info := strings.Contains(lines, "metadata update triggered"); info != (level == slog.LevelDebug) {
				t.Errorf("at level %v, what clients call information is there: %v", level, info)
			}

			time.Sleep(clientRepeats)
			_ = other.Ping(t.Context())
			if n := log.Count("level=WARN " + cannotDial); n != 2 {
				t.Errorf("%d warnings after %v, want two", n, clientRepeats)
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
