package sink

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/hubspot-cdc/connector/internal/testkit"
)

// TestReach_SinceWhenTheBrokersDoNotAnswer: from the first attempt that gets no
// answer until the next answer, over all attempts and clients in between.
func TestReach_SinceWhenTheBrokersDoNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := testkit.NewBroker(t)
		cable := testkit.NewCable(broker.Network.DialContext)
		var reach Reach
		opts := []kgo.Opt{kgo.Dialer(cable.DialContext), kgo.WithHooks(&reach)}
		first, second := broker.Client(opts...), broker.Client(opts...)
		ask := func(cl *kgo.Client) { _ = cl.Ping(t.Context()) }
		ask(first)
		if since, err := reach.Silent(); !since.IsZero() || err != nil {
			t.Fatalf("answered: %v, %v", since, err)
		}
		time.Sleep(time.Hour) // nobody asks
		cable.Cut()
		began := time.Now()
		for range 5 {
			ask(first)
			ask(second)
			time.Sleep(time.Minute)
			since, err := reach.Silent()
			if d := since.Sub(began); d < 0 || d > time.Second {
				t.Fatalf("since %v, want %v", since, began)
			}
			if err == nil || !strings.Contains(err.Error(), "connection refused") {
				t.Errorf("latest: %v", err)
			}
		}
		cable.Mend()
		ask(second)
		if since, err := reach.Silent(); !since.IsZero() || err != nil {
			t.Errorf("answered again: %v, %v", since, err)
		}
	})
}

// TestReach_AnAnswerThatIsToldBeforeItsRequest: the client tells of both from
// different goroutines.
func TestReach_AnAnswerThatIsToldBeforeItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reach Reach
		var meta kgo.BrokerMetadata
		key := (&kmsg.MetadataRequest{}).Key()
		time.Sleep(time.Second)
		reach.OnBrokerRead(meta, key, 1, 0, 0, nil)
		reach.OnBrokerWrite(meta, key, 1, 0, time.Millisecond, nil)
		if since, _ := reach.Silent(); !since.IsZero() {
			t.Errorf("silent since %v", since)
		}
		time.Sleep(time.Second)
		reach.OnBrokerWrite(meta, key, 1, 0, time.Millisecond, nil)
		if since, _ := reach.Silent(); !since.Equal(time.Now()) {
			t.Errorf("the next request has no answer, but silent since %v", since)
		}
	})
}

// TestReach_AGreetingIsNoAnswer: a broker that refuses the user serves nobody.
func TestReach_AGreetingIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := testkit.NewBroker(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "cdc", "right"))
		var reach Reach
		cl := broker.Client(kgo.WithHooks(&reach), kgo.SASL(plain.Auth{User: "cdc", Pass: "wrong"}.AsMechanism()))
		if err := cl.Ping(t.Context()); err == nil {
			t.Fatal("the broker accepts any password")
		}
		if since, _ := reach.Silent(); since.IsZero() {
			t.Error("answered")
		}
	})
}
