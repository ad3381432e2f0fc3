package connector_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/connector"
)

// authority is a certificate authority of a company's own.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.file, _, a.key, a.cert = a.issue("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue writes a certificate and its key to files.
func (a *authority) issue(name string, c *x509.Certificate) (certFile, keyFile string, key *ecdsa.PrivateKey, cert *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	write := func(suffix, kind string, b []byte) string {
		file := filepath.Join(a.dir, name+suffix)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			a.t.Fatal(err)
		}
		return file
	}
	return write(".pem", "CERTIFICATE", der), write(".key", "PRIVATE KEY", private), key, cert
}

// reach asks a registry for its subjects.
func reach(t *testing.T, r connector.Registry) error {
	t.Helper()
	client, err := r.Client("test", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Subjects(t.Context())
	return err
}

// TestRegistry_OwnAuthorityAndClientCertificate: the registry is trusted by the
// file of its authority alone, and knows the connector by its certificate.
func TestRegistry_OwnAuthorityAndClientCertificate(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	certFile, keyFile, _, _ := ca.issue("registry", &x509.Certificate{DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(ca.cert)
	server := httptest.NewUnstartedServer(testkit.NewRegistry(t).Handler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted}
	server.StartTLS()
	defer server.Close()
	r := connector.Registry{URL: strings.Replace(server.URL, "127.0.0.1", "localhost", 1)}
	if err := reach(t, r); !errors.As(err, new(x509.UnknownAuthorityError)) {
		t.Errorf("without the authority: %v", err)
	}
	r.CAFile = ca.file
	if err := reach(t, r); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("without a certificate: %v", err)
	}
	r.CertFile, r.KeyFile, _, _ = ca.issue("cdc", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err := reach(t, r); err != nil {
		t.Error(err)
	}
}

// TestRegistry_TheFirstAddressIsDown: the next one answers.
func TestRegistry_TheFirstAddressIsDown(t *testing.T) {
	t.Parallel()
	const down = "http://127.0.0.1:1" // nobody listens there, nor gets the port of it
	up := httptest.NewServer(testkit.NewRegistry(t).Handler())
	defer up.Close()
	if err := reach(t, connector.Registry{URL: down + " , " + up.URL + "/,"}); err != nil {
		t.Error(err)
	}
	if err := reach(t, connector.Registry{URL: down + "," + down}); err == nil {
		t.Error("two addresses that are down answered")
	}
}

// guarded lets only requests with a valid token pass.
func guarded(to http.Handler, valid func(token string) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); !ok || !valid(token) {
			http.Error(w, `{"error_code":401,"message":"Unauthorized"}`, http.StatusUnauthorized)
			return
		}
		to.ServeHTTP(w, r)
	})
}

// TestRegistry_ASecretMayChangeInItsFile without a restart.
func TestRegistry_ASecretMayChangeInItsFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	for name, r := range map[string]connector.Registry{
		"token":    {URL: "http://registry.test", TokenFile: file},
		"password": {URL: "http://registry.test", Username: "cdc", PasswordFile: file},
	} {
		valid, registry := "first", testkit.NewRegistry(t).Handler()
		client, err := r.Client("test", testkit.InProcess{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if user, password, _ := req.BasicAuth(); user == "cdc" && password == valid {
				req.Header.Set("Authorization", "Bearer "+valid)
			}
			guarded(registry, func(token string) bool { return token == valid }).ServeHTTP(w, req)
		})})
		if err != nil {
			t.Fatal(err)
		}
		for _, valid = range []string{"first", "second"} {
			if _, err := client.Subjects(t.Context()); err == nil {
				t.Errorf("answered without the %s", name)
			}
			if err := os.WriteFile(file, []byte(valid+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Subjects(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		_, err = client.Subjects(t.Context())
		if credentials, ok := errors.AsType[*connector.CredentialError](err); !ok || !strings.Contains(credentials.Problem, "_FILE: open "+file) {
			t.Errorf("%s without its file: %v", name, err)
		}
	}
}

// TestRegistry_OAuthTokensAreReplaced before they expire. A token endpoint that is
// down costs nothing while the token is valid. What keeps the
// connector from one names the host, the status and the cure, but no secret.
func TestRegistry_OAuthTokensAreReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		idp := &issuer{lasts: 10 * time.Minute}
		cfg := connector.DefaultConfig()
		cfg.HubSpot.AccessToken, cfg.Kafka.Brokers = "x", []string{"kafka:9092"}
		cfg.Registry = connector.Registry{
			URL: "http://registry.test", OAuthTokenURL: "https://idp.test/token",
			OAuthClientID: "cdc", OAuthClientSecret: authCanary, OAuthScope: "kafka",
		}
		client := func(t *testing.T, cfg connector.Config) *sr.Client {
			t.Helper()
			setup, err := connector.Prepare(cfg, connector.Options{
				Registry: testkit.InProcess{Handler: guarded(testkit.NewRegistry(t).Handler(), func(token string) bool { return validFor(token) > 0 })},
				Tokens:   testkit.InProcess{Handler: idp},
			})
			if err != nil {
				t.Fatal(err)
			}
			return setup.Registry
		}
		registry := client(t, cfg)
		for range 120 {
			if _, err := registry.Subjects(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if n := idp.issued(); n < 12 || n > 16 {
			t.Errorf("%d tokens of ten minutes in two hours", n)
		}
		registry = client(t, cfg)
		for minute := range 13 { // the endpoint is down from the second to the twelfth
			idp.fail(minute > 0 && minute < 12)
			_, err := registry.Subjects(t.Context())
			if expired := minute == 10 || minute == 11; expired != (err != nil) {
				t.Errorf("minute %d of a token of ten minutes: %v", minute, err)
			}
			time.Sleep(time.Minute)
		}
		for _, c := range []struct {
			change  func(r *connector.Registry)
			down    bool
			want    []string
			passing bool
		}{
			{func(r *connector.Registry) { r.OAuthClientSecret = "wrong-" + authCanary }, false, []string{"idp.test", "401", "invalid_client", "SCHEMA_REGISTRY_OAUTH_CLIENT_SECRET"}, false},
			{func(r *connector.Registry) { r.OAuthScope = "all" }, false, []string{"idp.test", "400", "invalid_scope", "SCHEMA_REGISTRY_OAUTH_SCOPE"}, false},
			{func(*connector.Registry) {}, true, []string{"idp.test", "503"}, true},
		} {
			idp.fail(c.down)
			wrong := cfg
			c.change(&wrong.Registry)
			_, err := client(t, wrong).Subjects(t.Context())
			credentials, ok := errors.AsType[*connector.CredentialError](err)
			if !ok || credentials.Passing != c.passing || credentials.Cure == "" {
				t.Fatalf("%v", err)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in %v", part, err)
				}
			}
			if strings.Contains(err.Error(), authCanary) {
				t.Errorf("the secret is in %v", err)
			}
		}
	})
}

// TestRegistry_OAuthExtensionsAreHeaders beside the token: Confluent Cloud's
// registry knows the cluster and the identity pool by them.
func TestRegistry_OAuthExtensionsAreHeaders(t *testing.T) {
	t.Parallel()
	registry := testkit.NewRegistry(t).Handler()
	cfg := connector.DefaultConfig()
	cfg.HubSpot.AccessToken, cfg.Kafka.Brokers = "x", []string{"kafka:9092"}
	cfg.Registry = connector.Registry{
		URL: "http://registry.test", OAuthTokenURL: "https://idp.test/token", OAuthClientID: "cdc", OAuthClientSecret: authCanary, OAuthScope: "kafka",
		OAuthExtensions: []string{"target-sr-cluster=lsrc-1", " confluent-identity-pool-id = pool-2"},
	}
	setup, err := connector.Prepare(cfg, connector.Options{
		Tokens: testkit.InProcess{Handler: &issuer{lasts: time.Minute}},
		Registry: testkit.InProcess{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			if validFor(token) <= 0 || r.Header.Get("Target-Sr-Cluster") != "lsrc-1" || r.Header.Get("Confluent-Identity-Pool-Id") != "pool-2" {
				http.Error(w, `{"error_code":401,"message":"Unauthorized"}`, http.StatusUnauthorized)
				return
			}
			registry.ServeHTTP(w, r)
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := setup.Registry.Subjects(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestConfiguration_APasswordInAnAddressIsNotShown: whatever keeps the address from
// being one, and wherever a comma of the password cuts it.
func TestConfiguration_APasswordInAnAddressIsNotShown(t *testing.T) {
	t.Parallel()
	for _, password := range []string{authCanary, "ab/" + authCanary, "12/" + authCanary, "%" + authCanary, "#" + authCanary, "ab," + authCanary, authCanary + ",ab", "12," + authCanary} {
		for name, set := range map[string]func(c *connector.Config, address string){
			"HUBSPOT_BASE_URL":    func(c *connector.Config, address string) { c.HubSpot.BaseURL = address },
			"SCHEMA_REGISTRY_URL": func(c *connector.Config, address string) { c.Registry.URL = address },
			"KAFKA_OAUTH_TOKEN_URL": func(c *connector.Config, address string) {
				c.Kafka.SASLMechanism, c.Kafka.OAuthTokenURL, c.Kafka.OAuthClientID, c.Kafka.OAuthClientSecret = "OAUTHBEARER", address, "cdc", "x"
			},
			"AWS_CONTAINER_CREDENTIALS_FULL_URI": func(c *connector.Config, address string) {
				c.Kafka.SASLMechanism, c.Kafka.AWSContainerFullURI = "AWS_MSK_IAM", address
			},
		} {
			cfg := connector.DefaultConfig()
			cfg.HubSpot.AccessToken, cfg.Kafka.Brokers, cfg.Registry.URL = "x", []string{"kafka:9092"}, "http://a"
			set(&cfg, "https://KEY:"+password+"@host")
			if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), authCanary) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestRegistry_Validate: combinations that make no sense are refused.
func TestRegistry_Validate(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	certFile, keyFile, _, _ := ca.issue("cdc", &x509.Certificate{})
	pipe := filepath.Join(t.TempDir(), "pipe") // nobody writes into it
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		r    connector.Registry
		want string // "": fine
	}{
		{"nothing", connector.Registry{}, "SCHEMA_REGISTRY_URL: is required"},
		{"no address", connector.Registry{URL: " , "}, "SCHEMA_REGISTRY_URL: is required"},
		{"two", connector.Registry{URL: "http://a,https://b/x"}, ""},
		{"two, one wrong", connector.Registry{URL: "http://a,b:8081"}, "SCHEMA_REGISTRY_URL: is not an http"},
		{"authority", connector.Registry{URL: "https://a", CAFile: ca.file}, ""},
		{"authority without TLS", connector.Registry{URL: "http://a", CAFile: ca.file}, "must begin with https://"},
		{"no certificate in it", connector.Registry{URL: "https://a", CAFile: keyFile}, "SCHEMA_REGISTRY_CA_FILE"},
		{"client certificate", connector.Registry{URL: "https://a", CertFile: certFile, KeyFile: keyFile}, ""},
		{"no key", connector.Registry{URL: "https://a", CertFile: certFile}, "SCHEMA_REGISTRY_KEY_FILE"},
		{"password alone", connector.Registry{URL: "http://a", Password: "x"}, "SCHEMA_REGISTRY_USERNAME"},
		{"token", connector.Registry{URL: "http://a", Token: "x"}, ""},
		{"token, no file", connector.Registry{URL: "http://a", TokenFile: "/no/such/file"}, "SCHEMA_REGISTRY_TOKEN_FILE"},
		{"token, an empty file", connector.Registry{URL: "http://a", TokenFile: empty}, "is empty"},
		{"user, an empty file", connector.Registry{URL: "http://a", TokenFile: empty, Username: "x"}, ""},
		{"token, a pipe", connector.Registry{URL: "http://a", TokenFile: pipe}, "is no regular file"},
		{"authority, a pipe", connector.Registry{URL: "https://a", CAFile: pipe}, "is no regular file"},
		{"certificate, a pipe", connector.Registry{URL: "https://a", CertFile: pipe, KeyFile: keyFile}, "is no regular file"},
		{"key, a device", connector.Registry{URL: "https://a", CertFile: certFile, KeyFile: "/dev/zero"}, "is no regular file"},
		{"user and token", connector.Registry{URL: "http://a", Username: "x", Token: "x"}, "only one of them"},
		{"half of OAuth", connector.Registry{URL: "http://a", OAuthClientID: "x"}, "all three"},
		{"token and OAuth", connector.Registry{URL: "http://a", Token: "x", OAuthTokenURL: "https://idp", OAuthClientID: "x", OAuthClientSecret: "x"}, "only one of them"},
		{"OAuth with extensions", connector.Registry{URL: "http://a", OAuthTokenURL: "https://idp", OAuthClientID: "x", OAuthClientSecret: "x", OAuthExtensions: []string{"a-1=b"}}, ""},
		{"extensions alone", connector.Registry{URL: "http://a", OAuthExtensions: []string{"a=b"}}, "needs SCHEMA_REGISTRY_OAUTH_TOKEN_URL"},
		{"extension authorization", connector.Registry{URL: "http://a", OAuthExtensions: []string{"authorization=b"}}, "SCHEMA_REGISTRY_OAUTH_EXTENSIONS"},
		{"extension without a value", connector.Registry{URL: "http://a", OAuthExtensions: []string{"a"}}, "SCHEMA_REGISTRY_OAUTH_EXTENSIONS"},
		{"OAuth", connector.Registry{URL: "http://a", OAuthTokenURL: "https://idp", OAuthClientID: "x", OAuthClientSecret: "x"}, ""},
	} {
		cfg := connector.DefaultConfig()
		cfg.HubSpot.AccessToken, cfg.Kafka.Brokers, cfg.Registry = "x", []string{"kafka:9092"}, c.r
		switch err := cfg.Validate(); {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
