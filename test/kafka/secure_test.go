//go:build integration

package kafka

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/test/services"
)

// startSecure starts a broker that also listens with TLS, wants a client
// certificate and a SASL user, and ends sessions after six seconds unless the
// client authenticates again. env is what the connector needs for the
// certificates.
func startSecure(t *testing.T, s *services.Services) (own *services.Services, address string, env []string) {
	t.Helper()
	serverCert, serverKey, _ := selfSigned(t, "broker")
	clientCert, clientKey, _ := selfSigned(t, "cdc")
	store := filepath.Join(t.TempDir(), "keystore.pem")
	var pair []byte
	for _, file := range []string{serverKey, serverCert} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pair = append(pair, b...)
	}
	if err := os.WriteFile(store, pair, 0o600); err != nil {
		t.Fatal(err)
	}
	port := services.FreePorts(t, 3) // one is the controller's
	secure := port + 2
	const modules = "org.apache.kafka.common.security."
	own = startOwn(t, s, port, "",
		fmt.Sprintf("listeners=PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d,SECURE://127.0.0.1:%d", port, port+1, secure),
		fmt.Sprintf("advertised.listeners=PLAINTEXT://127.0.0.1:%d,SECURE://localhost:%d", port, secure),
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
		"ssl.keystore.type=PEM", "ssl.keystore.location="+store, "ssl.truststore.type=PEM", "ssl.truststore.location="+clientCert,
		"listener.name.secure.ssl.client.auth=required",
		"listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
		`listener.name.secure.plain.sasl.jaas.config=`+modules+`plain.PlainLoginModule required user_cdc="s3cret";`,
		`listener.name.secure.scram-sha-256.sasl.jaas.config=`+modules+`scram.ScramLoginModule required;`,
		`listener.name.secure.scram-sha-512.sasl.jaas.config=`+modules+`scram.ScramLoginModule required;`,
		`listener.name.secure.oauthbearer.sasl.jaas.config=`+modules+`oauthbearer.OAuthBearerLoginModule required;`,
		"connections.max.reauth.ms=6000",
	)
	for _, mechanism := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} {
		answers, err := own.Admin.AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{{User: "cdc", Mechanism: mechanism, Iterations: 4096, Password: "s3cret"}})
		if err == nil {
			err = answers.Error()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return own, fmt.Sprint("localhost:", secure), []string{
		"KAFKA_TLS_ENABLED=true", "KAFKA_TLS_CA_FILE=" + serverCert, "KAFKA_TLS_CERT_FILE=" + clientCert, "KAFKA_TLS_KEY_FILE=" + clientKey,
	}
}

// TestSecure_OnARealBroker: TLS with an authority of its own and a client
// certificate, and every mechanism of SASL that Apache Kafka has. The connector
// publishes, and still does when its session and its token have expired several
// times.
func TestSecure_OnARealBroker(t *testing.T) {
	own, address, certificates := startSecure(t, services.Start(t))
	issuer, issued := startIssuer(t)
	user := []string{"KAFKA_SASL_USERNAME=cdc", "KAFKA_SASL_PASSWORD=s3cret"}
	for mechanism, env := range map[string][]string{
		"PLAIN": user, "SCRAM-SHA-256": user, "SCRAM-SHA-512": user,
		"OAUTHBEARER": {"KAFKA_OAUTH_TOKEN_URL=" + issuer, "KAFKA_OAUTH_CLIENT_ID=cdc", "KAFKA_OAUTH_CLIENT_SECRET=s3cret"},
	} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel() // they mostly wait for sessions to expire
			portal := hubspottest.New(hubspottest.Options{
				Seed: 5, Types: []string{"contacts"}, Index: hubspottest.Index{Immediate: true},
				Limits: hubspottest.Limits{SearchPerSecond: 1000, TenSecondly: 100_000, Daily: 10_000_000},
			})
			ids := portal.Seed("contacts", 50)
			server := httptest.NewServer(portal)
			t.Cleanup(server.Close)
			p := &place{T: t, Services: own, prefix: fmt.Sprintf("%s-%d", mechanism, time.Now().UnixMilli())}
			settings := append([]string{
				"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_LEADING_INTERVAL=200ms",
				"KAFKA_BROKERS=" + address, "KAFKA_SASL_MECHANISM=" + mechanism,
			}, certificates...)
			running := own.Build(t, server.URL, p.prefix, append(settings, env...)...).Start(t)
			running.Says(t, 30*time.Second, "backfill done")
			running.Sleep(t, 20*time.Second)
			ids = append(ids, portal.Create("contacts", map[string]string{"firstname": "After"}))
			services.Eventually(t, 30*time.Second, "everything is published", func() error {
				running.Lives(t)
				if n := len(testkit.Latest(p.committed(p.topic("contacts")))); n != len(ids) {
					return fmt.Errorf("%d of %d contacts", n, len(ids))
				}
				return nil
			})
			if running.Has(t, "the run ended") || running.Has(t, "level=ERROR") {
				t.Error("a run ended")
			}
			running.Terminate(t)
			if n := issued.Load(); mechanism == "OAUTHBEARER" && n < 2 {
				t.Errorf("%d tokens of ten seconds", n)
			}
		})
	}
}

// startIssuer gives tokens of ten seconds that Apache Kafka takes without an
// identity provider: JSON Web Signatures of the algorithm none.
func startIssuer(t *testing.T) (address string, issued *atomic.Int64) {
	issued = new(atomic.Int64)
	part := base64.RawURLEncoding.EncodeToString
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id, secret, _ := r.BasicAuth(); id != "cdc" || secret != "s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		issued.Add(1)
		now := time.Now().Unix()
		token := part([]byte(`{"alg":"none"}`)) + "." + part(fmt.Appendf(nil, `{"sub":"cdc","iat":%d,"exp":%d}`, now, now+10)) + "."
		fmt.Fprintf(w, `{"access_token":%q,"expires_in":10}`, token)
	}))
	t.Cleanup(issuer.Close)
	return issuer.URL, issued
}
