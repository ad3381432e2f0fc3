package check

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestCheck_SaysWhyThereAreNoCredentials: who refuses, with which status, and
// which variable to look at, by the way in which the connector authenticates.
func TestCheck_SaysWhyThereAreNoCredentials(t *testing.T) {
	t.Parallel()
	settings := append([]string{
		"KAFKA_SASL_MECHANISM=oauthbearer", "KAFKA_OAUTH_TOKEN_URL=https://idp.test/token",
		"KAFKA_OAUTH_CLIENT_ID=cdc", "KAFKA_OAUTH_CLIENT_SECRET=" + brokerCanary,
	}, threeTypes...)
	inWorld(t, hubspottest.Options{Seed: 12}, settings, func(w *world) {
		knows := true // the token endpoint knows the client
		w.Tokens = testkit.InProcess{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			if !knows {
				rw.WriteHeader(http.StatusUnauthorized)
				fmt.Fprintf(rw, `{"error":"invalid_client","error_description":%q}`, brokerCanary)
				return
			}
			fmt.Fprint(rw, `{"access_token":"t","expires_in":"3600"}`)
		})}
		w.inspect().is(connector.ExitFailed).says("broker", "", Fail, "does not offer OAUTHBEARER", "KAFKA_SASL_MECHANISM")

		w.Kafka.ControlKey(int16(kmsg.SASLHandshake), func(r kmsg.Request) (kmsg.Response, error, bool) {
			w.Kafka.KeepControl()
			return r.ResponseKind(), nil, true
		})
		refuses := true
		w.Kafka.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
			w.Kafka.KeepControl()
			resp := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
			if refuses {
				resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
			}
			return resp, nil, true
		})
		w.inspect().is(connector.ExitFailed).says("broker", "", Fail, "refuses the token", "KAFKA_OAUTH_SCOPE", "audience")
		refuses = false
		w.inspect().is(connector.ExitOK).says("broker", "", OK, "as client cdc by OAUTHBEARER")
		knows = false
		w.inspect().is(connector.ExitFailed).says("broker", "", Fail, "no credentials", "idp.test", "401", "invalid_client", "KAFKA_OAUTH_CLIENT_SECRET")
		knows = true

		before := w.Registry.Turn(testkit.InProcess{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			http.Error(rw, "{}", http.StatusUnauthorized)
		})})
		oauth := []string{"SCHEMA_REGISTRY_OAUTH_TOKEN_URL=https://idp.test/token", "SCHEMA_REGISTRY_OAUTH_CLIENT_ID=cdc", "SCHEMA_REGISTRY_OAUTH_CLIENT_SECRET=" + brokerCanary}
		w.inspect("SCHEMA_REGISTRY_TOKEN="+brokerCanary).is(connector.ExitFailed).says("registry", "", Fail, "401", "SCHEMA_REGISTRY_TOKEN")
		w.inspect(oauth...).is(connector.ExitFailed).says("registry", "", Fail, "401", "SCHEMA_REGISTRY_OAUTH_SCOPE")
		w.Registry.Turn(before)
		w.inspect(oauth...).is(connector.ExitOK).says("registry", "", OK, "as client cdc by OAuth")
		knows = false
		w.inspect(oauth...).is(connector.ExitFailed).says("registry", "", Fail, "no credentials", "idp.test", "401", "SCHEMA_REGISTRY_OAUTH_CLIENT_SECRET")
	})
}

// TestCheck_NamesThePrincipal that a permission is for, by mechanism.
func TestCheck_NamesThePrincipal(t *testing.T) {
	t.Parallel()
	for mechanism, want := range map[string]string{
		"": "'User:ANONYMOUS'", "plain": "'User:cdc'", "OAUTHBEARER": "'User:<the principal of the token", "AWS_MSK_IAM": "IAM",
	} {
		cfg := connector.DefaultConfig()
		cfg.Kafka.Brokers, cfg.Kafka.SASLMechanism = []string{"kafka:9092"}, mechanism
		if mechanism == "plain" {
			cfg.Kafka.SASLUsername = "cdc"
		}
		k := &checker{setup: &connector.Setup{Config: cfg}}
		if got := k.acl("--operation Read --group g"); !strings.Contains(got, want) || !strings.Contains(got, "--operation Read --group g") {
			t.Errorf("%q: %s", mechanism, got)
		}
	}
}

// TestCheck_SaysWhyThereAreNoAWSCredentials, source by source.
func TestCheck_SaysWhyThereAreNoAWSCredentials(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("HOME", t.TempDir())
	file := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(file, []byte("[half]\naws_access_key_id = x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := append([]string{"KAFKA_SASL_MECHANISM=AWS_MSK_IAM", "AWS_REGION=eu-west-1"}, threeTypes...)
	inWorld(t, hubspottest.Options{Seed: 12}, settings, func(w *world) {
		w.Kafka.ControlKey(int16(kmsg.SASLHandshake), func(r kmsg.Request) (kmsg.Response, error, bool) {
			w.Kafka.KeepControl()
			return r.ResponseKind(), nil, true
		})
		status, answer := http.StatusNotFound, brokerCanary
		w.Tokens = testkit.InProcess{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(status)
			fmt.Fprint(rw, answer)
		})}
		fails := func(settings []string, texts ...string) {
			t.Helper()
			w.inspect(settings...).is(connector.ExitFailed).says("broker", "", Fail, append(texts, "no credentials for it")...)
		}
		fails(nil, "169.254.169.254 gives no AWS credentials (404)", "AWS_ACCESS_KEY_ID")
		container := []string{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/1"}
		fails(container, "169.254.170.2 gives no AWS credentials (404)", "role")
		status = http.StatusOK
		fails(container, "answers without credentials")
		fails([]string{"AWS_SHARED_CREDENTIALS_FILE=" + file}, "no credentials of profile default", "AWS_PROFILE")
		fails([]string{"AWS_SHARED_CREDENTIALS_FILE=" + file, "AWS_PROFILE=half"}, "no credentials of profile half", "AWS_PROFILE")
		fails([]string{"AWS_SHARED_CREDENTIALS_FILE=/no/such/file"}, "/no/such/file", "readable")
		line := testkit.NewLine(w.Tokens)
		line.Cut()
		w.Tokens = line
		fails(nil, "169.254.169.254 cannot be reached", "AWS_ACCESS_KEY_ID")
	})
}
