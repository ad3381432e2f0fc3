package connector_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestDiagnose_TLSAgainstPlaintext is named as such, in both directions, of Kafka
// and of the registry.
func TestDiagnose_TLSAgainstPlaintext(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	_, httpsPort, _ := strings.Cut(secure.URL, "//")
	_, httpPort, _ := strings.Cut(plain.URL, "//")

	for _, c := range []struct {
		name, address string
		tls           bool
		want, cure    string
	}{
		{"a plain broker closes", listens(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 5)) }), true, "does not speak TLS", "KAFKA_TLS_ENABLED=false"},
		{"a web server", httpPort, true, "does not speak TLS", "KAFKA_TLS_ENABLED=false"},
		{"a broker with TLS", httpsPort, false, "", "KAFKA_TLS_ENABLED=true"},
		{"a broker with TLS sends an alert", listens(t, func(c net.Conn) { _, _ = c.Write([]byte{21, 3, 3, 0, 2, 2, 10}) }), false, "wants TLS", "KAFKA_TLS_ENABLED=true"},
		{"nobody", "127.0.0.1:1", false, "cannot be reached", "KAFKA_BROKERS"},
		{"nobody, with TLS", "127.0.0.1:1", true, "cannot be reached", "KAFKA_BROKERS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := connector.DefaultConfig()
			cfg.Kafka.Brokers, cfg.Kafka.TLS = []string{c.address}, c.tls
			opts, err := cfg.Kafka.Options()
			if err != nil {
				t.Fatal(err)
			}
			cl, err := kgo.NewClient(opts...)
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			d := cfg.Kafka.Diagnose(cl.Ping(t.Context()))
			if !strings.Contains(d.Found, c.want) || !strings.Contains(d.Cure, c.cure) {
				t.Errorf("%+v, want %q and %q", d, c.want, c.cure)
			}
		})
	}
	for address, want := range map[string][2]string{
		strings.Replace(plain.URL, "http:", "https:", 1):                                       {"does not speak TLS", "http://"},
		strings.Replace(secure.URL, "https:", "http:", 1):                                      {"wants TLS", "https://"},
		"http://" + listens(t, func(c net.Conn) { _ = tls.Server(c, secure.TLS).Handshake() }): {"", "SCHEMA_REGISTRY_URL"},
		secure.URL:           {"not trusted", "SCHEMA_REGISTRY_CA_FILE"},
		"http://127.0.0.1:1": {"cannot be reached", "SCHEMA_REGISTRY_URL"},
		plain.URL:            {"no registry", "path"},
	} {
		cfg := connector.DefaultConfig()
		cfg.Registry.URL = address
		client, err := cfg.Registry.Client("test", nil)
		if err != nil {
			t.Fatal(err)
		}
		d := cfg.Registry.Diagnose(client.Compatibility(t.Context(), sr.GlobalSubject)[0].Err)
		if !strings.Contains(d.Found, want[0]) || !strings.Contains(d.Cure, want[1]) {
			t.Errorf("%s: %+v, want %q", address, d, want)
		}
	}
}

// listens serves each connection to a port of its own, and closes it.
func listens(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

// TestHubSpotDiagnosis_TLSAgainstPlainHTTP: an address with https of a server without
// TLS is named, with the cure.
func TestHubSpotDiagnosis_TLSAgainstPlainHTTP(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var tries atomic.Int64
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		// The client tries until it is told to end: by the second time, the first has failed.
		if state == http.StateNew && tries.Add(1) == 2 {
			cancel()
		}
	}
	server.Start()
	defer server.Close()
	cfg := connector.DefaultConfig()
	cfg.HubSpot.AccessToken, cfg.HubSpot.BaseURL = "pat-x", strings.Replace(server.URL, "http:", "https:", 1)
	cfg.Kafka.Brokers, cfg.Registry.URL = []string{"a:1"}, "http://r"
	setup, err := connector.Prepare(cfg, connector.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = setup.HubSpot.Account(ctx, hubspot.Call{})
	if d := cfg.HubSpot.Diagnose(err); !strings.Contains(d.Cure, "write http:// in HUBSPOT_BASE_URL") {
		t.Errorf("%+v", d)
	}
}

// TestTool_KnowsHowToReachTheBrokers: a printed command works as it is, but for a
// file where the brokers want more than an address.
func TestTool_KnowsHowToReachTheBrokers(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*connector.Kafka){
		"kafka-acls --bootstrap-server a:9092,b:9092":                                    func(*connector.Kafka) {},
		"kafka-acls --bootstrap-server a:9092,b:9092 --command-config client.properties": func(k *connector.Kafka) { k.TLS = true },
		"kafka-acls --bootstrap-server a:1 --command-config client.properties": func(k *connector.Kafka) {
			k.Brokers, k.SASLMechanism = []string{"a:1"}, "plain"
		},
	} {
		k := connector.DefaultConfig().Kafka
		k.Brokers = []string{"a:9092", "b:9092"}
		change(&k)
		if got := k.Tool("kafka-acls"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestDiagnose_ATokenOfAnotherAccount: the cure names the account and the place of the
// token.
func TestDiagnose_ATokenOfAnotherAccount(t *testing.T) {
	h := connector.HubSpot{AccessTokenFile: "/run/secrets/token"}
	d := h.Diagnose(fmt.Errorf("list owners: %w", &hubspot.OtherAccountError{Is: 8, Was: 7}))
	for _, want := range []string{"of portal 8", "of portal 7"} {
		if !strings.Contains(d.Found, want) {
			t.Errorf("found %q", d.Found)
		}
	}
	if !strings.Contains(d.Cure, "a token of portal 7 into ") || !strings.Contains(d.Cure, "/run/secrets/token") {
		t.Errorf("cure %q", d.Cure)
	}
}
